"""The adaptation that the agent begins with: all components of the mixture move together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sac_gmm.models import SkillModel, translate


class Translation:
    """Maps an action to the base model moved as a whole; relative to the base, never cumulative.

    A constant error of the detected target is a translation of the whole skill, so three numbers can undo it, and
    stability is untouched.

    Args:
        base: The fitted skill.
        reach_m: How far an action of 1 moves it along each axis.
    """

    def __init__(self, base: SkillModel, reach_m: float = 0.03) -> None:
        self.base = base
        self.reach_m = reach_m
        self.action_dim = base.state_dim

    def apply(self, action: ArrayLike) -> SkillModel:
        """The adapted model for an action in [-1, 1], shape (d,); the zero action gives the base model itself."""
        clipped = np.clip(np.asarray(action, dtype=np.float64), -1.0, 1.0)
        if not clipped.any():
            return self.base
        return translate(self.base, self.reach_m * clipped)
