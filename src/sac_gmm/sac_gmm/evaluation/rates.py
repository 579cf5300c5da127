"""Success rates and their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray


def wilson_interval(successes: int, episodes: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a success rate (Wilson, JASA 1927); (0, 1) when nothing was measured."""
    if episodes == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + 0.5 * confidence)
    rate = successes / episodes
    centre = rate + z * z / (2 * episodes)
    half = z * math.sqrt(rate * (1 - rate) / episodes + z * z / (4 * episodes**2))
    scale = 1 + z * z / episodes
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def crossed_interval(outcomes: Sequence[str], resamples: int = 10_000) -> tuple[float, float]:
    """95 % interval of the success rate of several training seeds that all met the same episodes.

    Seeds and episodes are drawn anew, both with replacement (two-way bootstrap), always with the same random numbers:
    a hard episode is hard for every seed, so that the outcomes of five seeds are not as many independent ones.

    Args:
        outcomes: A string of 0 and 1 per training seed, all of one length, in the order of the episodes.
        resamples: How often they are drawn.
    """
    won = _won(outcomes)
    if won.min() == won.max():  # drawing what is all alike says nothing: then one seed's episodes count
        return wilson_interval(int(won[0].sum()), won.shape[1])
    low, high = np.quantile(_resampled_rates(won, 0, resamples), (0.025, 0.975))
    return float(low), float(high)


def crossed_lead(ours: Sequence[str], others: Sequence[str], resamples: int = 10_000) -> dict[str, Any]:
    """How much more often one skill succeeds than another on the same episodes: "mean", and "interval95" of it.

    What is hard for one is often hard for the other, so that their difference is known better than either. As in
    `crossed_interval`, the seeds of each skill and the episodes, common to both, are drawn anew.

    Args:
        ours: A string of 0 and 1 per training seed, in the order of the episodes; of a skill that learns nothing, one.
        others: Likewise; of skills with strings of different length the first episodes count, which are the same.
        resamples: How often they are drawn.
    """
    n = min(len(seed) for seed in (*ours, *others))
    mine, theirs = (_won([seed[:n] for seed in outcomes]) for outcomes in (ours, others))
    leads = _resampled_rates(mine, 0, resamples) - _resampled_rates(theirs, 2, resamples)
    return {"mean": float(mine.mean() - theirs.mean()), "interval95": np.quantile(leads, (0.025, 0.975)).tolist()}


def _won(outcomes: Sequence[str]) -> NDArray[np.float64]:
    return np.array([[character == "1" for character in seed] for seed in outcomes], float)


def _resampled_rates(won: NDArray[np.float64], stream: int, resamples: int) -> NDArray[np.float64]:
    """Success rates (resamples,) of (seeds, episodes) drawn anew; `stream` tells seeds from other skills' seeds."""
    seeds, episodes = _draws(stream, won.shape[0], resamples), _draws(1, won.shape[1], resamples)
    return np.einsum("rs,se,re->r", seeds, won, episodes, optimize=True) / won.size


@cache  # a table asks for the same ones again and again
def _draws(stream: int, n: int, resamples: int) -> NDArray[np.float64]:
    """How often each of n is drawn, resample by resample: (resamples, n)."""
    return np.random.default_rng(stream).multinomial(n, np.full(n, 1 / n), resamples).astype(float)


@dataclass(frozen=True)
class SuccessRate:
    """How often a skill succeeded.

    Attributes:
        successes: So many.
        episodes: Of so many.
        crossed: Interval where the episodes are not independent (`crossed_interval`); None where they are.
    """

    successes: int
    episodes: int
    crossed: tuple[float, float] | None = None

    @property
    def rate(self) -> float:
        """Share of successes; 0 when nothing was measured."""
        return self.successes / self.episodes if self.episodes else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval: Wilson's where the episodes are independent."""
        return self.crossed or wilson_interval(self.successes, self.episodes)

    def to_json(self) -> dict[str, Any]:
        """What goes into a result file."""
        wilson95 = list(wilson_interval(self.successes, self.episodes))
        return {"successes": self.successes, "episodes": self.episodes, "rate": self.rate, "wilson95": wilson95}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> SuccessRate:
        """Rebuild from a result file or a row of a table; what else is in `value` is left alone."""
        crossed = value.get("interval95")
        return cls(value["successes"], value["episodes"], None if crossed is None else (crossed[0], crossed[1]))

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.successes}/{self.episodes} = {100 * self.rate:.0f} % [{100 * low:.0f}-{100 * high:.0f}]"
