import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sac_gmm.core.errors import UserError
from sac_gmm.perception import Camera
from sac_gmm.perception.extrinsics import RigidTransform
from sac_gmm.perception.hand_eye import CharucoBoard, calibrate_hand_eye, find_board

CAMERA = Camera.create(640, 480, [600.0, 0.0, 319.5, 0.0, 600.0, 239.5, 0.0, 0.0, 1.0])
BOARD = CharucoBoard()
OVER = 4


def transform(position, *angles):
    return RigidTransform.of(position, Rotation.from_euler("xyz", angles).as_quat())


def render(pose, rng, board=BOARD):
    """A board at a pose in the optical frame, oversampled, blurred, with noise."""
    drawn = board.picture(60)
    rows, columns = drawn.shape
    x, y = board.columns * board.square_m, board.rows * board.square_m
    corners = pose.apply(np.array([[0, 0, 0], [x, 0, 0], [x, y, 0], [0, y, 0]])) @ CAMERA.matrix.T
    source = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32) - 0.5
    target = ((corners[:, :2] / corners[:, 2:] + 0.5) * OVER - 0.5).astype(np.float32)
    warp = cv2.getPerspectiveTransform(source, target)
    large = cv2.warpPerspective(drawn, warp, (640 * OVER, 480 * OVER), flags=cv2.INTER_AREA, borderValue=200)
    small = cv2.resize(large, (640, 480), interpolation=cv2.INTER_AREA).astype(float)
    return np.clip(cv2.GaussianBlur(small, (0, 0), 0.7) + rng.normal(0, 3, small.shape), 0, 255).astype(np.uint8)


def session(mounting, n, rng, turn=0.5):
    """Truth, pictures' board poses in the optical frame, and the flange poses that belong to them."""
    if mounting == "fixed":
        eye, board = transform([1.0, 0.2, 0.5], -2.0, 0.1, 1.5), transform([0.02, 0.03, 0.05], 0.1, 0.2, 0.3)
    else:
        eye, board = transform([0.05, 0.0, 0.04], 0.1, 0.05, 1.5), transform([0.5, 0.1, 0.0], 0.05, 0.02, 0.3)
    seen, flanges = [], []
    for _ in range(n):
        position = [rng.uniform(-0.15, -0.08), rng.uniform(-0.1, -0.05), rng.uniform(0.45, 0.65)]
        seen.append(transform(position, *rng.uniform(-turn, turn, 3)))
        carrier = board @ seen[-1].inverse @ eye.inverse
        flanges.append(carrier.inverse if mounting == "fixed" else carrier)
    return eye, seen, flanges


@pytest.mark.parametrize("mounting", ["fixed", "wrist"])
def test_the_camera_is_found_where_it_stands(mounting):
    rng = np.random.default_rng(1)
    truth, seen, flanges = session(mounting, 10, rng)
    views = [find_board(render(pose, rng), BOARD, CAMERA) for pose in seen]
    for view, pose in zip(views, seen, strict=True):
        assert np.linalg.norm(view.pose.position_m - pose.position_m) < 2e-3
    found = calibrate_hand_eye(views, flanges, CAMERA, mounting)
    error = found.camera.inverse @ truth
    assert np.linalg.norm(error.position_m) < 1e-3
    assert Rotation.from_matrix(error.rotation).magnitude() < np.radians(0.1)
    assert found.reprojection_px < 0.3 and found.spread_m < 1e-3 and found.views == 10

    nearly = [pose @ transform(rng.normal(0, 5e-4, 3), *rng.normal(0, 1e-3, 3)) for pose in flanges]
    assert calibrate_hand_eye(views, nearly, CAMERA, mounting).reprojection_px > 0.3, "an arm as arms are is taken"

    other = "wrist" if mounting == "fixed" else "fixed"
    for poses, named in (
        ([pose.inverse for pose in flanges], mounting),
        (flanges, other),
        ([*flanges[1:], flanges[0]], mounting),
        ([flanges[1], flanges[0], *flanges[2:]], mounting),
        ([RigidTransform(1e3 * pose.position_m, pose.rotation) for pose in flanges], mounting),
    ):
        with pytest.raises(UserError, match=r"do not fit together.*inverse.*metres.*own picture.*mounting"):
            calibrate_hand_eye(views, poses, CAMERA, named)


def test_what_does_not_determine_the_camera_is_refused():
    rng = np.random.default_rng(2)
    _, seen, flanges = session("fixed", 6, rng, turn=0.02)
    views = [find_board(render(pose, rng), BOARD, CAMERA) for pose in seen]
    with pytest.raises(UserError, match="hardly turned about a second axis"):
        calibrate_hand_eye(views, flanges, CAMERA, "fixed")
    with pytest.raises(UserError, match="the board was seen in 3 pictures, expected 5 or more"):
        calibrate_hand_eye(views[:3], flanges[:3], CAMERA, "fixed")
    with pytest.raises(UserError, match="6 views and 5 poses"):
        calibrate_hand_eye(views, flanges[:5], CAMERA, "fixed")


def test_pictures_without_the_board_or_of_another_size():
    assert find_board(np.full((480, 640), 90, np.uint8), BOARD, CAMERA) is None
    with pytest.raises(UserError, match="image is 320x240 but the calibration is for 640x480"):
        find_board(np.zeros((240, 320), np.uint8), BOARD, CAMERA)


def test_a_board_of_which_one_row_is_seen_is_no_view():
    """Corners along one line fit any turn about it."""
    board = CharucoBoard(columns=12, rows=5)
    drawn = board.picture(60)
    picture = np.full((480, 640), 255, np.uint8)
    seen = cv2.resize(drawn[: 2 * drawn.shape[0] // 5], (600, 100), interpolation=cv2.INTER_AREA)
    picture[190:290, 20:620] = seen
    _, ids, _, _ = cv2.aruco.CharucoDetector(board.opencv).detectBoard(picture)
    assert len(ids) >= 6
    assert find_board(picture, board, CAMERA) is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"dictionary": "DICT_9"}, "no marker dictionary"),
        ({"columns": 2}, "2x5"),
        ({"marker_m": 0.05}, "stand in"),
        ({"dictionary": "DICT_4X4_50", "columns": 30, "rows": 30}, "needs 450 markers, DICT_4X4_50 has 50"),
    ],
)
def test_boards_that_cannot_be_are_refused(values, words):
    with pytest.raises(UserError, match=words):
        CharucoBoard(**values)
