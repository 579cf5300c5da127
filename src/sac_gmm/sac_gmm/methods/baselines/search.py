"""Search that learns nothing: what a lab engineer would do instead of learning.

Both are policies for the common translation and depend on the observation alone, so they run in any process and order.
They see the clock and, for the random one, the start pose as a source of chance; no touch, no picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sac_gmm.rl import Observation


@dataclass(frozen=True)
class RandomSearch:
    """Another random translation at every decision.

    Attributes:
        std: Of each entry of the action, before it is cut to [-1, 1].
        n_entries: Entries of the action.
    """

    std: float = 1.0 / 3.0
    n_entries: int = 3

    def __call__(self, observation: Observation) -> NDArray[np.float64]:
        """The action (n_entries,)."""
        rng = np.random.default_rng(np.frombuffer(observation["vector"].tobytes(), np.uint32))
        return np.clip(self.std * rng.standard_normal(self.n_entries), -1.0, 1.0)


@dataclass(frozen=True)
class SpiralSearch:
    """An Archimedean spiral in x and y around the detected target, of equal speed along its path.

    Start, speed and pitch were tuned on door, lever and peg over 40 episodes each (docs/learning.md); the same values
    were best on all of them.

    Attributes:
        time_limit_s: Of an episode.
        clock: Entry of the observation's vector that holds the share of the time limit used.
        start_s: When it begins: once the base skill would be there.
        speed_m_s: Along the spiral.
        pitch_m: Between two turns.
        reach_m: Of an action of 1.
        lift: Action along z while searching; positive presses less.
        radius_m: Where it begins anew from the middle.
    """

    time_limit_s: float = 10.0
    clock: int = 15
    start_s: float = 2.0
    speed_m_s: float = 0.04
    pitch_m: float = 0.012
    reach_m: float = 0.03
    lift: float = 0.0
    radius_m: float = 0.025

    def __call__(self, observation: Observation) -> NDArray[np.float64]:
        """The action (3,)."""
        since_s = float(observation["vector"][self.clock]) * self.time_limit_s - self.start_s
        if since_s <= 0.0:
            return np.zeros(3)
        # r = b angle with b = pitch / 2 pi; the length of the path is close to b angle^2 / 2.
        b = self.pitch_m / (2.0 * math.pi)
        whole_m = 0.5 * self.radius_m**2 / b
        angle = math.sqrt(2.0 * (self.speed_m_s * since_s % whole_m) / b)
        radius = b * angle / self.reach_m
        return np.clip([radius * math.cos(angle), radius * math.sin(angle), self.lift], -1.0, 1.0)
