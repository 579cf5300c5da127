"""Hand-eye calibration with a ChArUco board, for a camera fixed beside the arm or mounted on it.

A closed form (Park and Martin, IEEE Trans. Robotics and Automation 10(5), 1994, and others in OpenCV) gives the initial
guess. Then least squares in pixels adjusts both unknown poses to all corners of all views.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from sac_gmm.core.errors import UserError
from sac_gmm.perception.camera import Camera
from sac_gmm.perception.extrinsics import RigidTransform
from sac_gmm.perception.marker_image import dictionary_names

Array = npt.NDArray[np.float64]
Mounting = Literal["fixed", "wrist"]

MIN_VIEWS = 5
MIN_CORNERS = 6
MIN_TURN_RAD = 0.15  # rotation about a second axis; without it the calibration is undetermined
_METHODS = (cv2.CALIB_HAND_EYE_PARK, cv2.CALIB_HAND_EYE_DANIILIDIS, cv2.CALIB_HAND_EYE_TSAI, cv2.CALIB_HAND_EYE_HORAUD)
# An arm that is off by a millimetre and a sixth of a degree causes half of both limits; poses that belong to other
# pictures cause five times the first. It is an angle, so it holds for pictures of any size: 6 px at 600 px focal
# length.
_MAX_REPROJECTION_RAD = 0.01
_MAX_SPREAD_M = 0.01
_OUTLIER_PX = 1.0  # larger residuals count less than quadratically
_MOST_STEPS = 100  # poses that belong to the pictures take five; wrong ones could iterate for a minute


@dataclass(frozen=True)
class CharucoBoard:
    """A chessboard with markers in its white squares.

    Attributes:
        columns: Squares along x.
        rows: Squares along y.
        square_m: Side of a square as printed.
        marker_m: Side of a marker as printed.
        dictionary: Name of a predefined dictionary.
        old_layout: Where the number of rows is even, OpenCV before 4.6 (and calib.io) put a marker into the first
            square, which is black since.
    """

    columns: int = 7
    rows: int = 5
    square_m: float = 0.035
    marker_m: float = 0.026
    dictionary: str = "DICT_5X5_100"
    old_layout: bool = False

    def __post_init__(self) -> None:
        if self.dictionary not in dictionary_names():
            raise UserError(f"there is no marker dictionary '{self.dictionary}'; one is DICT_5X5_100")
        if not (3 <= self.columns <= 30 and 3 <= self.rows <= 30):
            raise UserError(f"a board of {self.columns}x{self.rows} squares: expected 3 to 30 on either side")
        table = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))
        needed, held = self.columns * self.rows // 2, len(table.bytesList)
        if needed > held:
            raise UserError(
                f"a board of {self.columns}x{self.rows} squares needs {needed} markers, {self.dictionary} has {held}: "
                "make the board smaller or take a dictionary of more, such as DICT_5X5_1000"
            )
        if not 0.0 < self.marker_m < self.square_m < 1.0:
            raise UserError(
                f"a board with squares of {self.square_m} m and markers of {self.marker_m} m: the markers stand in the "
                "squares, and both are less than a metre"
            )

    @property
    def opencv(self) -> cv2.aruco.CharucoBoard:
        """The same board for OpenCV."""
        table = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))
        board = cv2.aruco.CharucoBoard((self.columns, self.rows), self.square_m, self.marker_m, table)
        board.setLegacyPattern(self.old_layout)
        return board

    @property
    def name(self) -> str:
        """For messages."""
        layout = ", of the old layout" if self.old_layout else ""
        return f"--columns {self.columns} --rows {self.rows}{layout}"

    def alternatives(self) -> list[CharucoBoard]:
        """What else the board may be: columns and rows exchanged, inner corners counted for squares, the old layout."""
        sizes = dict.fromkeys(
            (a + more, b + more) for more in (0, 1) for a, b in ((self.columns, self.rows), (self.rows, self.columns))
        )
        boards = []
        for columns, rows in sizes:
            for old_layout in (self.old_layout, not self.old_layout) if rows % 2 == 0 else (False,):
                with contextlib.suppress(UserError):  # more squares than there may be
                    boards.append(replace(self, columns=columns, rows=rows, old_layout=old_layout))
        return [board for board in boards if board != self]

    def picture(self, pixels_per_square: int = 100) -> npt.NDArray[np.uint8]:
        """The board for printing, without a margin: (rows * p, columns * p) grey.

        OpenCV's own drawing fails for some ratios of marker to square.
        """
        p = pixels_per_square
        board = self.opencv
        picture = np.zeros((self.rows * p, self.columns * p), np.uint8)
        side = round(p * self.marker_m / self.square_m)
        margin = (p - side) // 2
        for corners_m, marker_id in zip(board.getObjPoints(), np.ravel(board.getIds()).tolist(), strict=True):
            column, row = np.floor(np.asarray(corners_m)[:, :2].mean(axis=0) / self.square_m).astype(int).tolist()
            picture[row * p : (row + 1) * p, column * p : (column + 1) * p] = 255
            marker = cv2.aruco.generateImageMarker(board.getDictionary(), marker_id, side)
            y, x = row * p + margin, column * p + margin
            picture[y : y + side, x : x + side] = marker
        return picture


@dataclass(frozen=True)
class BoardView:
    """The board as seen in one picture.

    Attributes:
        points_m: (n, 3) visible corners in the board's axes.
        corners_px: (n, 2) where they were seen.
        pose: Pose of the board in the optical frame.
        reprojection_px: RMS distance between projected and seen corners.
    """

    points_m: Array
    corners_px: Array
    pose: RigidTransform
    reprojection_px: float


@dataclass(frozen=True)
class HandEye:
    """Result of a hand-eye calibration.

    Attributes:
        camera: Pose of the optical frame: in the base frame for a fixed camera, in the flange for one on the wrist.
        board: Pose of the board: in the flange for a fixed camera, in the base frame for one on the wrist.
        reprojection_px: RMS over all corners of all views.
        spread_m: RMS disagreement of the views about the board's position.
        views: Number of views used.
    """

    camera: RigidTransform
    board: RigidTransform
    reprojection_px: float
    spread_m: float
    views: int


def find_board(image: npt.NDArray[np.uint8], board: CharucoBoard, camera: Camera) -> BoardView | None:
    """Find the board in a picture.

    Args:
        image: (H, W, 3) RGB or (H, W) grey, uint8, of the calibrated size.
        board: The board to look for.
        camera: The calibrated camera.

    Returns:
        The view; None if fewer than six corners are visible, or only corners of one row.

    Raises:
        UserError: The picture has another size than the calibration.
    """
    height, width = image.shape[:2]
    if (width, height) != (camera.width, camera.height):
        raise UserError(
            f"the image is {width}x{height} but the calibration is for {camera.width}x{camera.height}: "
            "take the pictures in the size that the camera was calibrated for"
        )
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    drawn = board.opencv
    corners, ids, _, _ = cv2.aruco.CharucoDetector(drawn).detectBoard(np.ascontiguousarray(grey))
    if ids is None or len(ids) < MIN_CORNERS:
        return None
    points, seen = drawn.matchImagePoints(corners, ids)  # type: ignore[call-overload]  # OpenCV's stubs want a list
    points_m, corners_px = (np.asarray(a, np.float64).reshape(len(ids), -1) for a in (points, seen))
    if np.linalg.matrix_rank(points_m - points_m.mean(axis=0), tol=1e-6) < 2:
        return None  # corners on one line leave the rotation about that line open
    found, vector, translation = cv2.solvePnP(
        points_m, corners_px, camera.matrix, camera.distortion, flags=cv2.SOLVEPNP_IPPE
    )
    if not found:
        return None
    vector, translation = cv2.solvePnPRefineLM(
        points_m, corners_px, camera.matrix, camera.distortion, vector, translation
    )
    pose = RigidTransform(np.asarray(translation, np.float64).ravel(), np.asarray(cv2.Rodrigues(vector)[0], np.float64))
    error = _project(camera, pose, points_m) - corners_px
    return BoardView(points_m, corners_px, pose, float(np.sqrt(np.mean(np.sum(error**2, axis=1)))))


def calibrate_hand_eye(
    views: Sequence[BoardView], flange_poses: Sequence[RigidTransform], camera: Camera, mounting: Mounting
) -> HandEye:
    """Find the pose of the camera.

    Args:
        views: The board in each picture.
        flange_poses: Pose of the flange in the base frame when each picture was taken.
        camera: The calibrated camera.
        mounting: `fixed`: the camera is fixed and the arm carries the board; `wrist`: the other way round.

    Raises:
        UserError: There are too few views, the arm hardly rotated between them, or they are inconsistent.
    """
    if len(views) != len(flange_poses):
        raise UserError(f"there are {len(views)} views and {len(flange_poses)} poses of the flange: one for each")
    if len(views) < MIN_VIEWS:
        raise UserError(f"the board was seen in {len(views)} pictures, expected {MIN_VIEWS} or more, better 15")
    _check_turns(flange_poses)
    # Poses of what the arm carries (board or camera), seen from where the other one is fixed.
    carried = [pose.inverse if mounting == "fixed" else pose for pose in flange_poses]
    starts = [start for method in _METHODS if (start := _closed_form(carried, views, method)) is not None]
    if not starts:
        raise UserError("the views do not fit together: are position and quaternion those of the flange, in metres?")

    def residuals(x: Array) -> Array:
        eye, board = _pose(x[:6]), _pose(x[6:])
        parts = []
        for view, carrier in zip(views, carried, strict=True):
            in_camera = (carrier @ eye).inverse @ board
            parts.append(_project(camera, in_camera, view.points_m) - view.corners_px)
        return np.concatenate(parts).ravel()

    best = min(starts, key=lambda start: float(np.median(np.abs(residuals(start)))))
    with np.errstate(all="ignore"):
        solution = least_squares(
            residuals, best, loss="huber", f_scale=_OUTLIER_PX, x_scale="jac", max_nfev=_MOST_STEPS
        ).x
    error = residuals(solution).reshape(-1, 2)
    eye, board = _pose(solution[:6]), _pose(solution[6:])
    places = np.array([(carrier @ eye @ view.pose).position_m for view, carrier in zip(views, carried, strict=True)])
    spread = float(np.sqrt(np.mean(np.sum((places - places.mean(axis=0)) ** 2, axis=1))))
    rms = float(np.sqrt(np.mean(np.sum(error**2, axis=1))))
    most_px = _MAX_REPROJECTION_RAD * float(camera.matrix[0, 0])
    if not (rms <= most_px and spread <= _MAX_SPREAD_M):
        raise UserError(
            f"the views do not fit together: the corners are missed by {rms:.1f} px (at most {most_px:.1f}) and the "
            f"views disagree on the board by {spread * 1e3:.0f} mm (at most {_MAX_SPREAD_M * 1e3:.0f}). Are the poses "
            "those of the flange in the base frame (not the inverse), in metres, each with its own picture, is the "
            "mounting (fixed, wrist) right, and the size of the board correct?"
        )
    return HandEye(eye, board, rms, spread, len(views))


def _closed_form(carried: Sequence[RigidTransform], views: Sequence[BoardView], method: int) -> Array | None:
    """Both poses as twelve numbers, from OpenCV; None if it fails."""
    try:
        rotation, translation = cv2.calibrateHandEye(
            [pose.rotation for pose in carried],
            [pose.position_m for pose in carried],
            [view.pose.rotation for view in views],
            [view.pose.position_m for view in views],
            method=method,
        )
    except cv2.error:
        return None
    if not (np.isfinite(rotation).all() and np.isfinite(translation).all() and np.linalg.det(rotation) > 0.5):
        return None
    eye = RigidTransform(np.asarray(translation, np.float64).ravel(), np.asarray(rotation, np.float64))
    boards = [carrier @ eye @ view.pose for view, carrier in zip(views, carried, strict=True)]
    board = RigidTransform(
        np.median([pose.position_m for pose in boards], axis=0),
        Rotation.from_matrix([pose.rotation for pose in boards]).mean().as_matrix(),
    )
    return np.concatenate((_numbers(eye), _numbers(board)))


def _check_turns(poses: Sequence[RigidTransform]) -> None:
    rotations = Rotation.from_matrix([pose.rotation for pose in poses])
    turns = (rotations * rotations.mean().inv()).as_rotvec()
    about_second_axis = np.linalg.svd(turns, compute_uv=False)[1] / np.sqrt(len(poses))
    if about_second_axis < MIN_TURN_RAD:
        raise UserError(
            "between the pictures the flange hardly turned about a second axis "
            f"({np.degrees(about_second_axis):.0f} degrees RMS, expected {np.degrees(MIN_TURN_RAD):.0f} or more): turn "
            "it by 30 degrees and more about different axes"
        )


def _numbers(pose: RigidTransform) -> Array:
    return np.concatenate((pose.position_m, Rotation.from_matrix(pose.rotation).as_rotvec()))


def _pose(x: Array) -> RigidTransform:
    return RigidTransform(x[:3], Rotation.from_rotvec(x[3:]).as_matrix())


def _project(camera: Camera, pose: RigidTransform, points_m: Array) -> Array:
    vector = Rotation.from_matrix(pose.rotation).as_rotvec()
    pixels, _ = cv2.projectPoints(points_m, vector, pose.position_m, camera.matrix, camera.distortion)
    return np.asarray(pixels, np.float64).reshape(-1, 2)
