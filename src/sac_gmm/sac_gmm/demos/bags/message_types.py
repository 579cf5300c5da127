"""The few message types of a demonstration bag, built and read without ROS (rosbags' Jazzy definitions)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from sac_gmm.core.errors import UserError

POSE = "geometry_msgs/msg/PoseStamped"
TWIST = "geometry_msgs/msg/TwistStamped"
WRENCH = "geometry_msgs/msg/WrenchStamped"
JOINTS = "sensor_msgs/msg/JointState"
IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
BULKY_TYPES = frozenset({IMAGE, COMPRESSED_IMAGE, "sensor_msgs/msg/PointCloud2"})

STATE_POSE, STATE_TWIST, TARGET_POSE = "/state/pose", "/state/twist", "/target_pose"
COMMAND_TWIST = "/command/twist"

# The topics of an episode bag. Every type begins with a std_msgs/Header.
EPISODE_TOPICS: dict[str, str] = {
    STATE_POSE: POSE,
    STATE_TWIST: TWIST,
    TARGET_POSE: POSE,
    COMMAND_TWIST: TWIST,
    "/joint_states": JOINTS,
    "/wrench": WRENCH,
}
# Published once and kept for late subscribers (transient local), during playback as well.
LATCHED_TOPICS = frozenset({TARGET_POSE})


@cache
def typestore() -> Typestore:
    """The message definitions of ROS 2 Jazzy."""
    return get_typestore(Stores.ROS2_JAZZY)


def has_header(msgtype: str) -> bool:
    """Whether a message type of ROS 2 Jazzy begins with a std_msgs/Header (stamp and frame).

    Raises:
        UserError: ROS 2 Jazzy has no such type.
    """
    if msgtype not in typestore().fielddefs:
        raise UserError(f"cannot record {msgtype}: the message type is not one of ROS 2 Jazzy's own")
    _, fields = typestore().fielddefs[msgtype]
    return bool(fields) and fields[0][1] == (Nodetype.NAME, "std_msgs/msg/Header")


def pose_stamped(stamp_ns: int, frame_id: str, position_m: npt.ArrayLike) -> Any:
    """A PoseStamped aligned with the frame's axes; `position_m` is (3,)."""
    types = typestore().types
    point = types["geometry_msgs/msg/Point"](*np.asarray(position_m, np.float64).tolist())
    facing = types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
    return types[POSE](_header(stamp_ns, frame_id), types["geometry_msgs/msg/Pose"](point, facing))


def twist_stamped(stamp_ns: int, frame_id: str, velocity_m_s: npt.ArrayLike) -> Any:
    """A TwistStamped without rotation; `velocity_m_s` is (3,)."""
    types = typestore().types
    linear = types["geometry_msgs/msg/Vector3"](*np.asarray(velocity_m_s, np.float64).tolist())
    angular = types["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
    return types[TWIST](_header(stamp_ns, frame_id), types["geometry_msgs/msg/Twist"](linear, angular))


def _header(stamp_ns: int, frame_id: str) -> Any:
    types = typestore().types
    stamp = types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9))
    return types["std_msgs/msg/Header"](stamp, frame_id)
