"""Reads truncated or damaged rosbag2 storage files: everything intact in them, and a record of what is lost.

An mcap file is read from its beginning, record by record, without the index that a crash leaves out; a truncated
chunk is unpacked as far as it goes. A sqlite3 file is read row by row, past damaged pages. Both may be compressed as
files or message by message (zstd).
"""

from __future__ import annotations

import contextlib
import mmap
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple
from zlib import crc32

import lz4.frame
from backports import zstd
from rosbags.interfaces import Qos
from rosbags.rosbag2.metadata import parse_qos
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

from sac_gmm.core.errors import UserError
from sac_gmm.demos.bags.bag_file import CDR, Topic
from sac_gmm.demos.bags.message_types import typestore

MCAP_MAGIC = b"\x89MCAP0\r\n"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_HEADER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _DATA_END, _LAST_OPCODE = 0x01, 0x03, 0x04, 0x05, 0x06, 0x0F, 0x0F
STORAGE_ENDINGS = (".mcap", ".db3", ".mcap.zstd", ".db3.zstd")
_BLOCK = 1 << 16


class Message(NamedTuple):
    """One message as stored."""

    topic: Topic
    log_time_ns: int
    data: bytes
    was_compressed: bool = False  # by itself; `data` is what it was before


@dataclass
class Loss:
    """What could not be read from a file; filled in during reading.

    Attributes:
        cut_bytes: Bytes at the end of the file that belong to no complete record.
        damaged: Chunks, messages or pages inside it that differ from what was written.
        unfinished: Whether the file lacks its index, as after a crash.
    """

    cut_bytes: int = 0
    damaged: list[str] = field(default_factory=list)
    unfinished: bool = False

    @property
    def none(self) -> bool:
        """Whether the file is intact."""
        return not (self.cut_bytes or self.damaged or self.unfinished)


def recover(path: Path, loss: Loss) -> Iterator[Message]:
    """Yield every message that can be read from one storage file, in storage order.

    Args:
        path: A `.mcap` or `.db3` file, possibly compressed as a whole (`.zstd`).
        loss: Filled in during reading.

    Raises:
        UserError: The file is of neither kind.
    """
    if path.suffix == ".zstd":
        with tempfile.TemporaryDirectory(prefix="sac_gmm_") as folder:
            unpacked = Path(folder) / path.stem
            with path.open("rb") as packed, unpacked.open("wb") as file:
                for block in _unpack(packed, loss):
                    file.write(block)
            yield from recover(unpacked, loss)
        return
    scan = {".mcap": _scan_mcap, ".db3": _scan_sqlite}.get(path.suffix)
    if scan is None:
        raise UserError(f"{path} is no storage file of a bag: expected .mcap or .db3, or these with .zstd")
    for message in scan(path, loss):
        if message.data[:4] == ZSTD_MAGIC:  # no CDR begins like this
            try:
                message = message._replace(data=zstd.decompress(message.data), was_compressed=True)
            except zstd.ZstdError as error:
                loss.damaged.append(f"a message of {message.topic.name} ({error})")
                continue
        yield message


def is_storage(path: Path) -> bool:
    """Whether a file is called like one that `recover` reads."""
    return path.name.endswith(STORAGE_ENDINGS) and path.is_file()


def is_complete(path: Path) -> bool:
    """Whether a storage file is as long as it should be. What is inside may be damaged all the same.

    Args:
        path: As for `recover`.
    """
    if path.suffix == ".zstd":
        loss = Loss()
        with path.open("rb") as packed:
            for _ in _unpack(packed, loss):
                pass
        return loss.none
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(100)
        if path.suffix == ".db3":  # https://www.sqlite.org/fileformat.html: size of a page, number of pages
            if len(head) < 100:
                return False
            page, pages = int.from_bytes(head[16:18], "big"), int.from_bytes(head[28:32], "big")
            return size >= (65536 if page == 1 else page) * pages
        file.seek(-min(size, len(MCAP_MAGIC)), 2)
        return size > len(MCAP_MAGIC) and file.read() == MCAP_MAGIC


def unmerged(path: Path) -> list[Path]:
    """The logs beside an sqlite3 file that hold its latest writes, where its writer did not come to merge them."""
    logs = [path.with_name(path.name + ending) for ending in ("-wal", "-journal")]
    return [log for log in logs if path.suffix == ".db3" and log.exists() and log.stat().st_size]


def mcap_profile(path: Path) -> str:
    """What an mcap file says that it holds; `ros2` is what ROS 2 writes.

    Raises:
        UserError: It does not say.
    """
    with path.open("rb") as file:
        head = file.read(17)
        if head[:8] == MCAP_MAGIC and head[8:9] == bytes([_HEADER]):
            with contextlib.suppress(struct.error, UnicodeDecodeError):
                return _texts(file.read(int.from_bytes(head[9:], "little")), 0, 1)[0]
    raise UserError(f"{path} is no mcap file: it does not begin as one")


