"""An agent's observations: their shapes, and the camera behind a picture."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from sac_gmm.core.errors import UserError

Observation = dict[str, np.ndarray]


@dataclass(frozen=True)
class Sight:
    """A calibrated camera whose picture shows where the target is.

    Attributes:
        focal_px: Focal length; the optical axis goes through the centre of the picture.
        rotation: (3, 3) from base axes to camera axes (x right, y down, z forwards).
        first: Index of the first of three entries of "vector" with the detected target in the camera's frame, metres.
        depth_range_m: Distances that bytes 0 and 255 of a depth picture stand for; None for other pictures.
    """

    focal_px: float
    rotation: tuple[tuple[float, ...], ...]
    first: int
    depth_range_m: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        rotation = tuple(tuple(float(v) for v in row) for row in self.rotation)
        object.__setattr__(self, "rotation", rotation)
        if self.depth_range_m is not None:
            object.__setattr__(self, "depth_range_m", tuple(float(v) for v in self.depth_range_m))
        R = np.array(rotation)
        if R.shape != (3, 3) or not np.allclose(R @ R.T, np.eye(3), atol=1e-4):
            raise UserError(f"the camera's rotation is {rotation}: it must be an orthonormal 3 x 3 matrix")
        if not self.focal_px > 0.0:
            raise UserError(f"the camera's focal length is {self.focal_px} pixels; it must be greater than 0")


@dataclass(frozen=True)
class ObservationSpec:
    """Shapes of an observation dict: "vector" float32 (vector_size,) and, optionally, "image" uint8 (C, H, W).

    Several images (two tactile pads, a depth image) are stacked along the channels.
    """

    # Number of entries of "vector"; 0 if there is only an image.
    vector_size: int
    # (C, H, W) of "image"; None if there is none.
    image_shape: tuple[int, int, int] | None = None
    # Typical values of each entry of "vector": the network sees (vector - vector_centre) / vector_scale.
    # Empty means centre 0 and scale 1.
    vector_centre: tuple[float, ...] = ()
    vector_scale: tuple[float, ...] = ()
    # A symmetry of the problem: for any d (k,), adding vector_shift @ d to "vector" and action_shift @ d to the action
    # does not change what happens. Shapes (vector_size, k) and (action entries, k); empty for none. In a skill that
    # sees positions relative to a detected target, d is an additional detection error, in metres.
    vector_shift: tuple[tuple[float, ...], ...] = ()
    action_shift: tuple[tuple[float, ...], ...] = ()
    # The camera of "image", if calibrated: the detection error is then estimated from the picture.
    sight: Sight | None = None

    def __post_init__(self) -> None:
        for name in ("vector_centre", "vector_scale"):
            values = tuple(float(v) for v in getattr(self, name))
            object.__setattr__(self, name, values)
            if values and len(values) != self.vector_size:
                raise UserError(f"{name} has {len(values)} entries, vector_size is {self.vector_size}: give one each")
        for name in ("vector_shift", "action_shift"):
            object.__setattr__(self, name, tuple(tuple(float(v) for v in row) for row in getattr(self, name)))
        widths = {len(row) for row in (*self.vector_shift, *self.action_shift)}
        if len(widths) > 1 or bool(self.vector_shift) != bool(self.action_shift):
            raise UserError("vector_shift and action_shift need rows of one length, or neither is given")
        if self.vector_shift and len(self.vector_shift) != self.vector_size:
            raise UserError(f"vector_shift has {len(self.vector_shift)} rows, vector_size is {self.vector_size}")
        if any(not v > 0.0 for v in self.vector_scale):
            raise UserError(f"vector_scale is {self.vector_scale}: every entry must be greater than 0")
        if self.image_shape is not None:
            object.__setattr__(self, "image_shape", tuple(int(v) for v in self.image_shape))
            assert self.image_shape is not None
            if len(self.image_shape) != 3 or min(self.image_shape[1:]) < 24 or self.image_shape[0] < 1:
                raise UserError(f"image_shape is {self.image_shape}, expected (channels, height, width) of >= 24 px")
        if self.sight is not None and (self.image_shape is None or self.sight.first + 3 > self.vector_size):
            raise UserError("sight needs an image, and three entries of the vector for the detected target")
        if self.vector_size < 0 or (self.vector_size == 0 and self.image_shape is None):
            raise UserError("an observation needs a vector (vector_size > 0), an image (image_shape) or both")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ObservationSpec:
        """Rebuild from `to_json`."""
        changed = {
            "image_shape": tuple(value["image_shape"]) if value.get("image_shape") else None,
            "sight": Sight(**value["sight"]) if value.get("sight") else None,
        }
        return cls(**{**value, **changed})
