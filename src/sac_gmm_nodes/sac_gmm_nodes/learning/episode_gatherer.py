"""Puts messages of several topics back into the order in which things happened, by their stamps.

Topics arrive in any order relative to each other. Whatever that order, the same ticks go to the observer and the same
observations come out, so that learning over ROS sees exactly what learning in one process sees.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sac_gmm.methods.sac_gmm import WindowObserver
from sac_gmm.rl import Observation

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
    late: bool  # a decision was made after the end, before this was known to be the end


class _Tick(NamedTuple):
    stamp_ns: int
    position_m: NDArray[np.float64]
    wrench: NDArray[np.float64]


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
        observer: Sees every control step once and in order, and makes the observations.
        rate_hz: Rate of the states.
        image_max_age_s: How much older than the state a picture may be; None if the agent uses none.
    """

    def __init__(self, observer: WindowObserver, rate_hz: float, image_max_age_s: float | None) -> None:
        self._observer = observer
        self._period_ns = 1e9 / rate_hz
        self._image_max_age_ns = None if image_max_age_s is None else round(image_max_age_s * 1e9)
        self._poses: dict[int, NDArray[np.float64]] = {}
        self._wrenches: dict[int, NDArray[np.float64]] = {}
        # Stamp of the last matched pose and wrench: nothing older will come, and what was lost stays lost.
        self._joined_ns = -1
        self._newest_ns = -1  # newest stamp of the poses and wrenches
        self._ticks: deque[_Tick] = deque(maxlen=_KEPT_TICKS)  # not yet shown to the observer
        self._targets: deque[_Target] = deque(maxlen=_KEPT_TARGETS)  # ordered by stamp; the next episode's comes early
        self._image: tuple[int, NDArray[Any]] | None = None
        self._due: _Due | None = None
        self._decided: tuple[int, int] | None = None  # episode and decision
        self._next: Begin | None = None
        self._next_start_ns = 0
        self._episode: Begin | None = None
        self._start_ns = 0
        self._ended: _Ended | None = None
        self._decided_ns: list[int] = []  # stamps of this episode's decisions

    # Inputs ----------------------------------------------------------------------------------------------------

    def pose(self, stamp_ns: int, position_m: NDArray[np.float64]) -> None:
        """The end-effector is at `position_m`, shape (3,), base frame."""
        self._join(self._poses, stamp_ns, position_m)

    def wrench(self, stamp_ns: int, wrench: NDArray[np.float64]) -> None:
        """It feels `wrench`, shape (6,), N and Nm."""
        self._join(self._wrenches, stamp_ns, wrench)

    def target(self, stamp_ns: int, position_m: NDArray[np.float64]) -> None:
        """The target was detected at `position_m`, shape (3,), base frame."""
        while self._targets and self._targets[-1].stamp_ns >= stamp_ns:  # a repeat, or the clock was set back
            self._targets.pop()
        self._targets.append(_Target(stamp_ns, position_m))

    def no_target(self) -> None:
        """The target's position is no longer known."""
        self._targets.clear()

    def image(self, stamp_ns: int, picture: NDArray[Any]) -> None:
        """A picture: colours (height, width, 3), or metres (channels, height, width)."""
        self._image = stamp_ns, picture

    def due(self, episode_id: int, decision: int, stamp_ns: int, version: int) -> None:
        """The controller waits for a decision on the state at `stamp_ns`; a repeat is not decided again."""
        if (episode_id, decision) != self._decided:
            self._due = _Due(episode_id, decision, stamp_ns, version)

    def running(self, episode_id: int, mode: int, start_ns: int) -> None:
        """The episode is running; its first state has the stamp `start_ns`."""
        if start_ns < min(self._next_start_ns, self._joined_ns - _SET_BACK_NS):
            self._joined_ns = -1  # from a clock that has since been set back: this episode's states are yet to come
        self._next, self._next_start_ns = Begin(episode_id, mode), start_ns

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

    @property
    def missing(self) -> list[str]:
        """What the next decision, or the end, still lacks; empty while neither is due."""
        wanted = self._wanted
        if wanted is None:
            return []
        missing = [] if self._target_at(self._start_ns) is not None else ["target_pose"]
        if self._joined_ns < wanted.stamp_ns:
            streams = {"state/pose": self._poses, "wrench": self._wrenches}
            silent = [topic for topic, waiting in streams.items() if max(waiting, default=-1) < wanted.stamp_ns]
            missing += silent or ["state/pose and wrench with the same stamp"]
        succeeded = isinstance(wanted, _Ended) and wanted.success  # nothing follows that a picture could show
        if not succeeded and not self._has_image(wanted.stamp_ns):
            missing.append("image")
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
        self._observer.begin()
        return begin

    def _decide(self, due: _Due) -> Decide:
        observation = self._observe(due.stamp_ns)
        event = Decide(*due, observation, self._steps_since_decision(due.stamp_ns))
        self._due, self._decided = None, (due.episode_id, due.decision)
        self._decided_ns.append(due.stamp_ns)
        return event

    def _end(self, ended: _Ended) -> End:
        self._show(ended.stamp_ns)
        steps = max(1, self._steps_since_decision(ended.stamp_ns))
        late = any(decided_ns > ended.stamp_ns for decided_ns in self._decided_ns)
        event = End(self._observe(ended.stamp_ns), ended.success, ended.timed_out, steps, late)
        # A due decision stays: it may be the first of the next episode.
        self._episode = self._ended = None
        return event

    def _observe(self, stamp_ns: int) -> Observation:
        elapsed_s = round((stamp_ns - self._start_ns) / self._period_ns) * self._period_ns / 1e9
        wanted = self._image_max_age_ns is not None
        reading = self._image[1] if wanted and self._image is not None else None
        return self._observer.observe(reading, elapsed_s, self._target_at(stamp_ns))

    def _show(self, until_ns: int) -> None:
        """Show the observer this episode's ticks up to and including `until_ns`."""
        while self._ticks and self._ticks[0].stamp_ns <= until_ns:
            tick = self._ticks.popleft()
            if tick.stamp_ns < self._start_ns:  # from the previous episode; it may arrive after this one's beginning
                continue
            target_m = self._target_at(tick.stamp_ns)
            assert target_m is not None
            self._observer.tick(tick.position_m - target_m, tick.wrench)

    def _target_at(self, stamp_ns: int) -> NDArray[np.float64] | None:
        """The last detected target, among this episode's detections; the first one also applies to earlier stamps."""
        own = [target for target in self._targets if target.stamp_ns >= self._start_ns]
        known = [target for target in own if target.stamp_ns <= stamp_ns]
        return (known or own[:1])[-1].position_m if own else None

    def _steps_since_decision(self, stamp_ns: int) -> int:
        since_ns = max((past for past in self._decided_ns if past <= stamp_ns), default=self._start_ns)
        return round((stamp_ns - since_ns) / self._period_ns)

    def _has_image(self, stamp_ns: int) -> bool:
        if self._image_max_age_ns is None:
            return True
        # A picture from before the episode shows another scene, and the observer may keep it throughout the episode.
        oldest_ns = max(stamp_ns - self._image_max_age_ns, self._start_ns)
        return self._image is not None and self._image[0] >= oldest_ns

    def _past_the_end(self, stamp_ns: int) -> bool:
        return self._ended is not None and stamp_ns > self._ended.stamp_ns

    def _mind_the_clock(self, now_ns: int) -> None:
        """If the clock was set back, as by a simulation's restart, forget everything that belongs to the old time.

        Otherwise it would seem newer than everything that follows: decisions would be made on it, and learned from.
        """
        if now_ns >= self._newest_ns - _SET_BACK_NS:
            return
        self._newest_ns, self._joined_ns = now_ns, -1
        for kept in (self._ticks, self._poses, self._wrenches):
            kept.clear()
        while self._targets and self._targets[-1].stamp_ns > now_ns:
            self._targets.pop()
        if self._image is not None and self._image[0] > now_ns:
            self._image = None
        if max([self._start_ns, *self._decided_ns]) > now_ns:
            self.aborted()

    def _join(self, mine: dict[int, NDArray[np.float64]], stamp_ns: int, value: NDArray[np.float64]) -> None:
        """Keep `value` until its partner with the same stamp arrives; values overtaken by a later pair are dropped."""
        self._mind_the_clock(stamp_ns)
        self._newest_ns = max(self._newest_ns, stamp_ns)
        if stamp_ns <= self._joined_ns:
            return
        mine[stamp_ns] = value
        if len(mine) > _KEPT_TICKS:  # the other topic is not published
            del mine[min(mine)]
        if stamp_ns not in self._poses or stamp_ns not in self._wrenches:
            return
        self._ticks.append(_Tick(stamp_ns, self._poses[stamp_ns], self._wrenches[stamp_ns]))
        self._joined_ns = stamp_ns
        for waiting in (self._poses, self._wrenches):
            for old in [stamp for stamp in waiting if stamp <= stamp_ns]:
                del waiting[old]