def _unpack(packed: BinaryIO, loss: Loss) -> Iterator[bytes]:
    unpacker = zstd.ZstdDecompressor()
    while not unpacker.eof:
        block = packed.read(_BLOCK)
        if not block:
            loss.unfinished = True
            return
        try:
            yield unpacker.decompress(block)
        except zstd.ZstdError as error:
            loss.damaged.append(f"the compressed file ({error})")
            return


# mcap ----------------------------------------------------------------------------------------------------------------


def _scan_mcap(path: Path, loss: Loss) -> Iterator[Message]:
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(8) != MCAP_MAGIC:
            raise UserError(f"{path} is no mcap file: its first bytes are not those of one")
        known = _Definitions()
        while True:
            at = file.tell()
            head = file.read(9)
            if len(head) < 9:
                loss.unfinished, loss.cut_bytes = True, loss.cut_bytes + len(head)
                return
            opcode, length = head[0], int.from_bytes(head[1:], "little")
            if opcode == _DATA_END and length == 4:  # only the index follows
                file.seek(-8, 2)
                loss.unfinished |= file.read() != MCAP_MAGIC
                return
            whole = at + 9 + length <= size
            if not 1 <= opcode <= _LAST_OPCODE or not whole:
                behind = _next_chunk(file, at + 1)
                if behind is not None:
                    loss.damaged.append(f"{behind - at} bytes from byte {at} on")
                    file.seek(behind)
                    continue
                loss.unfinished = True
                loss.cut_bytes += size - at
                if opcode != _CHUNK:
                    return
                file.seek(at + 9)
            body = file.read(min(length, size - at - 9))
            records = _chunk_records(body, at, whole, loss) if opcode == _CHUNK else iter([(opcode, body)])
            for kind, record in records:
                message = known.take(kind, record, loss)
                if message is not None:
                    yield message


def _next_chunk(file: BinaryIO, begin: int) -> int | None:
    """Find the next chunk: a position where lengths, times and compression are consistent."""
    marker = bytes([_CHUNK])
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = content.find(marker, begin)
        while at >= 0 and at + 57 < len(content):
            length, start, end, unpacked, _, name_length = struct.unpack_from("<QQQQII", content, at + 1)
            if name_length in (0, 3, 4) and start <= end and at + 9 + length <= len(content):
                name = content[at + 41 : at + 41 + name_length]
                (packed,) = struct.unpack_from("<Q", content, at + 41 + name_length)
                fits = packed == length - 40 - name_length and (name or packed == unpacked)
                if fits and name in (b"", b"zstd", b"lz4"):
                    return at
            at = content.find(marker, at + 1)
    return None


def _chunk_records(body: bytes, at: int, whole: bool, loss: Loss) -> Iterator[tuple[int, bytes]]:
    """The records of a chunk; of a truncated chunk, as many as are complete."""
    if len(body) < 40:
        return
    (crc, name_length) = struct.unpack_from("<II", body, 24)
    compression = body[32 : 32 + name_length].decode(errors="replace")
    packed = body[40 + name_length :]
    content = bytearray()
    try:
        if compression == "":
            content += packed
        elif compression == "zstd":
            _feed(zstd.ZstdDecompressor(), packed, content)
        elif compression == "lz4":
            _feed(lz4.frame.LZ4FrameDecompressor(), packed, content)
        else:
            raise ValueError(f"unknown compression '{compression}'")
        if whole and crc and crc32(content) != crc:
            loss.damaged.append(f"the chunk at byte {at} (checksum)")
            return
    except (zstd.ZstdError, RuntimeError, ValueError) as error:
        loss.damaged.append(f"the chunk at byte {at} ({error})")
    begin = 0
    while begin + 9 <= len(content):
        length = int.from_bytes(content[begin + 1 : begin + 9], "little")
        end = begin + 9 + length
        if not 1 <= content[begin] <= _LAST_OPCODE:
            loss.damaged.append(f"the chunk at byte {at} (from its byte {begin} on)")
            return
        if end > len(content):
            return
        yield content[begin], bytes(content[begin + 9 : end])
        begin = end


def _feed(unpacker: zstd.ZstdDecompressor | lz4.frame.LZ4FrameDecompressor, packed: bytes, content: bytearray) -> None:
    """Unpack block by block, so that everything before a fault is kept."""
    for begin in range(0, len(packed), _BLOCK):
        if unpacker.eof:
            return
        content += unpacker.decompress(packed[begin : begin + _BLOCK])


class _Definitions:
    """The types and topics that an mcap file has declared so far."""

    def __init__(self) -> None:
        self._schemas: dict[int, tuple[str, str]] = {}
        self._topics: dict[int, Topic] = {}

    def take(self, kind: int, record: bytes, loss: Loss) -> Message | None:
        """Learn from a record; return a message together with its topic."""
        try:
            if kind == _SCHEMA:
                (number,) = struct.unpack_from("<H", record)
                name, encoding, text = _texts(record, 2, 3)
                self._schemas[number] = (name, text if encoding in ("ros2msg", "ros2idl") else "")
            elif kind == _CHANNEL:
                number, schema = struct.unpack_from("<HH", record)
                name, encoding = _texts(record, 4, 2)
                metadata = _metadata(record[12 + len(name.encode()) + len(encoding.encode()) :])
                msgtype, text = self._schemas[schema]
                qos = metadata.get("offered_qos_profiles", "")
                self._topics[number] = _topic(name, msgtype, text, qos, encoding=encoding)
            elif kind == _MESSAGE:
                number, _, log_time_ns, _ = struct.unpack_from("<HIQQ", record)
                return Message(self._topics[number], log_time_ns, record[22:])
        except (KeyError, struct.error, UnicodeDecodeError) as error:
            loss.damaged.append(f"a record of kind {kind} ({type(error).__name__} {error})")
        return None


