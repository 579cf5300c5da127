"""Turns the messages on the project's topics into what the live page shows.

The messages come from rclpy or from a bag. Nothing here imports ROS: a message is any object with its type's fields.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sac_gmm.control import Limit, Reason, State
from sac_gmm.models import GaussianMixture, SkillModel
from sac_gmm.perception import image_array, metres_array
from sac_gmm.perception.pictures import sensor_picture
from sac_gmm.view.collector import Collector
from sac_gmm.view.snapshot import Array, EpisodeRow, Status

# Every topic that is read: relative name and type.
TOPICS = {
    "joint_states": "sensor_msgs/msg/JointState",
    "state/pose": "geometry_msgs/msg/PoseStamped",
    "target_pose": "geometry_msgs/msg/PoseStamped",
    "pybullet_bridge/true_target_pose": "geometry_msgs/msg/PoseStamped",
    "model": "sac_gmm_interfaces/msg/MixtureModel",
    "controller_status": "sac_gmm_interfaces/msg/ControllerStatus",
    "episode_state": "sac_gmm_interfaces/msg/EpisodeState",
    "wrist_camera/image": "sensor_msgs/msg/Image",
    "fixed_camera/image": "sensor_msgs/msg/Image",
    "depth_camera/image": "sensor_msgs/msg/Image",
    "tactile/image": "sensor_msgs/msg/Image",
    "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
}
# Topics of which every message counts, because all matter or several publish there; of the others the newest is enough.
WHOLE_STREAMS = ("joint_states", "state/pose", "episode_state", "/diagnostics")
_MODES = ("base", "train", "evaluate")
# States that the user asked for, or that are normal.
_NO_TROUBLE = (Reason.NONE, Reason.NO_EPISODE, Reason.NO_COMMAND, Reason.PAUSED, Reason.STOPPED)
# The entries of the controller's statistics in /diagnostics that are shown, and their labels.
_DIGEST = {
    "ticks": "control ticks",
    "ticks_on_time": "of these on time",
    "late_ms_median": "late, median (ms)",
    "late_ms_p999": "late, 99.9th percentile (ms)",
    "late_ms_max": "late, worst (ms)",
    "compute_us_median": "computing, median (µs)",
    "compute_us_p99": "computing, 99th percentile (µs)",
    "compute_us_max": "computing, worst (µs)",
    "updates_accepted": "updates accepted",
    "updates_refused": "updates refused",
    "last_refusal": "last refusal",
}


class Listener:
    """Turns messages into snapshots.

    Attributes:
        episode_running: Whether an episode is being reset or is running.

    Args:
        collector: Receives the content of the messages.
        joint_names: Joints of the robot that is drawn, in the order of the snapshots.
    """

    def __init__(self, collector: Collector, joint_names: Sequence[str] = ()) -> None:
        self._collector = collector
        self._joint_numbers = {name: number for number, name in enumerate(joint_names)}
        self._joints_rad: Array | None = None  # once a message has named joints of the robot
        given = collector.snapshot().base
        self._base_id = "" if given is None else given.model_id
        self.episode_running = False
        self._episode = ""
        self._ended = 0
        self._handlers: dict[str, Callable[[Any], None]] = {
            "joint_states": self._on_joints,
            "state/pose": self._on_pose,
            "target_pose": self._on_target,
            "pybullet_bridge/true_target_pose": self._on_true_target,
            "model": self._on_model,
            "controller_status": self._on_status,
            "episode_state": self._on_episode,
            "wrist_camera/image": lambda message: self._on_picture("wrist", message),
            "fixed_camera/image": lambda message: self._on_picture("fixed", message),
            "depth_camera/image": lambda message: self._on_picture("depth", message),
            "tactile/image": lambda message: self._on_picture("tactile", message),
            "/diagnostics": self._on_diagnostics,
        }

    def take_in(self, topic: str, message: Any) -> None:
        """Process a message of one of `TOPICS`."""
        self._handlers[topic](message)

    def _on_joints(self, message: Any) -> None:
        """Put each position where its name belongs: arm and gripper may have drivers of their own on this topic.

        A robot of which no joint has the name of one that is drawn is shown by the order of its joints.
        """
        positions = np.array(message.position, dtype=np.float64)
        numbers = [self._joint_numbers.get(name) for name in message.name]
        pairs = [(k, value) for k, value in zip(numbers, positions, strict=False) if k is not None]
        if pairs:
            joints_rad = np.zeros(len(self._joint_numbers)) if self._joints_rad is None else self._joints_rad.copy()
            for number, value in pairs:
                joints_rad[number] = value
            self._joints_rad = joints_rad
            self._collector.change(joints_rad=joints_rad)
        elif self._joints_rad is None and len(positions) >= len(self._joint_numbers):
            self._collector.change(joints_rad=positions)

    def _on_pose(self, message: Any) -> None:
        stamp = message.header.stamp
        self._collector.change(time_s=stamp.sec + 1e-9 * stamp.nanosec)
        self._collector.tip(_point(message.pose.position))

    def _on_target(self, message: Any) -> None:
        self._collector.change(target_m=_point(message.pose.position))

    def _on_true_target(self, message: Any) -> None:
        self._collector.change(true_target_m=_point(message.pose.position))

    def _on_model(self, message: Any) -> None:
        n, d = message.n_components, message.state_dim
        mixture = GaussianMixture(
            np.array(message.priors),
            np.array(message.means).reshape(n, 2 * d),
            np.array(message.covariances).reshape(n, 2 * d, 2 * d),
        )
        model = SkillModel(message.kind, mixture, np.array(message.attractor))
        fields: dict[str, Any] = {"current": model}
        if message.version == 0:
            self._base_id = message.model_id
            fields["base"] = model
        elif message.model_id != self._base_id:
            fields["base"] = None  # the stored one belongs to another skill
        self._collector.change(**fields)

    def _on_status(self, message: Any) -> None:
        reason, limit = Reason(message.reason), Limit(message.limit)
        velocity = message.velocity
        self._collector.change(
            status=Status(
                State(message.state).name.lower(),
                _in_words(reason.name) if reason else f"limited by {_in_words(limit.name)}" if limit else "",
                message.remedy,
                reason not in _NO_TROUBLE,
                self._episode,
                float(np.hypot(np.hypot(velocity.x, velocity.y), velocity.z)),
                message.speed_scale,
                message.version,
            )
        )
        self._collector.tick(time.monotonic(), message.tick_time_s, message.late_s)

    def _on_episode(self, message: Any) -> None:
        phase = message.phase
        self.episode_running = phase in (message.PHASE_RESETTING, message.PHASE_RUNNING)
        mode = _MODES[message.mode] if message.mode < len(_MODES) else str(message.mode)
        about = f"episode {message.episode_id} ({mode}), seed {message.seed}"
        self._episode = {
            message.PHASE_RESETTING: f"{about}: being reset",
            message.PHASE_RUNNING: f"{about}: running, at most {message.time_limit_s:g} s",
            message.PHASE_ENDED: f"{about}: {'success' if message.success else 'failure'}",
        }.get(phase, message.text)
        if phase == message.PHASE_RUNNING:
            self._collector.begin_episode()
        if phase == message.PHASE_ENDED and message.episode_id != self._ended:
            self._ended = message.episode_id
            took_s = _seconds(message.end_stamp) - _seconds(message.start_stamp)
            row = EpisodeRow(message.episode_id, mode, message.seed, bool(message.success), took_s)
            self._collector.end_episode(row.success)
            self._collector.add_episodes(row)

    def _on_picture(self, sensor: str, message: Any) -> None:
        if sensor in ("wrist", "fixed"):
            self._collector.picture(sensor, f"{sensor} camera", _rgb(message))
            return
        reading = _metres(message)
        if sensor == "tactile":  # both fingers, stacked vertically
            reading = reading.reshape(2, -1, reading.shape[1])
        self._collector.picture(sensor, *sensor_picture(sensor, reading))

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            values = {entry.key: entry.value for entry in status.values}
            if "ticks_on_time" in values:  # from the controller
                shown = tuple((name, values[key]) for key, name in _DIGEST.items() if values.get(key))
                self._collector.change(timing=shown)


def _in_words(name: str) -> str:
    return name.lower().replace("_", " ")


def _point(point: Any) -> Array:
    return np.array((point.x, point.y, point.z))


def _seconds(stamp: Any) -> float:
    return float(stamp.sec) + 1e-9 * float(stamp.nanosec)


def _rgb(message: Any) -> Array:
    """The picture of a message, (H, W, 3).

    Raises:
        UserError: It is coded in a way that is not known.
    """
    picture = image_array(*_raw(message))
    return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture


def _metres(message: Any) -> Array:
    """The distances in a message, (H, W).

    Raises:
        UserError: It holds none.
    """
    return metres_array(*_raw(message))


def _raw(message: Any) -> tuple[Any, int, int, int, str, bool]:
    big_endian = bool(message.is_bigendian)
    return message.data, message.height, message.width, message.step, message.encoding, big_endian
