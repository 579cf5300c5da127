"""What the sensors of a simulated task send: which readings are due at a step, and their topics."""

from __future__ import annotations

import math

import numpy as np
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image, Range
from std_msgs.msg import Header

from sac_gmm.tasks import Task
from sac_gmm_nodes.common.conversions import header
from sac_gmm_nodes.common.node import BaseNode
from sac_gmm_nodes.common.pictures import camera_info_message, image_message, metres_message

_CAMERAS = ("wrist", "fixed")
_SENSORS = ("depth", "tactile")
_JUDGED = ("fixed", "switch")  # what a source of reward may judge; a task has one of them
_SWITCH_TRAVEL_M = 0.001  # of the simulated switch; told in its messages, and used by nobody


class SensorTopics:
    """Publishes what the task's cameras and sensors see.

    Attributes:
        interval: Control steps between two decisions, with one picture for the agent each; None: nobody decides.
        looks_once: Whether the agent needs the first picture of an episode alone.

    Args:
        node: The bridge; it receives the parameters.
        task: The simulated task.
        qos: QoS of the pictures.
    """

    def __init__(self, node: BaseNode, task: Task, qos: QoSProfile) -> None:
        self.interval: int | None = None
        self.looks_once = False
        self._task = task
        self._periods = _periods(node)
        self._judged = "fixed" if task.reward_sensor in ("marker", "lamp") else "switch"  # by the source of reward
        present = {*_CAMERAS} & {*task.cameras} | {*_SENSORS} & {*task.sensors}
        if self._judged == "switch":
            # Where a task has no sensor that shows its success, the simulator's own knowledge takes that place, under
            # the bridge's own name.
            present.add("switch")
            topic = "limit_switch" if task.reward_sensor else "~/success_switch"
            self._switch = node.create_publisher(Range, topic, qos)
        self._periods = {name: period for name, period in self._periods.items() if name in present}
        cameras = [name for name in (*_CAMERAS, "depth") if name in present]
        self._images = {name: node.create_publisher(Image, f"{name}_camera/image", qos) for name in cameras}
        self._infos = {name: node.create_publisher(CameraInfo, f"{name}_camera/camera_info", qos) for name in cameras}
        # Both fingers in one picture, the left one on top, and each on its own, as two sensors would send it.
        self._tactile = {
            topic: node.create_publisher(Image, topic, qos)
            for topic in ("tactile/image", "tactile_left/image", "tactile_right/image")
            if "tactile" in present
        }
        self._readings: dict[str, tuple[int, np.ndarray]] = {}  # by sensor: simulated time, picture

    def due(self, step: int, everything: bool) -> list[str]:
        """Names of the readings due at a control step of an episode.

        What is judged for the reward comes half a period after the others, because it ends an episode. With an odd half
        period (6 steps: 3) it never coincides with a state on which a decision is due; otherwise the order of that
        decision and the end would differ from run to run.
        """
        return [
            name
            for name in self._periods
            if (period := self._period(name))
            and (everything or step % period == (period // 2 if name in _JUDGED else 0))
        ]

    def is_judged(self, step: int, everything: bool) -> bool:
        """Whether a reading is due at a control step that a source of reward answers."""
        return self._judged in self.due(step, everything)

    def is_decided(self, step: int) -> bool:
        """Whether the agent, at the pace that was announced, decides on the state of a control step."""
        return self.interval is not None and step % self.interval == 0

    def publish(self, names: list[str], head: Header, now_ns: int, first: bool = False) -> None:
        """Publish readings of the task's state at simulated time `now_ns`, with the stamp of `head`.

        Args:
            names: As from `due`.
            head: Its stamp is that of the readings.
            now_ns: Simulated time.
            first: Whether this is the first state of an episode.
        """
        for name in names:
            if name == "fixed" and not self._wants_fixed():
                continue
            if name not in _JUDGED and not first and not self._is_looked_at(name):
                continue
            if name == "tactile":
                self._publish_tactile(head, now_ns)
                continue
            if name == "switch":
                self._publish_switch(head)
                continue
            info = self._task.camera_info(name)
            head_ = header(head.stamp, info.frame_id)
            if name == "depth":
                picture = metres_message(self._read(name, now_ns), head_)
            else:
                picture = image_message(self._task.camera(name), head_)
            self._infos[name].publish(camera_info_message(info.matrix, info.width, info.height, head_))
            self._images[name].publish(picture)

    def _wants_fixed(self) -> bool:
        """Whether anybody wants the fixed camera's pictures: where they are not judged, they are only for films."""
        return self._judged == "fixed" or self._images["fixed"].get_subscription_count() > 0

    def _is_looked_at(self, name: str) -> bool:
        """Whether anybody wants a picture that is not the first: an agent that looks once is one listener."""
        if not (self.looks_once and self.interval is not None):
            return True
        topic = self._tactile["tactile/image"] if name == "tactile" else self._images[name]
        return topic.get_subscription_count() > 1

    def _period(self, name: str) -> int:
        """Control steps per picture: one picture per decision if the agent sees it; 0 for none."""
        own = self._periods[name]
        return own if name in _JUDGED or self.interval is None else own and self.interval

    def _publish_tactile(self, head: Header, now_ns: int) -> None:
        left, right = self._read("tactile", now_ns)
        fingers = {
            "tactile/image": (np.vstack((left, right)), "gripper"),
            "tactile_left/image": (left, "finger_left"),
            "tactile_right/image": (right, "finger_right"),
        }
        for topic, (metres, frame_id) in fingers.items():
            self._tactile[topic].publish(metres_message(metres, header(head.stamp, frame_id)))

    def _publish_switch(self, head: Header) -> None:
        """-inf where it is pressed, +inf where not, as sensor_msgs/Range says of sensors with one fixed distance."""
        reading = Range(header=header(head.stamp, "limit_switch"), radiation_type=Range.INFRARED)
        reading.min_range = reading.max_range = _SWITCH_TRAVEL_M
        reading.range = -math.inf if self._task.succeeded() else math.inf
        self._switch.publish(reading)

    def _read(self, group: str, now_ns: int) -> np.ndarray:
        """One reading per state: a repeated state keeps its noise."""
        if self._readings.get(group, (-1, None))[0] != now_ns:
            self._readings[group] = now_ns, self._task.read(group)
        return self._readings[group][1]


def _periods(node: BaseNode) -> dict[str, int]:
    """The parameters: control steps per picture of each camera and sensor."""
    wrist = "control steps per picture; 0: none; in lock-step one per decision of an adapter"
    periods = {
        "wrist": node.whole("wrist_camera_period_steps", 32, 0, 10_000, wrist),
        "fixed": node.whole("fixed_camera_period_steps", 6, 0, 10_000, "control steps per picture; 0: none"),
        "switch": node.whole("switch_period_steps", 6, 0, 10_000, "control steps per reading of the switch; 0: none"),
    }
    for name, parameter in (("depth", "depth_camera_period_steps"), ("tactile", "tactile_period_steps")):
        period = node.whole(parameter, -1, -1, 10_000, "control steps per picture; 0: none; -1: as the wrist camera")
        periods[name] = periods["wrist"] if period < 0 else period
    return periods
