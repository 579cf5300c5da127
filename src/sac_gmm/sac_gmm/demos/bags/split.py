"""One recording in several files, as `ros2 bag record -d` and `-b` split it, without the metadata that would say so."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import yaml
from rosbags.rosbag2 import Reader

STORAGE_SUFFIXES = (".mcap", ".db3")
_NUMBERED = re.compile(r"(.+)_(\d+)$")
_MCAP_MAGIC_BYTES = 8
_MCAP_METADATA = 0x0C  # kind of a record
# A recording goes on in its next file with the next message; people need longer between two demonstrations.
LONGEST_SPLIT_GAP_S = 0.5


def storage_files(folder: Path) -> list[Path]:
    """The storage files directly in a folder, those with a number at the end of their name in its order."""
    files = [path for path in folder.iterdir() if path.suffix in STORAGE_SUFFIXES and not path.name.startswith(".")]
    return sorted(files, key=_order)


def is_split(folder: Path) -> bool:
    """Whether a folder without metadata holds the files of one recording, and no other."""
    files = storage_files(folder)
    filled = [file for file in files if not _is_empty(file)]  # a recorder may be stopped just after it began a file
    return len(files) > 1 and bool(filled) and all(continues(a, b) for a, b in pairwise(filled))


def broken_part(folder: Path) -> Path | None:
    """The first file in a folder with the files of one recording that cannot be read."""
    files = storage_files(folder)
    return next((file for file in files if not opens(file)), None) if parts_among(files) else None


def parts_among(bags: Sequence[Path]) -> tuple[Path, Path] | None:
    """Two files among bags of which the second goes on where the first ends; None where there are none."""
    files = sorted((bag for bag in bags if bag.suffix in STORAGE_SUFFIXES and bag.is_file()), key=_order)
    return next(((a, b) for a, b in pairwise(files) if continues(a, b)), None)


def parts_beside(bags: Sequence[Path]) -> tuple[Path, Path] | None:
    """The same where only one of the two is among the bags, and the other in the same folder."""
    asked = {bag.resolve() for bag in bags if bag.is_file()}
    for folder in sorted({file.parent for file in asked}):
        for a, b in pairwise(storage_files(folder)):
            if (a in asked) != (b in asked) and continues(a, b):
                return a, b
    return None


def files_before(file: Path) -> int:
    """How many files of its recording come before a bare file, as the file itself says; 0 where it says nothing."""
    numbered = _NUMBERED.match(file.stem)
    if numbered is None or int(numbered[2]) == 0 or not file.is_file():  # a recorder counts from 0
        return 0
    with contextlib.suppress(Exception):  # a damaged file can make the parser stumble in any way at all
        for text in _own_metadata(file):
            information = yaml.safe_load(text)
            paths = information.get("rosbag2_bagfile_information", information)["relative_file_paths"]
            if file.name in (names := [Path(path).name for path in paths]):
                return names.index(file.name)
    return 0


def _own_metadata(file: Path) -> Iterator[str]:
    """The texts of metadata.yaml that a recorder leaves in the file itself, the last one first."""
    if file.suffix == ".db3":
        with contextlib.closing(sqlite3.connect(f"file:{file.resolve()}?mode=ro&immutable=1", uri=True)) as connection:
            rows = list(connection.execute("SELECT metadata FROM metadata ORDER BY rowid DESC"))
        yield from (text for (text,) in rows)
        return
    records = []
    with file.open("rb") as content:
        content.seek(_MCAP_MAGIC_BYTES)
        while len(head := content.read(9)) == 9:
            kind, length = struct.unpack("<BQ", head)
            if kind == _MCAP_METADATA:
                records.append(content.read(length))
            else:
                content.seek(length, 1)
    for record in reversed(records):
        _, _, value = record.partition(b"serialized_metadata")
        yield value[4 : 4 + int.from_bytes(value[:4], "little")].decode()


def continues(first: Path, second: Path) -> bool:
    """Whether the second file goes on with the recording of the first: by its name, and by the times in both."""
    a, b = _NUMBERED.match(first.stem), _NUMBERED.match(second.stem)
    if a is None or b is None or a[1] != b[1] or int(b[2]) != int(a[2]) + 1:
        return False
    if (first.parent, first.suffix) != (second.parent, second.suffix):
        return False
    spans = [_span_ns(path) for path in (first, second)]
    if spans[0] is None or spans[1] is None:
        return False
    gap_s = (spans[1][0] - spans[0][1]) * 1e-9
    return spans[0][0] < spans[1][0] and abs(gap_s) <= LONGEST_SPLIT_GAP_S


def _order(path: Path) -> tuple[str, str, int]:
    numbered = _NUMBERED.match(path.stem)
    return (str(path.parent), path.stem, 0) if numbered is None else (str(path.parent), numbered[1], int(numbered[2]))


def _span_ns(path: Path) -> tuple[int, int] | None:
    """When a file begins and ends; None where it holds nothing or cannot be read, which its reader will say."""
    try:
        with Reader(path) as reader:
            return (reader.start_time, reader.end_time) if reader.message_count else None
    except Exception:  # a damaged file can make the parser stumble in any way at all
        return None


def opens(bag: Path) -> bool:
    """Whether the ordinary reader can open a bag or one file of it."""
    try:
        with Reader(bag):
            return True
    except Exception:  # on a damaged file the parser can raise anything
        return False


def _is_empty(path: Path) -> bool:
    """Whether a file is whole and holds no message."""
    return opens(path) and _span_ns(path) is None
