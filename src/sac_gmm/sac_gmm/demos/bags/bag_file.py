"""Writes one rosbag2 (mcap) folder that is either complete or absent, and survives whatever ends the program.

A message older than a quarter of a second has left this process, so kill -9 cannot lose it. A separate thread waits
for the disk, so the writer never does. `sac_gmm.demos.bags.salvage` rebuilds a bag from what a crash leaves behind.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import yaml
from backports import zstd
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

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import refuse_existing, sync_path
from sac_gmm.demos.bags.message_types import typestore

CDR = "cdr"  # how ROS 2 serialises messages
SIDECAR = "episode.yaml"
EPISODE_END = "episode_end_ns"  # in the sidecar: states stamped later than this do not belong to the episode
BAG_VERSION: Literal[9] = 9  # the metadata version that Jazzy writes
_ZSTD_OPTIONS = {int(zstd.CompressionParameter.checksum_flag): 1}
FLUSH_PERIOD_S = 0.2  # a crash may lose this much, plus the time that a flush takes


@dataclass(frozen=True)
class Topic:
    """A topic of a bag.

    Attributes:
        name: Its name, as players publish it.
        msgtype: Message type, such as `geometry_msgs/msg/PoseStamped`.
        qos: The QoS that the publisher offered.
        definition: The text of the type, unless it is one of ROS 2 Jazzy's own.
        type_hash: Hash of that definition (RIHS01); may be empty when unknown.
        encoding: Of the messages; only what is in `CDR` can be written.
        odd_qos: Whether the QoS was not written as a recorder writes it, and could not be read.
    """

    name: str
    msgtype: str
    qos: tuple[Qos, ...] = ()
    definition: str | None = None
    type_hash: str = ""
    encoding: str = CDR
    odd_qos: bool = False


class BagFile:
    """Writes messages to a hidden `.NAME.partial` folder beside `path`, and renames it once the bag is complete.

    The partial folder survives a crash, `abandon` and a full disk. Nothing is ever overwritten. While a recording is in
    progress its partial folder is locked (flock), so that nobody mistakes it for a dead one.

    Args:
        path: The future bag folder; must not exist.
        topics: The bag's topics.
        sidecar: What is known from the start. Written to `episode.yaml` at once, so a crash does not lose it.
        custom_data: Goes into the bag's own metadata.
        compress: Compress the stored data (zstd).
        keep_partial: Keep the partial folder when the disk is full. A copy of another bag does not need it.

    Raises:
        UserError: `path` exists, its folder cannot be written to, a type without a definition is unknown, or messages
            are in another encoding.
    """

    def __init__(
        self,
        path: Path | str,
        topics: Iterable[Topic],
        *,
        sidecar: Mapping[str, Any] | None = None,
        custom_data: Mapping[str, str] | None = None,
        compress: bool = True,
        keep_partial: bool = True,
    ) -> None:
        self.path = Path(path)
        topics = tuple(topics)
        known = typestore().fielddefs
        unknown = [f"{t.name} ({t.msgtype})" for t in topics if t.definition is None and t.msgtype not in known]
        if unknown:
            raise UserError(f"cannot record {', '.join(unknown)}: the message type is not one of ROS 2 Jazzy's own")
        foreign = [f"{t.name} ('{t.encoding}')" for t in topics if t.encoding != CDR]
        if foreign:
            raise UserError(f"{self.path} cannot hold {', '.join(foreign)}: its messages are in '{CDR}'; leave it out")
        refuse_existing(self.path)
        self._lock = threading.Lock()  # shared by `write` and the thread that flushes to disk
        self._stopped = threading.Event()
        self._failure: OSError | None = None
        self._keep_partial = keep_partial
        self._open = False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._partial = _make_partial(self.path)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        try:
            self._folder_lock = os.open(self._partial, os.O_RDONLY)
            fcntl.flock(self._folder_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (self._partial / SIDECAR).write_text(_yaml(sidecar or {}), encoding="utf-8")
            # The writer names its file after its folder; the file moves up one level when the bag is complete.
            self._writer = Writer(
                self._partial / self.path.name, version=BAG_VERSION, storage_plugin=StoragePlugin.MCAP
            )
            if compress:
                self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            for key, value in (custom_data or {}).items():
                self._writer.set_custom_data(key, value)
            self._writer.open()
            self._storage = cast(McapWriter, self._writer.storage)
            close_storage = self._storage.close
            cast(Any, self._storage).close = lambda version, metadata: close_storage(version, _of_jazzy(metadata))
            if compress:  # with a checksum, so that readers notice damage
                self._storage.compressor = partial(zstd.compress, options=_ZSTD_OPTIONS)
            self._connections = {topic.name: self._add(topic) for topic in topics}
            self._flush()  # the definitions come first, so that a truncated file can still be decoded
            self._descriptor = os.dup(self._storage.bio.fileno())
        except OSError as error:
            shutil.rmtree(self._partial, ignore_errors=True)
            raise cannot_write(self.path, error) from error
        self._open = True
        self._keeper = threading.Thread(target=self._keep_safe, name=f"bag {self.path.name}", daemon=True)
        self._keeper.start()

    @property
    def partial_path(self) -> Path:
        """Where the data is stored until the bag is complete."""
        return self._partial

    @property
    def is_open(self) -> bool:
        """Whether the bag accepts more messages."""
        return self._open

    def add(self, topic: Topic) -> None:
        """Add a topic to the bag."""
        with self._lock:
            self._connections[topic.name] = self._add(topic)

    def write(self, topic: str, log_time_ns: int, data: bytes) -> None:
        """Append a serialised message.

        Raises:
            UserError: The bag has no such topic, or the disk refuses the data.
        """
        if not self._open:
            raise UserError(f"{self.path} is closed: start a new recording")
        if topic not in self._connections:
            raise UserError(f"{self.path} has no topic {topic}; it has {', '.join(self._connections)}")
        try:
            if self._failure is not None:
                raise self._failure
            with self._lock:
                self._writer.write(self._connections[topic], log_time_ns, data)
                if time.monotonic() - self._flushed_s > FLUSH_PERIOD_S:
                    self._flush()
        except OSError as error:
            raise self._given_up(error) from error

    def close(self, sidecar: Mapping[str, Any] | None = None) -> Path:
        """Complete the bag and rename the folder.

        Args:
            sidecar: The final content of `episode.yaml`; by default it stays as it was at the start.

        Raises:
            UserError: The disk refuses the data, or `path` was created in the meantime.
        """
        if not self._open:
            raise UserError(f"{self.path} is already closed")
        inner = self._partial / self.path.name
        try:
            self._stop_keeper()
            if self._failure is not None:
                raise self._failure
            self._writer.close()
            metadata = inner / "metadata.yaml"
            metadata.write_text(_of_jazzy(metadata.read_text(encoding="utf-8")), encoding="utf-8")
            for file in inner.iterdir():
                os.replace(file, self._partial / file.name)
                sync_path(self._partial / file.name)
            inner.rmdir()
            if sidecar is not None:
                (self._partial / SIDECAR).write_text(_yaml(sidecar), encoding="utf-8")
            sync_path(self._partial / SIDECAR)
            if self.path.exists():
                kept = f"the recording is kept in {self._partial}" if self._keep_partial else "choose another name"
                raise UserError(f"{self.path} was created in the meantime; {kept}")
            os.rename(self._partial, self.path)
            sync_path(self.path.parent)
        except OSError as error:
            raise self._given_up(error) from error
        finally:
            self._release()
        return self.path

    def abandon(self) -> None:
        """Stop writing and keep the partial folder with everything written so far."""
        if not self._open:
            return
        self._stop_keeper()
        # A full disk refuses the rest too, and a file that could not be completed is already closed.
        with contextlib.suppress(OSError, ValueError):
            self._flush()
        with contextlib.suppress(OSError, ValueError):
            self._writer.abort()
        self._release()

    def discard(self) -> None:
        """Delete the recording."""
        self.abandon()
        shutil.rmtree(self._partial, ignore_errors=True)

    def _given_up(self, error: OSError) -> UserError:
        """Stop writing, and describe what is left of the recording."""
        if self._keep_partial:
            self.abandon()
            return cannot_write(self.path, error, self._partial)
        self.discard()
        return cannot_write(self.path, error)

    def _add(self, topic: Topic) -> Connection:
        if topic.definition is None:
            return self._writer.add_connection(
                topic.name, topic.msgtype, typestore=typestore(), offered_qos_profiles=topic.qos
            )
        return self._writer.add_connection(
            topic.name,
            topic.msgtype,
            msgdef=topic.definition,
            rihs01=topic.type_hash or "RIHS01_" + 64 * "0",
            offered_qos_profiles=topic.qos,
        )

    def _flush(self) -> None:
        """Close the chunk in memory and hand it to the operating system."""
        storage = self._storage
        if storage.chunk.bio.tell():
            if not storage.chunk.msgs:  # definitions only: a chunk must not carry the empty time range
                storage.chunk.message_start_time = storage.chunk.message_end_time = 0
            storage.close_chunk()
        storage.bio.flush()
        self._flushed_s = time.monotonic()

    def _keep_safe(self) -> None:
        """Flush what no `write` flushes because messages stopped coming, and wait for the disk."""
        while not self._stopped.wait(FLUSH_PERIOD_S / 2):
            try:
                with self._lock:
                    if time.monotonic() - self._flushed_s > FLUSH_PERIOD_S / 2:
                        self._flush()
                os.fsync(self._descriptor)
            except OSError as error:
                self._failure = error  # for the next `write` or `close`
                return

    def _stop_keeper(self) -> None:
        self._stopped.set()
        self._keeper.join()

    def _release(self) -> None:
        if self._open:
            self._open = False
            os.close(self._descriptor)
            os.close(self._folder_lock)


def recorded_qos(*, latched: bool = False, reliable: bool = True) -> Qos:
    """QoS for a recorded topic: keep the last message if latched (transient local), otherwise the last ten."""
    unset = QosTime(0, 0)
    return Qos(
        QosHistory.KEEP_LAST,
        1 if latched else 10,
        QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        unset,
        unset,
        QosLiveliness.AUTOMATIC,
        unset,
        False,
    )


def being_written(folder: Path) -> bool:
    """Whether a running program is writing to a partial folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EACCES, errno.EAGAIN)
    finally:
        os.close(descriptor)
    return False


def cannot_write(path: Path, error: OSError, kept: Path | None = None) -> UserError:
    """The error to raise when the system refuses a write."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    remedy = "make room on the disk" if full else "choose a folder you may write to"
    rest = f"; what was recorded so far is kept in {kept}: `sac-gmm demos salvage` makes a bag of it" if kept else ""
    return UserError(f"cannot write {path}: {error.strerror or error}; {remedy}{rest}")


def _make_partial(path: Path) -> Path:
    """Create a new partial folder: a crash may have left one behind, or another program may be writing to one."""
    for number in range(1000):
        free = path.with_name(f".{path.name}.{number}.partial" if number else f".{path.name}.partial")
        with contextlib.suppress(FileExistsError):
            free.mkdir()
            return free
    raise UserError(f"{path.parent} holds a thousand unfinished recordings of {path.name}: remove them")


def _of_jazzy(metadata: str) -> str:
    """A bag's metadata with the distribution whose messages it holds; rosbags puts its own name there."""
    return metadata.replace("ros_distro: rosbags", "ros_distro: jazzy")


def _yaml(value: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(value), sort_keys=False)
