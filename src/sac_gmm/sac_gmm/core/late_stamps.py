"""Stamps that are not quite in order.

Messages overtake each other on the way, and drivers stamp with a jitter or slew their clock, so a stamp may lie a
little before the newest. That is no clock that was set back.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

import numpy as np

JITTER_NS = 5_000_000  # a stamp that lies no further back than this is of the same clock
_LEAST_GAP = 0.25  # of the median period: with less room a sample would make a speed out of nothing


def is_late(stamp_ns: int, newest_ns: int) -> bool:
    """Whether a stamp lies before the newest, but no further than by jitter."""
    return 0 < newest_ns - stamp_ns <= JITTER_NS


def in_order(stamps_ns: Sequence[int]) -> list[int]:
    """Put samples in the order of their stamps.

    Args:
        stamps_ns: (T,) in order of arrival, none further back than by jitter.

    Returns:
        Indices of the samples in the order of their stamps. A late one without room between its neighbours, and one
        whose stamp was there before, is left out.
    """
    steps = np.diff(np.asarray(stamps_ns, np.int64))
    forward = steps[steps > 0]
    room_ns = _LEAST_GAP * float(np.median(forward)) if forward.size else 0.0
    kept: list[tuple[int, int]] = []  # stamp and index
    for i, stamp in enumerate(stamps_ns):
        if not kept or stamp > kept[-1][0]:
            kept.append((stamp, i))
            continue
        at = bisect_left(kept, (stamp, -1))
        before_ns = stamp - kept[at - 1][0] if at else JITTER_NS
        if min(before_ns, kept[at][0] - stamp) >= max(room_ns, 1.0):
            insort(kept, (stamp, i))
    return [i for _, i in kept]
