"""Reads demonstrations from rosbag2: our own bags and those of `ros2 bag record`, mcap or sqlite3."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from rosbags.interfaces import Connection

from sac_gmm.core.errors import UserError
from sac_gmm.core.late_stamps import in_order, is_late
from sac_gmm.core.stamps import last_of_bursts
from sac_gmm.demos.bags.bag_file import EPISODE_END, SIDECAR
from sac_gmm.demos.bags.message_types import POSE, STATE_POSE, STATE_TWIST, TARGET_POSE, TWIST
from sac_gmm.demos.bags.open_bag import deserialise, open_bag, refuse_broken_part, storage_paths
from sac_gmm.demos.bags.other_kinds import explain
from sac_gmm.demos.bags.recover import is_storage
from sac_gmm.demos.bags.salvage import salvaged_in
from sac_gmm.demos.bags.split import (
    STORAGE_SUFFIXES,
    files_before,
    is_split,
    parts_among,
    parts_beside,
)
from sac_gmm.demos.bags.topics import matching
from sac_gmm.demos.demonstration import MIN_SAMPLES, Demonstration

# Accepted message types, and the field in each that holds the vector.
POSITION_IN = {
    POSE: "pose.position",
    "geometry_msgs/msg/PoseWithCovarianceStamped": "pose.pose.position",
    "geometry_msgs/msg/PointStamped": "point",
    "geometry_msgs/msg/TransformStamped": "transform.translation",
    "nav_msgs/msg/Odometry": "pose.pose.position",
}
VELOCITY_IN = {
    TWIST: "twist.linear",
    "geometry_msgs/msg/TwistWithCovarianceStamped": "twist.twist.linear",
    "geometry_msgs/msg/Vector3Stamped": "vector",
}
MOVED_M = 1e-3  # two samples of one stamp that lie further apart are two different states
COARSE_S = 1.0  # stamps that are all multiples of such a step are not those of a sensor
LONGEST_GAP_S = 3600.0  # between two samples; a person who pauses for longer begins a new recording


@dataclass(frozen=True)
class TopicNames:
    """Where to look in bags that were not made by our recorder; a leading slash makes no difference.

    Attributes:
        pose_topic: The end-effector's pose.
        twist_topic: Its velocity; the bag may lack it.
        target_topic: The detected target.
        target: Where the target was, in metres and in the frame of the poses, for bags without such a topic.
    """

    pose_topic: str = STATE_POSE
    twist_topic: str = STATE_TWIST
    target_topic: str = TARGET_POSE
    target: tuple[float, float, float] | None = None


def read_demonstration(bag: Path | str, names: TopicNames | None = None) -> Demonstration:
    """Read one episode.

    Topics may be in a namespace (`/lbr/state/pose`). Samples are taken at the stamps of `state/pose`; a state published
    twice with the same stamp counts once, and of a burst of stamps the last one counts. The last message gives the
    target. Without `state/twist`, the velocity is the difference quotient of the positions.

    Args:
        bag: A rosbag2 folder, a bare `.mcap` (or `.db3`) file, or a folder with the files of one recording.
        names: Names of the topics, if they are not our recorder's.

    Raises:
        UserError: The bag is missing, truncated or damaged; a topic is missing or of another type; too few samples;
            a number that is not finite; frames that disagree; stamps that run backwards.
    """
    path = Path(bag)
    sidecar = _read_sidecar(path if path.is_dir() else path.parent)
    names = names or TopicNames()
    wanted = [(names.pose_topic, POSITION_IN, True), (names.twist_topic, VELOCITY_IN, False)]
    if names.target is None:
        wanted.append((names.target_topic, POSITION_IN, True))
    pose, twist, *detected = _read_streams(path, wanted)
    if detected and not detected[0].messages:
        raise UserError(f"{path}: topic {detected[0].topic} holds no message: record with the target detector running")
    if len(pose.messages) < MIN_SAMPLES:
        n = len(pose.messages)
        raise UserError(
            f"{path}: topic {pose.topic} holds {n} sample{'' if n == 1 else 's'}, expected at least {MIN_SAMPLES}: "
            "record it again"
        )
    _refuse_coarse_stamps(path, pose)
    frame_id = pose.messages[0].header.frame_id
    for stream in (pose, *detected):
        for i, message in enumerate(stream.messages):
            if message.header.frame_id != frame_id:
                raise UserError(
                    f"{path}: sample {i} of {stream.topic} is in frame '{message.header.frame_id}', expected "
                    f"'{frame_id}': record all in the robot's base frame"
                )
    stamps_ns, position_m = _series(path, pose)
    if isinstance(end_ns := sidecar.get(EPISODE_END), int):
        of_episode = stamps_ns <= end_ns
        stamps_ns, position_m = stamps_ns[of_episode], position_m[of_episode]
    kept = last_of_bursts(stamps_ns)
    in_bursts = int(np.sum(~kept))
    stamps_ns, position_m = stamps_ns[kept], position_m[kept]
    if detected:
        target_series = np.array([_checked(path, detected[0], i) for i in range(len(detected[0].messages))])
        if isinstance(end_ns, int):  # a later stamp belongs to the next episode, unless there are no others
            said_ns = np.array([_stamp_ns(message) for message in detected[0].messages])
            target_series = target_series[said_ns <= end_ns] if said_ns.min() <= end_ns else target_series
    else:
        target_series = np.array([names.target], np.float64)
    if stamps_ns.size < MIN_SAMPLES:
        raise UserError(
            f"{path}: topic {pose.topic} holds {stamps_ns.size} different stamps of its episode, expected at least "
            f"{MIN_SAMPLES}: the clock stood still or the episode ended at once; record it again"
        )
    time_s = (stamps_ns - stamps_ns[0]) * 1e-9
    _refuse_long_gap(path, pose.topic, time_s)
    # A driver may measure in its tool's frame; without the orientation, that cannot be rotated into the base frame.
    if len(twist.messages) >= 2 and all(message.header.frame_id == frame_id for message in twist.messages):
        twist_ns, measured = _series(path, twist)
        at_s = (twist_ns - stamps_ns[0]) * 1e-9
        velocity = np.column_stack([np.interp(time_s, at_s, column) for column in measured.T])
    else:
        velocity = np.gradient(position_m, time_s, axis=0)
    meta = {
        "name": path.name,
        "bag": str(path),
        "operator": str(sidecar.get("operator", "")),
        "in_bursts": in_bursts,
        "same_stamp": _moved_at_one_stamp(pose),
        "start_ns": int(stamps_ns[0]),
        "files": len(storage_paths(path)),
        "files_before": files_before(storage_paths(path)[0]),
        "target_spread_m": float(np.linalg.norm(target_series - target_series[-1], axis=1).max()),
    }
    return Demonstration(time_s, position_m, velocity, target_series[-1], frame_id, str(sidecar.get("task", "")), meta)


def find_bags(paths: Iterable[Path | str]) -> list[Path]:
    """Find bags by path: a bag stands for itself, any other folder for the bags directly in it, sorted by name.

    A folder that holds the files of one recording, and no other, is one bag, also without its metadata. For a recording
    from which a bag beside it was salvaged, that bag stands.

    Raises:
        UserError: No path is given, a path does not exist or holds no bag, a folder also holds a recording of another
            kind, or a file is a part of a recording.
    """
    asked = [Path(path) for path in paths]
    if not asked:
        raise UserError("there is no bag: name one or more, or a folder of bags")
    bags: list[Path] = []
    for path in asked:
        if is_bag(path):
            bags.append(path)
            continue
        if not path.exists():
            raise UserError(f"{path}: there is no such bag; give a rosbag2 folder or an .mcap file")
        inside: list[Path] = []
        if path.is_dir():
            refuse_broken_part(path)
            done = salvaged_in(path)
            inside = sorted(c for c in path.iterdir() if c.name not in done and (is_bag(c) or _is_unnamed(c)))
        if not inside and path.is_dir() and any(path.glob(".*.partial")):
            raise UserError(
                f"{path} holds unfinished recordings only: make bags of them with `sac-gmm demos salvage {path}`"
            )
        if not inside:
            raise UserError(
                explain(path) or f"{path} is not a bag and holds none: give a rosbag2 folder or an .mcap file"
            )
        if path.is_dir():
            _refuse_other_kinds(path, inside)
        bags += inside
    if parts := parts_among(bags):
        first, second = parts
        raise UserError(
            f"{second} goes on where {first} ends: they are parts of one recording, not two demonstrations; put the "
            "files of each recording into a folder of its own and name the folders"
        )
    if parts := parts_beside(bags):
        first, second = parts
        raise UserError(
            f"{second} goes on where {first} ends: either is a part of one recording, not a demonstration; name the "
            f"folder {first.parent}, or put the files of this recording into one of its own and name that"
        )
    return bags


def is_bag(path: Path) -> bool:
    """Whether a path is a finished bag."""
    if path.name.startswith("."):  # an unfinished recording
        return False
    if path.is_file():
        return path.suffix in STORAGE_SUFFIXES
    return (path / "metadata.yaml").exists() or (path.is_dir() and is_split(path))


def _is_unnamed(path: Path) -> bool:
    """Whether a path is the folder of a bag whose metadata a crash has left out; to skip it would be to lose it."""
    return path.is_dir() and not path.name.startswith(".") and any(is_storage(file) for file in path.iterdir())


def _refuse_other_kinds(folder: Path, bags: list[Path]) -> None:
    """Refuse a recording of another kind among bags, unless what was made of it is there too: it must not be missed."""
    made = {bag.stem if bag.is_file() else bag.name for bag in bags}
    for file in sorted(folder.iterdir()):
        other = file.suffix == ".bag" or (is_storage(file) and not is_bag(file))
        if not other or not file.is_file() or file.name.startswith("."):
            continue
        name = file.name
        for ending in (".zstd", *STORAGE_SUFFIXES, ".bag"):
            name = name.removesuffix(ending)
        if made.isdisjoint((name, f"{name}_salvaged")) and (said := explain(file)):
            raise UserError(f"{said}; or move it out of {folder}")


def _read_sidecar(folder: Path) -> dict[str, Any]:
    """The content of episode.yaml; empty if there is none."""
    try:
        content = yaml.safe_load((folder / SIDECAR).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"cannot read {folder / SIDECAR}: {error}; fix or remove it") from error
    if not isinstance(content, dict):
        raise UserError(f"{folder / SIDECAR} is not a list of names and values: fix or remove it")
    return content


@dataclass(frozen=True)
class _Stream:
    """One topic's messages, and the field of each that holds the vector."""

    topic: str
    field: str
    messages: list[Any]


