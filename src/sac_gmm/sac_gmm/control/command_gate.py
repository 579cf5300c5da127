"""What others ask of the arm: judged as it arrives, and again on every tick by its age.

command -> CommandGate.take                  (from the thread that receives)
tick    -> CommandGate.asked -> Asked        (from the thread that ticks; goes to `TwistGuard.tick`)
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sac_gmm.control.codes import Reason
from sac_gmm.core.settings import check_settings, number

FORGOTTEN_S = 2.0  # after this long without a command nobody asks any more
_TURNS_S = 1.0  # two publishers of one name send at least twice each within this time
_OTHER_CLOCK_S = 60.0  # no network delays a command by this much


@dataclass(frozen=True)
class CommandSettings:
    """How old a command may be."""

    command_timeout_s: float = number(
        0.2, 0.02, 60.0, "s", "if the last command is older than this, by arrival or stamp, the arm is ramped to zero"
    )

    def __post_init__(self) -> None:
        check_settings(self)


class Command(NamedTuple):
    """One message of somebody who wants the arm to move.

    Attributes:
        topic: Name of its topic, for the sentences.
        values: Velocity of the end-effector, (6,) m/s and rad/s; or of the joints in `names`, rad/s.
        stamp_ns: When it was made; in lock-step the stamp of the state that it answers.
        arrived_s: When it arrived, by a clock that only goes forward.
        frame_id: Frame of a twist.
        names: Joints of the values; None for a twist.
        number: Counts the messages of its publisher; None if the middleware does not.
    """

    topic: str
    values: np.ndarray
    stamp_ns: int
    arrived_s: float
    frame_id: str = ""
    names: tuple[str, ...] | None = None
    number: int | None = None


class Asked(NamedTuple):
    """What is asked for now."""

    reason: Reason  # why it cannot be followed; NONE if it can
    text: str = ""  # what is wrong, and what to do about it
    twist: np.ndarray | None = None  # (6,), m/s and rad/s, base frame, finite
    joints_rad_s: np.ndarray | None = None  # (n,), in place of a twist, in the arm's order, finite


class CommandGate:
    """Keeps the newest command, and says whether it can be followed.

    A refused command takes the place of a good one, so that the arm stops rather than follows what came before. A
    command with the stamp of the one before is a repeat, as old as that.

    Args:
        settings: How old a command may be.
        base_frame: Frame that twists must be in.
        lockstep: Commands answer states: their stamps are those of states, and time plays no part.
        joint_names: Returns the arm's joints in order; empty while, or because, they are unknown.
    """

    def __init__(
        self,
        settings: CommandSettings,
        base_frame: str,
        lockstep: bool = False,
        joint_names: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self.settings = settings
        self._base_frame, self._lockstep, self._joint_names = base_frame, lockstep, joint_names
        # One reference each, replaced as a whole: two threads look at them.
        self._newest: tuple[Command, str] | None = None  # with what is wrong with it
        self._senders: tuple[str, ...] = ()
        self._good_ns: dict[str, int] = {}  # by topic, the stamp of the last good command
        self._numbers: dict[str, int] = {}  # by topic, the number of the last command
        self._turns: deque[float] = deque(maxlen=2)  # when the numbers of a topic went back

    def forget(self) -> None:
        """Wait for another command: nothing asked before counts any more."""
        self._newest = None

    def note_senders(self, names: Sequence[str]) -> None:
        """Set the nodes that publish commands, on whichever topic."""
        self._senders = tuple(sorted(set(names)))

    def take(self, command: Command, now_ns: int) -> None:
        """Judge a command as it arrives; `now_ns` by the clock of the stamps."""
        self._count(command)
        if not self._lockstep and self._repeats(command):
            return
        objection = self._objection(command, now_ns)
        self._newest = command, objection
        if not objection:
            self._good_ns[command.topic] = command.stamp_ns

    def heard(self, now_s: float) -> bool:
        """Whether a command has come within the time after which it is forgotten; `now_s` as in `asked`."""
        newest = self._newest
        return newest is not None and now_s - newest[0].arrived_s <= FORGOTTEN_S

    @property
    def wants_motion(self) -> bool:
        """Whether the newest command, however old, asks for anything but rest."""
        newest = self._newest
        return newest is not None and bool(newest[0].values.any())

    def answers(self, state_ns: int) -> bool:
        """In lock-step: whether the newest command answers the state with this stamp."""
        newest = self._newest
        return newest is not None and newest[0].stamp_ns == state_ns

    def second_sender(self, now_s: float) -> str:
        """Why nobody may be followed because two ask; empty if only one does."""
        if len(self._senders) > 1:
            return (
                f"{' and '.join(self._senders)} ask for motions at once: stop all but one; motion resumes then (a node "
                "that was killed counts until DDS has missed it, for up to half a minute)"
            )
        turns = self._turns
        if len(turns) == 2 and now_s - turns[0] <= _TURNS_S:
            return f"two publishers take turns{self._by}: stop one of them; motion resumes when one is left"
        return ""

    def asked(self, now_s: float, now_ns: int, state_ns: int = 0) -> Asked:
        """What is asked for at a tick.

        Args:
            now_s: The time by the clock of `Command.arrived_s`.
            now_ns: The time by the clock of the stamps.
            state_ns: Stamp of the state that the tick is about; matters in lock-step only.
        """
        if text := self.second_sender(now_s):
            return Asked(Reason.SECOND_SENDER, text)
        newest = self._newest
        if newest is None:
            return Asked(Reason.NO_COMMAND)
        command, objection = newest
        if self._lockstep:
            if command.stamp_ns != state_ns:
                return Asked(Reason.NO_COMMAND, self._not_yet(command, state_ns))
        elif now_s - command.arrived_s > FORGOTTEN_S:
            return Asked(Reason.NO_COMMAND, f"the last command was refused: {objection}" if objection else "")
        if objection:
            return Asked(Reason.COMMAND_REFUSED, objection)
        if not self._lockstep and (text := self._too_old(command, now_s, now_ns)):
            return Asked(Reason.STALE_COMMAND, text)
        if command.names is None:
            return Asked(Reason.NONE, twist=command.values)
        order = [command.names.index(name) for name in self._joint_names()]
        return Asked(Reason.NONE, joints_rad_s=command.values[order])

    def _repeats(self, command: Command) -> bool:
        newest = self._newest
        return newest is not None and (newest[0].topic, newest[0].stamp_ns) == (command.topic, command.stamp_ns)

    def _count(self, command: Command) -> None:
        if command.number is not None:
            if command.number <= self._numbers.get(command.topic, -1):
                self._turns.append(command.arrived_s)
            self._numbers[command.topic] = command.number

    def _objection(self, command: Command, now_ns: int) -> str:
        """What is wrong with a command, and what to do about it; empty if nothing is."""
        what = f"{command.topic}{self._by}"
        if not np.isfinite(command.values).all():
            return f"{what} is not a number: fix its sender; motion resumes with the next good command"
        if command.names is not None:
            if wrong := self._wrong_joints(command.names, len(command.values)):
                return f"{what} {wrong}"
        elif command.values.shape != (6,):
            return f"{what} has {command.values.size} numbers: expected 6, a linear and an angular velocity"
        elif command.frame_id != self._base_frame:
            return (
                f"{what} is in the frame {command.frame_id!r}, not in the base frame {self._base_frame!r}: let its "
                "sender transform it, or set base_frame to the robot's own"
            )
        return "" if self._lockstep else self._wrong_stamp(what, command, now_ns)

    def _wrong_joints(self, names: tuple[str, ...], count: int) -> str:
        wanted = tuple(self._joint_names())
        if not wanted:
            return (
                "asks for joint velocities, but the arm's joints are not known: publish desired_twist, or set robot to "
                "joints or lbr"
            )
        if len(names) != count:
            return f"has {len(names)} names and {count} velocities: its sender must give one for each name"
        if sorted(names) != sorted(wanted):
            return f"names the joints {', '.join(names) or '(none)'}: expected {', '.join(wanted)}, each once"
        return ""

    def _wrong_stamp(self, what: str, command: Command, now_ns: int) -> str:
        if command.stamp_ns == 0:
            return f"{what} has no stamp: let its sender set header.stamp to the time at which the command is made"
        limit_ns = round(self.settings.command_timeout_s * 1e9)
        last_ns = self._good_ns.get(command.topic, 0)
        if command.stamp_ns > now_ns + limit_ns:
            return f"{what} is stamped {(command.stamp_ns - now_ns) * 1e-9:.3g} s in the future: {_ONE_CLOCK}"
        # One that is old anyway goes by its age, and a clock that was set back leaves the last stamp in the future.
        if now_ns - limit_ns <= command.stamp_ns < last_ns <= now_ns + limit_ns:
            return (
                f"the stamps of {what} go back: let one sender publish it, in the order of time; motion resumes when "
                "they go forward"
            )
        return ""

    def _too_old(self, command: Command, now_s: float, now_ns: int) -> str:
        limit_s, what = self.settings.command_timeout_s, f"{command.topic}{self._by}"
        if not now_s - command.arrived_s <= limit_s:
            return (
                f"nothing new came on {what} for more than {limit_s:g} s: see that its sender runs and can be reached"
            )
        age_s = (now_ns - command.stamp_ns) * 1e-9
        if age_s <= limit_s:
            return ""
        if age_s > _OTHER_CLOCK_S:
            return f"{what} is stamped {age_s:.0f} s ago: {_ONE_CLOCK}"
        return (
            f"{what} was more than {limit_s:g} s old when it came: its sender repeats an old command, the network "
            f"delays it, or its clock is behind; {_ONE_CLOCK}"
        )

    def _not_yet(self, command: Command, state_ns: int) -> str:
        return (
            f"{command.topic}{self._by} has not yet answered the state at {state_ns / 1e9:.3f} s; the last command is "
            f"stamped {command.stamp_ns / 1e9:.3f} s: in lock-step its stamp must be that of the state"
        )

    @property
    def _by(self) -> str:
        return f" (published by {', '.join(self._senders)})" if self._senders else ""


_ONE_CLOCK = "let sender and guard use one clock (use_sim_time everywhere or nowhere, chrony on two machines)"


def gripper_opening(value: float) -> float | None:
    """A gripper command, -1 open to 1 closed, cut to that range; None if it is not a finite number."""
    return min(max(value, -1.0), 1.0) if math.isfinite(value) else None
