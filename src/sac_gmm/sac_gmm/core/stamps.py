"""What the stamps of a stream say about its rate, whether they come evenly, with gaps or in bursts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MAX_GAP_S = 0.2  # a longer silence is a gap, and says nothing about the rate
_UNEVEN_SHARE = 1.0 / 3.0  # below this share of the typical period, the median period is not the rate's
_BURST_SHARE = 0.1  # closer than this share of the typical period, samples came in one burst


def typical_period_s(periods_s: npt.NDArray[np.float64]) -> float:
    """The period within which half of the recorded time lies.

    Unlike the median, it is not moved by any number of stamps that lie close together: they take no time. Gaps count
    as `MAX_GAP_S`.

    Args:
        periods_s: (n,) positive, at least one.
    """
    periods = np.sort(np.minimum(periods_s, MAX_GAP_S))
    passed = np.cumsum(periods)
    return float(periods[np.searchsorted(passed, 0.5 * passed[-1])])


def is_uneven(periods_s: npt.NDArray[np.float64]) -> bool:
    """Whether the median period is far below the typical one, so that it does not give the rate."""
    return float(np.median(periods_s)) < _UNEVEN_SHARE * typical_period_s(periods_s)


def usual_period_s(periods_s: npt.NDArray[np.float64]) -> float:
    """The median period, or the typical one where the stamps come in bursts: then the median says nothing."""
    return typical_period_s(periods_s) if is_uneven(periods_s) else float(np.median(periods_s))


def last_of_bursts(stamps_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which samples to keep so that one is left of each burst: the last, which was current when the burst came.

    Args:
        stamps_ns: (n,) increasing.

    Returns:
        (n,); all true for a stream without bursts.
    """
    keep = np.ones(stamps_ns.size, bool)
    if stamps_ns.size > 1:
        periods_s = np.diff(stamps_ns) * 1e-9
        keep[:-1] = periods_s >= _BURST_SHARE * typical_period_s(periods_s)
    return keep
