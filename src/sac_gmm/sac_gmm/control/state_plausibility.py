"""Whether states can be those of the commanded arm: an arm does not jump, and it moves when it is told to.

A second program that publishes the same (joint_state_publisher says that all joints are zero), or a driver that repeats
an old position, gives states that are well formed and fresh, and would have the arm driven to the wrong place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_SLACK_RAD = 0.05  # noise, and messages that arrive in a burst; metres for a prismatic joint
_FASTER = 2.0  # times the speed limit: what an arm that is pushed may do
_NO_LIMIT_RAD_S = np.pi  # for a joint whose description states no speed limit
# After a jump, the states must have been continuous for this long; taken back sooner, it had two sources.
SETTLE_S = 0.3
_STANDS_S, _STANDS_M = 0.3, 0.01  # commanded time and way of the tip after which the joints must have changed


class StateContinuity:
    """Tells the states of one arm from those of two sources in turn.

    A jump, such as a simulation's reset, is distrusted until the states have been continuous for `SETTLE_S`. If they
    jump back before to where they were, two sources publish them; that latches until `clear`, because when one of them
    falls silent nobody knows whether the other one is the arm.

    Attributes:
        trusted: Whether the last state may be acted on.
        twofold: Whether two sources have been noticed since the last `clear`.
        jump: The last jump in words; empty before the first.

    Args:
        names: The joints, base to tip.
        max_speed_rad_s: Their speed limits, shape (n,).
    """

    def __init__(self, names: Sequence[str], max_speed_rad_s: Array) -> None:
        self.trusted, self.twofold, self.jump = False, False, ""
        self._names = tuple(names)
        stated = np.isfinite(max_speed_rad_s) & (max_speed_rad_s > 0.0)
        self._reach_rad_s = _FASTER * np.where(stated, max_speed_rad_s, _NO_LIMIT_RAD_S)
        self._last: tuple[Array, float] | None = None
        self._left: Array | None = None  # the state before the last jump
        self._jumped_s = 0.0

    def take(self, joints_rad: Array, at_s: float) -> None:
        """Judge a state, shape (n,), that arrived at a time on a clock that only goes forward."""
        if not np.isfinite(joints_rad).all():
            self.trusted = not self.twofold  # whoever uses them looks at that
            return
        if self._last is None:
            self._jumped_s = at_s  # the first may come from either source
        elif not self._reaches(self._last[0], joints_rad, at_s - self._last[1]):
            self._note_jump(*self._last, joints_rad, at_s)
        self._last = joints_rad, at_s
        self.trusted = not self.twofold and at_s - self._jumped_s >= SETTLE_S

    def clear(self) -> None:
        """Trust the states again, at the operator's request, once they are continuous."""
        self.twofold = False

    def _reaches(self, before: Array, after: Array, dt_s: float) -> bool:
        return bool((np.abs(after - before) <= _SLACK_RAD + self._reach_rad_s * max(dt_s, 0.0)).all())

    def _note_jump(self, before: Array, before_s: float, after: Array, at_s: float) -> None:
        since_s = at_s - self._jumped_s
        if self._left is not None and since_s <= SETTLE_S and self._reaches(self._left, after, since_s):
            self.twofold = True
        worst = int(np.argmax(np.abs(after - before)))
        self.jump = (
            f"{self._names[worst]} is at {before[worst]:.3f} rad and, {1e3 * (at_s - before_s):.0f} ms later, "
            f"at {after[worst]:.3f} rad"
        )
        self._left, self._jumped_s = before, at_s


class JointResponse:
    """Notices joints that do not change at all although the arm is commanded to move.

    Measured joints tremble in their last digits even at rest. Where they are repeated to the bit while the tip is
    commanded some way, the driver does not report them, and the arm would be commanded without an end. It latches until
    `clear`.

    Attributes:
        stands: In words, how long and how far the arm was commanded in vain; empty while the joints respond.
    """

    def __init__(self) -> None:
        self.stands = ""
        self._joints: Array | None = None
        self._time_s = self._way_m = 0.0

    def measure(self, joints_rad: Array) -> None:
        """Take in a state, shape (n,)."""
        if self._joints is None or not np.array_equal(joints_rad, self._joints):
            self._joints = joints_rad
            self._time_s = self._way_m = 0.0

    def command(self, speed_m_s: float, dt_s: float) -> None:
        """Take in a command: the speed of the tip for one control period."""
        if speed_m_s > 0.0:
            self._time_s += dt_s
            self._way_m += speed_m_s * dt_s
        if self._time_s >= _STANDS_S and self._way_m >= _STANDS_M:
            self.stands = f"{self._time_s:.1f} s, in which the tip was commanded {1e3 * self._way_m:.0f} mm"

    def clear(self) -> None:
        """Command again, at the operator's request."""
        self.stands = ""
        self._time_s = self._way_m = 0.0
