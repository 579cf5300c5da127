"""Reading demonstrations from rosbag2: our own bags and those of `ros2 bag record`, mcap or sqlite3."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection

from sac_gmm.demos.bag_writer import SIDECAR
from sac_gmm.demos.demonstration import MIN_SAMPLES, Demonstration
from sac_gmm.demos.messages import EPISODE_TOPICS, STATE_POSE, STATE_TWIST, TARGET_POSE, typestore
from sac_gmm.errors import SacGmmError


def read_demonstration(bag: Path | str) -> Demonstration:
    """Read one episode.

    Topics may stand in a namespace (`/lbr/state/pose`). Samples are taken at the stamps of `state/pose`; a state that
    was published again with the same stamp counts once. The target is the last one said. Without `state/twist` the
    velocity is the difference quotient of the positions.

    Args:
        bag: A rosbag2 folder, or a bare `.mcap` (or `.db3`) file.

    Raises:
        SacGmmError: The bag is missing, truncated or damaged; a topic is missing or of another type; too few samples;
            a number that is not finite; frames that disagree; stamps that run backwards.
    """
    path = Path(bag)
    storage = _storage_path(path)
    sidecar = _read_sidecar(path if path.is_dir() else path.parent)
    streams = _read_streams(path, storage)
    pose_topic, poses = streams[STATE_POSE]
    target_topic, targets = streams[TARGET_POSE]
    if not targets:
        raise SacGmmError(f"{path}: topic {target_topic} holds no message: record with the target detector running")
    if len(poses) < MIN_SAMPLES:
        raise SacGmmError(
            f"{path}: topic {pose_topic} holds {len(poses)} sample{'' if len(poses) == 1 else 's'}, expected at least "
            f"{MIN_SAMPLES}: record it again"
        )
    frame_id = poses[0].header.frame_id
    for topic, messages in ((pose_topic, poses), (target_topic, targets)):
        for i, message in enumerate(messages):
            if message.header.frame_id != frame_id:
                raise SacGmmError(
                    f"{path}: sample {i} of {topic} is in frame '{message.header.frame_id}', expected '{frame_id}': "
                    "record all in the robot's base frame"
                )
    stamps_ns, position_m = _series(path, pose_topic, poses, _position)
    target_series = np.array([_checked(path, target_topic, i, _position(m)) for i, m in enumerate(targets)])
    time_s = (stamps_ns - stamps_ns[0]) * 1e-9
    if stamps_ns.size < MIN_SAMPLES:
        raise SacGmmError(
            f"{path}: topic {pose_topic} holds {stamps_ns.size} different stamps, expected at least {MIN_SAMPLES}: the "
            "clock stood still; record it again"
        )
    twist_topic, twists = streams[STATE_TWIST]
    if len(twists) >= 2:
        twist_ns, measured = _series(path, twist_topic, twists, _linear)
        at_s = (twist_ns - stamps_ns[0]) * 1e-9
        velocity = np.column_stack([np.interp(time_s, at_s, column) for column in measured.T])
    else:
        velocity = np.gradient(position_m, time_s, axis=0)
    meta = {
        "name": path.name,
        "bag": str(path),
        "operator": str(sidecar.get("operator", "")),
        "target_spread_m": float(np.linalg.norm(target_series - target_series[-1], axis=1).max()),
    }
    return Demonstration(time_s, position_m, velocity, target_series[-1], frame_id, str(sidecar.get("task", "")), meta)


def find_bags(paths: Iterable[Path | str]) -> list[Path]:
    """Bags by name: a bag stands for itself, any other folder for the bags directly in it, in order of their names.

    Raises:
        SacGmmError: A path does not exist or holds no bag.
    """
    bags: list[Path] = []
    for path in map(Path, paths):
        if _is_bag(path):
            bags.append(path)
            continue
        if not path.exists():
            raise SacGmmError(f"{path}: there is no such bag; give a rosbag2 folder or an .mcap file")
        inside = sorted(child for child in path.iterdir() if _is_bag(child)) if path.is_dir() else []
        if not inside:
            raise SacGmmError(f"{path} is not a bag and holds none: give a rosbag2 folder or an .mcap file")
        bags += inside
    return bags


def _is_bag(path: Path) -> bool:
    if path.name.startswith("."):  # an unfinished recording
        return False
    return path.suffix in (".mcap", ".db3") if path.is_file() else (path / "metadata.yaml").exists()


def _storage_path(path: Path) -> Path:
    """What rosbags shall open: the folder with its metadata, or else the one storage file in it."""
    if not path.exists():
        raise SacGmmError(f"{path}: there is no such bag; give a rosbag2 folder or an .mcap file")
    if path.is_file() or (path / "metadata.yaml").exists():
        return path
    files = sorted(file for file in path.iterdir() if file.suffix in (".mcap", ".db3"))
    if len(files) != 1:
        raise SacGmmError(
            f"{path} is not a bag: it has no metadata.yaml and {len(files)} .mcap files, expected a rosbag2 folder"
        )
    return files[0]


def _read_sidecar(folder: Path) -> dict[str, Any]:
    """What episode.yaml says; nothing where there is none."""
    try:
        content = yaml.safe_load((folder / SIDECAR).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SacGmmError(f"cannot read {folder / SIDECAR}: {error}; mend or remove it") from error
    if not isinstance(content, dict):
        raise SacGmmError(f"{folder / SIDECAR} is not a list of names and values: mend or remove it")
    return content


def _read_streams(path: Path, storage: Path) -> dict[str, tuple[str, list[Any]]]:
    """The messages of the three topics a demonstration is made of, each with the topic's name in this bag."""
    try:
        with AnyReader([storage], default_typestore=typestore()) as reader:
            found = {wanted: _find_topic(path, reader.connections, wanted) for wanted in (STATE_POSE, TARGET_POSE)}
            found[STATE_TWIST] = _find_topic(path, reader.connections, STATE_TWIST, required=False)
            streams: dict[str, tuple[str, list[Any]]] = {
                wanted: (connections[0].topic if connections else wanted, []) for wanted, connections in found.items()
            }
            wanted_of = {connection.id: wanted for wanted, list_ in found.items() for connection in list_}
            chosen = [connection for connections in found.values() for connection in connections]
            for connection, _, raw in reader.messages(connections=chosen):
                # Standard types: read by their known definitions, not by those in the file, which may be damaged.
                message = typestore().deserialize_cdr(raw, connection.msgtype)
                streams[wanted_of[connection.id]][1].append(message)
            return streams
    except SacGmmError:
        raise
    except Exception as error:  # a damaged file can make the parser stumble in any way at all
        text = str(error).strip().rstrip(".") or type(error).__name__
        raise SacGmmError(
            f"{path} cannot be read: it was cut short (a power cut, a copy that stopped) or is damaged ({text}); "
            "record it again"
        ) from error


