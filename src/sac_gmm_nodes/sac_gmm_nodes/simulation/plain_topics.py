"""The state of the simulated arm as a robot without a driver of its own would publish it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped, WrenchStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from sac_gmm.tasks.arms.description import JOINT_NAMES
from sac_gmm.tasks.arms.iiwa import Iiwa
from sac_gmm_nodes.common.conversions import joint_message, pose_message, twist_message, wrench_message


class PlainTopics:
    """The topics `joint_states`, `state/pose`, `state/twist` and `wrench`.

    Args:
        node: The bridge.
        arm: The arm.
        qos: QoS of all of them.
    """

    def __init__(self, node: Node, arm: Iiwa, qos: QoSProfile) -> None:
        self._arm = arm
        self._joints = node.create_publisher(JointState, "joint_states", qos)
        self._pose = node.create_publisher(PoseStamped, "state/pose", qos)
        self._twist = node.create_publisher(TwistStamped, "state/twist", qos)
        self._wrench = node.create_publisher(WrenchStamped, "wrench", qos)

    def publish(self, state: Mapping[str, np.ndarray], head: Header) -> None:
        """Publish an observation of the task; the pose last, because listeners answer it."""
        if self._joints.get_subscription_count():
            self._joints.publish(joint_message(list(JOINT_NAMES), state["joint_position_rad"], head))
        if self._twist.get_subscription_count():
            velocity = np.concatenate((state["ee_velocity_m_s"], self._arm.angular_velocity_rad_s))
            self._twist.publish(twist_message(velocity, head))
        self._wrench.publish(wrench_message(state["wrench"], head))
        self._pose.publish(pose_message(state["ee_position_m"], self._arm.orientation_xyzw, head))
