"""A person's word on an episode by buttons: success, failure, or that it shall not count; early, in time or late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from sac_gmm.core.errors import UserError

_SECOND_NS = 1_000_000_000


class Call(Enum):
    """What a person says of an episode."""

    SUCCESS = "success"
    FAILURE = "failure"
    DISCARD = "discard"


class ButtonPresses:
    """Tells presses from the states of a joystick's buttons.

    A press is a button that goes from released to pressed. One that is pressed when it is first heard of is none, and
    neither is one that comes so soon after the last release that the contact may have bounced.

    Args:
        buttons: The number of the button of each call, from 0.
        debounce_s: A button that is pressed again sooner than this after its release has bounced.
    """

    def __init__(self, buttons: Mapping[Call, int], debounce_s: float) -> None:
        self._buttons, self._debounce_s = dict(buttons), debounce_s
        self._down: dict[Call, bool] = {}
        self._up_since_s: dict[Call, float] = {}
        if len(set(self._buttons.values())) < len(self._buttons):
            numbers = ", ".join(f"{call.value} {number}" for call, number in self._buttons.items())
            raise UserError(f"two calls have one button ({numbers}): give each a button of its own, or -1 for none")

    def take(self, states: Sequence[int], at_s: float) -> list[Call]:
        """Take in the states of all buttons, 1 for pressed; return what is called with that.

        Raises:
            UserError: The joystick has fewer buttons.
        """
        called = []
        for call, number in self._buttons.items():
            if number >= len(states):
                raise UserError(
                    f"{call.value}_button is {number}, but the joystick has {len(states)} buttons: expected 0 to "
                    f"{len(states) - 1}, or -1 for none"
                )
            down, was_down = bool(states[number]), self._down.get(call, True)
            if down and not was_down and at_s - self._up_since_s[call] >= self._debounce_s:
                called.append(call)
            if not down and was_down:
                # One that was never seen pressed has been up for long, and has not bounced.
                self._up_since_s[call] = at_s if call in self._down else -float("inf")
            self._down[call] = down
        return called


class Judged(NamedTuple):
    """What is to be told of the episode now.

    Attributes:
        stamp_ns: The stamp to judge at.
        call: What a person has said; None: nothing so far.
    """

    stamp_ns: int
    call: Call | None


class EpisodeCalls:
    """Books each call where it belongs: in the episode that runs, or in the one whose time has just run out.

    Until `late_window_s` after an episode's time limit nothing is told of its last moment. So a call within that time
    still counts for it, at the time limit; only after it is the episode over. Episodes have stamps, in nanoseconds of
    the clock of states and pictures; how late a person is, the wall clock says, as a simulation's may stand still.

    Args:
        late_window_s: How long after the time limit a call still counts.
    """

    def __init__(self, late_window_s: float) -> None:
        self._window_s = late_window_s
        self._episode_id = 0
        self._start_ns = self._end_ns = 0
        self._running = False
        self._call: Call | None = None
        self._limit_s: float | None = None  # when the time limit was reached, by the wall clock
        self._closed = False  # it has been told that the time has run out
        self._over_s: float | None = None  # when the last episode was declared over, by the wall clock

    def running(self, episode_id: int, start_ns: int, time_limit_s: float) -> None:
        """An episode runs; its time limit is over at `start_ns` + `time_limit_s`."""
        if self._running and (episode_id, start_ns) == (self._episode_id, self._start_ns):
            return
        self._episode_id, self._start_ns, self._running = episode_id, start_ns, True
        self._end_ns = start_ns + round(time_limit_s * 1e9)
        self._call, self._limit_s, self._closed = None, None, False

    def not_running(self, at_s: float) -> None:
        """No episode runs, or no more; `at_s` by time.monotonic."""
        if self._running:
            self._over_s = at_s
        self._running, self._call = False, None

    def call(self, call: Call, now_ns: int, at_s: float) -> str:
        """Take a call; return what becomes of it, in words."""
        if not self._running or now_ns < self._start_ns:
            late = ""
            if self._over_s is not None and not self._running:
                late = f"; episode {self._episode_id} has been over for {at_s - self._over_s:.1f} s"
            return f"{call.value} is called while no episode runs{late}: it counts for none"
        if self._closed:
            return (
                f"{call.value} is called after the time for episode {self._episode_id} has run out: it comes too late"
            )
        if self._call is not None:
            return f"{call.value} is called after {self._call.value}: the first call counts"
        self._call = call
        late_s = self._late_s(now_ns, at_s)
        when = "which ends it" if late_s is None else f"{late_s:.1f} s after its time limit"
        return f"{call.value} is called for episode {self._episode_id}, {when}"

    def judge(self, now_ns: int, at_s: float) -> Judged | None:
        """What to tell now; None while a call may still come for an episode whose time has run out."""
        if not self._running:
            return Judged(now_ns, None)
        late_s = self._late_s(now_ns, at_s)
        if late_s is None:
            return Judged(now_ns, self._call)
        if self._call is None and late_s < self._window_s:
            return None
        self._closed = self._call is None
        return Judged(self._end_ns, self._call)

    def _late_s(self, now_ns: int, at_s: float) -> float | None:
        """How long ago the time limit was reached, by the wall clock; None before it."""
        if now_ns < self._end_ns:
            return None
        if self._limit_s is None:
            self._limit_s = at_s
        return at_s - self._limit_s
