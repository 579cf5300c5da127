"""What a person asks for with a joystick: a twist, a gripper, and whether the arm may move at all.

Axes and buttons are counted from 0, as in sensor_msgs/Joy; -1 stands for none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sac_gmm.core.errors import UserError
from sac_gmm.core.settings import check_settings, number

Array = NDArray[np.float64]
GRIPPER_OPEN, GRIPPER_CLOSED = -1.0, 1.0
_NONE = -1


@dataclass(frozen=True)
class JoystickLayout:
    """Which axes and buttons do what.

    Attributes:
        twist_axes: The axis of each of vx, vy, vz, wx, wy, wz, base axes.
        reversed_axes: Axes whose sign is turned.
        deadman_button: Held while the arm may move.
        open_button: Opens the gripper.
        close_button: Closes it; where it is the open button too, each press does what the last one did not.
        record_button: Starts a recording, and keeps it when pressed again.
        discard_button: Ends a recording and throws it away.
        confirm_button: Says that a person has put the task back.

    Raises:
        UserError: There are not six axes, or nothing to hold.
    """

    twist_axes: tuple[int, ...]
    deadman_button: int
    open_button: int = _NONE
    close_button: int = _NONE
    record_button: int = _NONE
    discard_button: int = _NONE
    confirm_button: int = _NONE
    reversed_axes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.twist_axes) != 6:
            raise UserError(
                f"twist_axes = {list(self.twist_axes)}: expected six axes, for vx, vy, vz, wx, wy and wz; -1 for none"
            )
        if self.deadman_button < 0:
            raise UserError(f"deadman_button = {self.deadman_button}: the arm moves only while a button is held")


LAYOUTS = {
    # Xbox's layout, as joy_node reads it. Left stick: x and y; right stick: z and the turn about it. RB is held, A
    # closes, B opens, Start records, Back discards, Y confirms.
    "gamepad": JoystickLayout(
        twist_axes=(1, 0, 4, -1, -1, 3),
        deadman_button=5,
        open_button=1,
        close_button=0,
        record_button=7,
        discard_button=6,
        confirm_button=3,
    ),
    # As spacenav gives it: six axes in base axes. The left button is held, the right one closes and opens in turn.
    "spacemouse": JoystickLayout(twist_axes=(0, 1, 2, 3, 4, 5), deadman_button=0, open_button=1, close_button=1),
}


@dataclass(frozen=True)
class JoystickScales:
    """How fast a full deflection is, and how much of an axis is its middle."""

    max_speed_m_s: float = number(0.1, 0.0, 1.0, "m/s", "speed of the tip at full deflection, by its norm")
    max_turn_rad_s: float = number(0.3, 0.0, 3.0, "rad/s", "turn of the tip at full deflection, by its norm")
    dead_zone: float = number(0.1, 0.0, 0.9, "", "share of an axis, around its middle, that counts as zero")

    def __post_init__(self) -> None:
        check_settings(self)


def deflection(value: float, dead_zone: float) -> float:
    """An axis's value without its dead zone: 0 up to its edge, then steadily to -1 or 1; beyond that it is cut off."""
    size = min(max(abs(value) - dead_zone, 0.0) / (1.0 - dead_zone), 1.0)
    return math.copysign(size, value)


def asked_twist(layout: JoystickLayout, scales: JoystickScales, axes: Sequence[float]) -> Array:
    """The twist that a reading asks for, whoever holds what.

    Args:
        layout: Which axis is which.
        scales: Speeds and dead zone.
        axes: Finite values, -1 to 1; as many as the layout names.

    Returns:
        (6,) m/s and rad/s, base axes. Both parts keep their direction where their norm is cut to its limit.
    """
    shares = np.zeros(6)
    for component, axis in enumerate(layout.twist_axes):
        if axis >= 0:
            sign = -1.0 if axis in layout.reversed_axes else 1.0
            shares[component] = sign * deflection(axes[axis], scales.dead_zone)
    for part, most in ((shares[:3], scales.max_speed_m_s), (shares[3:], scales.max_turn_rad_s)):
        part *= most / max(1.0, float(np.linalg.norm(part)))
    return shares


