"""`sac-gmm hands calibrate`: computes the camera's pose from a folder of pictures and flange poses."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import yaml

from sac_gmm.core.errors import UserError
from sac_gmm.perception.aruco import FAMILIES
from sac_gmm.perception.camera import Camera
from sac_gmm.perception.extrinsics import RigidTransform
from sac_gmm.perception.hand_eye import (
    MIN_VIEWS,
    BoardView,
    CharucoBoard,
    HandEye,
    Mounting,
    calibrate_hand_eye,
    find_board,
)

POSES = "poses.yaml"
MIN_MARKERS = 4  # of a dictionary: fewer may be chance
_LOOKED_AT = 5  # pictures in which other dictionaries are looked for


@dataclass(frozen=True)
class FolderCalibration:
    """What came of a folder.

    Attributes:
        hand_eye: Where the camera stands.
        board: The board that is in the pictures, which may be another one than was said.
        skipped: Pictures in which it was not found.
    """

    hand_eye: HandEye
    board: CharucoBoard
    skipped: list[str]


def calibrate_folder(folder: Path, camera: Camera, board: CharucoBoard, mounting: Mounting) -> FolderCalibration:
    """Calibrate, with the board that was said or, where that is not in the pictures, with the likeliest other one.

    Raises:
        UserError: A file is missing or invalid, or there are too few usable pictures.
    """
    entries = _entries(folder / POSES)
    names, poses = _named_poses(folder, entries)
    views = _views(folder, names, board, camera)
    if _seen(views) < min(MIN_VIEWS, len(names)):
        tried = [(board, views), *((other, _views(folder, names, other, camera)) for other in board.alternatives())]
        board, views = max(tried, key=lambda each: _corners(each[1]))
        if not _seen(views):
            raise UserError(_what_is_seen(folder, names, [each for each, _ in tried]))
    seen = [(view, pose) for view, pose in zip(views, poses, strict=True) if view is not None]
    hand_eye = calibrate_hand_eye([view for view, _ in seen], [pose for _, pose in seen], camera, mounting)
    return FolderCalibration(hand_eye, board, [name for name, view in zip(names, views, strict=True) if view is None])


def _named_poses(folder: Path, entries: list[dict]) -> tuple[list[str], list[RigidTransform]]:
    """The pictures and the pose of the flange for each."""
    names, poses = [], []
    for number, entry in enumerate(entries):
        try:
            names.append(str(entry["image"]))
            poses.append(RigidTransform.of(entry["position_m"], entry["quaternion_xyzw"]))
        except KeyError as error:
            raise UserError(
                f"{folder / POSES}: entry {number} lacks {error}: expected image, position_m, quaternion_xyzw"
            ) from error
        except UserError as error:
            raise UserError(f"{folder / POSES}: entry {number}: {error}") from error
    return names, poses


def _views(folder: Path, names: list[str], board: CharucoBoard, camera: Camera) -> list[BoardView | None]:
    """A board in each of the pictures; None where it is not."""
    views = []
    for name in names:
        try:
            views.append(find_board(_picture(folder / name), board, camera))
        except UserError as error:
            raise UserError(str(error) if str(folder / name) in str(error) else f"{folder / name}: {error}") from error
    return views


def _seen(views: list[BoardView | None]) -> int:
    return sum(view is not None for view in views)


def _corners(views: list[BoardView | None]) -> int:
    return sum(len(view.corners_px) for view in views if view is not None)


def _what_is_seen(folder: Path, names: list[str], tried: list[CharucoBoard]) -> str:
    """Why no board was found, by the markers of whatever dictionary that are in the pictures."""
    found: Counter[str] = Counter()
    most: dict[str, int] = {}
    for name in names[:_LOOKED_AT]:
        picture = _picture(folder / name)
        for dictionary in (tried[0].dictionary, *FAMILIES):
            count = _markers(picture, dictionary)
            found[dictionary] += count > 0
            most[dictionary] = max(count, most.get(dictionary, 0))
    begin = f"the board was seen in none of {len(names)} pictures"
    also = "; ".join(board.name for board in tried[1:])
    said = tried[0]
    if most.get(said.dictionary, 0) >= MIN_MARKERS:
        return (
            f"{begin} as {said.name}, nor as {also}: up to {most[said.dictionary]} markers of {said.dictionary} are in "
            f"a picture, where a board of {said.columns}x{said.rows} squares has {said.columns * said.rows // 2}. "
            "Count the squares again; the markers of a ChArUco board stand in its white squares"
        )
    best = max(FAMILIES, key=lambda name: most.get(name, 0))
    if most.get(best, 0) >= MIN_MARKERS:
        return (
            f"{begin}: there are hardly any markers of {said.dictionary} in them, but up to {most[best]} of {best}: "
            f"say --dictionary {best}"
        )
    return f"{begin}: there are no markers of any dictionary in them: is the board in view, sharp and large enough?"


def _markers(picture: npt.NDArray[np.uint8], dictionary: str) -> int:
    table = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, dictionary))
    _, ids, _ = cv2.aruco.ArucoDetector(table).detectMarkers(picture)
    return 0 if ids is None else len(ids)


def _picture(path: Path) -> npt.NDArray[np.uint8]:
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise UserError(f"{path} is missing or is no picture; {POSES} names it")
    return np.asarray(picture, np.uint8)


def _entries(path: Path) -> list[dict]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise UserError(f"{path}: expected a list of entries with image, position_m and quaternion_xyzw")
    return content
