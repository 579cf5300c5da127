"""Opens the storages of a recording and reads them as they are, whatever the metadata beside them says of the topics.

The reader of `rosbags` gives up on a bag where one topic's type is unknown or ill defined, and leaves out every topic
whose QoS in metadata.yaml is not to the letter that in the storage (as after `ros2 bag reindex`, or where a program
has written the metadata), and every message of an mcap file that has an index of chunks but none of messages, without
a word. A demonstration needs none of these.
"""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, cast

from backports import zstd
from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.metadata import ReaderMetadata
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from sac_gmm.core.errors import UserError

_IDL_RULE = "=" * 80 + "\n"  # before each type of a definition in IDL
_WINDOW = 100  # messages by which a recorder's threads may overtake each other


class OpenStorages:
    """The messages of one recording; a context manager.

    Attributes:
        paths: What was opened.
        connections: The topics of every storage; those in several files are there several times.

    Args:
        paths: A rosbag2 folder with metadata, or the bare files of one recording.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths
        self.connections: list[Connection] = []
        self._storages: list[list[Any]] = []  # of each path, in its order
        self._compressed = False  # message by message
        self._stack = contextlib.ExitStack()
        self._types: dict[str, Typestore] = {}  # for each type that was asked for

    def __enter__(self) -> OpenStorages:
        with contextlib.ExitStack() as stack:
            for path in self.paths:
                reader = stack.enter_context(Reader(path))
                self._compressed |= reader.compression_mode == "message"
                self._storages.append(getattr(reader.storage, "storages", [reader.storage]))
                self.connections += _connections(reader)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def start_time(self) -> int:
        """Time of the first message in ns; 0 where there is none."""
        return min((metadata.start_time for metadata in self._filled), default=0)

    @property
    def duration(self) -> int:
        """Time from the first message to the last in ns."""
        return max((metadata.end_time for metadata in self._filled), default=0) - self.start_time

    @property
    def _filled(self) -> list[ReaderMetadata]:
        """Of the files that hold messages."""
        files = [storage.metadata for storages in self._storages for storage in storages]
        return [metadata for metadata in files if metadata.message_count]

    def messages(self, connections: Sequence[Connection] | None = None) -> Iterator[tuple[Connection, int, bytes]]:
        """Messages in the order of their times, in a folder file by file: connection, time in ns, data.

        Args:
            connections: Some of `connections`; all by default.
        """
        chosen = self.connections if connections is None else connections
        of_paths = [
            chain.from_iterable(self._messages_of(storage, chosen) for storage in storages)
            for storages in self._storages
        ]
        yield from heapq.merge(*of_paths, key=lambda message: message[1])

    def deserialise(self, connection: Connection, raw: bytes) -> Any:
        """A message of a type that is not one of ROS 2's own, by the definition in the bag.

        Raises:
            UserError: The bag does not define the type.
        """
        try:
            if connection.msgtype not in self._types:
                self._types[connection.msgtype] = _defined(connection)
            return self._types[connection.msgtype].deserialize_cdr(raw, connection.msgtype)
        except Exception as error:  # with a definition that is damaged or not there, the parser can raise anything
            raise UserError(
                f"topic {connection.topic} of {self.paths[0]} is a {connection.msgtype}, and the bag does not define "
                "this type: record it where the package with the type is sourced"
            ) from error

    def _messages_of(self, storage: Any, chosen: Sequence[Connection]) -> Iterator[tuple[Connection, int, bytes]]:
        mine = {connection.id: connection for connection in chosen if connection.owner is storage}
        if not mine:
            return
        if _lacks_index(storage):
            found = _nearly_sorted(storage.messages_scan(list(mine.values())))
        else:
            found = storage.messages(list(mine.values()), None, None)
        for connection, time_ns, data in found:
            yield mine[connection.id], time_ns, zstd.decompress(data) if self._compressed else data


def _lacks_index(storage: Any) -> bool:
    """Whether an mcap file, by its index, seems to hold less than it does, or has none."""
    return hasattr(storage, "messages_scan") and not (
        storage.chunks and all(chunk.message_index_offsets for chunk in storage.chunks)
    )


def _defined(connection: Connection) -> Typestore:
    """The types that a topic's definition names."""
    store, text = get_typestore(Stores.EMPTY), connection.msgdef.data
    if connection.msgdef.format == MessageDefinitionFormat.MSG:
        store.register(get_types_from_msg(text, connection.msgtype))
    elif text.startswith(_IDL_RULE):
        for part in text.split(_IDL_RULE)[1:]:
            store.register(get_types_from_idl(part.partition("\n")[2]))
    else:
        store.register(get_types_from_idl(text))
    return store


def _nearly_sorted(messages: Iterator[tuple[Connection, int, bytes]]) -> Iterator[tuple[Connection, int, bytes]]:
    """Messages in the order of their times, if none is more than `_WINDOW` messages from its place."""
    waiting: list[tuple[int, int, tuple[Connection, int, bytes]]] = []
    for number, message in enumerate(messages):
        heapq.heappush(waiting, (message[1], number, message))
        if len(waiting) > _WINDOW:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]


def _connections(reader: Reader) -> list[Connection]:
    """The topics as the storages have them, with the hashes and definitions that stand elsewhere in the bag."""
    storages = getattr(reader.storage, "storages", None)
    if storages is None:
        return list(reader.connections)
    by_topic = {connection.topic: connection for connection in reader.connections}
    completed = []
    for connection in cast(list[Connection], [c for storage in storages for c in storage.connections]):
        said = by_topic.get(connection.topic)
        if said is not None and said.msgtype == connection.msgtype:
            connection = connection._replace(digest=connection.digest or said.digest)
            if connection.msgdef.format == MessageDefinitionFormat.NONE:
                connection = connection._replace(msgdef=said.msgdef)
        completed.append(connection)
    return completed
