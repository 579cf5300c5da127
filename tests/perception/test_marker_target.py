"""Where a target is by the marker on it: against poses that are known, and refused where they cannot be told."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sac_gmm.core.errors import UserError
from sac_gmm.perception import ArucoDetector, BoardDetector, Camera, MarkerBoard, MarkerPose
from sac_gmm.perception.extrinsics import RigidTransform
from sac_gmm.perception.marker_target import TargetAverage, TargetSettings, target_of
from sac_gmm.perception.render import clutter, degrade, facing_rotation, render_marker

CAMERA = Camera.create(640, 480, [600, 0, 320, 0, 600, 240, 0, 0, 1])
# It stands in front of the base and looks back at it, down a little.
IN_BASE = RigidTransform(np.array([1.2, 0.1, 0.6]), Rotation.from_euler("xyz", [-110, 0, 90], degrees=True).as_matrix())
SETTINGS = TargetSettings(pictures=4)
SECOND_NS = 10**9


def marker_pose(tilt_rad, axis_rad=0.0, **given):
    fields = {"reprojection_px": 0.2, "ambiguity": 0.0, "covariance": np.zeros((6, 6)), "other": None} | given
    return MarkerPose(np.array([0.0, 0.0, 1.0]), facing_rotation(tilt_rad, axis_rad), **fields)


def flipping(ambiguity, tilt_rad=0.2):
    """A marker and its second pose, tilted to the other side."""
    return marker_pose(tilt_rad, ambiguity=ambiguity, other=marker_pose(-tilt_rad))


def base_normal(pose):
    return tuple(np.clip(IN_BASE.rotation @ pose.rotation[:, 2], -1.0, 1.0).tolist())


def with_mounting(normal, **given):
    return dataclasses.replace(SETTINGS, mounting_normal=normal, **given)


def test_the_target_is_where_it_is_on_the_marker():
    in_camera = RigidTransform(np.array([0.05, -0.03, 0.8]), facing_rotation(0.6, 0.4, 0.2))
    offset = (0.02, -0.05, 0.03)
    picture = clutter(np.random.default_rng(3), 480, 640, shapes=10)
    picture = render_marker(picture, CAMERA, "DICT_4X4_50", 3, 0.08, in_camera.position_m, in_camera.rotation)
    marker = ArucoDetector("DICT_4X4_50", 3, 0.08, CAMERA).detect(picture)
    target = target_of(marker.pose, IN_BASE, dataclasses.replace(SETTINGS, target_in_marker_m=offset))
    truth = IN_BASE @ in_camera @ RigidTransform(np.array(offset))
    assert np.linalg.norm(target.position_m - truth.position_m) < 0.003
    assert np.linalg.norm(Rotation.from_matrix(target.rotation.T @ truth.rotation).as_rotvec()) < 0.03


def test_a_pose_that_may_be_the_other_one_is_refused():
    with pytest.raises(UserError, match=r"two poses of the marker fit .* 0 mm and 23 degrees apart: use a board"):
        target_of(flipping(0.9), IN_BASE, SETTINGS)
    assert np.allclose(target_of(flipping(0.3), IN_BASE, SETTINGS).position_m, IN_BASE.apply(np.array([0, 0, 1.0])))


def test_it_is_taken_where_the_target_is_the_same_with_both():
    either = dataclasses.replace(SETTINGS, max_spread_rad=3.2)
    assert np.allclose(target_of(flipping(0.9), IN_BASE, either).position_m, IN_BASE.apply(np.array([0, 0, 1.0])))
    beside = dataclasses.replace(either, target_in_marker_m=(0.0, 0.1, 0.0))
    assert target_of(flipping(0.9, 0.01), IN_BASE, beside) is not None
    with pytest.raises(UserError, match="40 mm and 23 degrees apart"):  # 2 sin(0.2) times 0.1 m
        target_of(flipping(0.9), IN_BASE, dataclasses.replace(either, target_in_marker_m=(0.0, 0.0, 0.1)))


@pytest.mark.parametrize("right", ["first", "second"])
def test_the_mounting_tells_the_two_poses_apart(right):
    seen = flipping(0.95, 0.3)
    truth = seen if right == "first" else seen.other
    settings = with_mounting(base_normal(truth), mounting_tolerance_rad=0.3)
    assert np.allclose(target_of(seen, IN_BASE, settings).rotation, IN_BASE.rotation @ truth.rotation)
    loose = with_mounting(base_normal(truth), mounting_tolerance_rad=1.0)
    with pytest.raises(UserError, match="two poses"):
        target_of(seen, IN_BASE, loose)


def test_a_marker_that_does_not_face_as_it_is_mounted_is_refused():
    settings = with_mounting(base_normal(marker_pose(1.0)))
    with pytest.raises(UserError, match=r"the marker faces 57 degrees away from mounting_normal \(at most 20\)"):
        target_of(marker_pose(0.0), IN_BASE, settings)


def test_a_board_that_faces_the_camera_is_certain_where_one_marker_is_not():
    rng = np.random.default_rng(1)
    board = MarkerBoard.grid("DICT_4X4_50", 0.05, 2, 2, 0.02, 10)
    position, rotation = np.array([0.02, 0.01, 0.9]), facing_rotation(0.1)
    targets = []
    for _ in range(4):
        picture = np.full((480, 640), 140, np.uint8)
        for marker_id, (place, turn) in board.places.items():
            picture = render_marker(
                picture, CAMERA, "DICT_4X4_50", marker_id, 0.05, position + rotation @ place, rotation @ turn
            )
        found = BoardDetector(board, CAMERA).detect(degrade(picture, rng, blur_px=0.6, noise=2.0))
        targets.append(target_of(found.pose, IN_BASE, SETTINGS))
    errors = [np.linalg.norm(target.position_m - IN_BASE.apply(position)) for target in targets]
    assert max(errors) < 0.003


def shifted(x_m=0.0, y_m=0.0, z_m=0.0):
    return RigidTransform(np.array([0.5 + x_m, 0.1 + y_m, 0.3 + z_m]), np.eye(3))


def test_the_mean_has_the_spread_of_its_pictures():
    average = TargetAverage(SETTINGS)
    offsets = [(0.001, 0, 0), (-0.001, 0, 0), (0, 0.002, 0), (0, -0.002, 0)]
    for number, offset in enumerate(offsets):
        assert average.estimate() is None, "not enough pictures yet"
        average.take(SECOND_NS + number, shifted(*offset))
    estimate = average.estimate()
    assert np.allclose(estimate.pose.position_m, [0.5, 0.1, 0.3]) and np.allclose(estimate.pose.rotation, np.eye(3))
    assert estimate.spread_m == pytest.approx(0.002) and estimate.spread_rad == pytest.approx(0.0)
    assert (estimate.stamp_ns, estimate.pictures) == (SECOND_NS + 3, 4)
    variances = np.array([2e-6, 8e-6, 0.0]) / 3 / 4  # of the mean: sample variance over the number of pictures
    assert np.allclose(np.diag(estimate.covariance)[:3], variances)


def test_pictures_that_disagree_are_refused_until_new_ones_agree():
    average = TargetAverage(SETTINGS)
    for number in range(4):
        average.take(SECOND_NS + number, shifted())
    average.take(SECOND_NS + 4, shifted(0.0, 0.02, 0.0))  # the task was moved
    with pytest.raises(UserError, match=r"disagree on the target by 15.0 mm .*\(at most 5 mm"):
        average.estimate()
    for number in range(5, 8):
        average.take(SECOND_NS + number, shifted(0.0, 0.02, 0.0))
    assert np.allclose(average.estimate().pose.position_m, [0.5, 0.12, 0.3])
    turned = RigidTransform(np.array([0.5, 0.12, 0.3]), Rotation.from_rotvec([0.0, 0.3, 0.0]).as_matrix())
    average.take(SECOND_NS + 8, turned)
    with pytest.raises(UserError, match=r"disagree .* degrees \(at most 5 mm and 5.7"):
        average.estimate()


def test_old_pictures_do_not_count_and_a_slow_camera_is_named():
    average = TargetAverage(SETTINGS)
    for number in range(6):
        average.take(number * SECOND_NS, shifted())
    with pytest.raises(UserError, match="seen in 3 of 4 pictures of the last 2 s"):
        average.estimate()
    average.clear()
    average.take(7 * SECOND_NS, shifted())
    assert average.estimate() is None


def test_a_repeated_picture_counts_once_and_a_clock_set_back_begins_anew():
    average = TargetAverage(SETTINGS)
    for stamp_ns in (100, 100, 101, 100, 102):
        average.take(10 * SECOND_NS + stamp_ns, shifted())
    assert average.estimate() is None
    for stamp_ns in range(4):
        average.take(SECOND_NS + stamp_ns, shifted(0.1, 0.0, 0.0))
    assert average.estimate().pose.position_m[0] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"pictures": 0}, "pictures = 0 is out of range: expected 1 to 200"),
        ({"max_spread_m": -1.0}, "max_spread_m"),
        ({"mounting_normal": (0.0, 0.01, 0.0)}, "mounting_normal .* is no direction"),
        ({"mounting_normal": (0.0, 1.0)}, "mounting_normal has 2 entries"),
    ],
)
def test_bad_settings_are_named(given, words):
    with pytest.raises(UserError, match=words):
        TargetSettings(**given)
