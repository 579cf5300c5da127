"""From the velocity a skill asks for to one that an arm may be given.

In this order: workspace box with a slow-down band, speed scaled by its norm, acceleration, jerk, joint limits and
singularities. What comes before (not-a-number, stale states, no session, no deadman) decides whether the arm shall move
at all and is in `velocity_controller`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sac_gmm.control.codes import Limit
from sac_gmm.core.errors import UserError
from sac_gmm.core.settings import check_settings, number

DRIVER_TIMEOUT_S = 0.2  # without a command for so long, a driver has brought the arm to rest by itself
_LIMITS = tuple(Limit)  # by their numbers, which count up from zero


@dataclass(frozen=True)
class SafetyLimits:
    """What the arm may do. The workspace box is in the base frame and holds the end-effector's position."""

    workspace_min_m: tuple[float, float, float] = number((-0.9, -0.9, 0.05), -5.0, 5.0, "m", "lower corner of the box")
    workspace_max_m: tuple[float, float, float] = number((0.9, 0.9, 1.2), -5.0, 5.0, "m", "upper corner of the box")
    slow_down_band_m: float = number(0.05, 0.0, 0.5, "m", "width of the band inside the box where the arm slows down")
    max_speed_m_s: float = number(0.25, 0.001, 1.5, "m/s", "largest norm of the commanded velocity")
    max_acceleration_m_s2: float = number(2.0, 0.01, 20.0, "m/s^2", "largest norm of its change")
    max_jerk_m_s3: float = number(40.0, 0.1, 2000.0, "m/s^3", "largest norm of the change of its change")
    state_timeout_s: float = number(0.1, 0.005, 1.0, "s", "a state older than this ramps the arm to zero")
    start_ramp_s: float = number(0.2, 0.0, 5.0, "s", "the speed allowed grows from zero over this time after a start")
    zero_commands: int = number(10, 1, 1000, "", "zero commands published after a stop, before silence")

    def __post_init__(self) -> None:
        check_settings(self)
        for axis, low, high in zip("xyz", self.workspace_min_m, self.workspace_max_m, strict=True):
            if high - low <= 2 * self.slow_down_band_m:
                raise UserError(
                    f"the workspace box is {high - low:g} m wide along {axis}: workspace_max_m must exceed "
                    f"workspace_min_m by more than twice slow_down_band_m ({2 * self.slow_down_band_m:g} m)"
                )


class JointLimiter(Protocol):
    """What the joints have to say about a velocity of the end-effector, in the posture they are in now."""

    def share(self, velocity_m_s: np.ndarray, committed_m: np.ndarray | None = None) -> tuple[float, Limit]:
        """How much of a velocity is allowed.

        It must be a cap, not a factor: what is left of a velocity is allowed whole when it is asked for again. The
        pipeline asks twice a tick: for what it shall approach, so that a joint's limit is met within the limits on
        acceleration and jerk, and at the very end for what it is about to command, which nothing smooths any more.

        Args:
            velocity_m_s: Of the end-effector, shape (3,), base axes; not to be changed.
            committed_m: The way the end-effector will still go before it can answer, shape (3,); None when it is asked
                at the very end.

        Returns:
            The share, 0 to 1, and the limit that takes the rest: `Limit.JOINT`, `Limit.SINGULARITY`, or `Limit.NONE`.
        """
        ...


class SafetyPipeline:
    """Holds the velocity commanded last and takes it towards the one asked for, within the limits.

    Acceleration is limited by the norm of each step, of which braking for a wall gets its part first. Jerk is limited
    by the mean over a window of n steps: a mean of velocities inside the speed ball stays inside it, a mean of steps
    inside the acceleration ball stays inside it, and the change of that mean is at most 2 a_max / (n dt), which n makes
    at most j_max. All three hold on every tick, for any input, without overshoot; the price is a delay of n / 2 steps.

    Args:
        limits: What the arm may do.
        dt_s: The control period. Constant, because the limits on the commands in a row are limits per period.
        joints: What the joints allow; None where nobody knows them, as behind a driver that takes care of them itself.

    Attributes:
        speed_scale: By which the velocity asked for is multiplied once it has been cut to `max_speed_m_s`, 0 to 1. It
            may be changed at any time: the arm takes to the new speed within its limits.
        at_rest: Whether the commanded velocity is zero and will stay zero while zero is asked for.
    """

    def __init__(self, limits: SafetyLimits, dt_s: float, joints: JointLimiter | None = None) -> None:
        if not math.isfinite(dt_s) or not 0.0005 <= dt_s <= 0.5:
            raise UserError(f"the control period dt_s = {dt_s:g} is out of range: expected 0.0005 to 0.5 s")
        from sac_gmm.control import safety_kernels as kernels

        self.limits = limits
        self.dt_s = dt_s
        self.joints = joints
        self.speed_scale = 1.0
        self.at_rest = True
        self._shape, self._advance = kernels.shape, kernels.advance
        window = max(1, math.ceil(2 * limits.max_acceleration_m_s2 / (limits.max_jerk_m_s3 * dt_s) - 1e-9))
        self._memory = np.zeros(kernels.WINDOW + 3 * window)
        self._memory[kernels.LOW : kernels.GOAL] = [
            *limits.workspace_min_m,
            *limits.workspace_max_m,
            limits.slow_down_band_m,
            limits.max_speed_m_s,
            limits.max_acceleration_m_s2 * dt_s,
            # Three walls at once must be braked for with one acceleration: half of it for each leaves a little over.
            0.5 * limits.max_acceleration_m_s2,
            dt_s,
        ]
        self._velocity = self._memory[kernels.VELOCITY : kernels.COMMITTED]
        # The way the arm will still go with the goals of the window, were the goal zero from now on, m.
        self._committed = self._memory[kernels.COMMITTED : kernels.OLDEST]

    def step(self, asked: np.ndarray, position_m: np.ndarray | None) -> tuple[np.ndarray, Limit]:
        """Take one control step.

        Args:
            asked: The velocity asked for, shape (3,), m/s, base axes, finite. Overwritten.
            position_m: Where the end-effector is, shape (3,), base frame; None leaves out the workspace box, which is
                right only when `asked` is zero.

        Returns:
            The velocity to command, shape (3,), valid until the next step, and the limit that shaped it.
        """
        bounded = position_m is not None
        shaped = _LIMITS[self._shape(asked, position_m if bounded else asked, bounded, self.speed_scale, self._memory)]
        joint = self._heed_joints(asked, self._committed)
        held, self.at_rest = self._advance(asked, self._memory)
        last = self._heed_joints(self._velocity)
        return self._velocity, shaped or joint or _LIMITS[held] or last

    def _heed_joints(self, velocity: np.ndarray, committed_m: np.ndarray | None = None) -> Limit:
        """Cut a velocity to what the joints allow; say which limit of theirs it was."""
        if self.joints is None:
            return Limit.NONE
        share, limit = self.joints.share(velocity, committed_m)
        if share >= 1:
            return Limit.NONE
        velocity *= share if share > 0 else 0.0  # a share that is not a number leaves nothing
        return limit
