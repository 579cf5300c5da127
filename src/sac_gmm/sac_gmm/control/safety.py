"""Turns the velocity that a skill asks for into one that may be sent to an arm.

In this order: workspace box with a slow-down band, scaling to the speed limit, acceleration, jerk, joint limits and
singularities. The earlier checks (not-a-number, stale states, no session, no deadman) decide whether the arm may move
at all; they are in `safe_motion`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol, Self

import numpy as np

from sac_gmm.control.codes import Limit
from sac_gmm.core.errors import UserError
from sac_gmm.core.settings import check_settings, number
from sac_gmm.core.speeds import MAX_SPEED_M_S

DRIVER_TIMEOUT_S = 0.2  # after this long without a command, a driver has brought the arm to rest by itself
_SPEEDS = ("max_speed_m_s", "max_acceleration_m_s2", "max_jerk_m_s3")
_WALLS = {"workspace_min_m": -1.0, "workspace_max_m": 1.0}  # with the direction that is out of the box
_TINY = 1e-9
_LIMITS = tuple(Limit)  # indexed by their numbers, which count up from zero


@dataclass(frozen=True)
class SafetyLimits:
    """What the arm may do. The workspace box is in the base frame and bounds the end-effector's position."""

    workspace_min_m: tuple[float, float, float] = number((-0.9, -0.9, 0.05), -5.0, 5.0, "m", "lower corner of the box")
    workspace_max_m: tuple[float, float, float] = number((0.9, 0.9, 1.2), -5.0, 5.0, "m", "upper corner of the box")
    slow_down_band_m: float = number(0.05, 0.0, 0.5, "m", "width of the band inside the box where the arm slows down")
    max_speed_m_s: float = number(MAX_SPEED_M_S, 0.001, 1.5, "m/s", "largest norm of the commanded velocity")
    max_acceleration_m_s2: float = number(2.0, 0.01, 20.0, "m/s^2", "largest norm of the commanded acceleration")
    max_jerk_m_s3: float = number(40.0, 0.1, 2000.0, "m/s^3", "largest norm of the commanded jerk")
    state_timeout_s: float = number(0.1, 0.005, 1.0, "s", "if the state is older than this, the arm is ramped to zero")
    start_ramp_s: float = number(0.2, 0.0, 5.0, "s", "after a start, the allowed speed grows from zero over this time")
    zero_commands: int = number(10, 1, 1000, "", "number of zero commands published after a stop, before silence")

    def __post_init__(self) -> None:
        check_settings(self)
        for axis, low, high in zip("xyz", self.workspace_min_m, self.workspace_max_m, strict=True):
            if high - low <= 2 * self.slow_down_band_m:
                raise UserError(
                    f"the workspace box is {high - low:g} m wide along {axis}: workspace_max_m must exceed "
                    f"workspace_min_m by more than twice slow_down_band_m ({2 * self.slow_down_band_m:g} m)"
                )

    def to_json(self) -> dict[str, Any]:
        """JSON values, for the file of a skill that was trained under these limits."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json`; what is missing, as in files from before, takes its default.

        Raises:
            UserError: A name is unknown, or a value is out of range.
        """
        if unknown := sorted(set(values) - {field.name for field in fields(cls)}):
            raise UserError(f"there is no limit '{unknown[0]}': the file is of another version")
        given: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in values.items()}
        return cls(**given)

    def objection_to(self, trained: SafetyLimits, *, box: bool = True) -> str:
        """Why a skill that was trained under other limits must not run under these.

        Args:
            trained: Limits of the skill's training.
            box: Whether these must leave it all of its box. A skill moves in a small part of one, and is stopped at the
                walls of a smaller one.

        Returns:
            One sentence that names the first field and both values, and says what to do; empty if nothing is tighter.
        """
        for field in fields(self):
            wanted, allowed = getattr(trained, field.name), getattr(self, field.name)
            unit = field.metadata["unit"]
            if field.name in _SPEEDS and wanted > allowed + _TINY:
                return (
                    f"{field.name}: the skill was trained with {wanted:g} {unit}, only {allowed:g} is allowed here: it "
                    f"would not move as it learned; raise {field.name} if the arm may, or train the skill with less"
                )
            if box and (sign := _WALLS.get(field.name)):
                for axis, far, near in zip("xyz", wanted, allowed, strict=True):
                    if sign * (far - near) > _TINY:
                        return (
                            f"{field.name}: the skill was trained in a box that ends at {axis} = {far:g} {unit}, the "
                            f"one here at {near:g}: widen {field.name} if the arm may go there, or train in less"
                        )
        return ""


class JointLimiter(Protocol):
    """Limits a velocity of the end-effector by the joints, in their present posture."""

    def share(self, velocity_m_s: np.ndarray, committed_m: np.ndarray | None = None) -> tuple[float, Limit]:
        """The allowed share of a velocity.

        It must be a cap, not a factor: when the remaining velocity is asked about again, all of it is allowed. The
        pipeline asks twice per tick: first about the velocity to approach, so that a joint limit is met within the
        limits on acceleration and jerk, and at the very end about the final command, which nothing smooths any more.

        Args:
            velocity_m_s: Velocity of the end-effector, shape (3,), base axes; not to be changed.
            committed_m: Displacement that the end-effector will still cover before it can respond, shape (3,); None
                for the final check.

        Returns:
            The share, 0 to 1, and the limit that takes the rest: `Limit.JOINT`, `Limit.SINGULARITY`, or `Limit.NONE`.
        """
        ...


class SafetyPipeline:
    """Keeps the last commanded velocity and moves it towards the requested one, within the limits.

    Acceleration is limited by the norm of each step, with priority for braking before walls. Jerk is limited by a mean
    over a window of n steps: a mean of velocities in the speed ball stays in it, a mean of steps in the acceleration
    ball stays in it, and the change of that mean is at most 2 a_max / (n dt); n is chosen so that this is at most
    j_max. All three limits hold on every tick, for any input, without overshoot; the price is a delay of n / 2 steps.

    Args:
        limits: What the arm may do.
        dt_s: The control period. It is constant, because the limits on consecutive commands are limits per period.
        joints: What the joints allow; None if unknown, as behind a driver that handles joint limits itself.

    Attributes:
        speed_scale: Factor on the requested velocity after it has been cut to `max_speed_m_s`, 0 to 1. It may be
            changed at any time: the arm changes speed within its limits.
        at_rest: Whether the commanded velocity is zero and stays zero as long as zero is requested.
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
            # Braking for three walls at once must fit into one acceleration: half of it for each leaves a little spare.
            0.5 * limits.max_acceleration_m_s2,
            dt_s,
        ]
        self._velocity = self._memory[kernels.VELOCITY : kernels.COMMITTED]
        # How far the arm would still travel with the goals in the window if the goal were zero from now on, m.
        self._committed = self._memory[kernels.COMMITTED : kernels.OLDEST]

    def step(self, asked: np.ndarray, position_m: np.ndarray | None) -> tuple[np.ndarray, Limit]:
        """Take one control step.

        Args:
            asked: The requested velocity, shape (3,), m/s, base axes, finite. Overwritten.
            position_m: Position of the end-effector, shape (3,), base frame. None skips the workspace box, which is
                right only if `asked` is zero.

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
        """Cut a velocity to what the joints allow; return the limit that applied."""
        if self.joints is None:
            return Limit.NONE
        share, limit = self.joints.share(velocity, committed_m)
        if share >= 1:
            return Limit.NONE
        velocity *= share if share > 0 else 0.0  # a NaN share leaves nothing
        return limit
