"""Decoders based on a mixture: the field as fitted, and the field changed by the agent at every decision.

Both move the arm through the same safety pipeline as the ROS controller.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sac_gmm.control import ArmState, BlendSettings, SafetyLimits, VelocityController
from sac_gmm.methods.decoder import Decoder, State
from sac_gmm.methods.sac_gmm.adaptation import Adaptation, Translation
from sac_gmm.models import SkillModel

DECISION_INTERVAL = 16  # control steps; about half a second of the 30 Hz field


class Gmm(Decoder):
    """The fitted skill, unchanged."""

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
        # Decisions are synchronous with control here, so the adapter's time-out must never trigger.
        self.controller = VelocityController(model, limits, dt_s, BlendSettings(blend_s, adapter_timeout_s=600.0))
        self.limits = self.controller.limits

    def begin(self) -> None:
        """Activate the base model."""
        self.controller.reset()

    def decide(self, action: NDArray[np.floating]) -> None:
        """Nothing to decide."""

    def command(self, state: State) -> NDArray[np.float64]:
        """The field at the state, through the safety pipeline: a twist (6,), m/s and rad/s, base frame."""
        return self.controller.tick(ArmState(state["ee_position_m"], state["target_m"])).twist


class SacGmm(Gmm):
    """The skill with a mixture that the agent changes at every decision.

    Args:
        model: The base skill.
        adaptation: What the action changes; by default the common translation.
        blend_s: Time over which to blend from one change to the next.
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
        """Activate the changed mixture; the controller blends it in."""
        self.controller.swap(self.adaptation.apply(action), self.controller.version + 1)
