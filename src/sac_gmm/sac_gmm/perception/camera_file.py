"""A camera's calibration from a file, as ROS tools and OpenCV write it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import yaml

from sac_gmm.core.errors import UserError
from sac_gmm.perception.camera import Camera

FIELD_OF_VIEW_RAD = np.radians(65.0)  # along the longer side; typical for the main camera of a phone when filming
_RATIONAL = 8  # coefficients of OpenCV's rational model


def load_camera(path: Path | str) -> Camera:
    """Read a calibration.

    Args:
        path: YAML or JSON of `camera_calibration` (image_width, image_height, camera_matrix, distortion_coefficients),
            a CameraInfo as `ros2 topic echo` prints it (width, height, k, d, binning and region of interest), or what
            OpenCV's FileStorage writes (YAML, XML or JSON).

    Raises:
        UserError: The file is missing or of another kind, or the calibration is invalid.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        content = _parse(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ElementTree.ParseError) as error:
        raise UserError(f"cannot read the calibration {path}: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a calibration: expected names and values, such as camera_matrix")
    fields = {_plain(str(name)): value for name, value in content.items()}
    try:
        return _windowed(_full_camera(fields, by_opencv=_is_by_opencv(text)), fields)
    except KeyError as error:
        raise UserError(f"{path} is not a calibration: it has no field {error}") from error
    except (TypeError, ValueError) as error:
        raise UserError(f"{path} is not a calibration: {error}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def guess_camera(width: int, height: int, focal_px: float | None = None) -> Camera:
    """An uncalibrated camera: square pixels, centred axis, focal length given or guessed."""
    if focal_px is None:
        focal_px = 0.5 * max(width, height) / float(np.tan(0.5 * FIELD_OF_VIEW_RAD))
    if not (np.isfinite(focal_px) and focal_px > 0.0):
        raise UserError(f"the focal length is {focal_px} px, expected a positive number")
    middle = (0.5 * (width - 1), 0.5 * (height - 1))
    return Camera.create(width, height, [focal_px, 0.0, middle[0], 0.0, focal_px, middle[1], 0.0, 0.0, 1.0])


class _Loader(yaml.SafeLoader):
    """YAML with the matrices of OpenCV."""


def _matrix(loader: yaml.SafeLoader, node: Any) -> dict[Any, Any]:
    return dict(loader.construct_mapping(node, deep=True))


_Loader.add_constructor("tag:yaml.org,2002:opencv-matrix", _matrix)


def _is_by_opencv(text: str) -> bool:
    return text.startswith(("%YAML:", "<")) or "opencv-matrix" in text


def _parse(text: str) -> Any:
    """The first document of a file of names and values."""
    if text.startswith("<"):
        return {field.tag: _xml_value(field) for field in ElementTree.fromstring(text)}
    return next(yaml.load_all(re.sub(r"\A%YAML:", "%YAML ", text), _Loader), None)  # OpenCV's header is no YAML


def _xml_value(field: ElementTree.Element) -> Any:
    """A value of OpenCV's XML: a matrix with its numbers in `data`, or text."""
    data = field.find("data")
    return (field.text or "").strip() if data is None else {"data": (data.text or "").split()}


def _full_camera(fields: dict[str, Any], by_opencv: bool) -> Camera:
    """The camera as it was calibrated, without binning and region of interest."""
    if "imagesize" in fields and "imagewidth" not in fields:
        size = fields["imagesize"]
        fields["imagewidth"], fields["imageheight"] = size.split() if isinstance(size, str) else size
    width, height = _pixels(fields, "width", "image_width"), _pixels(fields, "height", "image_height")
    matrix = _field(fields, "k", "camera_matrix")
    try:
        distortion = _field(fields, "d", "distortion_coefficients", "dist_coeffs")
    except KeyError:
        if not by_opencv:
            raise
        distortion = []  # what OpenCV's users store of a camera without distortion
    coefficients = np.array(distortion, np.float64).ravel()
    if coefficients.size > _RATIONAL and not coefficients[_RATIONAL:].any():
        coefficients = coefficients[:_RATIONAL]  # OpenCV writes the terms of its larger models as zeros
    model = "fisheye" if str(fields.get("fisheyemodel", "0")) not in ("0", "False") else fields.get("distortionmodel")
    return Camera.create(width, height, np.array(matrix, np.float64), coefficients, str(model or ""))


def _windowed(camera: Camera, fields: dict[str, Any]) -> Camera:
    """The camera of the pictures that are sent, by a CameraInfo's binning and region of interest."""
    roi = fields.get("roi") or {}
    x, y, width, height = (
        _pixels(roi, name) if name in roi else 0 for name in ("x_offset", "y_offset", "width", "height")
    )
    binning = (_pixels(fields, name) if _plain(name) in fields else 0 for name in ("binning_x", "binning_y"))
    return camera.windowed((x, y, width, height), tuple(binning))


def _pixels(fields: dict[str, Any], *names: str) -> int:
    value = _field(fields, *names)
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{' or '.join(names)} is {value!r}, expected a whole number of pixels") from None


def _field(fields: dict[str, Any], *names: str) -> Any:
    """The first of the fields that is there; matrices have their numbers one level down."""
    for name in names:
        for key in (_plain(name), name):
            if key in fields:
                value = fields[key]
                return value["data"] if isinstance(value, dict) and "data" in value else value
    raise KeyError(" or ".join(names))


def _plain(name: str) -> str:
    """`Camera_Matrix`, `cameraMatrix` and `camera_matrix` are the same field."""
    return name.lower().replace("_", "")
