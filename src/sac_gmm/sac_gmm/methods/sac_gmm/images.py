"""Image sensor readings as the agent stores them: bytes, channels first, over the relevant range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sac_gmm.core.errors import UserError


@dataclass(frozen=True)
class CameraPlace:
    """Pose and focal length of a calibrated camera; on a robot they come from hand-eye calibration.

    Attributes:
        focal_px: Focal length of the coded picture; the optical axis goes through its centre.
        rides: Whether it is mounted on the gripper, which keeps its orientation; otherwise it is fixed.
        position_m: (3,) relative to the end-effector if it rides, otherwise in the base frame; base axes.
        forwards: (3,) direction of the optical axis, base axes, of any length.
        upwards: (3,) up direction in the picture, base axes; its component along the optical axis is ignored.
    """

    focal_px: float
    rides: bool
    position_m: tuple[float, float, float]
    forwards: tuple[float, float, float]
    upwards: tuple[float, float, float]

    def __post_init__(self) -> None:
        for name in ("position_m", "forwards", "upwards"):
            values = tuple(float(v) for v in getattr(self, name))
            object.__setattr__(self, name, values)
            if len(values) != 3 or not np.isfinite(values).all():
                raise UserError(f"camera: {name} is {list(values)}; it must be three finite numbers")
        if not self.focal_px > 0.0:
            raise UserError(f"camera: focal_px is {self.focal_px}; it must be greater than 0")
        if np.linalg.norm(np.cross(self.forwards, self.upwards)) < 1e-6:
            raise UserError("camera: forwards and upwards must be two different directions")

    @property
    def rotation(self) -> NDArray[np.float64]:
        """Rotation (3, 3) from base axes to camera axes: x right, y down, z forwards."""
        z = np.array(self.forwards) / np.linalg.norm(self.forwards)
        x = np.cross(z, self.upwards)
        x /= np.linalg.norm(x)
        return np.stack([x, np.cross(z, x), z])

    def in_camera(self, point_m: NDArray[np.floating], ee_m: NDArray[np.floating]) -> NDArray[np.float64]:
        """Transform a point (3,) to the camera frame while the end-effector is at `ee_m` (3,).

        Both are in the same frame, with base axes. For a fixed camera, that must be the base frame.
        """
        eye_m = np.array(self.position_m) + (ee_m if self.rides else 0.0)
        return self.rotation @ (point_m - eye_m)


@dataclass(frozen=True)
class ImageCoding:
    """Conversion of one sensor group's readings to bytes.

    Attributes:
        group: Name of the group, as in `Task.read`.
        shape: (C, H, W) of the coded picture.
        low: Reading that maps to 0.
        high: Reading that maps to 255.
    """

    group: str
    shape: tuple[int, int, int]
    low: float
    high: float

    def encode(self, reading: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the reading as uint8 (C, H, W), clipped to the range.

        Args:
            reading: (H, W, 3) colours, (H, W) or (C, H, W) metres; where a distance is not known it counts as far.

        Raises:
            UserError: The reading has the wrong shape.
        """
        picture = np.asarray(reading)
        if self.group == "rgb":
            picture = np.moveaxis(picture, -1, 0) if picture.ndim == 3 else picture
        elif picture.ndim == 2:
            picture = picture[None]
        if picture.shape != self.shape:
            raise UserError(f"a reading of '{self.group}' has shape {np.shape(reading)}, coded it must be {self.shape}")
        if picture.dtype == np.uint8:
            return np.ascontiguousarray(picture)
        share = (picture - np.float32(self.low)) * np.float32(255.0 / (self.high - self.low))
        return np.clip(np.nan_to_num(share + 0.5, nan=255.0), 0.0, 255.0).astype(np.uint8)


# The range of the pads is the deepest imprint of a firm grip; their noise is a third of a step. The range of the depth
# camera is the space of gripper and switch; a step is 2 mm.
CODINGS = {
    "rgb": ImageCoding("rgb", (3, 64, 64), 0.0, 255.0),
    "depth": ImageCoding("depth", (1, 64, 64), 0.30, 0.80),
    "tactile": ImageCoding("tactile", (2, 64, 64), 0.0, 0.0015),
}


def image_coding(group: str) -> ImageCoding:
    """Return the coding of a sensor group.

    Raises:
        UserError: There is no such group.
    """
    if group not in CODINGS:
        raise UserError(f"there is no picture '{group}'; choose one of: {', '.join(CODINGS)}")
    return CODINGS[group]
