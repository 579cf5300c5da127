"""A task seen at the rate of decisions: one step plays a macro-action out over many control steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sac_gmm.control import ArmState
from sac_gmm.methods.sac_gmm.decoders import Decoder
from sac_gmm.methods.sac_gmm.observer import WindowObserver
from sac_gmm.rl import Observation


class ControlledTask(Protocol):
    """What the wrapper needs of a task; `sac_gmm.tasks.Task` is one."""

    control_dt_s: float

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        """Start an episode."""

    def step(self, action: NDArray[np.float64]) -> tuple[Any, float, bool, bool, dict]:
        """Follow a twist for one control period."""

    def read(self, group: str) -> NDArray[Any]:
        """Read an image sensor."""


@dataclass(frozen=True)
class MacroStep:
    """What came of one macro-action."""

    observation: Observation
    reward: float  # summed over the control steps
    terminated: bool  # the task ended
    truncated: bool  # the time ran out: the value of what would follow still counts
    steps: int  # control steps really taken


class MacroEnv:
    """Runs a decoder on a task.

    Args:
        task: The task at control rate.
        decoder: Turns actions into twists.
        observer: Gathers the observation; it says which image sensor is read.

    Attributes:
        on_state: Called with the task's observation at the start of an episode and after every control step, for
            those who look on.
    """

    def __init__(self, task: ControlledTask, decoder: Decoder, observer: WindowObserver) -> None:
        self.task = task
        self.decoder = decoder
        self.observer = observer
        self.on_state: Callable[[dict[str, NDArray[np.float64]]], None] = lambda state: None

    def reset(self, seed: int, options: dict[str, Any] | None = None) -> Observation:
        """Start an episode and return the observation for its first decision."""
        state, _ = self.task.reset(seed=seed, options=options)
        self.decoder.begin()
        self.observer.begin()
        self._elapsed_steps = 0
        self._take_in(state)
        return self._observe()

    def step(self, action: NDArray[np.floating]) -> MacroStep:
        """Play an action out, shape (action_dim,), until the next decision is due or the episode ends."""
        self.decoder.decide(action)
        self.observer.acted(action)
        total, terminated, truncated, steps = 0.0, False, False, 0
        while steps < self.decoder.interval and not (terminated or truncated):
            state, reward, terminated, truncated, _ = self.task.step(self.decoder.twist(self._arm))
            self._take_in(state)
            total += reward
            steps += 1
        self._elapsed_steps += steps
        return MacroStep(self._observe(), total, terminated, truncated, steps)

    def _take_in(self, state: dict[str, NDArray[np.float64]]) -> None:
        self._arm = ArmState(state["ee_position_m"], state["target_m"])
        self.observer.tick(state["ee_position_m"] - state["target_m"], state["wrench"])
        self.on_state(state)

    def _observe(self) -> Observation:
        coding = self.observer.coding
        reading = self.task.read(coding.group) if coding is not None and self.observer.looks else None
        return self.observer.observe(reading, self._elapsed_steps * self.task.control_dt_s, self._arm.target_m)
