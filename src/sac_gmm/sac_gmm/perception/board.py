"""Several markers fixed to each other: visible more often and from more sides than one, with a more certain tilt.

A board is a YAML file, in metres and in the board's own frame (x right, y up, z out of the board):

    dictionary: DICT_4X4_50
    marker_size_m: 0.04
    markers:
    - {id: 0, position_m: [-0.03, 0.0, 0.0]}
    - {id: 1, position_m: [0.03, 0.0, 0.0], rpy_rad: [0.0, 0.5, 0.0]}

or, for a sheet of markers in rows (origin at its centre, ids ascending row by row from the top left):

    dictionary: DICT_4X4_50
    marker_size_m: 0.04
    grid: {columns: 3, rows: 2, gap_m: 0.01, first_id: 0}
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from scipy.spatial.transform import Rotation

from sac_gmm.core.errors import UserError
from sac_gmm.perception.aruco import MIN_SIMILARITY, Marker, MarkerFinder, square_corners
from sac_gmm.perception.camera import Camera
from sac_gmm.perception.marker_pose import MarkerPose, PoseSolver

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MarkerBoard:
    """Markers of one dictionary and size, and their places on the board.

    Attributes:
        dictionary: Name of a predefined dictionary.
        size_m: Side of each marker's black square.
        places: Id -> position (3,) of the marker's centre in the board's frame, and rotation (3, 3) marker to board.
    """

    dictionary: str
    size_m: float
    places: dict[int, tuple[Array, Array]]

    @classmethod
    def grid(
        cls, dictionary: str, size_m: float, columns: int, rows: int, gap_m: float, first_id: int = 0
    ) -> MarkerBoard:
        """A sheet of markers, with the first id in the top left corner."""
        step = size_m + gap_m
        places = {
            first_id + row * columns + column: (
                np.array([(column - (columns - 1) / 2) * step, ((rows - 1) / 2 - row) * step, 0.0]),
                np.eye(3),
            )
            for row in range(rows)
            for column in range(columns)
        }
        return cls(dictionary, size_m, places)

    def corners_m(self, marker_id: int) -> Array:
        """Corners (4, 3) of one marker in the board's frame."""
        position, rotation = self.places[marker_id]
        return np.asarray(square_corners(self.size_m) @ rotation.T + position, np.float64)


