"""`sac-gmm hands calibrate`: from a folder of pictures and poses to the pose of the camera."""

from __future__ import annotations

from pathlib import Path

import cv2
import yaml

from sac_gmm.core.errors import UserError
from sac_gmm.perception.camera import Camera
from sac_gmm.perception.extrinsics import RigidTransform
from sac_gmm.perception.hand_eye import CharucoBoard, HandEye, Mounting, calibrate_hand_eye, find_board

POSES = "poses.yaml"


def calibrate_folder(
    folder: Path, camera: Camera, board: CharucoBoard, mounting: Mounting
) -> tuple[HandEye, list[str]]:
    """Calibrate, and name the pictures in which the board was not found.

    Raises:
        UserError: A file is missing or wrong, or the pictures do not suffice.
    """
    views, poses, skipped = [], [], []
    for number, entry in enumerate(_entries(folder / POSES)):
        try:
            name = str(entry["image"])
            pose = RigidTransform.of(entry["position_m"], entry["quaternion_xyzw"])
        except KeyError as error:
            raise UserError(
                f"{folder / POSES}: entry {number} lacks {error}: expected image, position_m, quaternion_xyzw"
            ) from error
        except UserError as error:
            raise UserError(f"{folder / POSES}: entry {number}: {error}") from error
        picture = cv2.imread(str(folder / name), cv2.IMREAD_GRAYSCALE)
        if picture is None:
            raise UserError(f"{folder / name} is missing or is no picture; {POSES} names it")
        try:
            view = find_board(picture, board, camera)  # type: ignore[arg-type]
        except UserError as error:
            raise UserError(f"{folder / name}: {error}") from error
        if view is None:
            skipped.append(name)
        else:
            views.append(view)
            poses.append(pose)
    return calibrate_hand_eye(views, poses, camera, mounting), skipped


def _entries(path: Path) -> list[dict]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise UserError(f"{path}: expected a list of entries with image, position_m and quaternion_xyzw")
    return content
