"""A decision and its outcome, from which every algorithm learns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sac_gmm.core.errors import UserError
from sac_gmm.rl.spaces import Observation, ObservationSpec


@dataclass(frozen=True)
class Transition:
    """One decision and its outcome."""

    obs: Observation
    action: np.ndarray  # (m,) in [-1, 1]
    reward: float  # sum over the control steps of the window
    next_obs: Observation
    terminated: bool  # the task ended: nothing can follow, so no bootstrap
    truncated: bool = False  # time-out or interruption: last transition of the episode, with bootstrap
    steps: int = 1  # control steps actually taken
    first: bool = False  # first of its episode; if the previous episode never ended, it was cut off
    success: bool = False  # last transition of a successful episode, whatever its reward

    def check(self, spec: ObservationSpec, action_dim: int) -> None:
        """Check shapes and values before they enter a memory.

        Args:
            spec: Shapes of the observations.
            action_dim: Entries of an action.

        Raises:
            UserError: A shape differs, a number is not finite, an action is outside [-1, 1], or an episode succeeds
                without ending.
        """
        _check_observation("obs", self.obs, spec)
        _check_observation("next_obs", self.next_obs, spec)
        action = np.asarray(self.action)
        if action.shape != (action_dim,) or not np.all(np.abs(action) <= 1.0):
            raise UserError(f"transition action is {action}, expected {action_dim} entries in [-1, 1]")
        if not np.isfinite(self.reward) or self.steps < 1:
            raise UserError(f"transition reward {self.reward} or steps {self.steps} is out of range")
        if self.success and not (self.terminated or self.truncated):
            raise UserError("transition has success set, but its episode continues: set it on the last transition only")


def _check_observation(which: str, obs: Observation, spec: ObservationSpec) -> None:
    expected: dict[str, tuple[int, ...]] = {}
    if spec.vector_size:
        expected["vector"] = (spec.vector_size,)
    if spec.image_shape is not None:
        expected["image"] = spec.image_shape
    for name, shape in expected.items():
        if name not in obs or np.shape(obs[name]) != shape:
            got = np.shape(obs[name]) if name in obs else "nothing"
            raise UserError(f'transition {which}["{name}"] has shape {got}, expected {shape}')
    if spec.vector_size and not np.all(np.isfinite(obs["vector"])):
        raise UserError(f'transition {which}["vector"] is not finite: {obs["vector"]}')
