"""Success rates and their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


def wilson_interval(successes: int, episodes: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a success rate (Wilson, JASA 1927); (0, 1) without episodes."""
    from scipy.stats import binomtest  # slow to import (1 s), and not every reader of results needs it

    if episodes == 0:
        return 0.0, 1.0
    interval = binomtest(successes, episodes).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def crossed_interval(outcomes: Sequence[str], resamples: int = 10_000) -> tuple[float, float]:
    """95 % interval of the success rate of several training seeds tested on the same episodes.

    Seeds and episodes are both resampled with replacement (two-way bootstrap), always with the same random numbers. A
    hard episode is hard for every seed, so the outcomes of several seeds are not independent.

    Args:
        outcomes: A string of 0 and 1 per training seed, all of the same length, in the order of the episodes.
        resamples: Number of bootstrap samples.
    """
    won = _won(outcomes)
    if won.min() == won.max():  # resampling equal outcomes gives no interval: use the episodes of one seed
        return wilson_interval(int(won[0].sum()), won.shape[1])
    low, high = np.quantile(_resampled_rates(won, 0, resamples), (0.025, 0.975))
    return float(low), float(high)


def crossed_lead(ours: Sequence[str], others: Sequence[str], resamples: int = 10_000) -> dict[str, Any]:
    """How much more often one skill succeeds than another on the same episodes: "mean" and its "interval95".

    An episode that is hard for one is often hard for the other, so the difference is known better than either rate. As
    in `crossed_interval`, the seeds of each skill and the shared episodes are resampled.

    Args:
        ours: A string of 0 and 1 per training seed, in the order of the episodes; a single string for a skill that does
            not learn.
        others: The same for the other skill. If the strings differ in length, only the first episodes, common to all,
            are used.
        resamples: Number of bootstrap samples.
    """
    n = min(len(seed) for seed in (*ours, *others))
    mine, theirs = (_won([seed[:n] for seed in outcomes]) for outcomes in (ours, others))
    leads = _resampled_rates(mine, 0, resamples) - _resampled_rates(theirs, 2, resamples)
    return {"mean": float(mine.mean() - theirs.mean()), "interval95": np.quantile(leads, (0.025, 0.975)).tolist()}


def _won(outcomes: Sequence[str]) -> NDArray[np.float64]:
    return np.array([[character == "1" for character in seed] for seed in outcomes], float)


def _resampled_rates(won: NDArray[np.float64], stream: int, resamples: int) -> NDArray[np.float64]:
    """Success rates (resamples,) of resampled (seeds, episodes); `stream` makes the draws of two skills independent."""
    seeds, episodes = _draws(stream, won.shape[0], resamples), _draws(1, won.shape[1], resamples)
    return np.einsum("rs,se,re->r", seeds, won, episodes, optimize=True) / won.size


@cache  # a table needs the same draws many times
def _draws(stream: int, n: int, resamples: int) -> NDArray[np.float64]:
    """How often each of n items is drawn in each resample: (resamples, n)."""
    return np.random.default_rng(stream).multinomial(n, np.full(n, 1 / n), resamples).astype(float)


@dataclass(frozen=True)
class SuccessRate:
    """How often a skill succeeded.

    Attributes:
        successes: Number of successes.
        episodes: Number of episodes.
        crossed: Interval if the episodes are not independent (`crossed_interval`); None if they are.
    """

    successes: int
    episodes: int
    crossed: tuple[float, float] | None = None

    @property
    def rate(self) -> float:
        """Share of successes; 0 without episodes."""
        return self.successes / self.episodes if self.episodes else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval: Wilson's if the episodes are independent."""
        return self.crossed or wilson_interval(self.successes, self.episodes)

    def to_json(self) -> dict[str, Any]:
        """Values for a result file."""
        wilson95 = list(wilson_interval(self.successes, self.episodes))
        return {"successes": self.successes, "episodes": self.episodes, "rate": self.rate, "wilson95": wilson95}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> SuccessRate:
        """Rebuild from a result file or a row of a table; other entries of `value` are ignored."""
        crossed = value.get("interval95")
        return cls(value["successes"], value["episodes"], None if crossed is None else (crossed[0], crossed[1]))

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.successes}/{self.episodes} = {100 * self.rate:.0f} % [{100 * low:.0f}-{100 * high:.0f}]"
