"""Recordings that are whole and yet no bags that can be read: what they are, and what makes a bag of them."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from sac_gmm.demos.bags.bag_file import BAG_VERSION, CDR
from sac_gmm.demos.bags.recover import MCAP_MAGIC, ZSTD_MAGIC, Loss, mcap_profile, recover

_STORAGES = {".mcap": "mcap", ".db3": "sqlite3"}
_ROS1_MAGIC = b"#ROSBAG V"
_SQLITE_MAGIC = b"SQLite format 3\0"
_COMPRESSED = {
    ZSTD_MAGIC: ("zstd", "zstd -d"),
    b"\x04\x22\x4d\x18": ("lz4", "lz4 -d"),
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"BZh": ("bzip2", "bunzip2"),
    b"\xfd7zXZ\0": ("xz", "unxz"),
    b"PK\x03\x04": ("zip", "unzip"),
}
_LOOKED_AT = 10_000  # messages of a file: enough to meet all its topics


def explain(path: Path) -> str | None:
    """Why a recording cannot be read though nothing is missing from it, as a sentence with the remedy.

    Args:
        path: A file or folder. It is looked at closely, so ask only about what could not be read.

    Returns:
        None where this is not known; it may be cut short or damaged then.
    """
    with contextlib.suppress(Exception):  # a damaged file can make the parser stumble in any way at all
        return _of_folder(path) if path.is_dir() else _of_file(path)
    return None


def other_encoding(what: str, encodings: Iterable[str], name: str = "demo") -> str:
    """A sentence about messages that are not serialised as ROS 2 serialises them.

    Args:
        what: The bag or the topic.
        encodings: What it says of its messages.
        name: Of the bag, for the example.
    """
    said = sorted(set(encodings))
    text = f"{what} holds messages in the encoding {' and '.join(map(repr, said))}, expected '{CDR}'"
    if said == ["ros1"]:
        remedy = f"convert the ROS 1 bag that it was made of, `rosbags-convert --src {name}.bag --dst {name}`"
    else:
        remedy = (
            f"convert it with `ros2 bag convert` (serialization_format: {CDR}) where a converter for that encoding is "
            "installed, or record the topics with `ros2 bag record`"
        )
    return f"{text} (ROS 2): {remedy}"


def _of_folder(folder: Path) -> str | None:
    metadata = folder / "metadata.yaml"
    if not metadata.exists():
        files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
        return next((said for file in files if (said := _of_file(file))), None)
    information = _information(metadata)
    if information is None:
        return (
            f"{metadata} is empty, cut short or not the metadata of a bag: remove it, and the recording is read "
            f"without it; or `sac-gmm demos salvage {folder}` makes a bag of it"
        )
    if information["version"] > BAG_VERSION:
        return (
            f"{metadata} is of version {information['version']}, newer than {BAG_VERSION}, the last that is known: "
            "convert the bag with the `ros2 bag convert` that wrote it, or give its storage file alone"
        )
    files = [folder / Path(name).name for name in information["relative_file_paths"]]
    missing = [file.name for file in files if not file.exists()]
    if missing:
        return (
            f"{folder} lacks {', '.join(missing)}, which its metadata.yaml names: copy it there, or correct the name "
            f"below relative_file_paths; `sac-gmm demos salvage {folder}` makes a bag of what there is"
        )
    identifier = information["storage_identifier"]
    if identifier not in _STORAGES.values():
        endings = {suffix for file in files for suffix in file.suffixes}
        fits = next((name for ending, name in _STORAGES.items() if ending in endings), "mcap or sqlite3")
        cause = "" if identifier else ", as `ros2 bag reindex` of Humble leaves it"
        return f"{metadata} says storage_identifier: '{identifier}'{cause}: write {fits} there"
    encodings = {str(of["topic_metadata"]["serialization_format"]) for of in information["topics_with_message_count"]}
    if encodings - {CDR}:
        return _mixed(folder, encodings)
    mode = str(information.get("compression_mode", "")).lower()
    format_ = information.get("compression_format", "")
    if mode not in ("", "none") and format_ != "zstd":
        return f"{folder} is compressed with '{format_}', expected zstd: convert it with `ros2 bag convert`"
    return next((said for file in files if (said := _of_file(file, packed_is_right=mode == "file"))), None)


def _information(metadata: Path) -> Any:
    """What metadata.yaml says of a bag; None where it does not say all that a bag needs."""
    try:
        information = yaml.safe_load(metadata.read_text(encoding="utf-8"))["rosbag2_bagfile_information"]
    except (UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return None
    needed = {"version", "storage_identifier", "relative_file_paths", "topics_with_message_count"}
    return information if isinstance(information, dict) and needed <= information.keys() else None


def _of_file(file: Path, packed_is_right: bool = False) -> str | None:
    with file.open("rb") as content:
        begin = content.read(64)
    if not begin.strip(b"\0"):
        what = "consists of zeros" if begin else "is empty"
        return f"{file} {what}: it was cut short before anything was on the disk (a power cut); record it again"
    if begin.startswith(_ROS1_MAGIC):
        source = file.with_suffix(".bag")
        rename = "" if file == source else f"rename it to {source.name}; "
        return (
            f"{file} is a bag of ROS 1: {rename}`rosbags-convert --src {source} --dst {file.with_suffix('')}` makes "
            "one of ROS 2 of it"
        )
    for magic, (name, command) in _COMPRESSED.items():
        if begin.startswith(magic):
            return None if packed_is_right else _compressed(file, name, command)
    if begin.startswith(b"version https://git-lfs"):
        return f"{file} is a pointer of Git LFS and not the recording: fetch it with `git lfs pull`"
    if begin.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return f"{file} is a web page and not the recording: download the file itself"
    for magic, ending in ((MCAP_MAGIC, ".mcap"), (_SQLITE_MAGIC, ".db3")):
        if begin.startswith(magic):
            if file.suffix != ending:
                name = _STORAGES[ending]
                return f"{file} is a recording of the storage {name} under another ending: rename it to NAME{ending}"
            return _of_storage(file)
    return None


def _compressed(file: Path, name: str, command: str) -> str:
    remedy = f"unpack it with `{command} {file}`"
    if name == "zstd" and Path(file.stem).suffix in _STORAGES:
        remedy = f"`sac-gmm demos salvage {file}` makes a bag of it, or {remedy}"
    return f"{file} is compressed as a whole ({name}), and no metadata.yaml beside it says so: {remedy}"


def _of_storage(file: Path) -> str | None:
    if file.suffix == ".db3" and not _is_bag_of_sqlite(file):
        return f"{file} is an sqlite3 file but no bag: it has no tables `topics` and `messages`"
    messages = list(itertools.islice(recover(file, Loss()), _LOOKED_AT))
    encodings = {message.topic.encoding for message in messages}
    if encodings - {CDR}:
        return _mixed(file, encodings)
    if messages and file.suffix == ".mcap" and (profile := mcap_profile(file)) != "ros2":
        return (
            f"{file} is an mcap file of the profile '{profile}', expected 'ros2': `sac-gmm demos salvage {file}` makes "
            "a bag of it"
        )
    if odd := next((message.topic.name for message in messages if message.topic.odd_qos), ""):
        return (
            f"{file} gives the QoS of {odd} (offered_qos_profiles) not as `ros2 bag record` writes it, with all its "
            f"fields: `sac-gmm demos salvage {file}` makes a bag of it"
        )
    if any(message.was_compressed for message in messages):
        return (
            f"{file} holds messages that are compressed one by one (zstd), and no metadata.yaml beside it says so: "
            f"`sac-gmm demos salvage {file}` makes a bag of it"
        )
    return None


def _mixed(path: Path, encodings: set[str]) -> str:
    name = path.stem if path.is_file() else path.name
    if CDR not in encodings:
        return other_encoding(str(path), encodings, name)
    others = " and ".join(map(repr, sorted(encodings - {CDR})))
    return (
        f"{path} holds messages in the encoding {others} beside those in '{CDR}': `sac-gmm demos salvage "
        f"{path}` makes a bag of the latter"
    )


def _is_bag_of_sqlite(file: Path) -> bool:
    with contextlib.closing(sqlite3.connect(f"file:{file.resolve()}?mode=ro&immutable=1", uri=True)) as connection:
        return all(list(connection.execute(f"PRAGMA table_info({table})")) for table in ("topics", "messages"))