def _find_topic(path: Path, connections: list[Connection], wanted: str, required: bool = True) -> list[Connection]:
    """The connections of a topic, in a namespace or not."""
    topics = sorted({connection.topic for connection in connections})
    matches = [wanted] if wanted in topics else [topic for topic in topics if topic.endswith(wanted)]
    if len(matches) > 1:
        raise SacGmmError(f"{path}: {' and '.join(matches)} could both be {wanted}: record one robot to a bag")
    if not matches:
        if required:
            raise SacGmmError(f"{path}: topic {wanted} is missing; the bag has {', '.join(topics) or 'no topic'}")
        return []
    chosen = [connection for connection in connections if connection.topic == matches[0]]
    for connection in chosen:
        if connection.msgtype != EPISODE_TOPICS[wanted]:
            raise SacGmmError(
                f"{path}: topic {connection.topic} is a {connection.msgtype}, expected {EPISODE_TOPICS[wanted]}"
            )
    return chosen


def _series(
    path: Path, topic: str, messages: list[Any], vector: Any
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Stamps (T,) in ns and vectors (T, 3); a stamp that comes again is taken once, one that goes back is refused."""
    stamps: list[int] = []
    vectors = []
    for i, message in enumerate(messages):
        stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        if stamps and stamp_ns <= stamps[-1]:
            if stamp_ns == stamps[-1]:
                continue
            raise SacGmmError(
                f"{path}: the stamp of sample {i} of {topic} lies {(stamps[-1] - stamp_ns) * 1e-9:.3f} s before "
                "the one before it: the recording mixes clocks or episodes"
            )
        stamps.append(stamp_ns)
        vectors.append(_checked(path, topic, i, vector(message)))
    return np.array(stamps, np.int64), np.array(vectors, np.float64)


def _checked(path: Path, topic: str, i: int, vector: tuple[float, float, float]) -> tuple[float, float, float]:
    if not np.isfinite(vector).all():
        raise SacGmmError(f"{path}: sample {i} of {topic} holds a number that is not finite: record it again")
    return vector


def _position(message: Any) -> tuple[float, float, float]:
    point = message.pose.position
    return point.x, point.y, point.z


def _linear(message: Any) -> tuple[float, float, float]:
    vector = message.twist.linear
    return vector.x, vector.y, vector.z
