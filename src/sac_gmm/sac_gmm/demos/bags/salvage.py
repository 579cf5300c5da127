"""Rebuilds a bag that a crash, a full disk or an interrupted copy truncated, and reports what is missing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sac_gmm.core.errors import UserError
from sac_gmm.demos.bags.bag_file import CDR, SIDECAR, BagFile, being_written
from sac_gmm.demos.bags.other_kinds import explain, other_encoding
from sac_gmm.demos.bags.recover import STORAGE_ENDINGS, Loss, is_storage, recover, unmerged
from sac_gmm.demos.bags.split import opens


@dataclass(frozen=True)
class Salvage:
    """The result of salvaging a bag.

    Attributes:
        source: The truncated bag; left unchanged.
        path: The new bag.
        recovered: Messages in the new bag, by topic.
        expected: Messages that there should be, by topic, if the source still states it.
        missing: What could not be read, in sentences.
        seconds: Time from the first message to the last.
    """

    source: Path
    path: Path
    recovered: dict[str, int]
    expected: dict[str, int]
    missing: tuple[str, ...]
    seconds: float

    def lines(self) -> list[str]:
        """The result as text."""
        text = [f"{self.path}: {sum(self.recovered.values())} messages over {self.seconds:.2f} s out of {self.source}"]
        for topic, count in self.recovered.items():
            of = f" of {self.expected[topic]}" if topic in self.expected else ""
            text.append(f"  {topic}: {count}{of} messages")
        text += [f"  lost: {sentence}" for sentence in self.missing or ("nothing that was on the disk",)]
        return text

    def as_dict(self) -> dict[str, Any]:
        """The result for the sidecar."""
        return {
            "source": str(self.source),
            "recovered": dict(self.recovered),
            "expected": dict(self.expected),
            "lost": list(self.missing),
        }


def find_unfinished(paths: Iterable[Path | str]) -> list[Path]:
    """List what can be salvaged: a bag, partial folder or storage file stands for itself, a folder for those in it.

    Raises:
        UserError: No path is given, or a path does not exist or holds nothing truncated.
    """
    asked = [Path(path) for path in paths]
    if not asked:
        raise UserError("there is nothing to salvage: name an unfinished recording, a damaged bag or a folder of such")
    found: list[Path] = []
    for path in asked:
        if not path.exists():
            raise UserError(f"{path}: there is no such bag or folder")
        if path.is_file() or _storage_files(path):
            found.append(path)
            continue
        inside = [child for child in sorted(path.iterdir()) if child.is_dir() and _storage_files(child)]
        if not inside and (said := explain(path)):
            raise UserError(said)
        done = salvaged_in(path)
        left = [child for child in inside if child.name not in done]
        broken = [child for child in left if child.name.endswith(".partial") or not opens(child) or _has_logs(child)]
        if not broken:
            raise UserError(
                f"{path} holds no recording that is cut short and not salvaged yet: there is nothing to salvage"
            )
        found += broken
    return found


def unfinished(folder: Path | str) -> list[Path]:
    """Partial recordings in a folder from which no bag in that folder has been salvaged, sorted by name."""
    done = salvaged_in(Path(folder))
    return [path for path in sorted(Path(folder).glob(".*.partial")) if path.name not in done]


def salvage(source: Path | str, output: Path | str | None = None, *, folder: Path | str | None = None) -> Salvage:
    """Write everything readable in a bag to a new bag.

    Args:
        source: A partial folder, a bag or a bare storage file; never changed.
        output: The new bag; by default the name that the recording was meant to have, or NAME_salvaged.
        folder: Where to put a bag of that default name; by default beside the source.

    Raises:
        UserError: It is still being recorded, is a whole bag, holds no whole message or none that ROS 2 serialised, or
            the new bag exists or cannot be written.
    """
    source = Path(source)
    files = [source] if source.is_file() else _storage_files(source)
    if not files:
        raise UserError(f"{source} holds no .mcap or .db3 file: it is no recording")
    if source.is_dir() and being_written(source):
        raise UserError(f"{source} is being recorded right now: stop that recording instead")
    where = source if source.is_dir() else source.parent
    # If the folder holds several bags, the sidecar beside a single file would be another bag's.
    sidecar = _read_yaml(where / SIDECAR) if source.is_dir() else {}
    expected = _expected_counts(where) if source.is_dir() else {}
    path = Path(output) if output is not None else _in_folder(source, Path(folder or source.parent))
    bag = BagFile(
        path,
        [],
        sidecar=sidecar,
        custom_data={name: str(sidecar.get(name, "")) for name in ("task", "operator")},
        keep_partial=False,  # the source is still there
    )
    loss, missing = Loss(), []
    counts: Counter[str] = Counter()
    types: dict[str, str] = {}
    first_ns, last_ns = None, 0
    skipped: set[str] = set()
    foreign: Counter[tuple[str, str]] = Counter()  # messages that are not in CDR, by topic and encoding
    try:
        for file in files:
            try:
                for topic, log_time_ns, data, _ in recover(file, loss):
                    if topic.encoding != CDR:
                        foreign[topic.name, topic.encoding] += 1
                        continue
                    if topic.name not in types:
                        types[topic.name] = topic.msgtype
                        bag.add(topic)
                    if types[topic.name] != topic.msgtype:
                        skipped.add(f"messages of {topic.name} as {topic.msgtype}: it is a {types[topic.name]} first")
                        continue
                    bag.write(topic.name, log_time_ns, data)
                    counts[topic.name] += 1
                    first_ns = log_time_ns if first_ns is None else min(first_ns, log_time_ns)
                    last_ns = max(last_ns, log_time_ns)
            except UserError as error:
                if not bag.is_open:
                    raise
                said = explain(file) or str(error)
                if len(files) == 1:
                    raise UserError(said) from error
                missing.append(said)
        if not counts and foreign:
            name = source.stem if source.is_file() else source.name
            raise UserError(other_encoding(str(source), {encoding for _, encoding in foreign}, name))
        if not counts:
            raise UserError(f"{source} holds no whole message: there is nothing to salvage")
        for topic_name, encoding in sorted(foreign):
            expected.pop(topic_name, None)
            number = foreign[topic_name, encoding]
            skipped.add(f"{number} messages of {topic_name}: they are in '{encoding}', and a bag holds '{CDR}'")
        short = any(counts[topic] < count for topic, count in expected.items())
        whole = (
            not source.name.endswith(".partial")  # complete, but without its final name: still worth salvaging
            and loss.none
            and not short
            and not (missing or foreign)
            and source.is_dir()
            and (source / "metadata.yaml").exists()
            and opens(source)
        )
        if whole:
            raise UserError(f"{source} is whole: there is nothing to salvage")
        missing += _sentences(loss, counts, expected) + sorted(skipped)
        seconds = (last_ns - (first_ns or 0)) * 1e-9
        result = Salvage(source, path, dict(sorted(counts.items())), expected, tuple(missing), seconds)
        bag.close({**sidecar, "salvaged": result.as_dict()})
    except BaseException:
        bag.discard()
        raise
    return result


def _sentences(loss: Loss, counts: Counter[str], expected: dict[str, int]) -> list[str]:
    sentences = []
    if loss.cut_bytes:
        sentences.append(f"{loss.cut_bytes} bytes at the end belong to a piece that was not written to its end")
    sentences += loss.damaged[:10]
    if len(loss.damaged) > 10:
        sentences.append(f"and {len(loss.damaged) - 10} more damaged pieces")
    for topic, count in expected.items():
        if counts[topic] < count:
            sentences.append(f"{count - counts[topic]} of {count} messages of {topic}")
    return sentences


def _storage_files(folder: Path) -> list[Path]:
    """The storage files of a bag in recording order; for an unfinished bag, one level down."""
    if not folder.is_dir():
        return []
    levels = [folder]
    if folder.name.endswith(".partial"):
        levels += [child for child in folder.iterdir() if child.is_dir()]
    for level in levels:
        files = [f for f in level.iterdir() if is_storage(f)] if level.is_dir() else []
        if files:
            return sorted(files, key=lambda f: [int(t) if t.isdigit() else t for t in re.split(r"(\d+)", f.name)])
    return []


def salvaged_in(folder: Path) -> set[str]:
    """The names of the sources that the bags in a folder were salvaged from."""
    said = [_read_yaml(child / SIDECAR).get("salvaged") for child in folder.iterdir() if (child / SIDECAR).is_file()]
    return {Path(str(of.get("source"))).name for of in said if isinstance(of, dict)}


def _in_folder(source: Path, folder: Path) -> Path:
    """The name that the recording was meant to have if it is free, otherwise NAME_salvaged."""
    name = source.name
    partial = name.endswith(".partial")
    if partial:
        name = re.sub(r"(\.\d+)?\.partial$", "", name).removeprefix(".")
    else:
        for suffix in STORAGE_ENDINGS:
            name = name.removesuffix(suffix)
    if (partial or folder.resolve() != source.parent.resolve()) and not (folder / name).exists():
        return folder / name
    return folder / f"{name}_salvaged"


def _has_logs(bag: Path) -> bool:
    return any(unmerged(file) for file in _storage_files(bag))


def _expected_counts(folder: Path) -> dict[str, int]:
    """The number of messages that the bag's metadata states, by topic."""
    information = _read_yaml(folder / "metadata.yaml").get("rosbag2_bagfile_information")
    try:
        entries = information["topics_with_message_count"] if information else []
        return {entry["topic_metadata"]["name"]: int(entry["message_count"]) for entry in entries}
    except (KeyError, TypeError, ValueError):
        return {}


def _read_yaml(path: Path) -> dict[str, Any]:
    """Read a mapping; empty if the file is missing or unreadable, as after a crash."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}
