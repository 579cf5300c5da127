"""Seed banks, success rates and their intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from sac_gmm.errors import SacGmmError

# First seed of each bank. The banks never meet: what is measured was never trained on, nor selected by.
SEED_BANKS = {"base": 1_000_000, "train": 2_000_000, "select": 3_000_000, "test": 4_000_000}
_BANK_SIZE = 1_000_000


def seed_bank(name: str, run: int, episodes: int) -> range:
    """The seeds of `episodes` episodes for training run number `run`.

    Banks `train` and `select` differ from run to run; `base` and `test` are the same for all, so that all skills
    meet the same episodes.

    Raises:
        SacGmmError: The bank has another name, or has fewer seeds than asked for.
    """
    if name not in SEED_BANKS:
        raise SacGmmError(f"there is no seed bank '{name}'; choose one of: {', '.join(SEED_BANKS)}")
    stride = 10_000
    offset = run * stride if name in ("train", "select") else 0
    if not 0 <= run < _BANK_SIZE // stride or not 0 <= episodes <= stride:
        raise SacGmmError(f"seed bank '{name}' holds {stride} episodes for each of {_BANK_SIZE // stride} runs")
    first = SEED_BANKS[name] + offset
    return range(first, first + episodes)


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


@dataclass(frozen=True)
class SuccessRate:
    """How often a skill succeeded."""

    successes: int
    episodes: int

    @property
    def rate(self) -> float:
        """Share of successes; 0 when nothing was measured."""
        return self.successes / self.episodes if self.episodes else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson 95 % interval."""
        return wilson_interval(self.successes, self.episodes)

    def to_json(self) -> dict[str, Any]:
        """What goes into a result file."""
        low, high = self.interval
        return {"successes": self.successes, "episodes": self.episodes, "rate": self.rate, "wilson95": [low, high]}

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.successes}/{self.episodes} = {100 * self.rate:.0f} % [{100 * low:.0f}-{100 * high:.0f}]"
