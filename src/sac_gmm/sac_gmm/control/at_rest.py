"""Whether an arm stands still, as its states show it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class AtRest:
    """Follows where something is, and tells since when it has been there.

    Args:
        tolerance: It counts as standing while no coordinate leaves its place by more than this, in their unit.
        settle_s: How long it must have stood until it counts as at rest.
    """

    def __init__(self, tolerance: float, settle_s: float) -> None:
        self._tolerance, self._settle_s = tolerance, settle_s
        self._place: Array | None = None
        self._since_s = 0.0
        self._last_s = -float("inf")

    def take(self, place: Array, at_s: float) -> None:
        """Take in a state.

        Args:
            place: Coordinates, shape (n,); one that is not a number counts as motion.
            at_s: Its stamp. One that lies before the last is of a clock that was set back, and begins anew.
        """
        stayed = (
            self._place is not None
            and at_s >= self._last_s
            and place.shape == self._place.shape
            and bool((np.abs(place - self._place) <= self._tolerance).all())
        )
        if not stayed:
            self._place, self._since_s = place.copy(), at_s
        self._last_s = at_s

    def known_at(self, at_s: float, max_age_s: float) -> bool:
        """Whether there is a state that is no older than `max_age_s` at this time."""
        return at_s - self._last_s <= max_age_s

    def holds_at(self, at_s: float) -> bool:
        """Whether it has stood for `settle_s` at this time, by the states so far."""
        return self._place is not None and at_s - self._since_s >= self._settle_s
