"""Opens a bag and reads its messages, or says in a sentence why that cannot be done."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from rosbags.interfaces import Connection, ConnectionExtRosbag2

from sac_gmm.core.errors import UserError
from sac_gmm.demos.bags.bag_file import CDR
from sac_gmm.demos.bags.message_types import typestore
from sac_gmm.demos.bags.open_storages import OpenStorages
from sac_gmm.demos.bags.other_kinds import explain, other_encoding
from sac_gmm.demos.bags.recover import is_complete, is_storage, unmerged
from sac_gmm.demos.bags.split import broken_part, is_split, storage_files


@contextlib.contextmanager
def open_bag(path: Path) -> Iterator[OpenStorages]:
    """A bag, open for reading.

    Args:
        path: A rosbag2 folder, a bare `.mcap` (or `.db3`) file, or a folder with the files of one recording.

    Raises:
        UserError: The bag is missing, truncated or damaged, of another kind or in another encoding than ROS 2's; also
            later, while it is read.
    """
    storage = storage_paths(path)
    if storage[0].suffix == ".bag":  # rosbags would read it, with messages as ROS 1 serialises them
        raise UserError(explain(path) or f"{path} is not a bag: give a rosbag2 folder or an .mcap file")
    if beside := next((log for file in _files(storage) for log in unmerged(file)), None):
        raise UserError(
            f"{beside} holds messages that are not in {beside.name.rpartition('-')[0]} yet: the recorder was killed; "
            f"`sac-gmm demos salvage {path}` makes a bag of both"
        )
    try:
        with OpenStorages(storage) as reader:
            yield reader
    except UserError:
        raise
    except Exception as error:  # on a damaged file the parser can raise anything
        refused = _refusal(error)
        if refused is not None:
            raise UserError(f"cannot read {refused.filename}: {refused.strerror}") from error
        text = str(error).strip().rstrip(".") or type(error).__name__
        raise UserError(explain(path) or _damage(path, storage, text)) from error


def _damage(path: Path, storage: list[Path], text: str) -> str:
    """What to say of a bag that should be readable: whether a part is missing, and what the reader said."""
    files = _files(storage)
    if files and all(is_complete(file) for file in files):
        return (
            f"{path} cannot be read although no end is missing: it is damaged inside, or holds what is not understood "
            f"({text}); `sac-gmm demos salvage` makes a bag of what can be read"
        )
    return (
        f"{path} cannot be read: it was cut short (a power cut, a copy that stopped) or is damaged ({text}); "
        "`sac-gmm demos salvage` recovers what is whole in it"
    )


def _files(storage: list[Path]) -> list[Path]:
    return [file for of in storage for file in ([of] if of.is_file() else sorted(of.iterdir())) if is_storage(file)]


def _refusal(error: BaseException | None) -> OSError | None:
    """The system's error if it refused to read a file; None if the content is to blame."""
    while error is not None:
        if isinstance(error, OSError) and error.filename is not None:
            return error
        error = error.__cause__ or error.__context__  # rosbags hides the first with `from None`
    return None


def deserialise(reader: OpenStorages, connection: Connection, raw: bytes) -> Any:
    """A message of a bag. Standard types are read by their known definitions: those in the file may be damaged.

    Raises:
        UserError: It is in another encoding than ROS 2's, or of a type that the bag does not define.
    """
    encoding = serialisation(connection)
    if encoding != CDR:
        raise UserError(other_encoding(f"topic {connection.topic} of {reader.paths[0]}", [encoding]))
    if connection.msgtype in typestore().fielddefs:
        return typestore().deserialize_cdr(raw, connection.msgtype)
    return reader.deserialise(connection, raw)


def serialisation(connection: Connection) -> str:
    """In which encoding the messages are; `cdr` where a bag does not say."""
    return cast(ConnectionExtRosbag2, connection.ext).serialization_format or CDR


def storage_paths(path: Path) -> list[Path]:
    """The paths that rosbags should open: the folder if it has metadata, otherwise the files of its one recording.

    Raises:
        UserError: There is nothing there, or the files do not belong together.
    """
    if not path.exists():
        raise UserError(f"{path}: there is no such bag; give a rosbag2 folder or an .mcap file")
    if path.is_file() or (path / "metadata.yaml").exists():
        return [path]
    files = storage_files(path)
    if len(files) != 1 and not is_split(path):
        refuse_broken_part(path)
        raise UserError(
            explain(path)
            or f"{path} is not a bag: it has no metadata.yaml and {len(files)} .mcap files, expected a rosbag2 folder"
        )
    return files


def refuse_broken_part(folder: Path) -> None:
    """Refuse the files of one recording of which one cannot be read.

    Raises:
        UserError: One was cut short or is damaged.
    """
    if (file := broken_part(folder)) is not None:
        said = explain(file) or f"{file} was cut short (a power cut, a copy that stopped) or is damaged"
        raise UserError(
            f"{said.partition(':')[0]}; {folder} holds the files of one recording: `sac-gmm demos salvage {folder}` "
            "makes a bag of what can be read"
        )
