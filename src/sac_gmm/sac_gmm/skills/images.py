"""Readings of image sensors as the agent keeps them: bytes, channels first, over the range that matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sac_gmm.errors import SacGmmError


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
            SacGmmError: It has another shape.
        """
        picture = np.asarray(reading)
        if self.group == "rgb":
            picture = np.moveaxis(picture, -1, 0) if picture.ndim == 3 else picture
        elif picture.ndim == 2:
            picture = picture[None]
        if picture.shape != self.shape:
            raise SacGmmError(
                f"a reading of '{self.group}' has shape {np.shape(reading)}, coded it must be {self.shape}"
            )
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
        SacGmmError: There is no such group.
    """
    if group not in CODINGS:
        raise SacGmmError(f"there is no picture '{group}'; choose one of: {', '.join(CODINGS)}")
    return CODINGS[group]
