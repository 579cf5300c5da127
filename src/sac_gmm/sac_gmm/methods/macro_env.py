"""A scene at decision rate: one step carries out an action over many control steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sac_gmm.methods.decoder import Decoder, State
from sac_gmm.methods.observation import ObservationWindow, refuse_the_truth
from sac_gmm.rl import Observation

Reward = Callable[[float, Mapping[str, Any]], float]  # (the scene's reward in a control step, its info) -> reward


def as_paid(paid: float, info: Mapping[str, Any]) -> float:
    """The scene's own reward."""
    return paid


class ControlledScene(Protocol):
    """What the wrapper needs from a scene; `sac_gmm.tasks.Task` is one."""

    control_dt_s: float

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        """Start an episode."""

    def step(self, action: NDArray[np.float64]) -> tuple[Any, float, bool, bool, dict]:
        """Follow a command for one control period."""

    def read(self, group: str) -> NDArray[Any]:
        """Read an image sensor."""


@dataclass(frozen=True)
class MacroStep:
    """Outcome of one action.

    Attributes:
        observation: Observation for the next decision.
        reward: Sum of discount**i * reward over the control steps i = 0, 1, … of the action.
        success: Whether the task was completed during the action.
        terminated: Whether the task ended; nothing can follow.
        truncated: Whether the time ran out; the value of later states still counts.
        steps: Control steps actually taken.
    """

    observation: Observation
    reward: float
    success: bool
    terminated: bool
    truncated: bool
    steps: int


class MacroEnv:
    """Runs a decoder on a scene.

    Args:
        task: The scene at control rate.
        decoder: Turns actions into commands.
        window: Collects the observation.
        discount: Discount per control step for the rewards within an action; the learner discounts later rewards by
            discount**steps.
        reward: Reward of a control step; by default the scene's own.

    Attributes:
        on_state: Called with the scene's observation at the start of an episode and after every control step, for
            observers.

    Raises:
        UserError: The window would reveal the truth to a policy.
    """

    def __init__(
        self,
        task: ControlledScene,
        decoder: Decoder,
        window: ObservationWindow,
        *,
        discount: float = 1.0,
        reward: Reward = as_paid,
    ) -> None:
        refuse_the_truth(window)
        self.task = task
        self.decoder = decoder
        self.window = window
        self.on_state: Callable[[State], None] = lambda state: None
        self._discount, self._reward = discount, reward

    def reset(self, seed: int, options: dict[str, Any] | None = None) -> Observation:
        """Start an episode and return the observation for its first decision."""
        state, _ = self.task.reset(seed=seed, options=options)
        self.decoder.begin()
        self.window.begin()
        self._elapsed_steps = 0
        self._take_in(state)
        return self._observe()

    def step(self, action: NDArray[np.floating]) -> MacroStep:
        """Carry out an action, shape (action_dim,), until the next decision is due or the episode ends."""
        self.decoder.decide(action)
        self.window.acted(action)
        total, weight, steps = 0.0, 1.0, 0
        success = terminated = truncated = False
        while steps < self.decoder.interval and not (terminated or truncated):
            command = self.decoder.command(self._state)
            state, paid, terminated, truncated, info = self.task.step(command)
            self._take_in(state)
            total += weight * self._reward(paid, info)
            weight *= self._discount
            success = success or bool(info.get("success", terminated))
            steps += 1
        self._elapsed_steps += steps
        return MacroStep(self._observe(), total, success, terminated, truncated, steps)

    def _take_in(self, state: State) -> None:
        self._state = state
        self.window.take_in(state)
        self.on_state(state)

    def _observe(self) -> Observation:
        return self.window.observation(self.task.read, self._elapsed_steps * self.task.control_dt_s)
