"""Decides what goes into an episode's bag: the recorder without its topics and services."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sac_gmm.core.errors import UserError
from sac_gmm.core.late_stamps import is_late
from sac_gmm.demos.bags.bag_file import EPISODE_END
from sac_gmm.demos.bags.bag_reader import read_demonstration
from sac_gmm.demos.bags.bag_writer import EpisodeBagWriter, EpisodeInfo, header_stamp_ns
from sac_gmm.demos.bags.message_types import (
    BULKY_TYPES,
    COMMAND_TWIST,
    EPISODE_TOPICS,
    LATCHED_TOPICS,
    STATE_POSE,
    has_header,
)
from sac_gmm.demos.quality import DemonstrationReport, StreamReport, check_demonstration

MAX_SAME_STAMP_SHARE = 0.01  # of a topic's messages; more that share a stamp with another one are mentioned
RECENT = 50  # messages per topic that may arrive before the news that their episode is running
RECENT_BULKY = 10  # the same for pictures, which are a thousand times larger


@dataclass(frozen=True)
class Recording:
    """A finished recording.

    Attributes:
        path: The bag.
        n_samples: Number of states in it.
        streams: Rate, gaps and drops by topic; messages left out after a clock was set back count as drops.
        report: The demonstration's quality; None if the bag cannot be read as one.
        problems: What the user should know, in sentences.
    """

    path: Path
    n_samples: int
    streams: Mapping[str, StreamReport]
    report: DemonstrationReport | None
    problems: tuple[str, ...]

    def summary(self) -> str:
        """The recording in one line."""
        # A target comes only on detection and a command only while someone commands: their silence is no loss.
        said_at_will = {*LATCHED_TOPICS, COMMAND_TWIST}
        dropped = sum(stream.dropped for topic, stream in self.streams.items() if topic not in said_at_will)
        measured = ""
        if self.report is not None:
            measured = f", {self.report.duration_s:.1f} s at {self.report.rate_hz:.1f} Hz, {self.report.path_m:.2f} m"
        text = f"{self.path}: {self.n_samples} samples{measured}, {dropped} messages dropped"
        return "; ".join([text, *self.problems])


class EpisodeRecorder:
    """Takes serialised messages as they arrive and writes one bag per episode.

    A message repeated with the same stamp (a simulation at rest repeats its state) is written once. The last latched
    message (the target) is part of every episode, however early it came.

    Args:
        follow_episodes: Write only what is stamped within the episode announced as running, in whatever order the
            topics arrive; otherwise write everything between `start` and `stop`.
        topics: Topic -> message type; by default those of an episode.
        latched: The topics among them that are published once and kept (transient local).
        compress: Compress the stored data.

    Raises:
        UserError: A message type is not one of ROS 2 Jazzy's own.
    """

    def __init__(
        self,
        follow_episodes: bool = False,
        topics: Mapping[str, str] | None = None,
        latched: Iterable[str] = LATCHED_TOPICS,
        *,
        compress: bool = True,
    ) -> None:
        self.topics = dict(EPISODE_TOPICS if topics is None else topics)
        self._latched = frozenset(latched) & self.topics.keys()
        self._compress = compress
        self._has_header = {topic: has_header(kind) for topic, kind in self.topics.items()}
        self._recent: dict[str, deque[bytes]] = {
            topic: deque(maxlen=self._kept_before(topic, follow_episodes)) for topic in self.topics
        }
        # Stamps in ns between which messages are written; no end while an episode is running; None: write nothing.
        self._window: tuple[int, int | None] | None = None if follow_episodes else (0, None)
        self._end_ns: int | None = None  # of the episode in the bag, once it has ended
        self._writer: EpisodeBagWriter | None = None
        self._finished = False
        self._failure = ""  # why the last recording ended on its own
        self._last_ns: dict[str, int] = {}
        self._set_back: Counter[str] = Counter()  # by topic: messages left out because an earlier one has a later stamp
        self._last_data: dict[str, bytes] = {}
        self._other: Counter[str] = Counter()  # by topic: messages left out that share a stamp with one that says else

    @property
    def recording(self) -> bool:
        """Whether a recording has been started and not stopped."""
        return self._writer is not None

    @property
    def caught_up(self) -> bool:
        """Whether the states have reached the end of the episode that was announced as ended."""
        if self._finished or self._window is None or self._window[1] is None:
            return self._finished
        return self._last_ns.get(STATE_POSE, -1) >= self._window[1]

    def start(self, path: Path | str, info: EpisodeInfo) -> None:
        """Start a recording.

        Raises:
            UserError: One is already in progress, or `path` exists or cannot be written.
        """
        if self._writer is not None:
            raise UserError(f"{self._writer.path} is being recorded: stop that recording first")
        self._writer = EpisodeBagWriter(path, self.topics, info, self._latched, compress=self._compress)
        self._finished = False
        self._failure = ""
        self._end_ns = None
        self._last_ns = {}
        self._set_back.clear()
        self._last_data = {}
        self._other.clear()
        if self._window is not None and self._window[1] is not None:
            self._window = None  # the previous episode's, whose last state a simulation at rest keeps repeating

    def stop(self, discard: bool = False) -> Recording | None:
        """End the recording, complete its bag and check its content; None if it was discarded.

        Raises:
            UserError: No recording is in progress, nothing was recorded, or the disk refuses the data.
        """
        if self._writer is None:
            raise UserError(self._failure or "no recording is in progress: start one first")
        writer, self._writer = self._writer, None
        if discard:
            writer.discard()
            return None
        if self._end_ns is not None:
            # States that came before the news that the episode was over are in the bag; readers leave them out.
            writer.info = replace(writer.info, extra={**writer.info.extra, EPISODE_END: self._end_ns})
        path = writer.close()
        report = None
        problems: list[str] = []
        try:
            report = check_demonstration(read_demonstration(path))
            problems += report.problems
        except UserError as error:
            problems.append(f"not usable as a demonstration ({error})")
        problems += [f"{topic} is empty" for topic, count in writer.counts.items() if not count]
        problems += [set_back_problem(count, f"messages of {topic}") for topic, count in self._set_back.items()]
        problems += [
            f"{count} messages of {topic} have the stamp of the one before and say something else; they were left out: "
            "are its stamps too coarse, or do two publishers share it?"
            for topic, count in self._other.items()
            if count > MAX_SAME_STAMP_SHARE * writer.counts[topic]
        ]
        streams = {
            topic: replace(stream, dropped=stream.dropped + self._set_back[topic])
            for topic, stream in writer.reports().items()
        }
        return Recording(path, writer.counts.get(STATE_POSE, 0), streams, report, tuple(problems))

    def abandon(self) -> Path | None:
        """Stop without completing the bag; return where the data so far is."""
        if self._writer is None:
            return None
        writer, self._writer = self._writer, None
        writer.abandon()
        return writer.partial_path

    def episode_waiting(self) -> None:
        """The scene is being reset, or no episode is running: write nothing."""
        self._finished = self._finished or bool(self._last_ns)  # a bag holds one episode
        self._window = None

    def episode_running(self, start_ns: int) -> None:
        """An episode has been running since `start_ns`; states that arrived before this call are not lost."""
        if self._window is None or self._window[0] != start_ns:
            self._finished = self._finished or bool(self._last_ns)
            self._window = (start_ns, None)
            for topic in self.topics.keys() - self._latched:
                for data in self._recent[topic]:
                    self._take(topic, data)

    def episode_ended(self, end_ns: int) -> None:
        """The episode ended at `end_ns`; messages stamped up to then may still arrive."""
        if self._window is not None:
            self._window = (self._window[0], end_ns)
            if self._last_ns and not self._finished:
                self._end_ns = end_ns

    def take(self, topic: str, data: bytes) -> None:
        """Take one serialised message of one of the topics.

        Raises:
            UserError: The disk refuses the data. The recording has then ended, and everything so far is kept.
        """
        self._recent[topic].append(data)
        self._take(topic, data)

    def _kept_before(self, topic: str, follow_episodes: bool) -> int:
        """How many messages to buffer while nothing is written."""
        if topic in self._latched:
            return 1
        if not follow_episodes:
            return 0
        return RECENT_BULKY if self.topics[topic] in BULKY_TYPES else RECENT

    def _take(self, topic: str, data: bytes) -> None:
        if self._writer is None or self._window is None or self._finished:
            return
        begin_ns, end_ns = self._window
        if topic in self._latched:
            # A target that comes after the end is where the scene was reset for the next episode.
            late = end_ns is not None and self._has_header[topic] and header_stamp_ns(data) > end_ns
            if self._last_ns and not late:
                self._write(topic, data, max(self._last_ns.values()))
            return
        if not self._has_header[topic]:  # without a header, its place is in order of arrival
            if self._last_ns:
                self._write(topic, data, max(self._last_ns.values()))
            return
        stamp_ns = header_stamp_ns(data)
        if stamp_ns < begin_ns or (end_ns is not None and stamp_ns > end_ns):
            return
        last_ns = self._last_ns.get(topic, -1)
        if is_late(stamp_ns, last_ns):
            self._write(topic, data, last_ns)  # in order of arrival; readers put the stamps in order
            return
        if stamp_ns <= last_ns:
            if stamp_ns < last_ns:
                self._set_back[topic] += 1
            elif data != self._last_data[topic]:
                self._other[topic] += 1
            return
        if not self._last_ns:
            for latched in self._latched:
                for said in self._recent[latched]:
                    self._write(latched, said, stamp_ns)
        self._last_ns[topic], self._last_data[topic] = stamp_ns, data
        self._write(topic, data, stamp_ns)

    def _write(self, topic: str, data: bytes, log_time_ns: int) -> None:
        assert self._writer is not None
        try:
            self._writer.write(topic, data, log_time_ns=log_time_ns)
        except UserError as error:
            self._writer = None  # it has stopped; further messages must not repeat the error
            self._failure = str(error)
            raise


def set_back_problem(count: int, what: str) -> str:
    """Describe messages that are older than an earlier one, for the user."""
    return f"{count} {what} came with stamps before the newest and were left out: was a clock set back?"
