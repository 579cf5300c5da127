"""Search without learning: what a lab engineer would try instead.

Both are policies for the common translation. They depend on the observation alone, so they can run in any process and
order. They use the clock; the random one also uses the start pose as its source of randomness. Neither uses touch or
pictures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sac_gmm.rl import Observation


@dataclass(frozen=True)
class RandomSearch:
    """A new random translation at every decision.

    Attributes:
        std: Standard deviation of each action entry, before clipping to [-1, 1].
        n_entries: Number of action entries.
    """

    std: float = 1.0 / 3.0
    n_entries: int = 3

    def __call__(self, observation: Observation) -> NDArray[np.float64]:
        """The action (n_entries,)."""
        rng = np.random.default_rng(np.frombuffer(observation["vector"].tobytes(), np.uint32))
        return np.clip(self.std * rng.standard_normal(self.n_entries), -1.0, 1.0)


@dataclass(frozen=True)
class SpiralSearch:
    """An Archimedean spiral in x and y around the detected target, at constant speed along its path.

    Start, speed and pitch were tuned on door, lever and peg over 40 episodes each (docs/learning.md); the same values
    were best on all three.

    Attributes:
        time_limit_s: Time limit of an episode.
        clock: Index of the observation entry that holds the used share of the time limit.
        start_s: Start time: when the base skill would have arrived.
        speed_m_s: Speed along the spiral.
        pitch_m: Distance between two turns.
        reach_m: Reach of an action of 1.
        lift: Action along z while searching; positive presses less.
        radius_m: Radius at which it restarts from the centre.
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