class Joystick:
    """Follows the readings of one joystick.

    A reading that cannot be used counts as released. So does a button that was down from the beginning, or since the
    joystick was lost, until it has been seen up once. And so do readings that repeat themselves for too long: the
    driver of a wireless joystick that is out of reach may go on with its last one.

    Attributes:
        twist: What is asked for, (6,) m/s and rad/s, base axes; zeros unless the deadman is held.
        gripper: `GRIPPER_OPEN` or `GRIPPER_CLOSED`; None before the first press. It changes only under the deadman.
        held: Whether the deadman is held.
        because: Why it is not, in words; empty while it is.

    Args:
        layout: Which axes and buttons do what.
        scales: Speeds and dead zone.
        unchanged_limit_s: How long the same reading may come again while the deadman is held.
    """

    def __init__(self, layout: JoystickLayout, scales: JoystickScales, unchanged_limit_s: float = math.inf) -> None:
        self._layout, self._scales = layout, scales
        self._unchanged_limit_s = unchanged_limit_s
        self._reading: tuple[tuple[float, ...], tuple[int, ...]] | None = None
        self._changed_s = 0.0  # when a reading last differed from the one before
        self._down: frozenset[int] | None = None  # of the last reading; None: none that could be used
        self._seen_up = False  # the deadman, since the joystick was last lost
        self.gripper: float | None = None
        self.let_go("no reading has come")

    def let_go(self, because: str) -> None:
        """Count everything as released: the joystick is lost, or says what cannot be used."""
        self.held, self.because = False, because
        self.twist = np.zeros(6)
        self._down, self._seen_up, self._anew = None, False, ""

    def read(self, axes: Sequence[float], buttons: Sequence[int], now_s: float = 0.0) -> frozenset[int]:
        """Take one reading, at `now_s` by any steady clock; the buttons that went down with it."""
        if objection := self._objection(axes, buttons) or self._repetition(axes, buttons, now_s):
            self.let_go(objection)
            return frozenset()
        down = frozenset(button for button, value in enumerate(buttons) if value)
        pressed = frozenset() if self._down is None else down - self._down
        self._down = down
        self._hold(self._layout.deadman_button in down)
        self.twist = asked_twist(self._layout, self._scales, axes) if self.held else np.zeros(6)
        if self.held:
            self._move_gripper(pressed)
        return pressed

    def ask_anew(self, because: str) -> None:
        """Count the deadman as released until it is pressed anew."""
        self.held, self.because = False, because
        self.twist = np.zeros(6)
        self._seen_up, self._anew = False, because

    def _repetition(self, axes: Sequence[float], buttons: Sequence[int], now_s: float) -> str:
        """Why a reading that is the same as before cannot be trusted; empty if it can."""
        reading = tuple(axes), tuple(buttons)
        if reading != self._reading:
            self._reading, self._changed_s = reading, now_s
        if not buttons[self._layout.deadman_button] or now_s - self._changed_s <= self._unchanged_limit_s:
            return ""
        return (
            f"nothing has changed for {self._unchanged_limit_s:g} s: a wireless joystick out of reach looks like this. "
            "Release the button and press it again; with a cable, set wired to true"
        )

    def _hold(self, down: bool) -> None:
        button = self._layout.deadman_button
        self._seen_up |= not down
        self.held = down and self._seen_up
        if self.held:
            self.because = self._anew = ""
        elif down:
            self.because = self._anew or f"button {button} was down from the beginning: release it once"
        else:
            self.because = f"button {button} is up"

    def _move_gripper(self, pressed: frozenset[int]) -> None:
        opens, closes = self._layout.open_button in pressed, self._layout.close_button in pressed
        if opens and closes:
            self.gripper = GRIPPER_OPEN if self.gripper == GRIPPER_CLOSED else GRIPPER_CLOSED
        elif opens or closes:
            self.gripper = GRIPPER_OPEN if opens else GRIPPER_CLOSED

    def _objection(self, axes: Sequence[float], buttons: Sequence[int]) -> str:
        """Why a reading cannot be used; empty if it can."""
        used = [axis for axis in self._layout.twist_axes if axis >= 0]
        needed = max(used, default=_NONE) + 1
        if len(axes) < needed:
            return f"it has {len(axes)} axes, and {needed} are needed: is it the joystick that was chosen?"
        if len(buttons) <= self._layout.deadman_button:
            wanted = f"and button {self._layout.deadman_button} is the one to hold"
            return f"it has {len(buttons)} buttons, {wanted}: is it the joystick that was chosen?"
        if bad := [axis for axis in used if not math.isfinite(axes[axis])]:
            return f"axis {bad[0]} is {axes[bad[0]]}, not a number: look at the joystick's driver"
        return ""