def _texts(record: bytes, begin: int, count: int) -> list[str]:
    texts = []
    for _ in range(count):
        (length,) = struct.unpack_from("<I", record, begin)
        texts.append(record[begin + 4 : begin + 4 + length].decode())
        begin += 4 + length
    return texts


def _metadata(record: bytes) -> dict[str, str]:
    (length,) = struct.unpack_from("<I", record)
    found = {}
    begin = 4
    while begin < 4 + length:
        key, value = _texts(record, begin, 2)
        found[key] = value
        begin += 8 + len(key.encode()) + len(value.encode())
    return found


def _topic(name: str, msgtype: str, text: str, qos: str, type_hash: str = "", encoding: str = CDR) -> Topic:
    profiles: tuple[Qos, ...] = ()
    odd_qos = False
    try:
        profiles = tuple(parse_qos(qos))
    except Exception:  # the parser can raise anything; it is no reason to lose the messages
        odd_qos = True
    if encoding not in ("", CDR):
        return Topic(name, msgtype, profiles, text, type_hash, encoding, odd_qos)
    # ROS 2's own types use their known definitions; those in the file may be damaged.
    if msgtype in typestore().fielddefs:
        return Topic(name, msgtype, profiles, odd_qos=odd_qos)
    return Topic(name, msgtype, profiles, text, type_hash or _type_hash(msgtype, text), odd_qos=odd_qos)


def _type_hash(msgtype: str, text: str) -> str:
    """The hash (RIHS01) of a type that is not one of ROS 2's own; empty if its definition cannot be read."""
    store = get_typestore(Stores.ROS2_JAZZY)
    try:
        store.register(get_types_from_idl(text) if text.startswith("=") else get_types_from_msg(text, msgtype))
        return str(store.hash_rihs01(msgtype))
    except Exception:  # on damaged text the parser can raise anything
        return ""


# sqlite3 -------------------------------------------------------------------------------------------------------------


def _scan_sqlite(path: Path, loss: Loss) -> Iterator[Message]:
    with contextlib.ExitStack() as stack:
        companions = unmerged(path)
        if companions:  # the latest writes are in there; sqlite would merge them, which must not happen to the original
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sac_gmm_")))
            for file in [path, *companions]:
                shutil.copy(file, folder / file.name)
            connection = sqlite3.connect(folder / path.name)
            loss.unfinished = True
        else:
            connection = sqlite3.connect(f"file:{path.resolve()}?mode=ro&immutable=1", uri=True)
        stack.callback(connection.close)
        # Without it sqlite refuses every file that is shorter than its header claims; nothing is written.
        connection.execute("PRAGMA writable_schema=ON")
        try:
            topics = _sqlite_topics(connection)
        except sqlite3.DatabaseError as error:
            raise UserError(
                f"{path} is no sqlite3 bag, or its first page is damaged ({error}): `sqlite3 {path} .recover | sqlite3 "
                f"{path.with_name('recovered.db3')}` may get something out of it"
            ) from error
        last, step, faults = -1, 1, 0
        while True:
            try:
                rows = connection.execute(
                    "SELECT id, topic_id, timestamp, data FROM messages WHERE id > ? ORDER BY id", (last,)
                )
                for number, topic_id, log_time_ns, data in rows:
                    last, step = number, 1
                    if topic_id in topics and isinstance(data, bytes):
                        yield Message(topics[topic_id], int(log_time_ns), data)
                return
            except sqlite3.DatabaseError as error:
                # Skip the damage in growing steps, until something can be read or nothing is left.
                if not faults or step == 1:
                    loss.damaged.append(f"rows after {last} ({error})")
                faults += 1
                last, step = last + step, 2 * step
                if step > 1 << 40:
                    return


def _sqlite_topics(connection: sqlite3.Connection) -> dict[int, Topic]:
    columns = {row[1] for row in connection.execute("PRAGMA table_info(topics)")}
    if not columns:
        raise sqlite3.DatabaseError("it has no table `topics`")
    optional = ("offered_qos_profiles", "type_description_hash", "serialization_format")
    chosen = [c if c in columns else "''" for c in optional]
    texts: dict[str, str] = {}
    if list(connection.execute("PRAGMA table_info(message_definitions)")):
        rows = connection.execute("SELECT topic_type, encoded_message_definition FROM message_definitions")
        texts = {msgtype: text for msgtype, text in rows}
    return {
        number: _topic(name, msgtype, texts.get(msgtype, ""), qos or "", type_hash or "", encoding or "")
        for number, name, msgtype, qos, type_hash, encoding in connection.execute(
            f"SELECT id, name, type, {', '.join(chosen)} FROM topics"
        )
    }