def _read_streams(path: Path, wanted: list[tuple[str, dict[str, str], bool]]) -> list[_Stream]:
    """Read the messages of some topics, each given by name, possible types, and whether the bag must have it."""
    with open_bag(path) as reader:
        streams: list[_Stream] = []
        stream_of: dict[str, _Stream] = {}  # by topic: of a recording in several files each has its own numbers
        chosen: list[Connection] = []
        for name, types, required in wanted:
            connections = _find_topic(path, reader.connections, name, types, required)
            field = types[connections[0].msgtype] if connections else ""
            streams.append(_Stream(connections[0].topic if connections else name, field, []))
            stream_of |= {connection.topic: streams[-1] for connection in connections}
            chosen += connections
        for connection, _, raw in reader.messages(connections=chosen):
            stream_of[connection.topic].messages.append(deserialise(reader, connection, raw))
        return streams


def _find_topic(
    path: Path, connections: list[Connection], wanted: str, types: dict[str, str], required: bool
) -> list[Connection]:
    """Find the connections of a topic, with or without a namespace."""
    topics = sorted({connection.topic for connection in connections})
    matches = matching(topics, wanted)
    if len(matches) > 1:
        raise UserError(f"{path}: {' and '.join(matches)} could both be {wanted}: name one of them by an option")
    if not matches:
        if required:
            raise UserError(
                f"{path}: topic {wanted} is missing; the bag has {', '.join(topics) or 'no topic'}: if one of these is "
                "it, name it by an option (--pose-topic, --twist-topic, --target-topic or --target)"
            )
        return []
    chosen = [connection for connection in connections if connection.topic == matches[0]]
    for connection in chosen:
        if connection.msgtype not in types:
            raise UserError(
                f"{path}: topic {connection.topic} is a {connection.msgtype}, expected {' or '.join(types)}"
            )
    return chosen


