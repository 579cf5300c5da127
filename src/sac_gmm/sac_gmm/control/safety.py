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
from sac_gmm.control.settings import check_settings, number
from sac_gmm.errors import SacGmmError

DRIVER_TIMEOUT_S = 0.2  # without a command for so long, a driver has brought the arm to rest by itself
_VISIBLE_M_S = 1e-3  # a limit is reported when it changed the command by more than this


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
                raise SacGmmError(
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
    """

    def __init__(self, limits: SafetyLimits, dt_s: float, joints: JointLimiter | None = None) -> None:
        if not math.isfinite(dt_s) or not 0.0005 <= dt_s <= 0.5:
            raise SacGmmError(f"the control period dt_s = {dt_s:g} is out of range: expected 0.0005 to 0.5 s")
        self.limits = limits
        self.dt_s = dt_s
        self.joints = joints
        self.speed_scale = 1.0
        window = max(1, math.ceil(2 * limits.max_acceleration_m_s2 / (limits.max_jerk_m_s3 * dt_s) - 1e-9))
        self._low = limits.workspace_min_m
        self._high = limits.workspace_max_m
        self._window = np.zeros((window, 3))
        self._oldest = 0
        self._goal = np.zeros(3)  # within the limits on speed and acceleration; the mean of the last ones is commanded
        self._brake = np.zeros(3)  # the change of the goal that a wall calls for
        self._rest = np.zeros(3)
        self._velocity = np.zeros(3)
        # The way the arm will still go with what is in the window, were the goal zero from now on, m.
        self._committed = np.zeros(3)
        # Three walls at once must be braked for with one acceleration: half of it for each leaves a little over.
        self._brake_m_s2 = 0.5 * limits.max_acceleration_m_s2

    @property
    def at_rest(self) -> bool:
        """Whether the commanded velocity is zero and will stay zero while zero is asked for."""
        return not self._goal.any() and not self._window.any()

    def step(self, asked: np.ndarray, position_m: np.ndarray | None) -> tuple[np.ndarray, Limit]:
        """Take one control step.

        Args:
            asked: The velocity asked for, shape (3,), m/s, base axes, finite. Overwritten.
            position_m: Where the end-effector is, shape (3,), base frame; None leaves out the workspace box, which is
                right only when `asked` is zero.

        Returns:
            The velocity to command, shape (3,), valid until the next step, and the limit that shaped it.
        """
        limits, limit = self.limits, Limit.NONE
        self._brake[:] = 0.0
        if position_m is not None and self._keep_in_box(asked, position_m):
            limit = Limit.WORKSPACE

        speed = _norm(asked)
        if speed > limits.max_speed_m_s:
            asked *= limits.max_speed_m_s / speed
            limit = limit or Limit.SPEED
        asked *= self.speed_scale
        held = self._heed_joints(asked, self._committed)
        limit = limit or held

        if self._approach(asked, limits.max_acceleration_m_s2 * self.dt_s):
            limit = limit or Limit.ACCELERATION

        self._window[self._oldest] = self._goal
        self._oldest = (self._oldest + 1) % len(self._window)
        np.add.reduce(self._window, axis=0, out=self._velocity)
        self._velocity /= len(self._window)
        # Each goal moves the arm by goal * dt in the end, each command by velocity * dt at once.
        np.subtract(self._goal, self._velocity, out=self._rest)
        self._rest *= self.dt_s
        self._committed += self._rest
        if not limit and math.dist(self._velocity, self._goal) > _VISIBLE_M_S:
            limit = Limit.JERK
        held = self._heed_joints(self._velocity)
        return self._velocity, limit or held

    def _heed_joints(self, velocity: np.ndarray, committed_m: np.ndarray | None = None) -> Limit:
        """Cut a velocity to what the joints allow; say which limit of theirs it was."""
        if self.joints is None:
            return Limit.NONE
        share, limit = self.joints.share(velocity, committed_m)
        if share >= 1:
            return Limit.NONE
        velocity *= share if share > 0 else 0.0  # a share that is not a number leaves nothing
        return limit

    def _keep_in_box(self, asked: np.ndarray, position_m: np.ndarray) -> bool:
        """Cut the outward part of `asked` near each wall to what can still be braked; say whether that changed it."""
        limited = False
        np.add(position_m, self._committed, out=self._rest)
        states = zip(self._rest.tolist(), asked.tolist(), self._goal.tolist(), self._low, self._high, strict=True)
        for axis, (position, wanted, goal, low, high) in enumerate(states):
            outward = self._outward_speed(high - position)
            inward = -self._outward_speed(position - low)
            if inward == -math.inf and outward == math.inf:
                continue
            cut = min(max(wanted, inward), outward)
            limited |= abs(wanted - cut) > _VISIBLE_M_S
            asked[axis] = cut
            self._brake[axis] = min(max(goal, inward), outward) - goal
        return limited

    def _approach(self, asked: np.ndarray, reach: float) -> bool:
        """Move the goal to `asked`, or by `reach` towards it; say whether it fell short. Braking for walls comes first.

        The goal stays in the speed ball: braking shrinks it, and the rest of the way leads to `asked`, inside as well.
        """
        brake, rest = self._brake, self._rest
        np.subtract(asked, self._goal, out=rest)
        if _norm(rest) <= reach:
            self._goal[:] = asked
            return False
        braking = _norm(brake)
        if braking >= reach:
            self._goal += brake * (reach / braking)
            return True
        rest -= brake
        # The largest share s of the rest with |brake + s rest| <= reach.
        rr, br = float(rest @ rest), float(brake @ rest)
        share = (math.sqrt(br * br + rr * (reach * reach - braking * braking)) - br) / rr
        self._goal += brake
        self._goal += rest * min(share, 1.0)
        return True

    def _outward_speed(self, distance_m: float) -> float:
        """The outward speed allowed at a distance from a wall, m/s; infinite where the wall does not matter yet.

        The smaller of a linear slow-down inside the band and the speed v whose stopping distance
        v^2 / (2 a) + v dt fits into the distance.
        """
        if distance_m <= 0:
            return 0.0
        band, top = self.limits.slow_down_band_m, self.limits.max_speed_m_s
        a, t = self._brake_m_s2, self.dt_s
        allowed = a * (math.sqrt(t * t + 2 * distance_m / a) - t)
        if distance_m < band:
            allowed = min(allowed, top * distance_m / band)
        return allowed if allowed < top else math.inf


def _norm(vector: np.ndarray) -> float:
    x, y, z = vector.tolist()
    return math.sqrt(x * x + y * y + z * z)
