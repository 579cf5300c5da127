"""The tick of the guard: what somebody asks for in, what the arm may do out. No clock, no ROS, no threads of its own.

guard = TwistGuard(SafetyLimits(), TurnLimits(), dt_s=1 / 30)
tick = guard.tick(position_m, age_s, gate.asked(now_s, now_ns))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sac_gmm.control.codes import Limit, Reason
from sac_gmm.control.command_gate import Asked
from sac_gmm.control.safe_motion import SafeMotion, Tick, finite
from sac_gmm.control.safety import JointLimiter, SafetyLimits, SafetyPipeline
from sac_gmm.core.settings import check_settings, number
from sac_gmm.core.speeds import MAX_TURN_RAD_S


@dataclass(frozen=True)
class TurnLimits:
    """How the end-effector may turn."""

    max_turn_rad_s: float = number(
        MAX_TURN_RAD_S, 0.001, 1.5, "rad/s", "largest norm of the commanded angular velocity"
    )
    max_turn_acceleration_rad_s2: float = number(
        8.0, 0.01, 20.0, "rad/s^2", "largest norm of the commanded angular acceleration"
    )
    max_turn_jerk_rad_s3: float = number(160.0, 0.1, 2000.0, "rad/s^3", "largest norm of the commanded angular jerk")

    def __post_init__(self) -> None:
        check_settings(self)

    def pipeline(self, dt_s: float) -> SafetyPipeline:
        """A pipeline for angular velocities, to be stepped without a position: it has no box."""
        as_speeds = SafetyLimits(
            max_speed_m_s=self.max_turn_rad_s,
            max_acceleration_m_s2=self.max_turn_acceleration_rad_s2,
            max_jerk_m_s3=self.max_turn_jerk_rad_s3,
        )
        return SafetyPipeline(as_speeds, dt_s)


class ArmJoints(JointLimiter, Protocol):
    """An arm whose joints are known: limits of its tip in the present posture, turns included."""

    @property
    def joint_names(self) -> Sequence[str]:
        """The joints in order; empty before they are known."""
        ...

    def twist_of(self, joints_rad_s: np.ndarray) -> np.ndarray:
        """Twist of the tip, (6,), for finite joint velocities, (n,), scaled to the joints' own limits."""
        ...

    def twist_share(self, twist: np.ndarray, final: bool) -> tuple[float, Limit]:
        """The share of a twist, (6,), that the joints allow, and the limit that takes the rest; see `JointLimiter`."""
        ...


class TwistGuard(SafeMotion):
    """Follows twists, or joint velocities, that others ask for.

    The linear part goes through the same `SafetyPipeline` as a skill's velocity, without a ramp at the start: one tick
    is exactly one `SafetyPipeline.step`. The angular part has limits of its own. Both are limited by themselves, so a
    screw motion keeps its axis but not always its pitch.

    Joint velocities become the twist that they give the tip. The links to an arm send twists, or joint positions made
    of twists, so a motion of the joints that leaves the tip where it is (an elbow's) moves nothing.

    Args:
        limits: What the arm may do.
        turns: How it may turn.
        dt_s: The control period.
        arm: What the joints allow; None if they are unknown, as behind a driver that handles joint limits itself.
    """

    def __init__(
        self,
        limits: SafetyLimits | None = None,
        turns: TurnLimits | None = None,
        dt_s: float = 1 / 30,
        arm: ArmJoints | None = None,
    ) -> None:
        super().__init__(limits or SafetyLimits(), dt_s, arm)
        self.turns = turns or TurnLimits()
        self._arm = arm
        self._turning = self.turns.pipeline(dt_s)
        self._turn = np.zeros(3)  # asked for
        self._where_m: np.ndarray | None = None  # of the end-effector; None before the first state

    @property
    def at_rest(self) -> bool:
        """Whether the arm neither moves nor turns, and stays so as long as zero is asked for."""
        return self.pipeline.at_rest and self._turning.at_rest

    def scale_speed(self, factor: float) -> None:
        """Set the factor on velocity and turn, 0 to 1."""
        super().scale_speed(factor)
        self._turning.speed_scale = factor

    def start_from_rest(self) -> None:
        """Start the next command from zero: the arm has stopped by itself."""
        super().start_from_rest()
        self._twist[:] = 0.0
        factor = self._turning.speed_scale
        self._turning = self.turns.pipeline(self.pipeline.dt_s)
        self._turning.speed_scale = factor

    def tick(self, position_m: np.ndarray | None, age_s: float, asked: Asked, hold: Reason = Reason.NONE) -> Tick:
        """Compute one command.

        Args:
            position_m: Position of the end-effector, shape (3,), base frame; None if unknown.
            age_s: Present age of the position.
            asked: What is asked for, from `CommandGate.asked`.
            hold: The caller's reason not to move: the arm is ramped to zero.

        Returns:
            The command and what shaped it. Whatever the input, the command is finite and within the limits on speed,
                acceleration and jerk, of the way and of the turn.
        """
        self.ticks += 1
        reason = self._reason_to_hold(position_m, age_s, hold) or asked.reason
        if reason is Reason.NONE:
            reason = self._follow(asked)
        if reason is not Reason.NONE:
            self._turn[:] = 0.0
        return self._limited(reason, self._place(position_m, age_s))

    def _place(self, position_m: np.ndarray | None, age_s: float) -> np.ndarray | None:
        """Where the arm is, for the walls: where it was last, moved on as commanded, while its state is missing."""
        if position_m is not None and finite(position_m) and age_s <= self.limits.state_timeout_s:
            self._where_m = position_m.copy()
        elif self._where_m is not None:
            self._where_m += self.pipeline.dt_s * self._twist[:3]
        return self._where_m

    def _follow(self, asked: Asked) -> Reason:
        twist = asked.twist
        if twist is None and asked.joints_rad_s is not None and self._arm is not None:
            twist = self._arm.twist_of(asked.joints_rad_s)
        if twist is None or not np.isfinite(twist).all():
            return Reason.COMMAND_REFUSED
        self._asked[:], self._turn[:] = twist[:3], twist[3:]
        return Reason.NONE

    def _step(self, position_m: np.ndarray | None) -> Limit:
        turns = bool(self._turn.any()) or not self._turning.at_rest
        if not turns:  # then the pipeline asks the joints itself
            limit = super()._step(position_m)
            self._twist[3:] = 0.0
            return limit
        first = self._heed_joints(self._asked, self._turn, final=False)
        limit = super()._step(position_m)
        turn, turn_limit = self._turning.step(self._turn, None)
        self._twist[3:] = turn
        last = self._heed_joints(self._twist[:3], self._twist[3:], final=True)
        return first or limit or turn_limit or last

    def _heed_joints(self, velocity: np.ndarray, turn: np.ndarray, final: bool) -> Limit:
        """Cut a velocity and a turn together to what the joints allow; return the limit that applied."""
        if self._arm is None:
            return Limit.NONE
        share, limit = self._arm.twist_share(np.concatenate((velocity, turn)), final)
        if share >= 1:
            return Limit.NONE
        share = share if share > 0 else 0.0  # a NaN share leaves nothing
        velocity *= share
        turn *= share
        return limit