def _series(path: Path, stream: _Stream) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Stamps (T,) in ns and vectors (T, 3), in order of the stamps; one that goes back further than jitter is refused.

    A stamp that comes again is taken once.
    """
    stamps = [_stamp_ns(message) for message in stream.messages]
    newest = stamps[0]
    for i, stamp_ns in enumerate(stamps):
        if stamp_ns < newest and not is_late(stamp_ns, newest):
            raise UserError(
                f"{path}: the stamp of sample {i} of {stream.topic} lies {(newest - stamp_ns) * 1e-9:.3f} s before "
                "that of an earlier one: the recording mixes clocks or episodes; where recordings were appended and "
                "time begins anew, `sac-gmm demos split` makes a bag of each"
            )
        newest = max(newest, stamp_ns)
    chosen = in_order(stamps)
    vectors = [_checked(path, stream, i) for i in chosen]
    return np.array(stamps, np.int64)[chosen], np.array(vectors, np.float64)


def _moved_at_one_stamp(stream: _Stream) -> int:
    """Number of samples with the stamp of an earlier one, but at another place; only the earlier one is taken."""
    first: dict[int, tuple[float, float, float]] = {}
    count = 0
    for i, message in enumerate(stream.messages):
        vector = _vector(stream, i)
        count += math.dist(vector, first.setdefault(_stamp_ns(message), vector)) > MOVED_M
    return count


def _refuse_coarse_stamps(path: Path, stream: _Stream) -> None:
    """Seconds since 1970 do not fit into a float32: it rounds them to multiples of 128."""
    stamps_s = np.array([_stamp_ns(message) for message in stream.messages]) * 1e-9
    step_s = float(np.spacing(np.float32(stamps_s.max())))
    if step_s >= COARSE_S and not (stamps_s % step_s).any():
        raise UserError(
            f"{path}: all {stamps_s.size} stamps of {stream.topic} are multiples of {step_s:g} s: they were stored as "
            "float32, which cannot hold seconds since 1970, and their times are lost; convert the recording again "
            "with float64, or with whole numbers of seconds and nanoseconds"
        )


def _refuse_long_gap(path: Path, topic: str, time_s: npt.NDArray[np.float64]) -> None:
    """Whoever goes through a recording second by second would never come to the end of such a gap."""
    gaps_s = np.diff(time_s)
    i = int(np.argmax(gaps_s))
    if gaps_s[i] > LONGEST_GAP_S:
        raise UserError(
            f"{path}: sample {i + 1} of {topic} is stamped {gaps_s[i]:.0f} s after the one before it: the recording "
            "mixes clocks or sessions (was use_sim_time set on one side only?); record it again"
        )


def _stamp_ns(message: Any) -> int:
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def _checked(path: Path, stream: _Stream, i: int) -> tuple[float, float, float]:
    """The vector (3,) of one message."""
    vector = _vector(stream, i)
    if not np.isfinite(vector).all():
        raise UserError(f"{path}: sample {i} of {stream.topic} holds a number that is not finite: record it again")
    return vector


def _vector(stream: _Stream, i: int) -> tuple[float, float, float]:
    value = stream.messages[i]
    for name in stream.field.split("."):
        value = getattr(value, name)
    return value.x, value.y, value.z
