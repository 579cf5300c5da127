"""Motions that a reset asks for: followed between episodes alone, by whichever node moves the arm.

They come on topics of their own, so that neither a message nor its sender is ever taken for one of an episode's. The
arm changes hands at rest: an episode's motion is brought to rest before the first command of a reset is followed, and
that one continues from where the arm is; a reset's is brought to rest before an episode's first.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sac_gmm.control import Reason, SafetyLimits, Tick
from sac_gmm.control.command_gate import Asked, CommandGate
from sac_gmm.control.twist_guard import ArmJoints, TurnLimits, TwistGuard
from sac_gmm_nodes.common.node import BaseNode
from sac_gmm_nodes.common.qos import SENSOR
from sac_gmm_nodes.control.command_input import BETWEEN_EPISODES, CommandInput
from sac_gmm_nodes.control.robot_link import ArmReading

_LOOK_S = 0.2  # between two looks at who asks
_NOBODY = Asked(Reason.NO_COMMAND)
_ABOUT_COMMANDS = (Reason.STALE_COMMAND, Reason.COMMAND_REFUSED)
_OVER = (Reason.NO_COMMAND, Reason.STALE_COMMAND)  # nothing new comes


class ResetMotion:
    """A `TwistGuard` of its own, with the limits and the joints of the node that moves the arm.

    Attributes:
        driving: Whether it has the arm: a reset asks for a motion, or what it asked for is being brought to rest.
        contested: Why the arm must rest because a reset and another ask at once; empty if they do not.

    Args:
        node: The node that moves the arm.
        gate: Judges what a reset asks for.
        turns: How the arm may turn.
        possible: False in lock-step, where no time passes between episodes: nothing is heard then.
    """

    def __init__(self, node: BaseNode, gate: CommandGate, turns: TurnLimits, possible: bool) -> None:
        self._gate, self._turns = gate, turns
        self._motion = TwistGuard(turns=turns)
        self._asked = _NOBODY
        self.driving = False
        self.contested = ""
        self._input: CommandInput | None = None
        if possible:
            self._input = CommandInput(node, BETWEEN_EPISODES, gate, SENSOR)
            node.create_timer(_LOOK_S, self._input.look, clock=node.steady_clock)

    @property
    def ticks(self) -> int:
        """Number of ticks so far."""
        return self._motion.ticks

    def prepare(self, limits: SafetyLimits, dt_s: float, joints: ArmJoints | None) -> None:
        """Begin anew, with what the arm may do; called when the node is configured."""
        self._motion = TwistGuard(limits, self._turns, dt_s, joints)
        self.forget()

    def forget(self) -> None:
        """Wait for another command."""
        self._gate.forget()
        self._asked, self.driving, self.contested = _NOBODY, False, ""

    def clear_fault(self) -> None:
        """Allow motion again after a value that was not a number."""
        self._motion.clear_fault()

    def start_from_rest(self) -> None:
        """Start the next command from zero: the arm has stopped by itself. Call it from the thread that ticks."""
        self._motion.start_from_rest()

    def look(self, running: bool, at_rest: bool, wanted_by: Callable[[], str]) -> None:
        """See what is asked for, and who has the arm; call it from the thread that ticks, before each tick.

        Args:
            running: Whether an episode is running.
            at_rest: Whether the motion of episodes has come to rest.
            wanted_by: Returns who else asks for a motion now, in words; empty if nobody does.
        """
        if self._input is None:
            return
        self._asked = self._input.asked() if self._gate.heard(time.monotonic()) else _NOBODY
        fresh = self._asked.reason not in _OVER
        wants = self._gate.wants_motion and self._asked.reason is not Reason.NO_COMMAND
        self.contested = self._contest(running, wanted_by) if fresh and wants else ""
        asks = not running and (wants or fresh)
        self.driving = (asks and (at_rest or self.driving)) or not self._motion.at_rest

    def move(self, reading: ArmReading | None, age_s: float, hold: Reason, running: bool) -> Tick:
        """Tick once, while it has the arm.

        Args:
            reading: The present state of the arm; None if unknown.
            age_s: Its age.
            hold: Why the arm must not move.
            running: Whether an episode is running: then the arm is brought to rest.
        """
        asked = Asked(Reason.NO_EPISODE) if running and not hold else self._asked
        return self._motion.tick(None if reading is None else reading.position_m, age_s, asked, hold)

    def scale_speed(self, factor: float) -> None:
        """Set the factor on the asked velocity, 0 to 1."""
        self._motion.scale_speed(factor)

    def sentence(self, reason: Reason) -> str:
        """What is wrong with what a reset asks for, and what to do; empty where that is not the reason."""
        if reason is Reason.SECOND_SENDER and self.contested:
            return self.contested
        return self._asked.text if self.driving and reason in _ABOUT_COMMANDS and reason is self._asked.reason else ""

    def _contest(self, running: bool, wanted_by: Callable[[], str]) -> str:
        if self._asked.reason is Reason.SECOND_SENDER:
            return self._asked.text
        by = "" if self._input is None else self._input.senders.words
        if running:
            return (
                f"{BETWEEN_EPISODES.twist}{by} asks for the motion of a reset while an episode is running: stop its "
                "sender, or let it wait for the end of the episode; motion resumes then"
            )
        if other := wanted_by():
            return (
                f"{BETWEEN_EPISODES.twist}{by} asks for the motion of a reset, and {other} for another at once: stop "
                "one of them; motion resumes then"
            )
        return ""
