"""Corners from edges, both poses of a square, covariances, boards, and what counts as a reward."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.perception import (
    ArucoDetector,
    BoardDetector,
    Camera,
    Marker,
    MarkerBoard,
    MarkerGate,
    Sighting,
    load_board,
)
from sac_gmm.perception.aruco import noise_std, square_corners
from sac_gmm.perception.corners import refine_corners
from sac_gmm.perception.marker_pose import PoseSolver
from sac_gmm.perception.render import clutter, degrade, facing_rotation, render_marker

DICTIONARY, MARKER, SIZE_M = "DICT_4X4_50", 3, 0.06
CAMERA = Camera.create(640, 480, [600, 0, 320, 0, 600, 240, 0, 0, 1])


def view(rng, distance_m=(0.3, 1.0), tilt_deg=(0, 50)):
    z = rng.uniform(*distance_m)
    u, v = rng.uniform(120, 520), rng.uniform(120, 360)
    rotation = facing_rotation(np.deg2rad(rng.uniform(*tilt_deg)), *rng.uniform(0, 2 * np.pi, 2))
    return np.array([(u - 320) / 600 * z, (v - 240) / 600 * z, z]), rotation


def project(points_m, position, rotation):
    points = (points_m @ rotation.T + position) @ CAMERA.matrix.T
    return points[:, :2] / points[:, 2:]


def turn(a, b):
    return cv2.Rodrigues(a @ b.T)[0].ravel()


@pytest.mark.parametrize("condition", [{}, {"blur_px": 2.0}, {"noise": 10.0}, {"gain": 0.3, "noise": 2.0}])
def test_corners_are_where_the_edges_meet_to_a_tenth_of_a_pixel(condition):
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(30):
        position, rotation = view(rng, (0.25, 0.8))
        truth = project(square_corners(SIZE_M), position, rotation)
        flat = np.full((480, 640), 120, np.uint8)
        picture = degrade(render_marker(flat, CAMERA, DICTIONARY, MARKER, SIZE_M, position, rotation), rng, **condition)
        refined = refine_corners(picture, truth + rng.uniform(-1.5, 1.5, (4, 2)), 6)
        errors.append(np.abs(refined - truth).max())
    assert np.median(errors) < 0.12


def test_where_no_edge_can_be_made_out_the_corners_stay_near():
    given = np.array([[100, 100], [140, 100], [140, 140], [100, 140]], float)
    grey = np.full((480, 640), 100, np.uint8)
    assert np.abs(refine_corners(grey, given, 6) - given).max() < 3.0
    speckled = np.random.default_rng(0).integers(0, 255, (480, 640), dtype=np.uint8)
    assert np.isfinite(refine_corners(speckled, given, 6)).all()
    at_the_border = given - 110.0
    assert np.isfinite(refine_corners(speckled, at_the_border, 6)).all()


def test_position_errors_are_a_tenth_of_those_of_plain_opencv():
    """On the same pictures: cornerSubPix and the first answer of IPPE_SQUARE."""
    rng = np.random.default_rng(1)
    detector = ArucoDetector(DICTIONARY, MARKER, SIZE_M, CAMERA)
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    plain = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50), parameters)
    ours, theirs = [], []
    for _ in range(40):
        position, rotation = view(rng)
        picture = render_marker(clutter(rng, 480, 640), CAMERA, DICTIONARY, MARKER, SIZE_M, position, rotation)
        picture = degrade(picture, rng, blur_px=0.7, noise=5)
        marker = detector.detect(picture)
        corners, ids, _ = plain.detectMarkers(picture)
        if marker is None or marker.pose is None or ids is None or MARKER not in ids:
            continue
        ours.append(np.linalg.norm(marker.pose.position_m - position))
        seen = corners[ids.ravel().tolist().index(MARKER)].reshape(4, 2)
        flags = cv2.SOLVEPNP_IPPE_SQUARE
        _, _, places, _ = cv2.solvePnPGeneric(square_corners(SIZE_M), seen, CAMERA.matrix, None, flags=flags)
        theirs.append(np.linalg.norm(places[0].ravel() - position))
    assert len(ours) > 35
    assert np.median(ours) < 0.1 * np.median(theirs)


def test_the_covariance_is_that_of_the_errors():
    """Corners with noise of a known size: the squared errors in units of the covariance average to its dimension."""
    rng = np.random.default_rng(2)
    solver = PoseSolver(CAMERA)
    std_px, squared = 0.3, []
    for _ in range(300):
        position, rotation = view(rng, (0.3, 0.6), (25, 50))
        seen = project(square_corners(SIZE_M), position, rotation) + rng.normal(0, std_px, (4, 2))
        pose = solver.solve(square_corners(SIZE_M), seen)
        if pose is None or pose.ambiguous:
            continue
        std_used = max(0.2, pose.reprojection_px)
        covariance = pose.covariance * (std_px / std_used) ** 2
        error = np.concatenate([pose.position_m - position, turn(pose.rotation, rotation)])
        squared.append(error @ np.linalg.solve(covariance, error))
    assert len(squared) > 200
    assert np.mean(squared) == pytest.approx(6.0, rel=0.25)


def test_an_ambiguous_pose_says_so_and_its_covariance_covers_the_other():
    rng = np.random.default_rng(3)
    solver = PoseSolver(CAMERA)
    rotation = facing_rotation(0.15, 0.7)
    found = 0
    for _ in range(100):
        seen = project(square_corners(SIZE_M), np.array([0.0, 0.0, 2.0]), rotation) + rng.normal(0, 0.3, (4, 2))
        pose = solver.solve(square_corners(SIZE_M), seen)
        if pose is None or not pose.ambiguous:
            continue
        found += 1
        between = turn(pose.other.rotation, pose.rotation)
        direction = between / np.linalg.norm(between)
        assert direction @ pose.covariance[3:, 3:] @ direction >= (0.49 * np.linalg.norm(between)) ** 2
        assert pose.largest_tilt_rad >= pose.tilt_rad
    assert found > 50


def grid_picture(board, position, rotation, background):
    for marker_id, (place, own) in board.places.items():
        background = render_marker(
            background, CAMERA, board.dictionary, marker_id, board.size_m, position + rotation @ place, rotation @ own
        )
    return background


def test_a_board_is_located_better_than_one_marker():
    rng = np.random.default_rng(4)
    board = MarkerBoard.grid(DICTIONARY, 0.04, 3, 2, 0.015)
    detector, one = BoardDetector(board, CAMERA), ArucoDetector(DICTIONARY, 0, 0.04, CAMERA)
    board_errors, one_errors = [], []
    for _ in range(20):
        position, rotation = view(rng, (0.5, 0.9), (0, 45))
        picture = degrade(grid_picture(board, position, rotation, clutter(rng, 480, 640, 20)), rng, noise=5)
        seen = detector.detect(picture)
        assert seen is not None and len(seen.sightings) >= 4
        board_errors.append(np.linalg.norm(turn(seen.pose.rotation, rotation)))
        assert np.linalg.norm(seen.pose.position_m - position) < 0.01
        single = one.detect(picture)
        if single is not None and single.pose is not None:
            one_errors.append(np.linalg.norm(turn(single.pose.rotation, rotation)))
    assert np.median(board_errors) < 0.5 * np.median(one_errors)


def test_each_single_marker_of_a_board_gives_the_boards_pose():
    """A cube's corner: two markers at a right angle, as no sheet has them."""
    side = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    places = {0: (np.array([0.0, 0, 0.04]), np.eye(3)), 1: (np.array([0.04, 0, 0]), side)}
    board = MarkerBoard(DICTIONARY, 0.05, places)
    detector = BoardDetector(board, CAMERA)
    position, rotation = np.array([0.0, 0.0, 0.45]), facing_rotation(0.6, np.pi / 2)
    flat = np.full((480, 640), 120, np.uint8)
    for marker_id in places:
        only = MarkerBoard(DICTIONARY, 0.05, {marker_id: places[marker_id]})
        marker = detector.detect(grid_picture(only, position, rotation, flat))
        if marker is None:
            continue  # it shows its back
        assert np.linalg.norm(marker.pose.position_m - position) < 0.004
        assert np.linalg.norm(turn(marker.pose.rotation, rotation)) < 0.05
        assert np.linalg.eigvalsh(marker.pose.covariance).min() > 0.0
    with pytest.raises(UserError, match="min_markers is 3, expected 1 to 2"):
        BoardDetector(board, CAMERA, min_markers=3)
    assert BoardDetector(board, CAMERA, min_markers=2).detect(flat) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected names and values"),
        ("dictionary: DICT_4X4_50\n", "marker_size_m is missing"),
        ("dictionary: D\nmarker_size_m: 0.04\n", "give either `markers`, a list, or `grid`"),
        ("dictionary: D\nmarker_size_m: 0.04\nmarkers: []\n", "`markers` is empty"),
        ("dictionary: D\nmarker_size_m: x\nmarkers: [{id: 0, position_m: [0, 0, 0]}]\n", "marker_size_m is 'x'"),
        ("dictionary: D\nmarker_size_m: 0.04\nmarkers: [{id: 0, position_m: [0, 0]}]\n", "expected three numbers"),
        ("dictionary: D\nmarker_size_m: 0.04\nmarkers: [{id: 0, positoin_m: [0, 0, 0]}]\n", "position_m is missing"),
        ("dictionary: D\nmarker_size_m: 0.04\ngrid: {columns: 0, rows: 1, gap_m: 0.01}\n", "grid columns is 0"),
        ("dictionary: D\nmarker_size_m: 0.04\ngrid: {columns: 1, rows: 1, gap_m: 0}\n", "gap_m is 0"),
        ("dictionary: D\nmarker_size_m: 0.04\ngrid: {columns: 1, rows: 1, gap_m: 1, first_id: a}\n", "first_id is 'a'"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_a_bad_board_file_is_named_with_what_is_wrong(tmp_path, text, words):
    file = tmp_path / "board.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=words):
        load_board(file)


def test_a_board_file_is_read(tmp_path):
    file = tmp_path / "board.yaml"
    file.write_text(
        "dictionary: DICT_4X4_50\nmarker_size_m: 0.04\ngrid: {columns: 3, rows: 2, gap_m: 0.01, first_id: 5}\n"
    )
    board = load_board(file)
    assert sorted(board.places) == list(range(5, 11))
    assert board.places[5][0].tolist() == pytest.approx([-0.05, 0.025, 0.0])
    with pytest.raises(UserError, match="there is no marker dictionary"):
        BoardDetector(MarkerBoard("DICT_9X9", 0.04, board.places), CAMERA)


def test_the_gate_asks_both_poses_where_nobody_can_tell_them_apart():
    rng = np.random.default_rng(5)
    solver = PoseSolver(CAMERA)
    gate = MarkerGate(max_tilt_rad=0.5, tilt_hysteresis_rad=0.1)

    def marker(tilt_rad, distance_m=0.4, noise_px=0.0):
        seen = project(square_corners(SIZE_M), np.array([0, 0, distance_m]), facing_rotation(tilt_rad, 0.3))
        seen = seen + rng.normal(0, noise_px, (4, 2))
        return Marker.of([Sighting(MARKER, seen, 1.0)], solver.solve(square_corners(SIZE_M), seen))

    assert gate.counts(marker(0.4))
    assert not gate.counts(marker(0.55)) and gate.counts(marker(0.55), success=True)
    assert not gate.counts(marker(0.65), success=True)
    assert not gate.counts(None) and not gate.counts(Marker.of([Sighting(0, np.zeros((4, 2)), 1.0)], None))
    turned = replace(marker(0.6).pose, ambiguity=0.9)
    for ambiguity, expected in ((0.9, False), (0.3, True)):
        pose = replace(marker(0.4).pose, other=turned, ambiguity=ambiguity)
        one = Marker.of([Sighting(MARKER, np.zeros((4, 2)), 1.0)], pose)
        assert gate.counts(one) is expected, "a coin flip is never paid"


def test_noise_is_measured_whatever_the_scene():
    rng = np.random.default_rng(6)
    for std in (0.0, 3.0, 10.0, 30.0):
        picture = degrade(clutter(rng, 480, 640) // 2 + 64, rng, noise=std)
        assert noise_std(picture) == pytest.approx(std, rel=0.15, abs=1.5)


def test_wrong_gates_are_named():
    with pytest.raises(UserError, match="max_tilt_rad is 2"):
        MarkerGate(max_tilt_rad=2.0)
    with pytest.raises(UserError, match="tilt_hysteresis_rad is -1"):
        MarkerGate(tilt_hysteresis_rad=-1.0)
