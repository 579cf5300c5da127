"""The link to an arm behind plain topics: `state/pose` in, `command/twist` out, and no driver to check."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile

from sac_gmm.control import Reason, SafetyLimits
from sac_gmm.control.twist_guard import ArmJoints
from sac_gmm_nodes.common.conversions import TwistStampedBytes, frame_objection, nanoseconds, read_pose
from sac_gmm_nodes.common.polling import Polled, Publishers, take
from sac_gmm_nodes.common.qos import COMMAND, shared


class ArmReading(NamedTuple):
    """One state of the arm."""

    stamp_ns: int
    arrived_s: float  # by time.monotonic; of the first message with this stamp, as a repeated one is no newer
    position_m: np.ndarray  # of the end-effector, (3,), base frame


class RobotLink:
    """The link over plain topics.

    Attributes:
        driver: State of the arm's driver in words; empty, because there is none here.
        twist_gain: Factor on twists for the driver.
        command_topics: Full names of the topics that the arm can be commanded on.

    Args:
        node: The controller.
        frame_id: The base frame.
        qos: QoS of the states.
        deliver: Called in the main thread for every new state; if absent, the loop takes states with `poll`.
    """

    def __init__(
        self, node: Node, frame_id: str, qos: QoSProfile, deliver: Callable[[ArmReading], None] | None = None
    ) -> None:
        self.driver = ""
        self.twist_gain = 1.0
        self._node, self._frame_id, self._deliver = node, frame_id, deliver
        self._reading: ArmReading | None = None
        if deliver:
            self._poses = node.create_subscription(PoseStamped, "state/pose", self._on_pose, qos)
        else:
            # As bytes: deserialising takes longer than the rest of a tick.
            self._poses = node.create_subscription(
                PoseStamped, "state/pose", self._on_pose, shared(qos), callback_group=Polled(), raw=True
            )
        self._publishers = Publishers(node, self._poses.topic_name)
        self._objection = ""  # to the last state
        self._not_numbers = ""  # what was no number in a state
        self._commands = node.create_publisher(TwistStamped, "command/twist", COMMAND)
        self.command_topics = (self._commands.topic_name,)
        self._rehearsals = None if deliver else node.create_publisher(TwistStamped, "~/rehearsal", COMMAND)
        self._bytes = TwistStampedBytes(frame_id)

    def prepare(self, limits: SafetyLimits, dt_s: float) -> ArmJoints | None:
        """Called when the node is configured; returns the joint limits, which are unknown here."""
        return None

    def complaint(self, reason: Reason) -> str:
        """What is wrong with the states, and what to do about it; empty where that of the reason says enough."""
        topic = self._poses.topic_name
        if reason is Reason.NOT_A_NUMBER and self._not_numbers:
            return (
                f"{self._not_numbers} of {topic}{self._publishers.words} came as no number: mend its publisher, then "
                "resume with ~/pause data: false or start a new episode"
            )
        if reason not in (Reason.NO_STATE, Reason.STALE_STATE):
            return ""
        by = self._publishers.words
        if not by:
            return f"nobody publishes {topic}: start the robot's driver or the simulation"
        if self._objection:
            return f"{self._objection}{by}"
        return f"nothing new comes on {topic}{by}: see that its publisher runs and is connected to the arm"

    def clear(self) -> None:
        """Allow motion again after a stop."""
        self._not_numbers = ""

    def poll(self) -> ArmReading | None:
        """The newest state; called by the loop on every tick."""
        if self._deliver is None:
            for pose, arrived_s in take(self._poses):
                self._take_in(*read_pose(pose), arrived_s)
        return self._reading

    def hold(self, now_s: float) -> Reason:
        """Why the driver does not allow motion now; called by the loop on every tick."""
        return Reason.NONE

    def send(self, twist: np.ndarray, stamp_ns: int) -> None:
        """Command a twist (6,), m/s and rad/s in base axes, in answer to the state with this stamp."""
        self._commands.publish(self._bytes(twist, stamp_ns))

    def rehearse(self, twist: np.ndarray) -> None:
        """Do what `send` does, on a topic without listeners; called by the loop shortly before a tick.

        With warm processor caches a publisher takes half the time.
        """
        if self._rehearsals is not None:
            self._rehearsals.publish(self._bytes(twist, 0))

    def tell(self) -> None:
        """Called after a tick: there is nothing else to publish."""

    def flush(self) -> None:
        """Wait until the last command has been read: the node is about to exit."""
        self._commands.wait_for_all_acked(Duration(seconds=1))

    def _on_pose(self, message: PoseStamped) -> None:
        before, position = self._reading, message.pose.position
        stamp_ns = nanoseconds(message.header.stamp)
        point_m = position.x, position.y, position.z
        self._take_in(message.header.frame_id, stamp_ns, point_m, time.monotonic())
        if self._reading is not None and self._reading is not before and self._deliver is not None:
            self._deliver(self._reading)

    def _take_in(self, frame_id: str, stamp_ns: int, position_m: tuple[float, float, float], arrived_s: float) -> None:
        self._objection = frame_objection(frame_id, self._frame_id, self._poses.topic_name)
        if self._objection:
            self._node.get_logger().error(self._objection, throttle_duration_sec=5.0)
            return
        if not math.isfinite(sum(position_m)):
            axes = zip("xyz", position_m, strict=True)
            self._not_numbers = ", ".join(axis for axis, value in axes if not math.isfinite(value))
        if self._reading is None or stamp_ns != self._reading.stamp_ns:
            self._reading = ArmReading(stamp_ns, arrived_s, np.array(position_m))
