"""Writing one episode into one rosbag2 (mcap) folder that is whole or not there."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import struct
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, cast

import numpy as np
import yaml
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapWriter

from sac_gmm import __version__
from sac_gmm.demos.demonstration import Demonstration
from sac_gmm.demos.messages import (
    EPISODE_TOPICS,
    LATCHED_TOPICS,
    STATE_POSE,
    STATE_TWIST,
    TARGET_POSE,
    pose_stamped,
    twist_stamped,
    typestore,
)
from sac_gmm.demos.quality import StreamReport, check_stream
from sac_gmm.errors import SacGmmError
from sac_gmm.files import sync_path

SIDECAR = "episode.yaml"
BAG_VERSION: Literal[9] = 9  # of the metadata; what Jazzy writes
SYNC_PERIOD_S = 0.5  # what a power cut may cost


@dataclass(frozen=True)
class EpisodeInfo:
    """What the sidecar says about an episode besides what is counted.

    Attributes:
        task: Name of the task.
        operator: Who showed it.
        extra: Anything else that YAML can hold: seed, tracker settings.
    """

    task: str = ""
    operator: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


class EpisodeBagWriter:
    """Writes messages to a hidden `.NAME.partial` folder beside `path`, and gives it its name when it is complete.

    Every half second what has come is put on the disk, so that a crash or a power cut loses no more than that; the
    partial folder stays behind then. Nothing is ever overwritten.

    Args:
        path: The bag folder to be; must not exist.
        topics: Topic -> message type. The types' first field must be a std_msgs/Header.
        info: For the sidecar `episode.yaml`.
        latched: Topics to mark as transient local, so that they are also when the bag is played.

    Raises:
        SacGmmError: `path` exists, its folder cannot be written to, or a message type is unknown.
    """

    def __init__(
        self,
        path: Path | str,
        topics: Mapping[str, str] | None = None,
        info: EpisodeInfo | None = None,
        latched: Iterable[str] = LATCHED_TOPICS,
    ) -> None:
        self.path = Path(path)
        self.info = info or EpisodeInfo()
        topics = EPISODE_TOPICS if topics is None else topics
        unknown = [f"{name} ({kind})" for name, kind in topics.items() if kind not in typestore().fielddefs]
        if unknown:
            raise SacGmmError(f"cannot record {', '.join(unknown)}: the message type is not one of ROS 2 Jazzy's own")
        self._partial = _free_partial(self.path)
        latched = frozenset(latched)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._partial.mkdir()
            # The writer names its file after its folder; the file moves up one level when the bag is complete.
            self._writer = Writer(
                self._partial / self.path.name, version=BAG_VERSION, storage_plugin=StoragePlugin.MCAP
            )
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            self._writer.set_custom_data("task", self.info.task)
            self._writer.set_custom_data("operator", self.info.operator)
            self._writer.open()
            self._connections: dict[str, Connection] = {
                topic: self._writer.add_connection(
                    topic, kind, typestore=typestore(), offered_qos_profiles=[_qos(topic in latched)]
                )
                for topic, kind in topics.items()
            }
            self._sync()  # the definitions come first, so that a cut file explains itself
        except OSError as error:
            shutil.rmtree(self._partial, ignore_errors=True)
            raise _cannot_write(self.path, error) from error
        self._stamps_ns: dict[str, list[int]] = {topic: [] for topic in topics}
        self._frames: dict[str, str] = {}
        self._open = True

    @property
    def partial_path(self) -> Path:
        """Where the data lies until the bag is complete."""
        return self._partial

    @property
    def counts(self) -> dict[str, int]:
        """Messages written so far, by topic."""
        return {topic: len(stamps) for topic, stamps in self._stamps_ns.items()}

    def write(self, topic: str, message: Any, *, log_time_ns: int | None = None) -> None:
        """Append a message.

        Args:
            topic: One of the bag's topics.
            message: CDR bytes as rclpy's raw subscriptions and `serialize_message` give them, written as they are;
                or a rosbags message object.
            log_time_ns: Where the message stands in time when the bag is played; its header stamp by default.

        Raises:
            SacGmmError: The topic is not the bag's, or the disk does not take it (the partial folder stays).
        """
        if not self._open:
            raise SacGmmError(f"{self.path} is closed: begin a new recording")
        if topic not in self._connections:
            raise SacGmmError(f"{self.path} has no topic {topic}; it has {', '.join(self._connections)}")
        connection = self._connections[topic]
        data = message if isinstance(message, bytes) else bytes(typestore().serialize_cdr(message, connection.msgtype))
        stamp_ns = header_stamp_ns(data)
        if topic not in self._frames:
            self._frames[topic] = _header_frame_id(data)
        try:
            self._writer.write(connection, stamp_ns if log_time_ns is None else log_time_ns, data)
            if time.monotonic() - self._synced_s > SYNC_PERIOD_S:
                self._sync()
        except OSError as error:
            self.abandon()
            raise _cannot_write(self.path, error, self._partial) from error
        self._stamps_ns[topic].append(stamp_ns)

    def reports(self) -> dict[str, StreamReport]:
        """Rate, gaps and drops of every topic so far, by header stamps."""
        return {topic: check_stream(np.array(stamps, np.int64)) for topic, stamps in self._stamps_ns.items()}

    def close(self) -> Path:
        """Complete the bag, write the sidecar, and give the folder its name.

        Raises:
            SacGmmError: Nothing was written, the disk does not take it, or `path` has come to exist meanwhile.
        """
        if not any(self._stamps_ns.values()):
            self.discard()
            raise SacGmmError(f"nothing was recorded for {self.path}: no message came; is the robot or simulation up?")
        self._open = False
        inner = self._partial / self.path.name
        try:
            self._writer.close()
            for file in inner.iterdir():
                os.replace(file, self._partial / file.name)
                sync_path(self._partial / file.name)
            inner.rmdir()
            sidecar = self._partial / SIDECAR
            sidecar.write_text(yaml.safe_dump(self._sidecar(), sort_keys=False), encoding="utf-8")
            sync_path(sidecar)
            if self.path.exists():
                raise SacGmmError(f"{self.path} has come to exist meanwhile; the recording is kept in {self._partial}")
            os.rename(self._partial, self.path)
            sync_path(self.path.parent)
        except OSError as error:
            self.abandon()
            raise _cannot_write(self.path, error, self._partial) from error
        return self.path

    def discard(self) -> None:
        """Throw the recording away."""
        self.abandon()
        shutil.rmtree(self._partial, ignore_errors=True)

    def abandon(self) -> None:
        """Stop writing and leave the partial folder as it is."""
        self._open = False
        with contextlib.suppress(OSError):  # a full disk does not take the rest either
            self._writer.abort()

    def __enter__(self) -> EpisodeBagWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._open:
            self.abandon()

    def _sync(self) -> None:
        """Close the chunk in memory and put it on the disk."""
        storage = cast(McapWriter, self._writer.storage)
        if storage.chunk.bio.tell():
            if not storage.chunk.msgs:  # definitions alone: a chunk's time range must not be the empty one
                storage.chunk.message_start_time = storage.chunk.message_end_time = 0
            storage.close_chunk()
        storage.bio.flush()
        os.fsync(storage.bio.fileno())
        self._synced_s = time.monotonic()

    def _sidecar(self) -> dict[str, Any]:
        return {
            "task": self.info.task,
            "operator": self.info.operator,
            **dict(self.info.extra),
            "topics": {
                topic: {
                    "type": self._connections[topic].msgtype,
                    "frame_id": self._frames.get(topic, ""),
                    **report.as_dict(),
                }
                for topic, report in self.reports().items()
            },
            "software": {"sac_gmm": __version__},
        }


def write_demonstration(path: Path | str, demonstration: Demonstration) -> Path:
    """Write a demonstration as an episode bag, as the recorder would have, with the three topics it is made of.

    Raises:
        SacGmmError: `path` exists or cannot be written.
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

    CDR begins with four bytes that tell the byte order; then come int32 seconds and uint32 nanoseconds.
    """
    seconds, nanoseconds = struct.unpack_from("<iI" if cdr[1] & 1 else ">iI", cdr, 4)
    return int(seconds) * 10**9 + int(nanoseconds)


def _header_frame_id(cdr: bytes) -> str:
    """The header's frame: after the stamp comes the length of the text with its final zero, then the text."""
    (length,) = struct.unpack_from("<I" if cdr[1] & 1 else ">I", cdr, 12)
    return cdr[16 : 16 + length - 1].decode()


def _free_partial(path: Path) -> Path:
    """A name for the partial folder that is not taken, since an earlier crash may have left one behind."""
    if path.exists():
        raise SacGmmError(f"{path} exists and is never overwritten: choose another name or remove it")
    for number in range(1000):
        partial = path.with_name(f".{path.name}.{number}.partial" if number else f".{path.name}.partial")
        if not partial.exists():
            return partial
    raise SacGmmError(f"{path.parent} holds a thousand unfinished recordings of {path.name}: remove them")


def _cannot_write(path: Path, error: OSError, kept: Path | None = None) -> SacGmmError:
    remedy = "make room on the disk" if error.errno == errno.ENOSPC else "choose a folder you may write to"
    rest = f"; what was recorded so far is kept in {kept}" if kept else ""
    return SacGmmError(f"cannot write {path}: {error.strerror or error}; {remedy}{rest}")


def _qos(latched: bool) -> Qos:
    """Reliable, depth 1 where latched and 10 where not."""
    unset = QosTime(0, 0)
    return Qos(
        QosHistory.KEEP_LAST,
        1 if latched else 10,
        QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        unset,
        unset,
        QosLiveliness.AUTOMATIC,
        unset,
        False,
    )
