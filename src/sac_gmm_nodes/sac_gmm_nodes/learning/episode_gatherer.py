"""Puts messages of several topics back into the order in which things happened, by their stamps.

Topics arrive in any order relative to each other. Whatever that order, the same control steps go to the window and the
same observations come out, so that learning over ROS sees exactly what learning in one process sees.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sac_gmm.methods import ObservationWindow
from sac_gmm.methods.decoder import State
from sac_gmm.rl import Observation
from sac_gmm_nodes.common.conversions import reached

# Entries of a scene's observation that come on topics of their own, at every control step.
STREAMS = {
    "ee_position_m": "state/pose",
    "wrench": "wrench",
    "ee_velocity_m_s": "state/twist",
    "joint_position_rad": "joint_states",
}
ALWAYS = ("ee_position_m", "wrench")
# Where the pictures of each sensor group come from.
PICTURES = {"rgb": "wrist_camera/image", "depth": "depth_camera/image", "tactile": "tactile/image"}
_KEPT_TARGETS = 10  # detections; within an episode the last ones matter
_KEPT_TICKS = 1000  # states kept until it is known which episode they belong to
_SET_BACK_NS = 1_000_000_000  # no topic lags another by this much: the clock itself was set back


@dataclass(frozen=True)
class Begin:
    """An episode has begun."""

    episode_id: int
    mode: int


@dataclass(frozen=True)
class Decide:
    """A decision is due, and everything it is based on has arrived."""

    episode_id: int
    decision: int
    stamp_ns: int
    version: int  # of the active model
    observation: Observation
    steps: int  # control steps since the last decision


@dataclass(frozen=True)
class End:
    """The episode has ended."""

    observation: Observation
    success: bool
    truncated: bool
    steps: int  # since the last decision before the end
    late: int  # decisions made at or after the end, before this was known to be the end


@dataclass(frozen=True)
class Step:
    """A control step of the running episode begins."""

    episode_id: int
    stamp_ns: int
    step: int  # control steps since the episode began
    state: State  # the scene's observation, without pictures


class _Tick(NamedTuple):
    stamp_ns: int
    state: State  # without the target


class _Target(NamedTuple):
    stamp_ns: int
    position_m: NDArray[np.float64]


class _Due(NamedTuple):
    episode_id: int
    decision: int
    stamp_ns: int
    version: int


class _Ended(NamedTuple):
    stamp_ns: int
    success: bool
    timed_out: bool


class EpisodeGatherer:
    """Takes messages in and gives events out: call `poll` after every input until it returns None.

    Args:
        window: Sees every control step once and in order, and makes the observations.
        rate_hz: Rate of the states.
        image_max_age_s: How much older than the state a picture may be; None if the agent uses none.
        streams: Keys of `STREAMS` that make up a state; it is complete when all have come with one stamp.
    """

    def __init__(
        self,
        window: ObservationWindow,
        rate_hz: float,
        image_max_age_s: float | None,
        streams: Sequence[str] = ALWAYS,
    ) -> None:
        self._window = window
        self._rate_hz = rate_hz
        self._image_max_age_ns = None if image_max_age_s is None else round(image_max_age_s * 1e9)
        self._groups = tuple(group for group in window.groups if group in PICTURES)
        self._waiting: dict[str, dict[int, NDArray[np.float64]]] = {name: {} for name in streams}
        # Stamp of the last complete state: nothing older will come, and what was lost stays lost.
        self._joined_ns = -1
        self._newest_ns = -1  # newest stamp of the streams
        self._ticks: deque[_Tick] = deque(maxlen=_KEPT_TICKS)  # not yet shown to the window
        self._stepped_ns = -1  # stamp of the last state given by `next_step`
        self._targets: deque[_Target] = deque(maxlen=_KEPT_TARGETS)  # ordered by stamp; the next episode's comes early
        self._pictures: dict[str, tuple[int, NDArray[Any]]] = {}  # by group: stamp and reading
        self._due: _Due | None = None
        self._decided: tuple[int, int] | None = None  # episode and decision
        self._next: Begin | None = None
        self._next_start_ns = 0
        self._next_end_ns: int | None = None
        self._next_context: NDArray[np.float64] = np.zeros(0)
        self._episode: Begin | None = None
        self._start_ns = 0
        self._end_ns: int | None = None  # when the episode's time is up
        self._context: NDArray[np.float64] = np.zeros(0)
        self._ended: _Ended | None = None
        self._decided_ns: list[int] = []  # stamps of this episode's decisions

    # Inputs ----------------------------------------------------------------------------------------------------

    def pose(self, stamp_ns: int, position_m: NDArray[np.float64]) -> None:
        """The end-effector is at `position_m`, shape (3,), base frame."""
        self._join("ee_position_m", stamp_ns, position_m)

    def wrench(self, stamp_ns: int, wrench: NDArray[np.float64]) -> None:
        """It feels `wrench`, shape (6,), N and Nm."""
        self._join("wrench", stamp_ns, wrench)

    def velocity(self, stamp_ns: int, velocity_m_s: NDArray[np.float64]) -> None:
        """The end-effector moves at `velocity_m_s`, shape (3,), base frame."""
        self._join("ee_velocity_m_s", stamp_ns, velocity_m_s)

    def joints(self, stamp_ns: int, position_rad: NDArray[np.float64]) -> None:
        """The joints are at `position_rad`, shape (n,)."""
        self._join("joint_position_rad", stamp_ns, position_rad)

    def target(self, stamp_ns: int, position_m: NDArray[np.float64]) -> None:
        """The target was detected at `position_m`, shape (3,), base frame."""
        while self._targets and self._targets[-1].stamp_ns >= stamp_ns:  # a repeat, or the clock was set back
            self._targets.pop()
        self._targets.append(_Target(stamp_ns, position_m))

    def no_target(self) -> None:
        """The target's position is no longer known."""
        self._targets.clear()

    def image(self, stamp_ns: int, picture: NDArray[Any], group: str = "") -> None:
        """A reading of the sensor of `group`, as `Scene.read` returns it; by default of the only one that is used."""
        self._pictures[group or self._groups[0]] = stamp_ns, picture

    def due(self, episode_id: int, decision: int, stamp_ns: int, version: int) -> None:
        """A decision is due on the state at `stamp_ns`; a repeat is not decided again."""
        if (episode_id, decision) != self._decided:
            self._due = _Due(episode_id, decision, stamp_ns, version)

    def running(
        self, episode_id: int, mode: int, start_ns: int, end_ns: int | None = None, context: Sequence[float] = ()
    ) -> None:
        """The episode is running.

        Args:
            episode_id: Its number.
            mode: Its mode.
            start_ns: Stamp of its first state.
            end_ns: When its time is up; None: not known.
            context: Its `Scene.context`.
        """
        if start_ns < min(self._next_start_ns, self._joined_ns - _SET_BACK_NS):
            self._joined_ns = -1  # from a clock that has since been set back: this episode's states are yet to come
        self._next, self._next_start_ns = Begin(episode_id, mode), start_ns
        self._next_end_ns, self._next_context = end_ns, np.array(context, np.float64)

    def ended(self, episode_id: int, end_ns: int, success: bool, timed_out: bool) -> None:
        """The episode has ended with the state at `end_ns`."""
        if self._next is not None and self._next.episode_id == episode_id:
            return  # it never reached its first state
        if self._episode is not None and self._episode.episode_id == episode_id:
            self._ended = _Ended(end_ns, success, timed_out)

    def aborted(self) -> None:
        """The episode was abandoned: nothing is learned from how it ended."""
        self._episode = self._next = self._ended = None

    # Events ----------------------------------------------------------------------------------------------------

    def poll(self) -> Begin | Decide | End | None:
        """The next event for which everything has arrived."""
        if self._next is not None:
            # A restarted adapter hears of episodes that were over before it started: there is nothing to end in them.
            ended = self._ended if self._episode is not None else None
            if ended is not None and self._target_at(ended.stamp_ns) is not None:
                return self._end(ended)  # with what has arrived: no more of that episode will come
            return self._begin(self._next)
        wanted = self._wanted
        if wanted is None or self._target_at(self._start_ns) is None:
            return None
        self._show(wanted.stamp_ns)
        if self.missing:
            return None
        return self._decide(wanted) if isinstance(wanted, _Due) else self._end(wanted)

    def next_step(self) -> Step | None:
        """The next control step of the running episode; call it once `poll` has nothing more. None if there is none.

        Each is given once and in order; the last state begins none. Whoever decides by itself makes decisions `due` on
        them.
        """
        if self._episode is None or self._next is not None or self._target_at(self._start_ns) is None:
            return None
        for tick in self._ticks:
            if self._end_ns is not None and reached(tick.stamp_ns, self._end_ns):
                return None
            if tick.stamp_ns > self._stepped_ns and not self._past_the_end(tick.stamp_ns):
                self._stepped_ns = tick.stamp_ns
                step = self._steps_between(self._start_ns, tick.stamp_ns)
                return Step(self._episode.episode_id, tick.stamp_ns, step, self._whole(tick))
        return None

    @property
    def missing(self) -> list[str]:
        """The topics that the next decision, or the end, still waits for; empty while neither is due."""
        wanted = self._wanted
        if wanted is None:
            return []
        missing = self._missing_state(wanted.stamp_ns)
        # After a success nothing follows that a picture could show.
        if self._window.looks and not (isinstance(wanted, _Ended) and wanted.success):
            missing += [PICTURES[group] for group in self._groups if not self._has_picture(group, wanted.stamp_ns)]
        return missing

    @property
    def missing_for_steps(self) -> list[str]:
        """The topics that the first control step of the running episode waits for; empty once it has been given."""
        if self._episode is None or self._stepped_ns >= self._start_ns:
            return []
        return self._missing_state(self._start_ns)

    def _missing_state(self, stamp_ns: int) -> list[str]:
        missing = [] if self._target_at(self._start_ns) is not None else ["target_pose"]
        if self._joined_ns < stamp_ns:
            waiting = {STREAMS[name]: max(stamps, default=-1) for name, stamps in self._waiting.items()}
            silent = [topic for topic, newest_ns in waiting.items() if newest_ns < stamp_ns]
            missing += silent or [f"{' and '.join(waiting)} with the same stamp"]
        return missing

    @property
    def _wanted(self) -> _Due | _Ended | None:
        """The known decision or end that comes next in the episode."""
        due = self._due
        if self._episode is None:
            return None
        if due is not None and due.episode_id == self._episode.episode_id and not self._past_the_end(due.stamp_ns):
            return due
        return self._ended

    def _begin(self, begin: Begin) -> Begin:
        self._episode, self._next, self._ended = begin, None, None
        self._start_ns, self._decided, self._decided_ns = self._next_start_ns, None, []
        self._end_ns, self._context, self._stepped_ns = self._next_end_ns, self._next_context, self._start_ns - 1
        self._window.begin()
        return begin

    def _decide(self, due: _Due) -> Decide:
        observation = self._observe(due.stamp_ns)
        event = Decide(*due, observation, self._steps_since_decision(due.stamp_ns))
        self._due, self._decided = None, (due.episode_id, due.decision)
        self._decided_ns.append(due.stamp_ns)
        return event

    def _end(self, ended: _Ended) -> End:
        self._show(ended.stamp_ns)
        steps = max(1, self._steps_since_decision(ended.stamp_ns - 1))
        # A decision on the last state comes too late as well: nothing comes of it.
        late = sum(decided_ns >= ended.stamp_ns for decided_ns in self._decided_ns)
        event = End(self._observe(ended.stamp_ns), ended.success, ended.timed_out, steps, late)
        # A due decision stays: it may be the first of the next episode.
        self._episode = self._ended = None
        return event

    def _observe(self, stamp_ns: int) -> Observation:
        return self._window.observation(self._read, self._steps_between(self._start_ns, stamp_ns) / self._rate_hz)

    def _read(self, group: str) -> Any:
        """The newest reading of a group; None if there is none yet."""
        return self._pictures.get(group, (0, None))[1]

    def _show(self, until_ns: int) -> None:
        """Show the window this episode's ticks up to and including `until_ns`."""
        while self._ticks and self._ticks[0].stamp_ns <= until_ns:
            tick = self._ticks.popleft()
            if tick.stamp_ns >= self._start_ns:  # those of the previous episode may arrive after this one's beginning
                self._window.take_in(self._whole(tick))

    def _whole(self, tick: _Tick) -> State:
        """The state of a tick, as the scene would give it."""
        target_m = self._target_at(tick.stamp_ns)
        assert target_m is not None
        return {**tick.state, "target_m": target_m, "context": self._context}

    def _target_at(self, stamp_ns: int) -> NDArray[np.float64] | None:
        """The last detected target, among this episode's detections; the first one also applies to earlier stamps."""
        own = [target for target in self._targets if target.stamp_ns >= self._start_ns]
        known = [target for target in own if target.stamp_ns <= stamp_ns]
        return (known or own[:1])[-1].position_m if own else None

    def _steps_since_decision(self, stamp_ns: int) -> int:
        return self._steps_between(
            max((past for past in self._decided_ns if past <= stamp_ns), default=self._start_ns), stamp_ns
        )

    def _steps_between(self, first_ns: int, last_ns: int) -> int:
        return round((last_ns - first_ns) * 1e-9 * self._rate_hz)

    def _has_picture(self, group: str, stamp_ns: int) -> bool:
        if self._image_max_age_ns is None:
            return True
        # A picture from before the episode shows another scene, and the window may keep it throughout the episode.
        oldest_ns = max(stamp_ns - self._image_max_age_ns, self._start_ns)
        return self._pictures.get(group, (-1, None))[0] >= oldest_ns

    def _past_the_end(self, stamp_ns: int) -> bool:
        return self._ended is not None and stamp_ns > self._ended.stamp_ns

    def _mind_the_clock(self, now_ns: int) -> None:
        """If the clock was set back, as by a simulation's restart, forget everything that belongs to the old time.

        Otherwise it would seem newer than everything that follows: decisions would be made on it, and learned from.
        """
        if now_ns >= self._newest_ns - _SET_BACK_NS:
            return
        self._newest_ns, self._joined_ns, self._stepped_ns = now_ns, -1, -1
        self._ticks.clear()
        for waiting in self._waiting.values():
            waiting.clear()
        while self._targets and self._targets[-1].stamp_ns > now_ns:
            self._targets.pop()
        self._pictures = {group: kept for group, kept in self._pictures.items() if kept[0] <= now_ns}
        if max([self._start_ns, *self._decided_ns]) > now_ns:
            self.aborted()

    def _join(self, name: str, stamp_ns: int, value: NDArray[np.float64]) -> None:
        """Keep `value` until its partners with the same stamp arrive; values overtaken by a later state are dropped."""
        self._mind_the_clock(stamp_ns)
        self._newest_ns = max(self._newest_ns, stamp_ns)
        if stamp_ns <= self._joined_ns:
            return
        mine = self._waiting[name]
        mine[stamp_ns] = value
        if len(mine) > _KEPT_TICKS:  # another topic is not published
            del mine[min(mine)]
        if any(stamp_ns not in waiting for waiting in self._waiting.values()):
            return
        self._ticks.append(_Tick(stamp_ns, {name: waiting[stamp_ns] for name, waiting in self._waiting.items()}))
        self._joined_ns = stamp_ns
        for waiting in self._waiting.values():
            for old in [stamp for stamp in waiting if stamp <= stamp_ns]:
                del waiting[old]
