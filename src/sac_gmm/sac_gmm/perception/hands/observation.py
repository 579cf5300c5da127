"""A hand as seen in a picture: 21 landmarks, and the choice of which of several hands to follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sac_gmm.core.late_stamps import JITTER_NS

Side = Literal["left", "right"]
N_LANDMARKS = 21
WRIST, THUMB_TIP, INDEX_KNUCKLE, INDEX_TIP, MIDDLE_KNUCKLE, LITTLE_KNUCKLE = 0, 4, 5, 8, 9, 17
# The points that hardly move against each other, whatever the fingers do.
PALM = (WRIST, INDEX_KNUCKLE, MIDDLE_KNUCKLE, 13, LITTLE_KNUCKLE)

_JITTER_S = JITTER_NS * 1e-9
_FORGET_S = 1.0  # after this long without the hand, any hand may replace it
_CONTRADICTIONS = 5  # labels of the other side, more than of the side asked for, that make it another hand
_AGREEMENTS = 30  # earlier labels that still speak for it, a second's worth
_NEAR_HANDS = 2.5  # a hand further from the last place than this, in its own sizes, is another hand


@dataclass(frozen=True)
class HandObservation:
    """One hand in one picture.

    Attributes:
        landmarks_px: (21, 2) pixels, in the order of MediaPipe's hand model.
        shape_m: (21, 3) the model's guess of the hand's shape about its own centre, in metres and the camera's axes
            (x right, y down, z away). Its size is a typical hand's, not this hand's.
        side: The person's left or right hand, in a picture that is not mirrored.
        score: The model's confidence, 0 to 1.
    """

    landmarks_px: npt.NDArray[np.float64]
    shape_m: npt.NDArray[np.float64]
    side: Side
    score: float

    @property
    def centre_px(self) -> npt.NDArray[np.float64]:
        """(2,) centre of the palm."""
        return np.asarray(self.landmarks_px[list(PALM)].mean(axis=0), np.float64)

    @property
    def size_px(self) -> float:
        """Longer side of the bounding box of the hand."""
        return float(np.ptp(self.landmarks_px, axis=0).max())


class HandFollower:
    """Follows one of several hands, and stays with it until it has been gone for a second.

    Args:
        side: The hand to follow; `any` takes the largest, which is the nearest. A single label may be wrong, so another
            hand is followed only if the labels of this one contradict the side together.
    """

    def __init__(self, side: Side | Literal["any"] = "any") -> None:
        self._side = side
        self._last: HandObservation | None = None
        self._last_s = -np.inf
        self._contradicting = 0  # labels of the hand that is followed

    def choose(self, hands: Sequence[HandObservation], time_s: float) -> HandObservation | None:
        """The hand to follow among those in the picture taken at `time_s`, or None."""
        if self._last is not None and not -_JITTER_S <= time_s - self._last_s <= _FORGET_S:
            self._last = None
        if self._last is None:
            wanted = [hand for hand in hands if self._side in ("any", hand.side)]
            chosen = max(wanted, key=lambda hand: hand.size_px, default=None)
            self._contradicting = 0
        else:
            chosen = min(hands, key=self._distance_hands, default=None)
            if chosen is not None and self._distance_hands(chosen) > _NEAR_HANDS:
                chosen = None
            chosen = self._of_the_side(hands, chosen)
        if chosen is not None:
            self._last, self._last_s = chosen, time_s
        return chosen

    def _of_the_side(self, hands: Sequence[HandObservation], chosen: HandObservation | None) -> HandObservation | None:
        """The hand that is followed, or another one if it is the wrong hand by its labels so far."""
        if chosen is None or self._side == "any":
            return chosen
        change = 1 if chosen.side != self._side else -1
        self._contradicting = max(self._contradicting + change, -_AGREEMENTS)
        others = [hand for hand in hands if hand is not chosen and hand.side == self._side]
        if self._contradicting < _CONTRADICTIONS or not others:
            return chosen
        self._contradicting = 0
        return max(others, key=lambda hand: hand.size_px)

    def _distance_hands(self, hand: HandObservation) -> float:
        """Distance of a hand from the last one, in sizes of the latter; a hand of the other side counts as further."""
        assert self._last is not None
        way = float(np.linalg.norm(hand.centre_px - self._last.centre_px)) / max(self._last.size_px, 1.0)
        return way + (0.3 if hand.side != self._last.side else 0.0)
