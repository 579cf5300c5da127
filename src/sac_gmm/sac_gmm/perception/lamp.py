"""Whether a lamp is on, by its brightness in a fixed camera's pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sac_gmm.core.errors import UserError


@dataclass(frozen=True)
class LampGate:
    """Judges one region of a picture by its brightness, the mean of each pixel's largest channel.

    Args:
        region: Left, top, right and bottom edge, as shares of the picture's width and height.
        brightness_on: From this brightness on, 0 to 1, the lamp counts as lit.
        brightness_off: Once lit, it counts as lit until it is darker than this.

    Raises:
        UserError: The region is empty or leaves the picture, or a brightness is out of range.
    """

    region: tuple[float, float, float, float]
    brightness_on: float = 0.5
    brightness_off: float = 0.4

    def __post_init__(self) -> None:
        left, top, right, bottom = self.region
        if not (0.0 <= left < right <= 1.0 and 0.0 <= top < bottom <= 1.0):
            raise UserError(
                f"the lamp's region is {self.region}: expected left < right and top < bottom, shares of the picture "
                "from 0 to 1"
            )
        if not 0.0 <= self.brightness_off <= self.brightness_on <= 1.0:
            raise UserError(
                f"brightness_off is {self.brightness_off} and brightness_on {self.brightness_on}: expected "
                "0 <= brightness_off <= brightness_on <= 1"
            )

    def window(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of the region in a picture; at least one pixel."""
        left, top, right, bottom = self.region
        return _pixels(top, bottom, height), _pixels(left, right, width)

    def brightness(self, picture: NDArray[np.uint8]) -> float:
        """Brightness of the region, 0 to 1, in a picture, shape (height, width) or (height, width, 3)."""
        part = picture[self.window(*picture.shape[:2])]
        brightest = part.max(axis=2) if part.ndim == 3 else part
        return float(brightest.mean()) / 255.0

    def counts(self, brightness: float, lit: bool = False) -> bool:
        """Whether the lamp is lit, given that it was or was not so far."""
        return brightness >= (self.brightness_off if lit else self.brightness_on)


def _pixels(begin: float, end: float, n: int) -> slice:
    first = min(int(begin * n), n - 1)
    return slice(first, max(first + 1, round(end * n)))
