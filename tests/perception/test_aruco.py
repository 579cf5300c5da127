import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ratio import times_as_long

from sac_gmm.core.errors import UserError
from sac_gmm.perception import ArucoDetector, Camera, dictionary_names, marker_image
from sac_gmm.perception.marker_pose import PoseSolver
from sac_gmm.perception.render import clutter, degrade, facing_rotation, render_marker

DICTIONARY, MARKER, SIZE_M = "DICT_4X4_50", 3, 0.06
CAMERA = Camera.create(640, 480, [600, 0, 320, 0, 600, 240, 0, 0, 1])


@pytest.fixture(scope="module")
def detector():
    return ArucoDetector(DICTIONARY, MARKER, SIZE_M, CAMERA)


@pytest.fixture(scope="module")
def backgrounds():
    rng = np.random.default_rng(0)
    return [clutter(rng, CAMERA.height, CAMERA.width) for _ in range(10)]


def random_view(rng, distance_m, tilt_deg):
    """A marker position inside the picture and a rotation."""
    z = rng.uniform(*distance_m)
    u, v = rng.uniform(120, 520), rng.uniform(120, 360)
    position = np.array([(u - 320) / 600 * z, (v - 240) / 600 * z, z])
    return position, facing_rotation(np.deg2rad(rng.uniform(*tilt_deg)), *rng.uniform(0, 2 * np.pi, 2))


def angle_deg(a, b):
    return np.degrees(np.arccos(np.clip((np.trace(a.T @ b) - 1) / 2, -1, 1)))


@pytest.mark.parametrize(
    ("condition", "distance_m", "tilt_deg", "least_found"),
    [
        ({"blur_px": 0.7, "noise": 5}, (0.3, 1.0), (0, 50), 0.97),
        ({"blur_px": 2.0, "noise": 5}, (0.3, 1.0), (0, 50), 0.85),
        ({"blur_px": 0.7, "noise": 20}, (0.3, 1.0), (0, 50), 0.95),
        ({"blur_px": 0.7, "noise": 5, "gain": 0.2}, (0.3, 1.0), (0, 50), 0.95),
        ({"blur_px": 0.7, "noise": 5}, (0.3, 1.0), (50, 65), 0.9),
        ({"blur_px": 0.7, "noise": 5}, (1.0, 1.8), (0, 50), 0.9),
    ],
    ids=["nominal", "blurred", "noisy", "dark", "tilted", "far"],
)
def test_marker_is_found_and_its_pose_is_right(detector, backgrounds, condition, distance_m, tilt_deg, least_found):
    rng = np.random.default_rng(1)
    found, position_errors, trials = 0, [], 30
    for i in range(trials):
        position, rotation = random_view(rng, distance_m, tilt_deg)
        picture = render_marker(backgrounds[i % 10], CAMERA, DICTIONARY, MARKER, SIZE_M, position, rotation)
        marker = detector.detect(degrade(picture, rng, **condition))
        if marker is not None:
            found += 1
            if marker.pose is not None:
                position_errors.append(np.linalg.norm(marker.pose.position_m - position) / position[2])
    assert found >= least_found * trials
    assert len(position_errors) >= 0.9 * found
    assert np.median(position_errors) < 0.04  # of the distance


def test_pose_is_accurate_when_the_tilt_is_plain_to_see(detector):
    rng = np.random.default_rng(2)
    flat = np.full((480, 640), 120, np.uint8)
    for _ in range(20):
        position, rotation = random_view(rng, (0.25, 0.5), (25, 50))
        pose = detector.detect(render_marker(flat, CAMERA, DICTIONARY, MARKER, SIZE_M, position, rotation)).pose
        assert np.linalg.norm(pose.position_m - position) < 0.02 * position[2]
        assert angle_deg(pose.rotation, rotation) < 3.0
        assert pose.ambiguity < 0.6


@settings(max_examples=60, deadline=None)
@given(
    roll=st.sampled_from([0.0, np.pi / 2, np.pi]) | st.floats(-3.1, 3.1),
    tilt=st.sampled_from([0.0, 1e-9, 1e-7, 1e-5]) | st.floats(0.0, 1.2),
    x=st.floats(-0.1, 0.1),
    y=st.floats(-0.1, 0.1),
    z=st.floats(0.3, 1.5),
)
def test_exact_corners_never_give_a_wrong_pose(roll, tilt, x, y, z):
    """IPPE_SQUARE answers NaN or a wrong pose for a marker that faces the camera exactly."""
    detector = ArucoDetector(DICTIONARY, MARKER, SIZE_M, CAMERA)
    rotation, position = facing_rotation(tilt, 0.3, roll), np.array([x, y, z])
    points = (detector.corners_m @ rotation.T + position) @ CAMERA.matrix.T
    pose = PoseSolver(CAMERA).solve(detector.corners_m, points[:, :2] / points[:, 2:])
    assert np.linalg.norm(pose.position_m - position) < 1e-3 * z
    assert pose.reprojection_px < 0.05
    assert np.allclose(pose.rotation @ pose.rotation.T, np.eye(3), atol=1e-9)


