"""The four skills as decoders: every `interval` control steps an agent gives an action, the decoder plays it out.

| decoder       | action                       | interval | motion                                |
|---------------|------------------------------|----------|---------------------------------------|
| `Gmm`         | none                         | 16       | field of the mixture                  |
| `SacGmm`      | change of the mixture        | 16       | field of the changed mixture          |
| `ResidualGmm` | velocity, added              | 1        | field of the mixture + residual       |
| `Sac`         | velocity                     | 1        | the action                            |

All of them move the arm through the same safety pipeline as the ROS controller.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from sac_gmm.control import ArmState, BlendSettings, SafetyLimits, SafetyPipeline, VelocityController
from sac_gmm.methods.sac_gmm.adaptation import Adaptation, Translation
from sac_gmm.models import Regressor, SkillModel

DECISION_INTERVAL = 16  # control steps; about half a second of the 30 Hz field


class Decoder(ABC):
    """What a skill does between two decisions."""

    action_dim: int
    interval: int

    @abstractmethod
    def begin(self) -> None:
        """Start an episode."""

    @abstractmethod
    def decide(self, action: NDArray[np.floating]) -> None:
        """Take the agent's action, shape (action_dim,), entries in [-1, 1]; in force until the next one."""

    @abstractmethod
    def twist(self, state: ArmState) -> NDArray[np.float64]:
        """The command for one control step: shape (6,), m/s and rad/s, base frame. Valid until the next call."""


class Gmm(Decoder):
    """The fitted skill as it is."""

    action_dim = 0

    def __init__(
        self,
        model: SkillModel,
        *,
        dt_s: float = 1 / 30,
        limits: SafetyLimits | None = None,
        interval: int = DECISION_INTERVAL,
        blend_s: float = BlendSettings.blend_s,
    ) -> None:
        self.interval = interval
        # Another way for the adapter's time-out is not needed here: the decisions come in step with the control.
        self.controller = VelocityController(model, limits, dt_s, BlendSettings(blend_s, adapter_timeout_s=600.0))

    def begin(self) -> None:
        """Put the base model in force."""
        self.controller.reset()

    def decide(self, action: NDArray[np.floating]) -> None:
        """Nothing to decide."""

    def twist(self, state: ArmState) -> NDArray[np.float64]:
        """The field at the state, through the safety pipeline."""
        return self.controller.tick(state).twist


class SacGmm(Gmm):
    """The skill whose mixture the agent changes at every decision.

    Args:
        model: The base skill.
        adaptation: What the action changes; the common translation where none is given.
        blend_s: Time over which a change takes over from the one before.
    """

    def __init__(
        self,
        model: SkillModel,
        adaptation: Adaptation | None = None,
        *,
        dt_s: float = 1 / 30,
        limits: SafetyLimits | None = None,
        interval: int = DECISION_INTERVAL,
        blend_s: float = BlendSettings.blend_s,
    ) -> None:
        super().__init__(model, dt_s=dt_s, limits=limits, interval=interval, blend_s=blend_s)
        self.adaptation = adaptation or Translation(model)
        self.action_dim = self.adaptation.action_dim

    def decide(self, action: NDArray[np.floating]) -> None:
        """Put the changed mixture in force; the controller blends it in."""
        self.controller.swap(self.adaptation.apply(action), self.controller.version + 1)


class VelocityDecoder(Decoder):
    """A skill whose agent speaks in every control step, in velocities."""

    action_dim = 3
    interval = 1

    def __init__(self, authority_m_s: float, dt_s: float, limits: SafetyLimits | None) -> None:
        self._limits = limits or SafetyLimits()
        self._dt_s = dt_s
        self._authority_m_s = authority_m_s
        self._twist = np.zeros(6)
        self.begin()

    def begin(self) -> None:
        """Start at rest."""
        self._pipeline = SafetyPipeline(self._limits, self._dt_s)
        self._action_m_s = np.zeros(3)

    def decide(self, action: NDArray[np.floating]) -> None:
        """Set the agent's velocity; an action of 1 is the whole authority along its axis."""
        self._action_m_s = self._authority_m_s * np.clip(action, -1.0, 1.0)

    def twist(self, state: ArmState) -> NDArray[np.float64]:
        """The base velocity plus the agent's, through the safety pipeline."""
        velocity, _ = self._pipeline.step(self.base_velocity(state) + self._action_m_s, state.position_m)
        self._twist[:3] = velocity
        return self._twist

    @abstractmethod
    def base_velocity(self, state: ArmState) -> NDArray[np.float64]:
        """What the arm would do without the agent, shape (3,), m/s."""


class ResidualGmm(VelocityDecoder):
    """The field of the mixture with a velocity of the agent's added."""

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

    def base_velocity(self, state: ArmState) -> NDArray[np.float64]:
        """The field at the position relative to the detected target."""
        return self._field(state.position_m - state.target_m)


class Sac(VelocityDecoder):
    """No skill at all: the agent's action is the velocity."""

    def __init__(self, *, dt_s: float = 1 / 30, limits: SafetyLimits | None = None) -> None:
        super().__init__((limits or SafetyLimits()).max_speed_m_s, dt_s, limits)

    def base_velocity(self, state: ArmState) -> NDArray[np.float64]:
        """At rest."""
        return np.zeros(3)
