"""Writes one episode to one rosbag2 (mcap) folder that is either complete or absent."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from sac_gmm import __version__
from sac_gmm.core.errors import UserError
from sac_gmm.demos.bags.bag_file import BagFile, Topic, recorded_qos
from sac_gmm.demos.bags.message_types import (
    EPISODE_TOPICS,
    LATCHED_TOPICS,
    STATE_POSE,
    STATE_TWIST,
    TARGET_POSE,
    has_header,
    pose_stamped,
    twist_stamped,
    typestore,
)
from sac_gmm.demos.demonstration import Demonstration
from sac_gmm.demos.quality import StreamReport, check_stream


@dataclass(frozen=True)
class EpisodeInfo:
    """The sidecar's description of an episode; the counts are added when the bag is closed.

    Attributes:
        task: Name of the task.
        operator: Who made the demonstration.
        extra: Anything else that fits into YAML: seed, tracker settings.
    """

    task: str = ""
    operator: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For YAML."""
        return {"task": self.task, "operator": self.operator, **dict(self.extra)}


class EpisodeBagWriter:
    """Writes and counts one episode's messages; `BagFile` documents what happens to the file and when.

    Args:
        path: The future bag folder; must not exist.
        topics: Topic -> message type. A message is stamped by its header, or by `log_time_ns` if its type has none.
        info: For the sidecar `episode.yaml`.
        latched: Topics to mark as transient local, so that they are latched again when the bag is played.
        compress: Compress the stored data; pictures at camera rate may be faster without.

    Raises:
        UserError: `path` exists, its folder cannot be written to, or a message type is unknown.
    """

    def __init__(
        self,
        path: Path | str,
        topics: Mapping[str, str] | None = None,
        info: EpisodeInfo | None = None,
        latched: Iterable[str] = LATCHED_TOPICS,
        *,
        compress: bool = True,
    ) -> None:
        self.info = info or EpisodeInfo()
        self._types = dict(EPISODE_TOPICS if topics is None else topics)
        latched = frozenset(latched)
        self._file = BagFile(
            path,
            [Topic(name, kind, (recorded_qos(latched=name in latched),)) for name, kind in self._types.items()],
            sidecar=self.info.as_dict(),
            custom_data={"task": self.info.task, "operator": self.info.operator},
            compress=compress,
        )
        self._has_header = {name: has_header(kind) for name, kind in self._types.items()}
        self._stamps_ns: dict[str, list[int]] = {topic: [] for topic in self._types}
        self._frames: dict[str, str] = {}

    @property
    def path(self) -> Path:
        """The future bag folder."""
        return self._file.path

    @property
    def partial_path(self) -> Path:
        """Where the data is stored until the bag is complete."""
        return self._file.partial_path

    @property
    def counts(self) -> dict[str, int]:
        """Messages written so far, by topic."""
        return {topic: len(stamps) for topic, stamps in self._stamps_ns.items()}

    def write(self, topic: str, message: Any, *, log_time_ns: int | None = None) -> None:
        """Append a message.

        Args:
            topic: One of the bag's topics.
            message: CDR bytes as rclpy's raw subscriptions and `serialize_message` return them, written unchanged; or
                a rosbags message object.
            log_time_ns: When the message is due during playback; by default its header stamp.

        Raises:
            UserError: The bag has no such topic, or the disk refuses the data (the partial folder stays).
        """
        data = message
        if not isinstance(data, bytes):
            data = bytes(typestore().serialize_cdr(message, self._types.get(topic, "")))
        stamp_ns = time.time_ns() if log_time_ns is None else log_time_ns
        if self._has_header.get(topic):
            header_ns = header_stamp_ns(data)
            stamp_ns = header_ns if log_time_ns is None else log_time_ns
            self._file.write(topic, stamp_ns, data)
            self._stamps_ns[topic].append(header_ns)
            if topic not in self._frames:
                self._frames[topic] = _header_frame_id(data)
        else:
            self._file.write(topic, stamp_ns, data)
            self._stamps_ns[topic].append(stamp_ns)

    def reports(self) -> dict[str, StreamReport]:
        """Rate, gaps and drops of every topic so far, from header stamps."""
        return {topic: check_stream(np.array(stamps, np.int64)) for topic, stamps in self._stamps_ns.items()}

    def close(self) -> Path:
        """Complete the bag, write the sidecar, and rename the folder.

        Raises:
            UserError: Nothing was written, the disk refuses the data, or `path` was created in the meantime.
        """
        if not any(self._stamps_ns.values()):
            self.discard()
            raise UserError(f"nothing was recorded for {self.path}: no message came; is the robot or simulation up?")
        return self._file.close(self._sidecar())

    def discard(self) -> None:
        """Delete the recording."""
        self._file.discard()

    def abandon(self) -> None:
        """Stop writing and keep the partial folder."""
        self._file.abandon()

    def __enter__(self) -> EpisodeBagWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def _sidecar(self) -> dict[str, Any]:
        return {
            **self.info.as_dict(),
            "topics": {
                topic: {
                    "type": self._types[topic],
                    "frame_id": self._frames.get(topic, ""),
                    **report.as_dict(),
                }
                for topic, report in self.reports().items()
            },
            "software": {"sac_gmm": __version__},
        }


def write_demonstration(path: Path | str, demonstration: Demonstration) -> Path:
    """Write a demonstration as the recorder would have: an episode bag with the three topics it is made of.

    Raises:
        UserError: `path` exists or cannot be written.
    """
    topics = {topic: EPISODE_TOPICS[topic] for topic in (STATE_POSE, STATE_TWIST, TARGET_POSE)}
    frame = demonstration.frame_id
    info = EpisodeInfo(demonstration.task, str(demonstration.meta.get("operator", "")))
    stamps_ns = np.rint(demonstration.time_s * 1e9).astype(np.int64)
    with EpisodeBagWriter(path, topics, info) as writer:
        writer.write(TARGET_POSE, pose_stamped(int(stamps_ns[0]), frame, demonstration.target_m))
        for stamp_ns, position, velocity in zip(
            stamps_ns.tolist(), demonstration.position_m, demonstration.velocity_m_s, strict=True
        ):
            writer.write(STATE_POSE, pose_stamped(stamp_ns, frame, position))
            writer.write(STATE_TWIST, twist_stamped(stamp_ns, frame, velocity))
    return writer.path


def header_stamp_ns(cdr: bytes) -> int:
    """The header stamp, in nanoseconds, of a serialised message whose first field is a std_msgs/Header.

    CDR begins with four bytes that give the byte order, followed by int32 seconds and uint32 nanoseconds.
    """
    seconds, nanoseconds = struct.unpack_from("<iI" if cdr[1] & 1 else ">iI", cdr, 4)
    return int(seconds) * 10**9 + int(nanoseconds)


def _header_frame_id(cdr: bytes) -> str:
    """The header's frame: the stamp is followed by the length of the text (with its final zero), then the text."""
    (length,) = struct.unpack_from("<I" if cdr[1] & 1 else ">I", cdr, 12)
    return cdr[16 : 16 + length - 1].decode()
