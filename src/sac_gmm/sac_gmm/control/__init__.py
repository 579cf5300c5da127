"""The velocity tick and the safety pipeline: plain functions and classes with no clock of their own.

from sac_gmm.control import ArmState, VelocityController

controller = VelocityController(model, dt_s=1 / 30)
tick = controller.tick(ArmState(position_m, target_m))
arm.command(tick.twist)
"""

from sac_gmm.control.codes import Answer, Limit, Reason, State, remedy
from sac_gmm.control.safe_motion import SafeMotion, Tick, state_of
from sac_gmm.control.safety import DRIVER_TIMEOUT_S, SafetyLimits, SafetyPipeline
from sac_gmm.control.update_gate import ModelUpdate, UpdateBounds, UpdateGate, Verdict
from sac_gmm.control.velocity_controller import ArmState, BlendSettings, VelocityController

__all__ = [
    "DRIVER_TIMEOUT_S",
    "Answer",
    "ArmState",
    "BlendSettings",
    "Limit",
    "ModelUpdate",
    "Reason",
    "SafeMotion",
    "SafetyLimits",
    "SafetyPipeline",
    "State",
    "Tick",
    "UpdateBounds",
    "UpdateGate",
    "VelocityController",
    "Verdict",
    "remedy",
    "state_of",
]