def test_previous_pose_decides_between_two_equally_good_ones(detector):
    facing = facing_rotation(0.0)
    points = (detector.corners_m @ facing.T + [0.0, 0.0, 1.5]) @ CAMERA.matrix.T
    noisy = points[:, :2] / points[:, 2:] + np.array([[0.2, 0], [0.1, 0.2], [-0.15, 0], [0, -0.1]])
    solver = PoseSolver(CAMERA)
    both = solver.candidates(detector.corners_m, noisy, cv2.SOLVEPNP_IPPE_SQUARE)
    assert len(both) == 2
    for wanted in both:
        chosen = solver.solve(detector.corners_m, noisy, wanted)
        assert chosen.ambiguity > 0.6
        assert angle_deg(chosen.rotation, wanted.rotation) < 1e-3


def test_clutter_and_other_dictionaries_are_never_the_marker(detector):
    rng = np.random.default_rng(3)
    others = [name for name in dictionary_names() if not name.startswith("DICT_4X4")]
    for _ in range(60):
        picture = clutter(rng, 480, 640)
        for _ in range(3):
            name = str(rng.choice(others))
            count = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name)).bytesList.shape[0]
            position, rotation = random_view(rng, (0.3, 1.0), (0, 50))
            picture = render_marker(picture, CAMERA, name, int(rng.integers(count)), SIZE_M, position, rotation)
        assert detector.detect(picture) is None


def test_other_ids_of_the_same_dictionary_are_not_the_marker(detector):
    flat = np.full((480, 640), 120, np.uint8)
    for other in set(range(50)) - {MARKER}:
        picture = render_marker(flat, CAMERA, DICTIONARY, other, SIZE_M, [0, 0, 0.5], facing_rotation(0.3))
        assert detector.detect(picture) is None


def test_a_lookalike_with_the_right_bits_but_another_picture_is_refused(detector):
    """16 bits can match by chance; the comparison with the drawn marker at finer resolution cannot."""
    drawn = marker_image(DICTIONARY, MARKER, 256)
    rng = np.random.default_rng(4)
    lookalike = drawn.copy()
    for row in range(2, 6):  # every bit keeps its majority but is filled with stripes
        for column in range(2, 6):
            cell = lookalike[row * 32 : row * 32 + 32, column * 32 : column * 32 + 32]
            cell[:, ::3] = 255 - cell[0, 0]
            cell[rng.integers(0, 32, 6)] = 255 - cell[1, 1]
    flat = np.full((480, 640), 120, np.uint8)
    true, false = flat.copy(), flat.copy()
    true[100:356, 200:456], false[100:356, 200:456] = drawn, lookalike
    strict = ArucoDetector(DICTIONARY, MARKER, SIZE_M, CAMERA, min_similarity=0.9)
    assert strict.detect(true).similarity > 0.95
    assert strict.detect(false) is None


@pytest.mark.parametrize("size", [(320, 240), (640, 480)])
def test_a_frame_takes_little_longer_than_with_plain_opencv(size, backgrounds):
    """The comparison and the pose come on top of OpenCV's own search, which takes most of the time."""
    cv2.setNumThreads(1)
    width, height = size
    camera = Camera.create(width, height, [600, 0, width / 2, 0, 600, height / 2, 0, 0, 1])
    detector = ArucoDetector(DICTIONARY, MARKER, SIZE_M, camera)
    settings = cv2.aruco.DetectorParameters()
    settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    opencv = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, DICTIONARY)), settings)
    rng = np.random.default_rng(5)
    background = clutter(rng, height, width, shapes=25)
    picture = render_marker(background, camera, DICTIONARY, MARKER, SIZE_M, [0, 0, 0.6], facing_rotation(0.4))
    picture = np.repeat(picture[..., None], 3, axis=2)
    assert detector.detect(picture) is not None

    def plain():
        opencv.detectMarkers(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))

    assert times_as_long(lambda: detector.detect(picture), plain, rounds=30) < 4


@pytest.mark.parametrize("name", ["DICT_4X4_50", "DICT_5X5_100", "DICT_6X6_250", "DICT_APRILTAG_36h11"])
def test_drawn_marker_has_a_quiet_zone_and_is_read_back(name):
    table = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name))
    total = table.markerSize + 4
    picture = marker_image(name, 7, total * 20)
    assert picture.shape == (total * 20, total * 20)
    assert (picture[:20] == 255).all() and (picture[:, -20:] == 255).all()
    assert (picture[20:40, 20:-20] == 0).all()
    camera = Camera.create(640, 480, [600, 0, 320, 0, 600, 240, 0, 0, 1])
    flat = np.full((480, 640), 120, np.uint8)
    seen = render_marker(flat, camera, name, 7, 0.08, [0, 0, 0.5], facing_rotation(0.2))
    assert ArucoDetector(name, 7, 0.08, camera).detect(seen).similarity > 0.9


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("DICT_9X9", 0, 0.06), "DICT_4X4_50"),
        (("DICT_4X4_50", 50, 0.06), "choose 0 to 49"),
        (("DICT_4X4_50", -1, 0.06), "choose 0 to 49"),
        (("DICT_4X4_50", 0, 0.0), "marker size"),
    ],
)
def test_wrong_settings_are_named(arguments, words):
    with pytest.raises(UserError, match=words):
        ArucoDetector(*arguments, CAMERA)


