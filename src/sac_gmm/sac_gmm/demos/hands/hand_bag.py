"""The bag of a demonstration made with a hand: what the camera saw, and the motion derived from it at the end.

The first three topics are written picture by picture, so that a crash loses at most the last picture. The others are
written when the episode is saved. `read_hand_track` reads the first three back, to derive another motion from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from sac_gmm.core.errors import UserError
from sac_gmm.demos.bags.bag_writer import EpisodeBagWriter
from sac_gmm.demos.bags.message_types import (
    JOINTS,
    POSE,
    STATE_POSE,
    STATE_TWIST,
    TARGET_POSE,
    TWIST,
    twist_stamped,
    typestore,
)
from sac_gmm.demos.bags.open_bag import deserialise, open_bag
from sac_gmm.demos.bags.topics import absolute
from sac_gmm.perception.hands import HandPose, HandTrack, ToolMotion

HAND_POSE = "/hand/pose"  # the tracked point, in the camera's frame
HAND_LANDMARKS = "/hand/landmarks"  # 21 points, in the camera's frame
HAND_GRIP = "/hand/grip"  # opening (m), confidence, and 1 for what looked like a right hand, 0 for a left one
GRIPPER = "/gripper"  # opening (m), and 1 while closed
CAMERA_IMAGE, CAMERA_DEPTH = "/camera/image", "/camera/depth"  # the pictures, if they are kept
HAND_TOPICS = {
    HAND_POSE: POSE,
    HAND_LANDMARKS: "geometry_msgs/msg/PoseArray",
    HAND_GRIP: JOINTS,
    TARGET_POSE: POSE,
    STATE_POSE: POSE,
    STATE_TWIST: TWIST,
    GRIPPER: JOINTS,
}

_SHORTEST_QUATERNION = 1e-3  # any other length is taken for a rotation; messages that nobody filled in hold zeros

Array = npt.NDArray[np.float64]


def write_seen(writer: EpisodeBagWriter, stamp_ns: int, frame_id: str, pose: HandPose, point_m: Array) -> None:
    """Write what one picture showed; `point_m` (3,) is the tracked point of the hand."""
    quaternion = Rotation.from_matrix(pose.rotation).as_quat()
    writer.write(HAND_POSE, _pose_stamped(stamp_ns, frame_id, point_m, quaternion))
    values = {"opening_m": pose.opening_m, "confidence": pose.confidence}
    if pose.side is not None:
        values["right"] = float(pose.side == "right")
    writer.write(HAND_GRIP, _named_values(stamp_ns, frame_id, values))
    if pose.landmarks_m is not None:
        types = typestore().types
        poses = [_pose(point, np.array([0.0, 0.0, 0.0, 1.0])) for point in pose.landmarks_m]
        writer.write(HAND_LANDMARKS, types["geometry_msgs/msg/PoseArray"](_header(stamp_ns, frame_id), poses))


def write_motion(
    writer: EpisodeBagWriter,
    stamps_ns: npt.NDArray[np.int64],
    frame_id: str,
    motion: ToolMotion,
    grip: tuple[Array, npt.NDArray[np.bool_]] | None,
    target_m: Array,
) -> None:
    """Write the end-effector's motion in the base frame, its target (3,), and the gripper's opening and state (N,)."""
    facing = np.array([0.0, 0.0, 0.0, 1.0])
    writer.write(TARGET_POSE, _pose_stamped(int(stamps_ns[0]), frame_id, target_m, facing))
    for i, stamp_ns in enumerate(stamps_ns.tolist()):
        writer.write(STATE_POSE, _pose_stamped(stamp_ns, frame_id, motion.position_m[i], motion.quaternion_xyzw[i]))
        writer.write(STATE_TWIST, twist_stamped(stamp_ns, frame_id, motion.velocity_m_s[i]))
        if grip is not None:
            values = {"opening_m": float(grip[0][i]), "closed": float(grip[1][i])}
            writer.write(GRIPPER, _named_values(stamp_ns, frame_id, values))


def read_hand_track(bag: Path | str) -> tuple[npt.NDArray[np.int64], HandTrack, Array | None]:
    """Read what the camera saw in a recorded episode.

    Args:
        bag: A rosbag2 folder or file with the topics that `hand_demo_recorder` records, salvaged or not.

    Returns:
        Header stamps (T,) in ns; the track, one row per picture that shows the hand; the target (3,) if recorded.

    Raises:
        UserError: The bag cannot be read or holds no hand.
    """
    path = Path(bag)
    rows: dict[int, dict[str, Any]] = {}
    target: Array | None = None
    with open_bag(path) as reader:
        chosen = [c for c in reader.connections if absolute(c.topic) in (HAND_POSE, HAND_GRIP, TARGET_POSE)]
        for connection, _, raw in reader.messages(connections=chosen):
            message = deserialise(reader, connection, raw)
            stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
            if absolute(connection.topic) == TARGET_POSE:
                target = _position(message.pose)
            elif absolute(connection.topic) == HAND_POSE:
                q = message.pose.orientation
                row = rows.setdefault(stamp_ns, {})
                _check_pose(path, connection.topic, len(rows) - 1, message.pose)
                row["position"], row["quaternion"] = _position(message.pose), (q.x, q.y, q.z, q.w)
            else:
                rows.setdefault(stamp_ns, {}).update(zip(message.name, message.position.tolist(), strict=True))
    whole = {stamp: row for stamp, row in sorted(rows.items()) if "position" in row and "confidence" in row}
    if not whole:
        raise UserError(f"{path}: topic {HAND_POSE} is missing or empty: was it recorded with hand_demo_recorder?")
    stamps = np.array(list(whole), np.int64)
    track = HandTrack(
        (stamps - stamps[0]) * 1e-9,
        np.array([row["position"] for row in whole.values()]),
        Rotation.from_quat([row["quaternion"] for row in whole.values()]).as_matrix(),
        np.array([row.get("opening_m", np.nan) for row in whole.values()]),
        np.array([row["confidence"] for row in whole.values()]),
        np.array([row.get("right", np.nan) for row in whole.values()]),
    )
    return stamps, track, target


def _check_pose(path: Path, topic: str, number: int, pose: Any) -> None:
    q = pose.orientation
    size = np.linalg.norm((q.x, q.y, q.z, q.w))
    if not (np.isfinite(_position(pose)).all() and np.isfinite(size) and size > _SHORTEST_QUATERNION):
        raise UserError(
            f"{path}: sample {number} of {topic} has position {_position(pose).tolist()} and quaternion x y z w "
            f"{[q.x, q.y, q.z, q.w]}, which is no pose: leave the orientation at 0 0 0 1 where there is none"
        )


def _position(pose: Any) -> Array:
    return np.array((pose.position.x, pose.position.y, pose.position.z))


def _header(stamp_ns: int, frame_id: str) -> Any:
    types = typestore().types
    return types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9)), frame_id)


def _pose(position_m: Array, quaternion_xyzw: Array) -> Any:
    types = typestore().types
    point = types["geometry_msgs/msg/Point"](*position_m.tolist())
    return types["geometry_msgs/msg/Pose"](point, types["geometry_msgs/msg/Quaternion"](*quaternion_xyzw.tolist()))


def _pose_stamped(stamp_ns: int, frame_id: str, position_m: Array, quaternion_xyzw: Array) -> Any:
    return typestore().types[POSE](_header(stamp_ns, frame_id), _pose(position_m, quaternion_xyzw))


def _named_values(stamp_ns: int, frame_id: str, values: dict[str, float]) -> Any:
    none = np.zeros(0)
    return typestore().types[JOINTS](
        _header(stamp_ns, frame_id), list(values), np.array(list(values.values())), none, none
    )
