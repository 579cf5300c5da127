"""Turns "the marker is in this picture" into a trustworthy reward: debounced, and never from another episode."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sac_gmm.core.errors import UserError
from sac_gmm.core.late_stamps import is_late
from sac_gmm.perception.aruco import Marker


@dataclass(frozen=True)
class MarkerGate:
    """Decides whether a visible marker counts as success.

    Args:
        max_tilt_rad: A marker tilted further from the camera does not count. If two poses are equally likely, neither
            may be tilted further.
        tilt_hysteresis_rad: Once the task counts as done, the marker may tilt this much further, so that a marker
            resting at the limit does not make the reward flicker.

    Raises:
        UserError: A number is out of range.
    """

    max_tilt_rad: float = 1.45
    tilt_hysteresis_rad: float = 0.05

    def __post_init__(self) -> None:
        if not 0.0 < self.max_tilt_rad <= np.pi / 2:
            raise UserError(f"max_tilt_rad is {self.max_tilt_rad}, expected 0 to 1.57")
        if not 0.0 <= self.tilt_hysteresis_rad <= 0.5:
            raise UserError(f"tilt_hysteresis_rad is {self.tilt_hysteresis_rad}, expected 0 to 0.5")

    def counts(self, marker: Marker | None, success: bool = False) -> bool:
        """Judge one picture.

        Args:
            marker: The marker found in the picture.
            success: Whether the task counts as done so far.
        """
        if marker is None or marker.pose is None:
            return False
        limit_rad = self.max_tilt_rad + (self.tilt_hysteresis_rad if success else 0.0)
        return marker.pose.largest_tilt_rad <= limit_rad


class RewardDebouncer:
    """Success after `frames_on` consecutive pictures with the marker, failure after `frames_off` without it."""

    def __init__(self, frames_on: int, frames_off: int) -> None:
        for name, frames in (("frames_on", frames_on), ("frames_off", frames_off)):
            if frames < 1:
                raise UserError(f"{name} is {frames}, expected a whole number of pictures from 1 up")
        self._frames_on = frames_on
        self._frames_off = frames_off
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next success needs `frames_on` pictures again."""
        self.success = False
        self._run = 0  # consecutive pictures that contradict `success`

    def update(self, seen: bool) -> bool:
        """Take one picture into account; return whether the task counts as done."""
        self._run = self._run + 1 if seen != self.success else 0
        if self._run >= (self._frames_off if self.success else self._frames_on):
            self.success = not self.success
            self._run = 0
        return self.success


class RewardJudge:
    """Debounces within one episode: nothing seen before an episode began is paid in it.

    If nobody announces episodes, every picture counts, so that the reward can be used on its own.
    Stamps are nanoseconds of the clock that stamps the pictures.
    """

    def __init__(self, debouncer: RewardDebouncer) -> None:
        self._debouncer = debouncer
        self._episode_id: int | None = None
        self._start_ns = 0
        self._resetting = False
        self._last_stamp_ns: int | None = None

    @property
    def success(self) -> bool:
        """Whether the task counts as done so far."""
        return self._debouncer.success

    @property
    def episode_id(self) -> int:
        """The last announced episode, in which pictures are judged; 0 before the first."""
        return self._episode_id or 0

    def episode_resetting(self, episode_id: int) -> None:
        """The scene is being reset: forget the past, and let nothing count until the episode runs."""
        self._debouncer.reset()
        self._episode_id = episode_id
        self._resetting = True

    def episode_running(self, episode_id: int, start_ns: int) -> None:
        """The episode has been running since `start_ns`; only pictures from then on count."""
        if episode_id != self._episode_id or self._resetting:
            self._debouncer.reset()
        self._episode_id = episode_id
        self._start_ns = start_ns
        self._resetting = False

    def judge(self, stamp_ns: int, seen: bool) -> bool:
        """Judge one more picture; return whether the task counts as done.

        A picture that was judged before (the same stamp, sent again) is not counted twice, nor is one that was
        overtaken; a stamp that jumps back further than jitter means that the clock was set back, and starts anew.
        """
        if self._resetting or stamp_ns < self._start_ns:
            return False
        if self._last_stamp_ns is not None and stamp_ns < self._last_stamp_ns:
            if is_late(stamp_ns, self._last_stamp_ns):
                return self._debouncer.success
            self._debouncer.reset()
        repeated = stamp_ns == self._last_stamp_ns
        self._last_stamp_ns = stamp_ns
        return self._debouncer.success if repeated else self._debouncer.update(seen)
