"""Decoders whose action is a velocity: residual SAC on the mixture's field, and SAC without a skill."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sac_gmm.control import SafetyLimits, SafetyPipeline
from sac_gmm.methods.decoder import Decoder, State
from sac_gmm.models import Regressor, SkillModel
from sac_gmm.rl import Observation


class VelocityDecoder(Decoder):
    """The agent's action is a velocity, added to a base velocity."""

    action_dim = 3
    interval = 1

    def __init__(self, authority_m_s: float, dt_s: float, limits: SafetyLimits | None) -> None:
        self.limits = limits or SafetyLimits()
        self._dt_s = dt_s
        self._authority_m_s = authority_m_s
        self._twist, self._desired = np.zeros(6), np.zeros(6)
        self.begin()

    def begin(self) -> None:
        """Start at rest."""
        self._pipeline = SafetyPipeline(self.limits, self._dt_s)
        self._action_m_s = np.zeros(3)

    def decide(self, action: NDArray[np.floating]) -> None:
        """Set the agent's velocity; an action of 1 is the full authority along its axis."""
        self._action_m_s = self._authority_m_s * np.clip(action, -1.0, 1.0)

    def command(self, state: State) -> NDArray[np.float64]:
        """The base velocity plus the agent's, through the safety pipeline: a twist (6,), m/s and rad/s, base frame."""
        velocity, _ = self._pipeline.step(self.desired(state)[:3], state["ee_position_m"])
        self._twist[:3] = velocity
        return self._twist

    def desired(self, state: State) -> NDArray[np.float64]:
        """The base velocity plus the agent's, before the safety pipeline: a twist (6,), m/s and rad/s, base frame."""
        self._desired[:3] = self.base_velocity(state) + self._action_m_s
        return self._desired

    @abstractmethod
    def base_velocity(self, state: State) -> NDArray[np.float64]:
        """Velocity of the arm without the agent, shape (3,), m/s."""


class ResidualGmm(VelocityDecoder):
    """The mixture's field plus the agent's velocity."""

    def __init__(
        self,
        model: SkillModel,
        *,
        authority_m_s: float = 0.05,
        dt_s: float = 1 / 30,
        limits: SafetyLimits | None = None,
    ) -> None:
        super().__init__(authority_m_s, dt_s, limits)
        self._field = Regressor(model.mixture)

    def base_velocity(self, state: State) -> NDArray[np.float64]:
        """The field at the position relative to the detected target."""
        return self._field(state["ee_position_m"] - state["target_m"])


class Sac(VelocityDecoder):
    """No skill: the agent's action is the velocity."""

    def __init__(self, *, dt_s: float = 1 / 30, limits: SafetyLimits | None = None) -> None:
        super().__init__((limits or SafetyLimits()).max_speed_m_s, dt_s, limits)

    def base_velocity(self, state: State) -> NDArray[np.float64]:
        """At rest."""
        return np.zeros(3)


def demonstrated_action(model: SkillModel) -> Callable[[Observation], NDArray[np.float64]]:
    """Return a policy that expresses the fitted skill's velocities as actions of `Sac`."""
    field, largest_m_s = Regressor(model.mixture), SafetyLimits().max_speed_m_s

    def act(observation: Observation) -> NDArray[np.float64]:
        return np.clip(field(observation["vector"][:3].astype(np.float64)) / largest_m_s, -1.0, 1.0)

    return act
