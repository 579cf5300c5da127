"""The episode in which a controller moves the arm, as announced by the episode manager."""

from __future__ import annotations

from typing import NamedTuple

from sac_gmm_interfaces.msg import EpisodeState

from sac_gmm_nodes.common.conversions import nanoseconds, reached

_OVERTIME_NS = 500_000_000  # this long past its time limit, the episode manager should have ended an episode


class Episode(NamedTuple):
    """One announcement. Stamps in nanoseconds."""

    number: int
    running: bool
    start_ns: int
    end_ns: int  # when its time is up

    @classmethod
    def of(cls, message: EpisodeState) -> Episode:
        """The episode in a message."""
        start_ns = nanoseconds(message.start_stamp)
        running = message.phase == EpisodeState.PHASE_RUNNING
        return cls(message.episode_id, running, start_ns, start_ns + round(message.time_limit_s * 1e9))

    @property
    def key(self) -> tuple[int, int]:
        """Identifies it uniquely: a restarted episode manager counts from one again."""
        return self.number, self.start_ns

    def runs_at(self, stamp_ns: int | None) -> bool:
        """Whether it is running at the state with this stamp. It expires if its manager is gone."""
        return self.running and (stamp_ns is None or not reached(stamp_ns, self.end_ns + _OVERTIME_NS))
