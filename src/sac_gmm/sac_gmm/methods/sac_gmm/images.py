"""Readings of image sensors as the agent keeps them: bytes, channels first, over the range that matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sac_gmm.core.errors import UserError


@dataclass(frozen=True)
class CameraPlace:
    """Where a calibrated camera is and how it looks; hand-eye calibration gives it on a robot.

    Attributes:
        focal_px: Focal length of the coded picture; the optical axis goes through its middle.
        rides: It rides on the gripper, which keeps its orientation; otherwise it stands.
        position_m: (3,) relative to the end-effector where it rides, otherwise in the base frame; base axes.
        forwards: (3,) direction of the optical axis, base axes, of any length.
        upwards: (3,) direction that is up in the picture, base axes; what of it is along the optical axis is left out.
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
        """(3, 3) from the base's axes to the camera's: x right, y down, z forwards."""
        z = np.array(self.forwards) / np.linalg.norm(self.forwards)
        x = np.cross(z, self.upwards)
        x /= np.linalg.norm(x)
        return np.stack([x, np.cross(z, x), z])

    def in_camera(self, point_m: NDArray[np.floating], ee_m: NDArray[np.floating]) -> NDArray[np.float64]:
        """A point (3,) in the camera's frame while the end-effector is at `ee_m` (3,), both in one frame of base axes.

        Where the camera stands, that must be the base frame.
        """
        eye_m = np.array(self.position_m) + (ee_m if self.rides else 0.0)
        return self.rotation @ (point_m - eye_m)


@dataclass(frozen=True)
class ImageCoding:
    """How the readings of one group of sensors become bytes.

    Attributes:
        group: As `Task.read` calls it.
        shape: (C, H, W) of the coded picture.
        low: Reading that becomes 0.
        high: Reading that becomes 255.
    """

    group: str
    shape: tuple[int, int, int]
    low: float
    high: float

    def encode(self, reading: NDArray[Any]) -> NDArray[np.uint8]:
        """The reading as uint8 (C, H, W); what is beyond the range is cut.

        Args:
            reading: (H, W, 3) colours, (H, W) or (C, H, W) metres.

        Raises:
            UserError: It has another shape.
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
        return np.clip(share + 0.5, 0.0, 255.0).astype(np.uint8)


# The pads' range is the deepest imprint of a firm grip; their noise is a third of a step. The depth camera's is the
# space in which gripper and switch are; a step is 2 mm.
CODINGS = {
    "rgb": ImageCoding("rgb", (3, 64, 64), 0.0, 255.0),
    "depth": ImageCoding("depth", (1, 64, 64), 0.30, 0.80),
    "tactile": ImageCoding("tactile", (2, 64, 64), 0.0, 0.0015),
}


def image_coding(group: str) -> ImageCoding:
    """The coding of a group of sensors.

    Raises:
        UserError: There is no such group.
    """
    if group not in CODINGS:
        raise UserError(f"there is no picture '{group}'; choose one of: {', '.join(CODINGS)}")
    return CODINGS[group]
