"""The link to an arm that reports its joints: a KUKA LBR iiwa behind `lbr_fri_ros2_stack`, or any with joint states.

The end-effector's pose comes from the joints and the robot's description (Pinocchio), or from TF. It is published as
`state/pose`, and `wrench` with the same stamp, for the other nodes. `sac_gmm.control.lbr_state` judges the driver's own
state.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, Twist, WrenchStamped
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String

from sac_gmm.control import Limit, Reason, SafetyLimits
from sac_gmm.control.joint_limits import JointGuard, JointIntegrator, JointSettings
from sac_gmm.control.kinematics import ArmKinematics, FrameTree
from sac_gmm.control.lbr_state import LbrJudge, LbrSettings, LbrState
from sac_gmm.control.state_plausibility import JointResponse
from sac_gmm.control.twist_guard import ArmJoints
from sac_gmm.core.errors import UserError
from sac_gmm.core.settings import check_settings, number
from sac_gmm_nodes.common.conversions import (
    header,
    nanoseconds,
    point_array,
    stamp_of,
    twist_bytes,
    wrench_message,
)
from sac_gmm_nodes.common.node import BaseNode
from sac_gmm_nodes.common.optional_messages import LBRJointPositionCommand, LBRState, TFMessage
from sac_gmm_nodes.common.polling import Polled, take
from sac_gmm_nodes.common.qos import COMMAND, LATCHED, SENSOR, shared
from sac_gmm_nodes.control.driver_axes import DriverAxes
from sac_gmm_nodes.control.joint_input import JointInput
from sac_gmm_nodes.control.robot_link import ArmReading, RobotLink
from sac_gmm_nodes.control.wrench_input import WrenchInput

_FRAMES = QoSProfile(depth=100)
_STATIC_FRAMES = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_TIP = "the skill's tip"  # its name in the tree of frames
_PAUSE_S = 0.5  # after this long without a command, joint positions restart from where the arm is


@dataclass(frozen=True)
class TipSettings:
    """The point that the driver moves, and how it takes a twist."""

    tip_offset_m: tuple[float, float, float] = number(
        (0.0, 0.0, 0.0), -1.0, 1.0, "m", "offset from the tip frame's origin to the tip that the skill moves"
    )
    twist_gain: float = number(1.0, 0.2, 4.0, "", "factor on twists for the driver; calibrate_speed measures it")

    def __post_init__(self) -> None:
        check_settings(self)


class JointLink:
    """Joints in, twists or joint positions out. Everything except timer callbacks runs in the loop's thread.

    Attributes:
        guard: Guard of the joint limits, updated with every state; None until the robot's description has arrived.
        command_topics: Full names of the topics that the driver can be commanded on.

    Args:
        node: The controller; it receives this link's parameters.
        frame_id: The base frame.
        lbr: Whether the driver is an LBR's; otherwise joint states, without a driver state to check.
    """

    def __init__(self, node: BaseNode, frame_id: str, lbr: bool) -> None:
        self._node, self._frame_id = node, frame_id
        robot = node.text("robot_name", "lbr", "namespace of the driver's topics; empty for none")
        prefix = f"{robot}/" if robot else ""
        sources = ("joints", "tf")
        self._source = node.text("pose_source", "joints", "source of the tip's pose", sources)
        commands = ("twist", "joint_position", "forward_position")
        self._output = node.text(
            "command", "twist", "what the driver is sent; joint positions are integrated from the twist", commands
        )
        self._tip_frame = node.text(
            "tip_frame", "lbr_link_ee", "link of the robot's description that the tip is fixed to"
        )
        self._urdf_file = node.text("urdf_file", "", "the robot's description; empty: from robot_description")
        self._tip = node.settings(TipSettings)
        self._joint_settings = node.settings(JointSettings)
        self._judge = LbrJudge(node.settings(LbrSettings)) if lbr else None
        checked = node.flag("check_driver", lbr, "move only if the driver takes twists in base axes")
        # Joint positions have no axes, and their controller has no such setting to query.
        checked = checked and self._output == "twist"
        self._state: LbrState | None = None
        self.guard: JointGuard | None = None
        self._kinematics: ArmKinematics | None = None
        self._integrator: JointIntegrator | None = None
        self._frames = FrameTree()
        self._frames.set(self._tip_frame, _TIP, np.array(self._tip.tip_offset_m), np.array([0.0, 0.0, 0.0, 1.0]), None)
        self._reading: ArmReading | None = None
        self._joints_ns = 0  # stamp of the last joint state
        self._repeats = False  # the last joint state was the one before, said again
        self._response = JointResponse()
        self._not_numbers = ""  # joints whose positions were not numbers
        self._reason = Reason.NO_STATE if lbr else Reason.NONE
        self._described = ""
        # Stamp, position, and the orientation if it does not follow from the joints.
        self._untold: tuple[int, np.ndarray, np.ndarray | None] | None = None
        self._limits: SafetyLimits | None = None
        self._dt_s = 0.0
        self._sent_s = -np.inf

        if lbr and LBRState is None:
            raise UserError("robot is lbr, but lbr_fri_idl is missing: source the workspace of lbr_fri_ros2_stack")
        if self._source == "tf" and TFMessage is None:
            raise UserError("pose_source is tf, but tf2_msgs is not installed: install it, or use joints")
        group = Polled()
        kind, topic = (LBRState, f"{prefix}state") if lbr else (JointState, f"{prefix}joint_states")
        # Others may publish on joint_states too, a gripper's driver for one.
        qos = SENSOR if lbr else shared(SENSOR)
        self._states = node.create_subscription(kind, topic, _ignore, qos, callback_group=group)
        self._joints = JointInput(node, self._states.topic_name)
        self._descriptions = node.create_subscription(
            String, f"{prefix}robot_description", _ignore, LATCHED, callback_group=group
        )
        topic = f"{prefix}force_torque_broadcaster/wrench"
        self._wrench_in = WrenchInput(node, topic, frame_id, self._tip_frame, group)
        self._transforms = []
        if self._source == "tf":
            for name, qos in (("/tf", _FRAMES), ("/tf_static", _STATIC_FRAMES)):
                self._transforms.append(node.create_subscription(TFMessage, name, _ignore, qos, callback_group=group))
        self._poses = node.create_publisher(PoseStamped, "state/pose", SENSOR)
        self._wrench_out = node.create_publisher(WrenchStamped, "wrench", SENSOR)
        self._pose_message = PoseStamped()
        self._pose_message.header.frame_id = frame_id
        self._make_output(prefix)
        self._axes = DriverAxes(node, prefix) if checked else None

    def _make_output(self, prefix: str) -> None:
        if self._output == "twist":
            kind, topic = Twist, f"{prefix}command/twist"
        elif self._output == "joint_position":
            if LBRJointPositionCommand is None:
                raise UserError("command is joint_position, but lbr_fri_idl is not installed: use forward_position")
            kind, topic = LBRJointPositionCommand, f"{prefix}command/joint_position"
        else:
            kind, topic = Float64MultiArray, f"{prefix}forward_position_controller/commands"
        names = ("command/twist", "command/joint_position", "forward_position_controller/commands")
        self.command_topics = tuple(self._node.resolve_topic_name(f"{prefix}{name}") for name in names)
        self._message: Any = kind()  # filled with joint positions; a twist is written as bytes
        self._commands = self._node.create_publisher(kind, topic, COMMAND)
        self._rehearsals = self._node.create_publisher(kind, "~/rehearsal", COMMAND)

    def prepare(self, limits: SafetyLimits, dt_s: float) -> ArmJoints:
        """Called when the node is configured. What needs the robot's description is created when that arrives.

        Returns:
            The limits that the joints put on a velocity.

        Raises:
            UserError: urdf_file cannot be read, or does not match the parameters.
        """
        # Loaded here rather than in the loop, which would block for half a second.
        import pinocchio  # noqa: F401

        import sac_gmm.control.joint_kernels  # noqa: F401

        self._limits, self._dt_s = limits, dt_s
        if self._urdf_file:
            try:
                self._described = Path(self._urdf_file).read_text(encoding="utf-8")
            except OSError as error:
                raise UserError(f"urdf_file {self._urdf_file} cannot be read: {error.strerror}") from error
        if self._described:
            self._make_guard(self._described)
        return self

    def share(self, velocity_m_s: np.ndarray, committed_m: np.ndarray | None = None) -> tuple[float, Limit]:
        """The share of a velocity that the joints allow; zero before they are known."""
        if self.guard is None or not self.guard.known:
            return (0.0, Limit.JOINT) if velocity_m_s.any() else (1.0, Limit.NONE)
        return self.guard.share(velocity_m_s, committed_m)

    @property
    def joint_names(self) -> Sequence[str]:
        """The arm's joints in order; empty before its description has arrived."""
        return () if self._kinematics is None else self._kinematics.joint_names

    def twist_of(self, joints_rad_s: np.ndarray) -> np.ndarray:
        """Twist of the tip, (6,), for joint velocities, (n,); NaN before the joints are known."""
        if self.guard is None or not self.guard.known:
            return np.full(6, np.nan)
        return self.guard.twist_of(joints_rad_s)

    def twist_share(self, twist: np.ndarray, final: bool) -> tuple[float, Limit]:
        """The share of a twist that the joints allow; zero before they are known."""
        if self.guard is None or not self.guard.known:
            return (0.0, Limit.JOINT) if twist.any() else (1.0, Limit.NONE)
        return self.guard.twist_share(twist, final)

    def _make_guard(self, description: str) -> None:
        assert self._limits is not None
        self._kinematics = ArmKinematics(description, self._tip_frame, self._frame_id, self._tip.tip_offset_m)
        self.guard = JointGuard(
            self._kinematics,
            self._joint_settings,
            self._limits.max_acceleration_m_s2,
            self._limits.max_speed_m_s,
            self._dt_s,
        )
        self._integrator = None if self._output == "twist" else JointIntegrator(self.guard, self._dt_s)

    def _look_for_description(self) -> None:
        """Process the robot's description when the driver publishes it; a bad one is reported once; the arm stays."""
        for message, _ in take(self._descriptions):
            self._described = message.data
            try:
                self._make_guard(self._described)
            except UserError as error:
                self._node.get_logger().error(f"{self._descriptions.topic_name}: {error}")
        if self.guard is None:
            topic = self._descriptions.topic_name
            self._node.get_logger().info(f"waiting for {topic}", throttle_duration_sec=5.0)

    def poll(self) -> ArmReading | None:
        """The newest state; called by the loop on every tick."""
        for subscription in self._transforms:
            for message, _ in take(subscription):
                self._take_frames(message, static=subscription.topic_name.endswith("static"))
        if self.guard is None:
            self._look_for_description()
        states = take(self._states)
        if states and self.guard is not None:
            self._take_states(states)
        return self._reading

    def hold(self, now_s: float) -> Reason:
        """Why the driver does not allow motion now; called by the loop on every tick."""
        if self._reason:
            return self._reason
        if self._joints.twofold or self._response.stands:
            return Reason.STALE_STATE
        if not self._joints.trusted:
            return Reason.NO_STATE  # after a jump, as in a simulation's reset, it begins anew
        return self._axes.objection if self._axes else Reason.NONE

    def complaint(self, reason: Reason) -> str:
        """What is wrong with the states, and what to do about it; empty where that of the reason says enough."""
        if reason is Reason.NOT_A_NUMBER and self._not_numbers:
            return (
                f"{self._not_numbers} of {self._states.topic_name}{self._joints.by} came as no number: see that the "
                "driver hears the joint, then resume with ~/pause data: false or start a new episode"
            )
        if reason is Reason.NO_EPISODE and self._joints.clocks:
            return f"no episode is running at the arm's time: {self._joints.clocks}; use one clock, or start an episode"
        if reason not in (Reason.NO_STATE, Reason.STALE_STATE):
            return ""
        if self.guard is None:
            topic = self._descriptions.topic_name
            return f"there is no robot description that can be used: see that {topic} is published, or set urdf_file"
        if complaint := self._joints.complaint():
            return complaint
        if self._response.stands:
            return (
                f"the joints of {self._states.topic_name}{self._joints.by} did not change for {self._response.stands}: "
                "the driver repeats an old position, or does not take the commands; mend that, then resume with "
                "~/pause data: false"
            )
        if self._source == "tf" and self._frames.pose(self._frame_id, _TIP) is None:
            known = ", ".join(sorted(self._frames.names - {_TIP})) or "none"
            return f"TF does not lead from {self._frame_id} to {self._tip_frame}: it has the frames {known}"
        if self._repeats:
            return f"the stamps of {self._states.topic_name} stand still: see whether its driver still hears the arm"
        return ""

    def clear(self) -> None:
        """Allow motion again after a stop."""
        self._joints.clear()
        self._response.clear()
        self._not_numbers = ""
        if self._judge is not None:
            self._judge.clear()
            if self._state is not None:  # whoever asks now, before the next state, shall hear what is left
                self._reason = self._judge.judge(self._state, time.monotonic())

    def send(self, twist: np.ndarray, stamp_ns: int) -> None:
        """Command a twist (6,), m/s and rad/s in base axes."""
        self._response.command(float(np.linalg.norm(twist[:3])), self._dt_s)
        if self._output == "twist":
            self._commands.publish(twist_bytes(self._tip.twist_gain * twist))
            return
        if self._integrator is None or self.guard is None or not self.guard.known:
            return  # before the first state, the position to command is unknown
        now_s = time.monotonic()
        if now_s - self._sent_s > _PAUSE_S:
            self._integrator.forget()
        self._sent_s = now_s
        positions = self._integrator.step(twist)
        if self._output == "joint_position":
            self._message.joint_position = positions
        else:
            self._message.data = positions.tolist()
        self._commands.publish(self._message)

    def rehearse(self, twist: np.ndarray) -> None:
        """Do what `send` does, on a topic without listeners; called by the loop shortly before a tick."""
        if self._output == "twist":
            self._rehearsals.publish(twist_bytes(self._tip.twist_gain * twist))
        else:
            self._rehearsals.publish(self._message)

    def tell(self) -> None:
        """Publish the pose and the last wrench, for nodes that learn from them; called after the tick."""
        if self._untold is None or self._kinematics is None:
            return
        (stamp_ns, position, orientation), self._untold = self._untold, None
        poses_wanted, wrench_wanted = self._poses.get_subscription_count(), self._wrench_out.get_subscription_count()
        if not (poses_wanted or wrench_wanted):
            return
        if orientation is None:
            orientation = self._kinematics.orientation_xyzw
        if poses_wanted:
            message = self._pose_message
            stamp, point, turn = message.header.stamp, message.pose.position, message.pose.orientation
            stamp.sec, stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
            point.x, point.y, point.z = position.tolist()
            turn.x, turn.y, turn.z, turn.w = orientation.tolist()
            self._poses.publish(message)
        if wrench_wanted:
            assert self._limits is not None
            wrench = self._wrench_in.latest(orientation, self._limits.state_timeout_s)
            if wrench is not None:
                self._wrench_out.publish(wrench_message(wrench, header(stamp_of(stamp_ns), self._frame_id)))

    @property
    def driver(self) -> str:
        """The driver's state in words, for diagnostics."""
        return "" if self._state is None else self._state.text

    @property
    def twist_gain(self) -> float:
        """Factor on twists for the driver; positions are commanded unchanged."""
        return self._tip.twist_gain if self._output == "twist" else 1.0

    def flush(self) -> None:
        """Wait until the last command has been read: the node is about to exit."""
        self._commands.wait_for_all_acked(Duration(seconds=1))

    # States ----------------------------------------------------------------------------------------------------

    def _take_states(self, states: list[tuple[Any, float]]) -> None:
        kinematics = self._kinematics
        assert kinematics is not None
        if self._judge is not None:
            message, arrived_s = states[-1]
            self._state = LbrState.of(message)
            self._reason = self._judge.judge(self._state, arrived_s)
        picked = self._joints.pick(states, kinematics)
        if picked is not None and self._joints.trusted:
            self._take_joints(*picked)

    def _take_joints(self, message: Any, arrived_s: float, joints: np.ndarray) -> None:
        kinematics, guard = self._kinematics, self.guard
        assert kinematics is not None and guard is not None
        position, orientation = np.full(3, np.nan), None
        # The LBR's message has no stamp of our clock: the robot's own clock is not set.
        said_ns = 0 if self._judge is not None else nanoseconds(message.header.stamp)
        self._repeats = bool(said_ns) and said_ns == self._joints_ns
        if self._repeats:
            return  # a repeat is as old as the original
        self._joints_ns = said_ns
        stamp_ns = said_ns or self._now_ns()  # drivers that leave the stamp unset exist
        self._response.measure(joints)
        finite = np.isfinite(joints)
        known = bool(finite.all())
        if not known:
            self._not_numbers = ", ".join(np.array(kinematics.joint_names)[~finite])
        else:
            guard.update(joints)
            position = kinematics.position_m.copy()
        if self._source == "tf" and known:  # without joints their limits cannot be applied
            pose = self._frames.pose(self._frame_id, _TIP)
            if pose is None:
                return  # the tree is still incomplete
            position, orientation, stamp_ns = pose[0], pose[1], pose[2] or stamp_ns
            if self._reading is not None and stamp_ns == self._reading.stamp_ns:
                return  # unchanged frames are as old as before
        self._reading = ArmReading(stamp_ns, arrived_s, position)
        self._untold = (stamp_ns, position, orientation) if np.isfinite(position).all() else None

    def _now_ns(self) -> int:
        return self._node.get_clock().now().nanoseconds

    def _take_frames(self, message: Any, static: bool) -> None:
        for transform in message.transforms:
            turn, origin = transform.transform.rotation, transform.transform.translation
            xyzw = np.array((turn.x, turn.y, turn.z, turn.w))
            stamp_ns = None if static else nanoseconds(transform.header.stamp)
            self._frames.set(transform.header.frame_id, transform.child_frame_id, point_array(origin), xyzw, stamp_ns)


def _ignore(_message: Any) -> None:
    """Polled subscriptions have no callback."""


def link_of(
    node: BaseNode, frame_id: str, qos: QoSProfile, deliver: Callable[[ArmReading], None] | None
) -> RobotLink | JointLink:
    """Create the link that the parameter `robot` names; the arguments are those of `RobotLink`.

    Raises:
        UserError: The link needs packages that are not installed, or does not support lock-step.
    """
    choices = ("plain", "joints", "lbr")
    robot = node.text("robot", "plain", "how the arm is reached: plain topics, joint states, an LBR's driver", choices)
    if robot == "plain":
        return RobotLink(node, frame_id, qos, deliver)
    if deliver is not None:
        raise UserError(f"robot = {robot} runs on the wall clock: set lockstep to false")
    return JointLink(node, frame_id, lbr=robot == "lbr")
