"""How large the hand model draws a palm: one robust size over many pictures.

The person's palm has one width, but the width that the model draws changes with the view. A hand that stands edge on
is drawn too flat, so its knuckles seem to draw together. A scale taken from each picture by itself would move the hand
away whenever it turns.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sac_gmm.perception.hands.observation import INDEX_KNUCKLE, LITTLE_KNUCKLE, MIDDLE_KNUCKLE, WRIST

Array = npt.NDArray[np.float64]

_REMEMBERED = 900  # pictures, half a minute
# Width over length (wrist to middle knuckle) of a palm: 0.6 to 0.8 on film. A narrower one is drawn too flat.
_NARROWEST = 0.65
# The model guesses depth worse than what lies in the picture plane, so a row of knuckles that lies in it weighs more.
_IN_PLANE_POWER = 20
_CONTRADICTION = 0.25  # a width that differs from the size by more of it is no palm of this hand
_MAD_TO_STD = 1.4826


@dataclass(frozen=True)
class PalmScale:
    """The one scale of a hand.

    Attributes:
        scale: The person's palm over the model's.
        spread: Robust standard deviation of it from picture to picture, as a share.
        pictures: With the hand.
        contradicting: Of these, with a palm of another width.
    """

    scale: float
    spread: float
    pictures: int
    contradicting: int

    def as_dict(self) -> dict[str, float | int]:
        """For a sidecar."""
        return {
            "scale": round(self.scale, 4),
            "spread": round(self.spread, 4),
            "pictures": self.pictures,
            "contradicting": self.contradicting,
        }

    def summary(self) -> str:
        """One line for a person."""
        text = f"one scale from the palm's width: {self.scale:.2f} of the model's hand, +- {100 * self.spread:.0f} %"
        if self.contradicting:
            text += (
                f"; {self.contradicting} of {self.pictures} frames show a palm of another width (the hand edge on, "
                "or its shape mistaken) and count as less sure"
            )
        return text


class PalmSize:
    """The width of the palm as the model draws it, over all pictures so far.

    Attributes:
        pictures: How many were taken.
    """

    def __init__(self, remembered: int | None = _REMEMBERED) -> None:
        self._rows: deque[tuple[float, float]] = deque(maxlen=remembered)
        self._width_m: float | None = None  # until another picture comes
        self.pictures = 0

    def take(self, hand_m: Array) -> None:
        """Take a picture's hand, (21, 3) in the camera's axes; one without any extent tells nothing."""
        across = hand_m[INDEX_KNUCKLE] - hand_m[LITTLE_KNUCKLE]
        width_m = palm_width_m(hand_m)
        plausible_m = plausible_width_m(hand_m)
        if not (np.isfinite(plausible_m) and plausible_m > 1e-3):
            return
        in_plane = float(np.linalg.norm(across[:2])) / width_m if width_m > 1e-6 else 0.0
        self._rows.append((plausible_m, max(in_plane**_IN_PLANE_POWER, 1e-6)))
        self._width_m = None
        self.pictures += 1

    @property
    def width_m(self) -> float:
        """The width; NaN before there was any picture."""
        if self._width_m is None:
            self._width_m = _weighted_median(*self._columns()) if self._rows else float("nan")
        return self._width_m

    @property
    def spread(self) -> float:
        """Robust standard deviation of the width from picture to picture, as a share of it."""
        if not self._rows:
            return float("nan")
        widths, weights = self._columns()
        return _MAD_TO_STD * _weighted_median(np.abs(widths - self.width_m), weights) / self.width_m

    def scale_to(self, palm_width_m: float, contradicting: int) -> PalmScale:
        """The scale that gives this palm a person's width, after one picture at least."""
        return PalmScale(palm_width_m / self.width_m, self.spread, self.pictures, contradicting)

    def agreement(self, hand_m: Array) -> float:
        """How far to trust a picture's hand (21, 3): 1 where it has the palm's width, the ratio where it has not."""
        if not self._rows:
            return 1.0
        ratio = palm_width_m(hand_m) / self.width_m
        return 1.0 if abs(ratio - 1.0) <= _CONTRADICTION else float(min(ratio, 1.0 / max(ratio, 1e-9)))

    def _columns(self) -> tuple[Array, Array]:
        rows = np.array(self._rows)
        return rows[:, 0], rows[:, 1]


def palm_width_m(hand_m: Array) -> float:
    """Distance between the knuckles of index and little finger of a hand (21, 3)."""
    return float(np.linalg.norm(hand_m[INDEX_KNUCKLE] - hand_m[LITTLE_KNUCKLE]))


def plausible_width_m(hand_m: Array) -> float:
    """The same distance, but no narrower than a palm of this length (21, 3) can be: narrower is drawn too flat."""
    return max(palm_width_m(hand_m), _NARROWEST * float(np.linalg.norm(hand_m[MIDDLE_KNUCKLE] - hand_m[WRIST])))


def _weighted_median(values: Array, weights: Array) -> float:
    order = np.argsort(values)
    up_to = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(up_to, 0.5 * up_to[-1])])
