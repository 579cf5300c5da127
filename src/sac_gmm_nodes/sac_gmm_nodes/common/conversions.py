"""Conversions between messages and numpy arrays, and between stamps and nanoseconds."""

from __future__ import annotations

import array
import struct

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, Twist, TwistStamped, Vector3, Wrench, WrenchStamped
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message
from sac_gmm_interfaces.msg import MixtureModel, MixtureUpdate, Reward
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from sac_gmm.control import ModelUpdate
from sac_gmm.core.errors import UserError
from sac_gmm.models import GaussianMixture, SkillModel

Array = NDArray[np.float64]
_SECOND_NS = 1_000_000_000
_PLAIN_CDR = b"\0\1\0\0"  # the first bytes of every message
_TWIST = struct.Struct("<4s6d")
STAMP_TOLERANCE_NS = 1000  # stamps are rounded if the rate does not divide a second


def nanoseconds(stamp: Time) -> int:
    """A stamp as one integer, so that stamps can be compared and subtracted without rounding."""
    return stamp.sec * _SECOND_NS + stamp.nanosec


def stamp_of(nanoseconds_: int) -> Time:
    """The stamp for a number of nanoseconds."""
    return Time(sec=nanoseconds_ // _SECOND_NS, nanosec=nanoseconds_ % _SECOND_NS)


def reached(stamp_ns: int, end_ns: int) -> bool:
    """Whether a stamp is at or past an end, up to rounding."""
    return stamp_ns >= end_ns - STAMP_TOLERANCE_NS


def is_judged_in(episode_id: int, reward: Reward) -> bool:
    """Whether a reward belongs to an episode. A judge that does not follow episodes says 0; then the stamp decides."""
    return reward.episode_id in (0, episode_id)


def counts_in(reward: Reward, episode_id: int, start_ns: int) -> bool:
    """Whether a reward is valid and belongs to the episode that began at `start_ns`."""
    return bool(reward.valid) and is_judged_in(episode_id, reward) and nanoseconds(reward.header.stamp) >= start_ns


def pays(reward: Reward, episode_id: int, start_ns: int) -> bool:
    """Whether a reward says that the episode that began at `start_ns` has succeeded."""
    return bool(reward.success) and counts_in(reward, episode_id, start_ns)


def header(stamp: Time, frame_id: str = "") -> Header:
    """A header."""
    return Header(stamp=stamp, frame_id=frame_id)


def frame_objection(frame_id: str, base_frame: str, topic: str) -> str:
    """Why a topic's numbers cannot be used as base-frame numbers, with the remedy; empty if they can.

    An empty frame is as bad as a wrong one: nobody knows where the arm would be driven.
    """
    if frame_id == base_frame:
        return ""
    return (
        f"{topic} is in the frame {frame_id!r}, not in the base frame {base_frame!r}: it is ignored; "
        f"transform it to {base_frame!r} where it is published, or set base_frame to the robot's own"
    )


def doubles(values: NDArray[np.floating]) -> array.array:
    """A numeric array that rclpy accepts without checking every element."""
    return array.array("d", np.ascontiguousarray(values, dtype=np.float64).tobytes())


def point_array(point: Point | Vector3) -> Array:
    """A point or vector, shape (3,)."""
    return np.array((point.x, point.y, point.z))


def read_pose(cdr: bytes) -> tuple[str, int, tuple[float, float, float]]:
    """Read frame, stamp in nanoseconds and position in metres from a serialised PoseStamped, without deserialising it.

    Plain CDR: four bytes for the encoding, then stamp, frame_id and pose, each number aligned to its own size. Any
    other encoding is left to the middleware.
    """
    if cdr[0] != 0 or cdr[1] > 1:
        message = deserialize_message(cdr, PoseStamped)
        position = message.pose.position
        return message.header.frame_id, nanoseconds(message.header.stamp), (position.x, position.y, position.z)
    order = "<" if cdr[1] else ">"
    seconds, nanoseconds_, length = struct.unpack_from(f"{order}iII", cdr, 4)
    begin = 4 + -(-(12 + length) // 8) * 8
    frame_id = cdr[16 : 15 + length].decode(errors="replace")  # zero-terminated
    return frame_id, seconds * _SECOND_NS + nanoseconds_, struct.unpack_from(f"{order}3d", cdr, begin)


class TwistStampedBytes:
    """Serialises TwistStamped messages of one frame directly, without creating a message.

    When the loop wakes up to send, the processor's caches are cold, and filling and serialising a message then takes
    about 60 µs. This writes plain little-endian CDR, which every middleware reads.
    """

    def __init__(self, frame_id: str) -> None:
        self._frame = frame_id.encode() + b"\0"
        before = 12 + len(self._frame)
        self._layout = struct.Struct(f"<4siII{len(self._frame)}s{-before % 8}x6d")

    def __call__(self, twist: Array, stamp_ns: int) -> bytes:
        """Serialise a twist (6,) [vx vy vz wx wy wz] with its stamp."""
        seconds, rest = divmod(stamp_ns, _SECOND_NS)
        return self._layout.pack(_PLAIN_CDR, seconds, rest, len(self._frame), self._frame, *twist.tolist())


def twist_bytes(twist: Array) -> bytes:
    """Serialise a Twist (6,) [vx vy vz wx wy wz]; see `TwistStampedBytes`."""
    return _TWIST.pack(_PLAIN_CDR, *twist.tolist())


def twist_message(twist: Array, header_: Header) -> TwistStamped:
    """A message from a twist (6,) [vx vy vz wx wy wz]."""
    vx, vy, vz, wx, wy, wz = twist.tolist()
    return TwistStamped(
        header=header_, twist=Twist(linear=Vector3(x=vx, y=vy, z=vz), angular=Vector3(x=wx, y=wy, z=wz))
    )


def twist_array(message: TwistStamped | Twist) -> Array:
    """The twist of a message, shape (6,)."""
    twist = message.twist if isinstance(message, TwistStamped) else message
    linear, angular = twist.linear, twist.angular
    return np.array((linear.x, linear.y, linear.z, angular.x, angular.y, angular.z))


def pose_message(position: Array, quaternion_xyzw: Array, header_: Header) -> PoseStamped:
    """A message from a position (3,) and a quaternion (4,)."""
    x, y, z = position.tolist()
    qx, qy, qz, qw = quaternion_xyzw.tolist()
    return PoseStamped(
        header=header_, pose=Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))
    )


