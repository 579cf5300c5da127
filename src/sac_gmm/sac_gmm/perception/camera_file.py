"""A camera's calibration from a file, as ROS tools write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from sac_gmm.core.errors import UserError
from sac_gmm.perception.camera import Camera

FIELD_OF_VIEW_RAD = np.radians(65.0)  # along the longer side; of a telephone's main camera when it films


def load_camera(path: Path | str) -> Camera:
    """Read a calibration.

    Args:
        path: YAML or JSON: of `camera_calibration` (image_width, image_height, camera_matrix, distortion_coefficients)
            or a CameraInfo as `ros2 topic echo` prints it (width, height, k, d).

    Raises:
        UserError: The file is missing, of another kind, or is no calibration.
    """
    try:
        content = next(yaml.safe_load_all(Path(path).read_text(encoding="utf-8")), None)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"cannot read the calibration {path}: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a calibration: expected names and values, such as camera_matrix")
    try:
        return Camera.create(
            _pixels(content, "width", "image_width"),
            _pixels(content, "height", "image_height"),
            _field(content, "k", "camera_matrix"),
            _field(content, "d", "distortion_coefficients"),
            str(content.get("distortion_model") or ""),
        )
    except KeyError as error:
        raise UserError(f"{path} is not a calibration: it has no field {error}") from error
    except (TypeError, ValueError) as error:
        raise UserError(f"{path} is not a calibration: {error}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def guess_camera(width: int, height: int, focal_px: float | None = None) -> Camera:
    """A camera that nobody calibrated: square pixels, the axis in the middle, the focal length given or guessed."""
    if focal_px is None:
        focal_px = 0.5 * max(width, height) / float(np.tan(0.5 * FIELD_OF_VIEW_RAD))
    if not (np.isfinite(focal_px) and focal_px > 0.0):
        raise UserError(f"the focal length is {focal_px} px, expected a positive number")
    middle = (0.5 * (width - 1), 0.5 * (height - 1))
    return Camera.create(width, height, [focal_px, 0.0, middle[0], 0.0, focal_px, middle[1], 0.0, 0.0, 1.0])


def _pixels(content: dict[str, Any], *names: str) -> int:
    value = _field(content, *names)
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{' or '.join(names)} is {value!r}, expected a whole number of pixels") from None


def _field(content: dict[str, Any], *names: str) -> Any:
    """The first of the fields that is there; what `camera_calibration` writes has its numbers one level down."""
    for name in names:
        if name in content:
            value = content[name]
            return value["data"] if isinstance(value, dict) and "data" in value else value
    raise KeyError(" or ".join(names))