def test_a_side_that_does_not_divide_is_refused():
    with pytest.raises(UserError, match="multiple of 8"):
        marker_image("DICT_4X4_50", 0, 100)


def test_a_picture_of_another_size_than_the_calibration_is_refused(detector):
    with pytest.raises(UserError, match="320x240 but the calibration is for 640x480"):
        detector.detect(np.zeros((240, 320), np.uint8))


def printed(bits, margin_modules, background, marker_id=MARKER):
    """A marker seen from the front, with a margin on a background."""
    core = marker_image(f"DICT_{bits}X{bits}_250", marker_id, (bits + 4) * 24)[24:-24, 24:-24]
    margin, side = round(24 * margin_modules), core.shape[0]
    picture = np.full((CAMERA.height, CAMERA.width), background, np.uint8)
    picture[120 - margin : 120 + side + margin, 180 - margin : 180 + side + margin] = 255
    picture[120 : 120 + side, 180 : 180 + side] = core
    return cv2.GaussianBlur(picture, (0, 0), 0.8)


@pytest.mark.parametrize(("bits", "margin", "background"), [(4, 0.6, 0), (5, 0.5, 0), (6, 0.5, 10), (4, 0.5, 60)])
def test_a_margin_that_is_too_narrow_is_said(bits, margin, background):
    looks = ArucoDetector(f"DICT_{bits}X{bits}_250", MARKER, SIZE_M, CAMERA)
    assert looks.detect(printed(bits, margin, background)) is None
    assert "marker 3 is in the image, but its white margin is narrower than three quarters" in looks.near_miss
    assert looks.detect(printed(bits, 1.0, background)) is not None and looks.near_miss == ""


def test_other_markers_in_its_place_are_said(detector, backgrounds):
    looks = ArucoDetector("DICT_4X4_250", 7, SIZE_M, CAMERA)
    assert looks.detect(printed(4, 1.0, 90)) is None
    assert looks.near_miss == "marker 3 of DICT_4X4_250 is in the image, not 7"
    for background in backgrounds:
        detector.detect(background)
        assert detector.near_miss == "", "clutter is no marker"


def placed(*markers):
    """A picture of markers that face the camera: (id, x, degrees of tilt), half a metre away."""
    picture = np.full((480, 640), 120, np.uint8)
    for number, x, tilt_deg in markers:
        turn = facing_rotation(np.radians(tilt_deg))
        picture = render_marker(picture, CAMERA, DICTIONARY, number, SIZE_M, [x, 0, 0.5], turn)
    return picture


def test_of_two_markers_with_one_id_the_same_is_followed_and_it_is_said():
    looks = ArucoDetector(DICTIONARY, MARKER, SIZE_M, CAMERA)
    previous = looks.detect(placed((MARKER, 0.15, 30))).pose
    assert looks.repeated == ""
    for tilt_deg in (0, 10, 20, 30, 40, 50):
        marker = looks.detect(placed((MARKER, -0.15, 50 - tilt_deg), (MARKER, 0.15, tilt_deg)), previous)
        assert marker.pose.position_m[0] == pytest.approx(0.15, abs=0.01)
        assert looks.repeated == "marker 3 is in the image 2 times: leave one of them in view"
    looks.detect(placed((MARKER, 0.0, 0), (4, 0.15, 0)))
    assert looks.repeated == ""


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (placed((MARKER, 0.05, 20))[:, ::-1], "marker 3 of DICT_4X4_50 is in the image as in a mirror: switch off"),
        (255 - placed((MARKER, 0.05, 20)), "marker 3 of DICT_4X4_50 is in the image in white on black: print it in"),
        (printed(5, 1.0, 90), "marker 3 of DICT_5X5_1000 is in the image, not 3 of DICT_4X4_50: name its dictionary"),
        (printed(4, 1.0, 90, 70), "marker 70 of DICT_4X4_1000 is in the image, not 3 of DICT_4X4_50: name its"),
    ],
    ids=["mirrored", "negative", "another dictionary", "beyond the dictionary"],
)
def test_a_marker_that_is_there_in_another_form_is_said(picture, words):
    looks = ArucoDetector(DICTIONARY, MARKER, SIZE_M, CAMERA)
    said = []
    for _ in range(11):
        assert looks.detect(picture) is None
        said.append(looks.near_miss)
    assert said[:4] == [""] * 4 and all(text.startswith(words) for text in said[4:])
    assert looks.detect(placed((MARKER, 0.0, 0))) is not None and looks.near_miss == ""