def wrench_message(wrench: Array, header_: Header) -> WrenchStamped:
    """A message from a wrench (6,) [N, Nm]."""
    fx, fy, fz, tx, ty, tz = wrench.tolist()
    return WrenchStamped(
        header=header_, wrench=Wrench(force=Vector3(x=fx, y=fy, z=fz), torque=Vector3(x=tx, y=ty, z=tz))
    )


def wrench_array(message: WrenchStamped) -> Array:
    """The wrench of a message, shape (6,)."""
    force, torque = message.wrench.force, message.wrench.torque
    return np.array((force.x, force.y, force.z, torque.x, torque.y, torque.z))


def joint_message(names: list[str], positions: Array, header_: Header) -> JointState:
    """A message from joint positions in radians."""
    return JointState(header=header_, name=names, position=doubles(positions))


def model_message(model: SkillModel, model_id: str, version: int, header_: Header) -> MixtureModel:
    """A message about the active skill; `model_id` is that of its base."""
    mixture = model.mixture
    return MixtureModel(
        header=header_,
        model_id=model_id,
        kind=model.kind,
        version=version,
        n_components=mixture.n_components,
        state_dim=model.state_dim,
        priors=doubles(mixture.priors),
        means=doubles(mixture.means),
        covariances=doubles(mixture.covariances),
        attractor=doubles(model.attractor),
        checksum=model.checksum,
    )


def model_of(message: MixtureModel) -> SkillModel:
    """The skill that a message reports as active, without a certificate.

    Raises:
        UserError: The numbers do not form a skill.
    """
    k, d = message.n_components, message.state_dim
    try:
        means = np.asarray(message.means).reshape(k, 2 * d)
        covariances = np.asarray(message.covariances).reshape(k, 2 * d, 2 * d)
    except ValueError as error:
        raise UserError(f"the message says {k} components of a state of {d} numbers: {error}") from error
    mixture = GaussianMixture(np.asarray(message.priors), means, covariances)
    return SkillModel(message.kind, mixture, np.asarray(message.attractor))


def update_message(
    model: SkillModel, model_id: str, base_version: int, new_version: int, episode_id: int, decision: int, stamp: Time
) -> MixtureUpdate:
    """A proposal to activate `model` as `new_version` of the skill `model_id`."""
    mixture = model.mixture
    return MixtureUpdate(
        header=header(stamp),
        model_id=model_id,
        base_version=base_version,
        new_version=new_version,
        episode_id=episode_id,
        decision=decision,
        priors=doubles(mixture.priors),
        means=doubles(mixture.means),
        covariances=doubles(mixture.covariances),
        attractor=doubles(model.attractor),
        checksum=model.checksum,
    )


def update_of(message: MixtureUpdate) -> ModelUpdate:
    """Convert a message to what the gate judges."""
    return ModelUpdate(
        model_id=message.model_id,
        base_version=message.base_version,
        new_version=message.new_version,
        episode_id=message.episode_id,
        priors=np.asarray(message.priors),
        means=np.asarray(message.means),
        covariances=np.asarray(message.covariances),
        attractor=np.asarray(message.attractor),
        checksum=message.checksum,
    )
