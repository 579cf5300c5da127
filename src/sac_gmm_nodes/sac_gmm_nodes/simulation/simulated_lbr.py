"""What the driver of a KUKA LBR iiwa adds to an arm: the FRI session and its faults, state messages, frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pybullet as pb
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Twist, Vector3, WrenchStamped
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, Header, String

from sac_gmm.control.lbr_state import ConnectionQuality, DriveState, OperationMode, SafetyState, SessionState
from sac_gmm.tasks.arms.description import JOINT_NAMES
from sac_gmm.tasks.arms.iiwa import Iiwa
from sac_gmm_nodes.common.conversions import header, joint_message, nanoseconds, twist_array, wrench_message
from sac_gmm_nodes.common.optional_messages import LBRJointPositionCommand, LBRState, TFMessage
from sac_gmm_nodes.common.qos import COMMAND, LATCHED, RELIABLE

FAULTS = ("none", "session", "connection", "safety", "drives", "tracking")
STATE = "lbr/state"
COMMAND_TWIST = "lbr/command/twist"
COMMAND_JOINTS = "lbr/command/joint_position"
COMMAND_ARRAY = "lbr/forward_position_controller/commands"
COMMANDS = (COMMAND_TWIST, COMMAND_JOINTS, COMMAND_ARRAY)
_TIP_FRAME = "inv_jac_ctrl.twist_in_tip_frame"  # the only parameter of its twist controller that anyone asks for
_CLIMB_NS = 100_000_000  # time the session spends in each state on its way up


class FriSession:
    """The session of a robot whose operator has started the application and holds the enabling switch.

    It climbs from IDLE to COMMANDING_ACTIVE, falls back during a fault that ends it, and climbs again.

    Attributes:
        state: State of the session.
        fault: One of `FAULTS`.

    Args:
        state: The initial state.
    """

    def __init__(self, state: SessionState = SessionState.IDLE) -> None:
        self.state = state
        self.fault = "none"
        self._since_ns = 0

    @property
    def commanding(self) -> bool:
        """Whether the robot follows commands."""
        return self.state is SessionState.COMMANDING_ACTIVE

    def step(self, now_ns: int) -> None:
        """Let simulated time pass."""
        lowest = {"session": SessionState.IDLE, "safety": SessionState.IDLE, "drives": SessionState.MONITORING_READY}
        if self.fault in lowest:
            self.state, self._since_ns = lowest[self.fault], now_ns
        elif self.state < SessionState.COMMANDING_ACTIVE and now_ns - self._since_ns >= _CLIMB_NS:
            self.state, self._since_ns = SessionState(self.state + 1), now_ns

    def message(self, arm: Iiwa, commanded_rad: np.ndarray, now_ns: int, period_s: float) -> Any:
        """The driver's state message; `lbr_fri_idl` must be installed.

        Args:
            arm: The arm.
            commanded_rad: The commanded joint positions, shape (7,).
            now_ns: Simulated time, used as the robot's clock.
            period_s: Time between two states.
        """
        measured, torque, fault = arm.joint_position_rad, arm.torque_nm, self.fault
        quality = ConnectionQuality.FAIR if fault == "connection" else ConnectionQuality.EXCELLENT
        safety = SafetyState.SAFETY_STOP_LEVEL_1 if fault == "safety" else SafetyState.NORMAL_OPERATION
        waiting = self.state < SessionState.COMMANDING_WAIT
        return LBRState(
            sample_time=period_s,
            session_state=int(self.state),
            connection_quality=int(quality),
            safety_state=int(safety),
            operation_mode=int(OperationMode.T1),
            drive_state=int(DriveState.OFF if fault in ("drives", "safety") else DriveState.ACTIVE),
            client_command_mode=1,  # position
            overlay_type=1,  # joint
            control_mode=0,  # position
            time_stamp_sec=now_ns // 1_000_000_000,
            time_stamp_nano_sec=now_ns % 1_000_000_000,
            measured_joint_position=measured,
            commanded_joint_position=commanded_rad,
            measured_torque=torque,
            commanded_torque=torque,
            external_torque=arm.jacobian().T @ arm.wrench(),
            ipo_joint_position=np.full(7, np.nan) if waiting else commanded_rad,
            tracking_performance=0.2 if fault == "tracking" else 1.0,
        )


class DriverTopics:
    """The topics of `lbr_fri_ros2_stack`, below `lbr/`; those whose packages are not installed are omitted.

    Args:
        node: The bridge.
        arm: The arm.
        client: Of the physics engine.
        in_tip_frame: Whether the driver takes twists in tip axes, and reports so when asked.
        with_frames: Whether to publish TF, which nobody else must do then.
        on_twist: Called with each commanded twist, shape (6,), base axes.
        on_joints: Called with all commanded joint positions.
    """

    def __init__(
        self,
        node: Node,
        arm: Iiwa,
        client: int,
        in_tip_frame: bool,
        with_frames: bool,
        on_twist: Callable[[np.ndarray], None],
        on_joints: Callable[[np.ndarray], None],
    ) -> None:
        self._on_twist, self._on_joints = on_twist, on_joints
        self._arm, self._in_tip_frame = arm, in_tip_frame
        self._links = ArmFrames(arm, client)
        description = node.create_publisher(String, "lbr/robot_description", LATCHED)
        description.publish(String(data=arm.description))
        self._state = node.create_publisher(LBRState, STATE, RELIABLE) if LBRState else None
        self._frames = node.create_publisher(TFMessage, "/tf", RELIABLE) if TFMessage and with_frames else None
        self._joints = node.create_publisher(JointState, "lbr/joint_states", RELIABLE)
        self._wrench = node.create_publisher(WrenchStamped, "lbr/force_torque_broadcaster/wrench", RELIABLE)
        node.create_subscription(Twist, COMMAND_TWIST, self._on_twist_message, COMMAND)
        node.create_subscription(Float64MultiArray, COMMAND_ARRAY, self._on_array, COMMAND)
        if LBRJointPositionCommand:
            node.create_subscription(LBRJointPositionCommand, COMMAND_JOINTS, self._on_joint_position, COMMAND)
        node.create_service(GetParameters, "lbr/twist_controller/get_parameters", self._on_get_parameters)

    def publish(
        self, session: FriSession, commanded_rad: np.ndarray | None, wrench: np.ndarray, head: Header, period_s: float
    ) -> None:
        """Publish the present state.

        Args:
            session: The FRI session.
            commanded_rad: Commanded joint positions, shape (7,); None if a twist was commanded.
            wrench: Wrench felt at the wrist, shape (6,).
            head: Stamp, and the base frame.
            period_s: Time between two states.
        """
        arm, now_ns = self._arm, nanoseconds(head.stamp)
        measured = arm.joint_position_rad
        self._joints.publish(joint_message(list(JOINT_NAMES), measured, head))
        self._wrench.publish(wrench_message(wrench, head))
        if self._state is not None:
            commanded = measured if commanded_rad is None else commanded_rad
            self._state.publish(session.message(arm, commanded, now_ns, period_s))
        if self._frames is not None:
            self._frames.publish(TFMessage(transforms=self._links.transforms(head)))

    def _on_twist_message(self, message: Twist) -> None:
        twist = twist_array(message)
        if self._in_tip_frame:
            R = np.array(pb.getMatrixFromQuaternion(self._arm.orientation_xyzw)).reshape(3, 3)
            twist = np.concatenate((R @ twist[:3], R @ twist[3:]))
        self._on_twist(twist)

    def _on_array(self, message: Float64MultiArray) -> None:
        self._on_joints(np.array(message.data))

    def _on_joint_position(self, message: Any) -> None:
        self._on_joints(np.array(message.joint_position))

    def _on_get_parameters(
        self, request: GetParameters.Request, response: GetParameters.Response
    ) -> GetParameters.Response:
        # As in rclcpp: an undeclared name leaves the whole answer empty.
        if set(request.names) <= {_TIP_FRAME}:
            value = ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=self._in_tip_frame)
            response.values = [value] * len(request.names)
        return response


class ArmFrames:
    """The arm's links as TF, each in the link before it: the tree that its description says.

    Args:
        arm: The arm.
        client: Of the physics engine.
    """

    def __init__(self, arm: Iiwa, client: int) -> None:
        self._body, self._client = arm.body, client
        self._names = {index: name for name, index in arm.links.items()}
        self._parents = {index: pb.getJointInfo(arm.body, index, client)[16] for index in self._names}

    def transforms(self, head: Header) -> list[TransformStamped]:
        """Where the links are now; `head` has the stamp, and the name of the link that stands still."""
        states = pb.getLinkStates(self._body, list(self._names), 0, 1, self._client)
        poses = {index: state[4:6] for index, state in zip(self._names, states, strict=True)}
        poses[-1] = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)
        made = []
        for index, name in self._names.items():
            parent = self._parents[index]
            before = header(head.stamp, self._names.get(parent, head.frame_id))
            position, turn = pb.multiplyTransforms(*pb.invertTransform(*poses[parent]), *poses[index])
            place = Transform(
                translation=Vector3(**dict(zip("xyz", position, strict=True))),
                rotation=Quaternion(**dict(zip("xyzw", turn, strict=True))),
            )
            made.append(TransformStamped(header=before, child_frame_id=name, transform=place))
        return made