def load_board(path: Path | str) -> MarkerBoard:
    """Read a board's file.

    Raises:
        UserError: The file is missing, is not YAML, or lacks or misspells something, which the message names.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the marker board {path}: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"the marker board {path} is not valid YAML: {error}") from error
    where = f"marker board {path}"
    content = _mapping(where, content, {"dictionary", "marker_size_m"}, {"markers", "grid"})
    if ("markers" in content) == ("grid" in content):
        raise UserError(f"{where}: give either `markers`, a list, or `grid`")
    size_m = _number(where, "marker_size_m", content["marker_size_m"])
    square_corners(size_m)  # checks its range
    if "grid" in content:
        grid = _mapping(f"{where}, grid", content["grid"], {"columns", "rows", "gap_m"}, {"first_id"})
        first_id = grid.get("first_id", 0)
        if not isinstance(first_id, int):
            raise UserError(f"{where}: grid first_id is {first_id!r}, expected a whole number")
        for name in ("columns", "rows"):
            if not isinstance(grid[name], int) or not 1 <= grid[name] <= 100:
                raise UserError(f"{where}: grid {name} is {grid[name]!r}, expected a whole number from 1 to 100")
        gap_m = _number(where, "gap_m", grid["gap_m"])
        if gap_m <= 0.0:
            raise UserError(f"{where}: gap_m is {gap_m:g}, expected white between the markers")
        return MarkerBoard.grid(str(content["dictionary"]), size_m, grid["columns"], grid["rows"], gap_m, first_id)
    if not isinstance(content["markers"], list) or not content["markers"]:
        raise UserError(f"{where}: `markers` is empty, expected a list of ids with positions")
    places: dict[int, tuple[Array, Array]] = {}
    for entry in content["markers"]:
        entry = _mapping(f"{where}, markers", entry, {"id", "position_m"}, {"rpy_rad"})
        if not isinstance(entry["id"], int) or entry["id"] in places:
            raise UserError(f"{where}: marker id {entry['id']!r} is no whole number or is given twice")
        position = _vector(where, "position_m", entry["position_m"])
        rpy = _vector(where, "rpy_rad", entry.get("rpy_rad", [0.0, 0.0, 0.0]))
        places[entry["id"]] = (position, np.asarray(Rotation.from_euler("xyz", rpy).as_matrix(), np.float64))
    return MarkerBoard(str(content["dictionary"]), size_m, places)


class BoardDetector:
    """Looks for a board in pictures of one camera.

    Args:
        board: The board.
        camera: The calibrated camera.
        min_markers: With fewer of its markers in view, the board does not count as seen.
        min_similarity: A candidate less similar to a drawn marker is rejected.

    Raises:
        UserError: Unknown dictionary or id, or a number out of range.
    """

    def __init__(
        self, board: MarkerBoard, camera: Camera, *, min_markers: int = 1, min_similarity: float = MIN_SIMILARITY
    ) -> None:
        if not 1 <= min_markers <= len(board.places):
            raise UserError(f"min_markers is {min_markers}, expected 1 to {len(board.places)}, the board's markers")
        self._board = board
        self._square_m = square_corners(board.size_m)
        self._min_markers = min_markers
        self._finder = MarkerFinder(board.dictionary, board.places, camera, min_similarity=min_similarity)
        self._solver = PoseSolver(camera)

    @property
    def near_miss(self) -> str:
        """See `MarkerFinder.near_miss`."""
        return self._finder.near_miss

    @property
    def repeated(self) -> str:
        """See `MarkerFinder.repeated`."""
        return self._finder.repeated

    def detect(self, image: npt.NDArray[np.uint8], previous: MarkerPose | None = None) -> Marker | None:
        """Find the board; like `ArucoDetector.detect`, but with the pose of the board."""
        found = self._finder.find(image)
        if len(found) < self._min_markers:
            return None
        if len(found) > 1:
            points = np.concatenate([self._board.corners_m(sighting.marker_id) for sighting in found])
            seen = np.concatenate([sighting.corners_px for sighting in found])
            return Marker.of(found, self._solver.solve(points, seen, previous))
        position, rotation = self._board.places[found[0].marker_id]
        if previous is not None:  # the pose of this marker according to the board's previous pose
            previous = _moved(previous, position, rotation)
        pose = self._solver.solve(self._square_m, found[0].corners_px, previous)
        return Marker.of(found, pose and _moved(pose, -rotation.T @ position, rotation.T))


def _moved(pose: MarkerPose, position_m: Array, rotation: Array) -> MarkerPose:
    """Given the pose of a frame, the pose of something at a fixed place in that frame."""
    arm = pose.rotation @ position_m
    x, y, z = arm.tolist()
    J = np.eye(6)
    J[:3, 3:] = -np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])  # a turn d moves the arm's end by d x arm
    return replace(
        pose,
        position_m=pose.position_m + arm,
        rotation=pose.rotation @ rotation,
        covariance=J @ pose.covariance @ J.T,
        other=pose.other and _moved(pose.other, position_m, rotation),
    )


def _mapping(where: str, value: Any, needed: set[str], optional: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{where}: expected names and values: {', '.join(sorted(needed | optional))}")
    missing, unknown = needed - value.keys(), value.keys() - needed - optional
    if missing or unknown:
        what = f"{', '.join(sorted(missing))} is missing" if missing else f"there is no {', '.join(map(str, unknown))}"
        raise UserError(f"{where}: {what}; it has {', '.join(sorted(needed | optional))}")
    return value


def _number(where: str, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise UserError(f"{where}: {name} is {value!r}, expected a number in metres")
    return float(value)


def _vector(where: str, name: str, value: Any) -> Array:
    if not isinstance(value, list) or len(value) != 3:
        raise UserError(f"{where}: {name} is {value!r}, expected three numbers")
    return np.array([_number(where, name, entry) for entry in value])
