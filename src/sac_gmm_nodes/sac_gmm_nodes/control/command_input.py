"""Topics on which others ask for motions: their messages go to a `CommandGate`, and who sends them is looked up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from geometry_msgs.msg import TwistStamped
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState

from sac_gmm.control.command_gate import Asked, Command, CommandGate
from sac_gmm_nodes.common.conversions import nanoseconds, twist_array
from sac_gmm_nodes.common.node import BaseNode
from sac_gmm_nodes.control.commanders import Commanders


class CommandTopics(NamedTuple):
    """Names of the topics on which one side asks: a twist, or the velocity of all joints."""

    twist: str
    joints: str


IN_AN_EPISODE = CommandTopics("desired_twist", "desired_joint_velocity")
BETWEEN_EPISODES = CommandTopics("reset/desired_twist", "reset/desired_joint_velocity")


class CommandInput:
    """Twists and joint velocities that one side asks for.

    Attributes:
        gate: Judges them.
        senders: The nodes that publish on the topics.

    Args:
        node: The node that moves the arm.
        topics: The topics.
        gate: Judges what comes on them.
        qos: QoS of the subscriptions.
        notify: Called when a command has come.
        also: Full names of further topics on which a sender counts.
    """

    def __init__(
        self,
        node: BaseNode,
        topics: CommandTopics,
        gate: CommandGate,
        qos: QoSProfile,
        notify: Callable[[], None] = lambda: None,
        also: Sequence[str] = (),
    ) -> None:
        self.gate = gate
        self._node, self._topics, self._notify = node, topics, notify
        on_twist: Any = self._on_twist  # rclpy's types do not know of callbacks that also take the message's number
        on_joints: Any = self._on_joints
        asked = (
            node.create_subscription(TwistStamped, topics.twist, on_twist, qos),
            node.create_subscription(JointState, topics.joints, on_joints, qos),
        )
        self.senders = Commanders(node, [*(subscription.topic_name for subscription in asked), *also])

    def look(self) -> None:
        """See who publishes; call it a few times a second, off the loop's thread."""
        self.senders.look()
        self.gate.note_senders(self.senders.names)

    def asked(self, now_ns: int | None = None, state_ns: int = 0) -> Asked:
        """What is asked for now; see `CommandGate.asked`.

        Args:
            now_ns: The time by the clock of the stamps; None to read the clock.
            state_ns: Stamp of the state that the tick is about; matters in lock-step only.
        """
        now_ns = self._node.get_clock().now().nanoseconds if now_ns is None else now_ns
        return self.gate.asked(time.monotonic(), now_ns, state_ns)

    def _on_twist(self, message: TwistStamped, info: dict[str, Any]) -> None:
        self._take(self._topics.twist, message.header, twist_array(message), None, info)

    def _on_joints(self, message: JointState, info: dict[str, Any]) -> None:
        velocities = np.array(message.velocity, dtype=float)
        self._take(self._topics.joints, message.header, velocities, tuple(message.name), info)

    def _take(self, topic: str, header: Any, values: np.ndarray, names: tuple[str, ...] | None, info: Any) -> None:
        now_ns = self._node.get_clock().now().nanoseconds
        stamp_ns, number = nanoseconds(header.stamp), info.get("publication_sequence_number")
        command = Command(topic, values, stamp_ns, time.monotonic(), header.frame_id, names, number)
        self.gate.take(command, now_ns)
        self._notify()
