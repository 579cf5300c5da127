"""Cuts a bag, with all of its topics, to a span of time, or where its time begins anew."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
import yaml
from rosbags.interfaces import Connection, ConnectionExtRosbag2, QosDurability

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import refuse_existing
from sac_gmm.core.late_stamps import is_late
from sac_gmm.demos.bags.bag_file import CDR, EPISODE_END, SIDECAR, BagFile, Topic
from sac_gmm.demos.bags.bag_reader import TopicNames, read_demonstration
from sac_gmm.demos.bags.bag_writer import header_stamp_ns
from sac_gmm.demos.bags.message_types import has_header, typestore
from sac_gmm.demos.bags.open_bag import open_bag, serialisation
from sac_gmm.demos.bags.open_storages import OpenStorages
from sac_gmm.demos.bags.topics import matching
from sac_gmm.demos.samples import motion_span

_LONGEST_S = 1e9  # no demonstration is longer; beyond it, and for inf and NaN, nanoseconds are not whole numbers
# Latched by convention: bags without QoS profiles do not say so, and a recorder may have asked for less.
_SAID_ONCE = ("target_pose", "tf_static", "robot_description")
_TOLERANCE_NS = 1000  # stamps are rounded if the rate does not divide a second


def trim(
    bag: Path | str,
    output: Path | str,
    start_s: float | None = None,
    end_s: float | None = None,
    names: TopicNames | None = None,
) -> tuple[float, float]:
    """Write a new bag with the messages of a span of time.

    Messages count by their header stamps. What was latched before the start is part of the new bag. So is the last
    target that was said before it, whatever its topic is called and however it was published; where none was said up to
    the end of the span, the last one of all.

    Args:
        bag: The bag; left unchanged.
        output: The new bag; must not exist.
        start_s: Start of the span, in seconds from the first state; by default where the motion begins.
        end_s: End of the span; by default where the motion ends.
        names: Names of the topics, if they are not our recorder's.

    Returns:
        The span that was kept, in seconds from the first state.

    Raises:
        UserError: The bag cannot be read as a demonstration, nothing is left of it, or `output` exists.
    """
    path = Path(bag)
    demonstration = read_demonstration(path, names)
    if start_s is None or end_s is None:
        begin, end = motion_span(demonstration)
        start_s, end_s = begin if start_s is None else start_s, end if end_s is None else end_s
    if not all(abs(time_s) < _LONGEST_S for time_s in (start_s, end_s)):
        raise UserError(f"{path}: the span is {start_s:g} s to {end_s:g} s: give numbers of seconds")
    if not 0.0 <= start_s < end_s:
        raise UserError(f"{path}: nothing lies from {start_s:g} s to {end_s:g} s: give a span within the demonstration")
    kept = (demonstration.time_s >= start_s) & (demonstration.time_s <= end_s)
    if kept.sum() < 3:
        raise UserError(
            f"{path}: {int(kept.sum())} samples lie from {start_s:g} s to {end_s:g} s of its "
            f"{demonstration.duration_s:.2f} s: give a longer span"
        )
    names = names or TopicNames()
    with open_bag(path) as reader:
        zero_ns, shift_ns = _clocks(reader, names.pose_topic)
        low_ns = zero_ns + round(start_s * 1e9) - _TOLERANCE_NS
        high_ns = zero_ns + round(end_s * 1e9) + _TOLERANCE_NS
        by_name = {connection.topic: connection for connection in reader.connections}
        targets = matching(by_name, names.target_topic)
        sidecar = _sidecar(path)
        trimmed = {"trimmed": {"from": path.name, "start_s": start_s, "end_s": end_s}}
        file = _new_bag(output, by_name, {**sidecar, **trimmed})
        try:
            _copy_span(reader, file, (low_ns, high_ns), shift_ns, targets, sidecar.get(EPISODE_END))
            file.close()
        except BaseException:
            file.discard()
            raise
    return start_s, end_s


def separate(bag: Path | str, folder: Path | str, names: TopicNames | None = None) -> list[Path]:
    """Make a bag of each recording in a bag whose time begins anew, as where recordings were appended.

    Everything that came after the last state of a recording is part of the next one. What was latched before, and the
    last target, is part of those after it too that have none of their own.

    Args:
        bag: The bag; left unchanged.
        folder: Where NAME_1, NAME_2, … are written; none of them may exist.
        names: Names of the topics, if they are not our recorder's.

    Returns:
        The new bags.

    Raises:
        UserError: The bag cannot be read, its time begins anew nowhere, or a new bag exists.
    """
    path, names = Path(bag), names or TopicNames()
    with open_bag(path) as reader:
        by_name = {connection.topic: connection for connection in reader.connections}
        parts = _parts(reader, matching(by_name, names.pose_topic))
        if len(parts) == 1:
            raise UserError(
                f"{path}: its time begins anew nowhere, as far as the order of its messages shows: it is one recording"
            )
        stem = path.name if path.is_dir() else path.stem
        outputs = [Path(folder) / f"{stem}_{number}" for number in range(1, len(parts) + 1)]
        for output in outputs:
            refuse_existing(output)
        kept = {topic for topic, of in by_name.items() if _is_latched(of)} | set(matching(by_name, names.target_topic))
        sidecar = {name: value for name, value in _sidecar(path).items() if name != EPISODE_END}
        messages = iter(reader.messages())
        held: dict[str, bytes] = {}  # the last of each topic that holds further on
        for number, (output, (count, topics)) in enumerate(zip(outputs, parts, strict=True), start=1):
            file = _new_bag(output, by_name, {**sidecar, "separated": {"from": path.name, "number": number}})
            try:
                for i, (connection, log_ns, raw) in enumerate(itertools.islice(messages, count)):
                    if i == 0:
                        for topic in held.keys() - topics:
                            file.write(topic, log_ns, held[topic])
                    file.write(connection.topic, log_ns, bytes(raw))
                    if connection.topic in kept:
                        held[connection.topic] = bytes(raw)
                file.close()
            except BaseException:
                file.discard()
                raise
    return outputs


def _parts(reader: OpenStorages, pose_topics: list[str]) -> list[tuple[int, set[str]]]:
    """Number of messages and topics of each recording; one ends with its last state before the stamps fall back."""
    topics_of = []  # of all messages
    ends = []
    newest_ns, last = -1, 0
    for i, (connection, _, raw) in enumerate(reader.messages()):
        topics_of.append(connection.topic)
        if connection.topic not in pose_topics or not has_header(connection.msgtype):
            continue
        stamp_ns = header_stamp_ns(bytes(raw))
        if stamp_ns < newest_ns and not is_late(stamp_ns, newest_ns):
            ends.append(last + 1)
            newest_ns = stamp_ns
        newest_ns = max(newest_ns, stamp_ns)
        last = i
    spans = itertools.pairwise([0, *ends, len(topics_of)])
    return [(end - begin, set(topics_of[begin:end])) for begin, end in spans]


def _new_bag(output: Path | str, topics: Mapping[str, Connection], sidecar: dict[str, object]) -> BagFile:
    return BagFile(
        output,
        [_topic(connection) for connection in topics.values()],
        sidecar=sidecar,
        custom_data={name: str(sidecar.get(name, "")) for name in ("task", "operator")},
        keep_partial=False,  # the original bag is still there
    )


def _copy_span(
    reader: OpenStorages,
    file: BagFile,
    span_ns: tuple[int, int],
    shift_ns: int,
    targets: list[str],
    episode_end: object,
) -> None:
    """Write what is stamped within a span, and what holds there though it was said outside."""
    before: dict[str, bytes] = {}  # the last of each topic that holds from before the span
    after: dict[str, bytes] = {}  # the last target that was said behind it
    written: set[str] = set()
    at_ns = 0
    for connection, log_ns, raw in reader.messages():
        topic, data = connection.topic, bytes(raw)
        stamped = connection.msgtype in typestore().fielddefs and has_header(connection.msgtype)
        stamp_ns = header_stamp_ns(data) if stamped else log_ns - shift_ns
        if span_ns[0] <= stamp_ns <= span_ns[1]:
            at_ns = log_ns
            for name, said in before.items():
                file.write(name, at_ns, said)
            written |= {topic, *before}
            before = {}
            file.write(topic, at_ns, data)
        elif stamp_ns < span_ns[0] and (topic in targets or _is_latched(connection)):
            before[topic] = data
        elif stamp_ns > span_ns[1] and topic in targets:
            of_the_next_episode = isinstance(episode_end, int) and stamp_ns > episode_end
            if not of_the_next_episode or topic not in after:
                after[topic] = data
    for topic, said in (before | after).items():  # without a target it would be no demonstration
        if topic not in written:
            file.write(topic, at_ns, said)


def _clocks(reader: OpenStorages, pose_topic: str) -> tuple[int, int]:
    """Stamp of the first state in ns, and the lead of the bag's own times over the stamps."""
    found = matching([c.topic for c in reader.connections], pose_topic)
    chosen = [c for c in reader.connections if c.topic in found]
    pairs = [(header_stamp_ns(bytes(data)), log_ns) for _, log_ns, data in reader.messages(connections=chosen)]
    stamps_ns, logs_ns = np.array(pairs, np.int64).T
    return int(stamps_ns[0]), int(np.median(logs_ns - stamps_ns))


def _topic(connection: Connection) -> Topic:
    profiles = tuple(cast(ConnectionExtRosbag2, connection.ext).offered_qos_profiles)
    encoding = serialisation(connection)
    if encoding == CDR and connection.msgtype in typestore().fielddefs:
        return Topic(connection.topic, connection.msgtype, profiles)
    return Topic(connection.topic, connection.msgtype, profiles, connection.msgdef.data, connection.digest, encoding)


def _is_latched(connection: Connection) -> bool:
    profiles = cast(ConnectionExtRosbag2, connection.ext).offered_qos_profiles
    if any(profile.durability == QosDurability.TRANSIENT_LOCAL for profile in profiles):
        return True
    return connection.topic.endswith(_SAID_ONCE)


def _sidecar(path: Path) -> dict[str, object]:
    """The bag's sidecar without the counts, which describe the whole bag."""
    file = (path if path.is_dir() else path.parent) / SIDECAR
    content = yaml.safe_load(file.read_text(encoding="utf-8")) if path.is_dir() and file.exists() else {}
    return {key: value for key, value in content.items() if key != "topics"} if isinstance(content, dict) else {}
