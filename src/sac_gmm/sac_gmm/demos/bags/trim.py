"""Cutting a bag to a span of time, with everything that is in it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import yaml
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection, ConnectionExtRosbag2, QosDurability

from sac_gmm.core.errors import UserError
from sac_gmm.demos.bags.bag_file import SIDECAR, BagFile, Topic
from sac_gmm.demos.bags.bag_reader import TopicNames, read_demonstration, storage_paths
from sac_gmm.demos.bags.bag_writer import header_stamp_ns
from sac_gmm.demos.bags.message_types import has_header, typestore
from sac_gmm.demos.bags.topics import matching
from sac_gmm.demos.samples import motion_span

_LONGEST_S = 1e9  # a demonstration is shorter; beyond, and for inf and NaN, nanoseconds are no whole numbers
_TOLERANCE_NS = 1000  # stamps of a rate that does not divide a second are rounded


def trim(
    bag: Path | str,
    output: Path | str,
    start_s: float | None = None,
    end_s: float | None = None,
    names: TopicNames | None = None,
) -> tuple[float, float]:
    """Write a new bag with the messages of a span of time.

    Messages count by their header stamps. What was latched before the start (the target) is part of the new bag.

    Args:
        bag: The bag; left as it is.
        output: The new bag; must not exist.
        start_s: From here on, in seconds from the first state; where the motion begins by default.
        end_s: Up to here; where the motion ends by default.
        names: Of the topics, where they are not our recorder's.

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
    with AnyReader(storage_paths(path), default_typestore=typestore()) as reader:
        zero_ns, shift_ns = _clocks(reader, (names or TopicNames()).pose_topic)
        low_ns = zero_ns + round(start_s * 1e9) - _TOLERANCE_NS
        high_ns = zero_ns + round(end_s * 1e9) + _TOLERANCE_NS
        by_name = {connection.topic: connection for connection in reader.connections}
        sidecar = _sidecar(path)
        with_times = {**sidecar, "trimmed": {"from": path.name, "start_s": start_s, "end_s": end_s}}
        file = BagFile(
            output,
            [_topic(connection) for connection in by_name.values()],
            sidecar=with_times,
            custom_data={name: str(sidecar.get(name, "")) for name in ("task", "operator")},
            keep_partial=False,  # what it is cut from is there
        )
        try:
            latched: dict[str, bytes] = {}
            for connection, log_ns, data in reader.messages():
                stamped = connection.msgtype in typestore().fielddefs and has_header(connection.msgtype)
                stamp_ns = header_stamp_ns(bytes(data)) if stamped else log_ns - shift_ns
                if stamp_ns < low_ns and _is_latched(connection):
                    latched[connection.topic] = bytes(data)
                elif low_ns <= stamp_ns <= high_ns:
                    for topic, said in latched.items():
                        file.write(topic, log_ns, said)
                    latched = {}
                    file.write(connection.topic, log_ns, bytes(data))
            file.close()
        except BaseException:
            file.discard()
            raise
    return start_s, end_s


def _clocks(reader: AnyReader, pose_topic: str) -> tuple[int, int]:
    """Stamp of the first state in ns, and by how much the bag's own times are ahead of the stamps."""
    found = matching([c.topic for c in reader.connections], pose_topic)
    chosen = [c for c in reader.connections if c.topic in found]
    pairs = [(header_stamp_ns(bytes(data)), log_ns) for _, log_ns, data in reader.messages(connections=chosen)]
    stamps_ns, logs_ns = np.array(pairs, np.int64).T
    return int(stamps_ns[0]), int(np.median(logs_ns - stamps_ns))


def _topic(connection: Connection) -> Topic:
    profiles = tuple(cast(ConnectionExtRosbag2, connection.ext).offered_qos_profiles)
    if connection.msgtype in typestore().fielddefs:
        return Topic(connection.topic, connection.msgtype, profiles)
    return Topic(connection.topic, connection.msgtype, profiles, connection.msgdef.data, connection.digest)


def _is_latched(connection: Connection) -> bool:
    profiles = cast(ConnectionExtRosbag2, connection.ext).offered_qos_profiles
    known = any(profile.durability == QosDurability.TRANSIENT_LOCAL for profile in profiles)
    # A target that was recorded from a publisher that is not latched is said once all the same.
    return known or connection.topic.endswith("target_pose")


def _sidecar(path: Path) -> dict[str, object]:
    """What the bag's sidecar says, but for the counts, which are those of the whole."""
    file = (path if path.is_dir() else path.parent) / SIDECAR
    content = yaml.safe_load(file.read_text(encoding="utf-8")) if path.is_dir() and file.exists() else {}
    return {key: value for key, value in content.items() if key != "topics"} if isinstance(content, dict) else {}
