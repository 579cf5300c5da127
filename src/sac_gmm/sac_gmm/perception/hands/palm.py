"""How large the hand model draws a palm: one robust size over many pictures.

The person's palm has one width, but the width that the model draws changes with the view. A hand that stands edge on
is drawn too flat, so its knuckles seem to draw together. A scale taken from each picture by itself would move the hand
away whenever it turns.

Seen from the back, a palm is sometimes drawn collapsed: its knuckles lie near the wrist, though the landmarks in the
picture are right. Such a shape fits its picture badly and comes out too near. It hardly counts for the size, and the
distance then follows from the picture: an edge of the palm may look shorter than it is, never longer.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sac_gmm.perception.hands.observation import INDEX_KNUCKLE, LITTLE_KNUCKLE, MIDDLE_KNUCKLE, PALM, WRIST

Array = npt.NDArray[np.float64]

_REMEMBERED = 900  # pictures, half a minute
# Width over length (wrist to middle knuckle) of a palm: 0.6 to 0.8 on film. A narrower one is drawn too flat.
_NARROWEST = 0.65
# The model guesses depth worse than what lies in the picture plane, so a row of knuckles that lies in it weighs more.
_IN_PLANE_POWER = 20
# A shape that fits its picture worse than this, from 0 to 1, may be collapsed; such shapes hardly count for the size.
GOOD_FIT = 0.8
_FIT_POWER = 6
_TOO_NEAR = 1.1  # a hand that its picture puts further away by this factor has a collapsed palm
_EDGES = (
    (WRIST, WRIST, WRIST, WRIST, INDEX_KNUCKLE),
    (INDEX_KNUCKLE, MIDDLE_KNUCKLE, 13, LITTLE_KNUCKLE, LITTLE_KNUCKLE),
)
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
        collapsed: Of these, with a palm that the model drew collapsed.
    """

    scale: float
    spread: float
    pictures: int
    contradicting: int
    collapsed: int = 0

    def as_dict(self) -> dict[str, float | int]:
        """For a sidecar."""
        return {
            "scale": round(self.scale, 4),
            "spread": round(self.spread, 4),
            "pictures": self.pictures,
            "contradicting": self.contradicting,
            "collapsed": self.collapsed,
        }

    def summary(self) -> str:
        """One line for a person."""
        text = f"one scale from the palm's width: {self.scale:.2f} of the model's hand, +- {100 * self.spread:.0f} %"
        if self.contradicting:
            text += (
                f"; {self.contradicting} of {self.pictures} frames show a palm of another width (the hand edge on, "
                "or its shape mistaken) and count as less sure"
            )
        return "; ".join([text, *self.notes()])

    def notes(self) -> list[str]:
        """What else a person should know, with or without a palm's width."""
        if not self.collapsed:
            return []
        return [
            f"in {self.collapsed} of {self.pictures} frames the model drew the palm collapsed (as it does from the "
            "back of the hand); their distance is from the landmarks in the picture"
        ]


class PalmSize:
    """The width of the palm as the model draws it, over all pictures so far.

    Attributes:
        pictures: How many were taken.
    """

    def __init__(self, remembered: int | None = _REMEMBERED) -> None:
        self._rows: deque[tuple[float, ...]] = deque(maxlen=remembered)  # weight, width, lengths of the edges
        self._width_m: float | None = None  # until another picture comes
        self.pictures = 0

    def take(self, hand_m: Array, fit: float = 1.0) -> None:
        """Take a picture's hand; one without any extent tells nothing.

        Args:
            hand_m: (21, 3) in the camera's axes.
            fit: 0 to 1, how well its shape explains the picture.
        """
        across = hand_m[INDEX_KNUCKLE] - hand_m[LITTLE_KNUCKLE]
        width_m = palm_width_m(hand_m)
        plausible_m = plausible_width_m(hand_m)
        if not (np.isfinite(plausible_m) and plausible_m > 1e-3):
            return
        in_plane = float(np.linalg.norm(across[:2])) / width_m if width_m > 1e-6 else 0.0
        weight = max(in_plane**_IN_PLANE_POWER, 1e-6) * max(fit**_FIT_POWER, 1e-6)
        edges_m = np.linalg.norm(hand_m[list(_EDGES[0])] - hand_m[list(_EDGES[1])], axis=1)
        self._rows.append((weight, plausible_m, *edges_m.tolist()))
        self._width_m = None
        self.pictures += 1

    @property
    def width_m(self) -> float:
        """The width; NaN before there was any picture."""
        if self._width_m is None:
            weights, widths, *_ = self._columns()
            self._width_m = _weighted_median(widths, weights) if self._rows else float("nan")
        return self._width_m

    @property
    def spread(self) -> float:
        """Robust standard deviation of the width from picture to picture, as a share of it."""
        if not self._rows:
            return float("nan")
        weights, widths, *_ = self._columns()
        return _MAD_TO_STD * _weighted_median(np.abs(widths - self.width_m), weights) / self.width_m

    def scale_to(self, palm_width_m: float, contradicting: int, collapsed: int) -> PalmScale:
        """The scale that gives this palm a person's width, after one picture at least."""
        return PalmScale(palm_width_m / self.width_m, self.spread, self.pictures, contradicting, collapsed)

    def too_near(self, hand_m: Array, fit: float) -> float:
        """By how much a picture's hand (21, 3), in the camera's frame, is too near; 1 unless its palm is collapsed."""
        if not self._rows or fit >= GOOD_FIT:
            return 1.0
        weights, _, *edges = self._columns()
        lengths_m = np.array([_weighted_median(edge, weights) for edge in edges])
        rays = hand_m[:, :2] / hand_m[:, 2:]
        seen_m = np.linalg.norm(rays[list(_EDGES[0])] - rays[list(_EDGES[1])], axis=1) * hand_m[list(PALM), 2].mean()
        factor = float((lengths_m / np.maximum(seen_m, 1e-6)).min())
        return factor if factor > _TOO_NEAR else 1.0

    def agreement(self, hand_m: Array) -> float:
        """How far to trust a picture's hand (21, 3): 1 where it has the palm's width, the ratio where it has not."""
        if not self._rows:
            return 1.0
        ratio = palm_width_m(hand_m) / self.width_m
        return 1.0 if abs(ratio - 1.0) <= _CONTRADICTION else float(min(ratio, 1.0 / max(ratio, 1e-9)))

    def _columns(self) -> list[Array]:
        return list(np.array(self._rows).reshape(len(self._rows), -1).T) if self._rows else [np.zeros(0), np.zeros(0)]


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
