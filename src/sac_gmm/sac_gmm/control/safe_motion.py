"""What every motion of the arm has in common: when it must rest, how it comes to rest, and what is published.

`VelocityController` follows a skill, `TwistGuard` what others ask for. Both are ticked once per control period.
"""

from __future__ import annotations

from math import isfinite
from typing import NamedTuple

import numpy as np

from sac_gmm.control.codes import Limit, Reason, State
from sac_gmm.control.safety import JointLimiter, SafetyLimits, SafetyPipeline

_WAITING = (
    Reason.INACTIVE,
    Reason.NO_MODEL,
    Reason.NO_STATE,
    Reason.NO_TARGET,
    Reason.STALE_STATE,
    Reason.STALE_COMMAND,
)
_IDLE = (Reason.NO_EPISODE, Reason.NO_COMMAND)


class Tick(NamedTuple):
    """The result of one tick. The twist is valid until the next tick."""

    twist: np.ndarray  # (6,) [vx vy vz wx wy wz], m/s and rad/s, base frame
    publish: bool  # whether to send the twist; if false, stay silent
    state: State
    reason: Reason
    limit: Limit
    version: int  # of the active model; 0 where there is none


class SafeMotion:
    """Moves the arm as asked, within the limits, or holds it for a reason.

    A subclass has a `tick` that sets `_asked` and ends with `_limited`.

    Args:
        limits: What the arm may do.
        dt_s: The control period.
        joints: What the joints allow, kept up to date by the caller.

    Attributes:
        ticks: Number of ticks so far.
    """

    def __init__(self, limits: SafetyLimits, dt_s: float, joints: JointLimiter | None = None) -> None:
        self.limits = limits
        self.pipeline = SafetyPipeline(limits, dt_s, joints)
        self.ticks = 0
        self._zeros_left = 0  # nothing has been commanded yet, so there is nothing to stop
        self._fault = False
        self._asked = np.zeros(3)
        self._twist = np.zeros(6)

    @property
    def version(self) -> int:
        """Number of the active model; 0 where there is none."""
        return 0

    @property
    def at_rest(self) -> bool:
        """Whether the commanded velocity is zero and stays zero as long as zero is asked for."""
        return self.pipeline.at_rest

    @property
    def silent(self) -> bool:
        """Whether the next tick, if it is held, sends nothing."""
        return self.at_rest and self._zeros_left == 0

    @property
    def faulted(self) -> bool:
        """Whether a value that was not a number holds the arm until somebody says go on."""
        return self._fault

    def clear_fault(self) -> None:
        """Allow motion again after a value that was not a number."""
        self._fault = False

    def scale_speed(self, factor: float) -> None:
        """Set the factor on the asked velocity, 0 to 1; the arm takes to it within its limits."""
        self.pipeline.speed_scale = factor

    def reset(self, *, moving: bool = False) -> None:
        """Start an episode, without a fault. Call it from the thread that ticks.

        Args:
            moving: The arm may still be following the last command, so the next one must continue from it. If false,
                the arm is taken to be at rest, as after a simulation's reset.
        """
        self._fault = False
        if not moving:
            self.start_from_rest()

    def start_from_rest(self) -> None:
        """Start the next command from zero: the arm has stopped by itself after a long time without a command.

        Call it from the thread that ticks.
        """
        before = self.pipeline
        self.pipeline = SafetyPipeline(self.limits, before.dt_s, before.joints)
        self.pipeline.speed_scale = before.speed_scale

    def _reason_to_hold(self, position_m: np.ndarray | None, age_s: float, hold: Reason, *also_m: np.ndarray) -> Reason:
        """Why the arm must not move, apart from what is asked for.

        Args:
            position_m: Position of the end-effector, shape (3,), base frame; None if unknown.
            age_s: Present age of the position.
            hold: The caller's reason.
            *also_m: Other positions, shape (3,), that must be numbers.
        """
        if self._fault:
            return Reason.NOT_A_NUMBER
        if hold is not Reason.NONE:
            return hold
        if position_m is None:
            return Reason.NO_STATE
        if not finite(position_m) or not all(map(finite, also_m)):
            return Reason.NOT_A_NUMBER
        if not age_s <= self.limits.state_timeout_s:  # a NaN age is too old
            return Reason.STALE_STATE
        return Reason.NONE

    def _limited(self, reason: Reason, position_m: np.ndarray | None) -> Tick:
        """Take `_asked` to the arm within the limits, or bring the arm to rest where there is a reason to.

        Args:
            reason: Why the arm must not move; NONE to follow `_asked`, which need not be finite.
            position_m: Position of the end-effector, shape (3,), base frame; None, if the arm must not move, to bring
                it to rest without a look at the workspace box.
        """
        if reason is Reason.NONE and not finite(self._asked):
            reason, position_m = Reason.NOT_A_NUMBER, None
        if reason is Reason.NOT_A_NUMBER:
            self._fault = True
        if reason is not Reason.NONE:
            self._asked[:] = 0.0
        limit = self._step(position_m)
        at_rest = self.at_rest
        if reason is Reason.NONE or not at_rest:
            self._zeros_left = self.limits.zero_commands
            publish = True
        else:
            publish = self._zeros_left > 0
            self._zeros_left -= publish
        return Tick(self._twist, publish, state_of(reason, at_rest), reason, limit, self.version)

    def _step(self, position_m: np.ndarray | None) -> Limit:
        """Set `_twist` to the command that `_asked` leads to; return the limit that shaped it."""
        velocity, limit = self.pipeline.step(self._asked, position_m)
        self._twist[:3] = velocity
        return limit


def finite(vector: np.ndarray) -> bool:
    """Whether three numbers are all finite; plain Python is faster than numpy here."""
    x, y, z = vector.tolist()
    return isfinite(x) and isfinite(y) and isfinite(z)


def state_of(reason: Reason, at_rest: bool) -> State:
    """What the arm's mover is doing where `reason` holds the arm."""
    if reason is Reason.NONE:
        return State.ACTIVE
    if not at_rest:
        return State.STOPPING
    if reason in _WAITING:
        return State.WAITING
    return State.IDLE if reason in _IDLE else State.PAUSED
