"""A camera's pictures as somebody expects them who was made for another size and another lens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sac_gmm.core.errors import UserError
from sac_gmm.perception.camera import Camera

_NARROWER = 1.02  # a field of view that is smaller by less than this passes for the same


@dataclass(frozen=True)
class Fit:
    """How pictures of one size become pictures of another: what is cut out of them, and the size that it gets.

    Attributes:
        size: Width and height of the pictures that come.
        region: x, y, width, height of what is cut out, in pixels.
        wanted: Width and height of the pictures that are wanted.
    """

    size: tuple[int, int]
    region: tuple[int, int, int, int]
    wanted: tuple[int, int]

    @classmethod
    def to_size(cls, size: tuple[int, int], wanted: tuple[int, int]) -> Fit:
        """The largest part around the middle that has the shape of what is wanted.

        Args:
            size: Width and height of the pictures that come.
            wanted: Width and height of the pictures that are wanted.
        """
        scale = min(size[0] / wanted[0], size[1] / wanted[1])
        width, height = (max(1, min(round(scale * side), limit)) for side, limit in zip(wanted, size, strict=True))
        return cls(size, ((size[0] - width) // 2, (size[1] - height) // 2, width, height), wanted)

    @classmethod
    def to_view(cls, camera: Camera, wanted: tuple[int, int], focal_px: float) -> Fit:
        """The part that a camera of another focal length sees, around the optical axis.

        Args:
            camera: The calibrated camera of the pictures that come.
            wanted: Width and height of the pictures that are wanted.
            focal_px: Focal length that they are to have.

        Raises:
            UserError: The camera sees less than that.
        """
        size = (camera.width, camera.height)
        widest = cls.to_size(size, wanted)
        reached_px = widest.camera(camera).matrix[0, 0]
        if reached_px > focal_px * _NARROWER:
            raise UserError(
                f"the camera sees too little: resized to {wanted[0]}x{wanted[1]} its pictures have a focal length of "
                f"{reached_px:.1f} px at least, and {focal_px:g} px are wanted: use a wider lens, or set focal_px of "
                "the camera in the method's settings to that and learn anew"
            )
        sides = [
            min(max(1, round(side * focal / focal_px)), limit)
            for side, focal, limit in zip(wanted, (camera.matrix[0, 0], camera.matrix[1, 1]), size, strict=True)
        ]
        corner = [
            min(max(round(middle + 0.5 - side / 2.0), 0), limit - side)
            for middle, side, limit in zip(camera.matrix[:2, 2].tolist(), sides, size, strict=True)
        ]
        return cls(size, (corner[0], corner[1], sides[0], sides[1]), wanted)

    def camera(self, camera: Camera) -> Camera:
        """The camera of the fitted pictures, from that of the pictures that come."""
        return camera.windowed(self.region).resized(*self.wanted)

    def picture(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """A fitted picture, from one of the size that comes; itself, if nothing is to be done."""
        return self._resized(picture, cv2.INTER_AREA if self._shrinks else cv2.INTER_LINEAR)

    def distances(self, metres: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The same for distances, which are never mixed: between two things there is nothing at a distance between."""
        return self._resized(metres, cv2.INTER_NEAREST)

    @property
    def _shrinks(self) -> bool:
        return self.region[2] >= self.wanted[0] and self.region[3] >= self.wanted[1]

    def _resized(self, picture: npt.NDArray[Any], how: int) -> npt.NDArray[Any]:
        x, y, width, height = self.region
        part = picture[y : y + height, x : x + width]
        if (width, height) == self.wanted:
            return part
        return np.asarray(cv2.resize(np.ascontiguousarray(part), self.wanted, interpolation=how))
