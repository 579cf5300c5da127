"""What an observation is made of, from topics to an `EpisodeGatherer`: states, target, pictures, episodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped, WrenchStamped
from numpy.typing import NDArray
from rclpy.qos import QoSProfile
from sac_gmm_interfaces.msg import EpisodeState
from sensor_msgs.msg import CameraInfo, JointState
from std_msgs.msg import Header

from sac_gmm.core.errors import UserError
from sac_gmm.methods import ObservationWindow
from sac_gmm.methods.sac_gmm import WindowObserver
from sac_gmm_nodes.common.conversions import frame_objection, nanoseconds, point_array, wrench_array
from sac_gmm_nodes.common.node import BaseNode
from sac_gmm_nodes.common.pictures import AnyImage, image_transport, subscribe_to_pictures
from sac_gmm_nodes.common.qos import EPISODE, LATCHED
from sac_gmm_nodes.learning.agent_pictures import AgentPictures
from sac_gmm_nodes.learning.episode_gatherer import ALWAYS, PICTURES, STREAMS, EpisodeGatherer

_OTHER_GROUPS = ("proprio", "target", "wrench", "context")  # what windows may use besides pictures
_LOOK_S = 2.0  # of wall time; what was already missing at the last look is reported


def check_groups(window: ObservationWindow) -> None:
    """Refuse a window that uses what no topic carries.

    Raises:
        UserError: It does.
    """
    if unknown := sorted(set(window.groups) - {*PICTURES, *_OTHER_GROUPS}):
        raise UserError(f"no topic carries '{unknown[0]}', which the method observes: it runs in one process only")


class StateInput:
    """The subscriptions.

    Args:
        node: It gets the subscriptions, the parameter `image_transport`, and a timer that reports what a due decision
            waits for.
        gatherer: Takes everything in.
        window: Says which pictures it uses.
        base_frame: Frame of poses, wrenches and the target.
        qos: QoS of states and pictures.
        heard: Called after every input.
        streams: Keys of `STREAMS`, as for the gatherer.
        steps: Whether the node wants every control step, not only decisions.

    Attributes:
        decisions: Number of decisions so far, counted by the node.
    """

    def __init__(
        self,
        node: BaseNode,
        gatherer: EpisodeGatherer,
        window: ObservationWindow,
        base_frame: str,
        qos: QoSProfile,
        heard: Callable[[], None],
        streams: Sequence[str] = ALWAYS,
        steps: bool = False,
    ) -> None:
        self._steps = steps
        self._node, self._gatherer, self._base_frame, self._heard = node, gatherer, base_frame, heard
        self._missed: tuple[list[str], int] | None = None  # missing at the last look, and the decisions then
        # First, so that whoever lags behind hears of an episode before its states.
        node.create_subscription(EpisodeState, "episode_state", self._on_episode, EPISODE)
        node.create_subscription(PoseStamped, "target_pose", self._on_target, LATCHED)
        kinds: dict[str, tuple[Any, Any]] = {
            "ee_position_m": (PoseStamped, self._on_pose),
            "wrench": (WrenchStamped, self._on_wrench),
            "ee_velocity_m_s": (TwistStamped, self._on_twist),
            "joint_position_rad": (JointState, self._on_joints),
        }
        for name in streams:
            node.create_subscription(kinds[name][0], STREAMS[name], kinds[name][1], qos)
        transport = image_transport(node)
        for group in window.groups:
            if group in PICTURES:
                self._see(group, window, transport, qos)
        self.decisions = 0
        node.create_timer(_LOOK_S, self._say_what_is_missing, clock=node.steady_clock)

    def _say_what_is_missing(self) -> None:
        """Report what a due decision is waiting for: otherwise a waiting node looks like an idle one."""
        seen, missing = self._missed, self._gatherer.missing
        if self._steps:
            missing = missing or self._gatherer.missing_for_steps
        self._missed = missing, self.decisions
        if missing and seen == self._missed:
            self._node.get_logger().error(
                f"nothing is decided: waiting for {', '.join(missing)}; see that it is published, and stamped by the "
                "clock of state/pose; a picture may be image_max_age_s older than the state",
                throttle_duration_sec=5.0,
            )

    # Callbacks -------------------------------------------------------------------------------------------------

    def _on_pose(self, message: PoseStamped) -> None:
        self._take(self._gatherer.pose, point_array(message.pose.position), message.header, "state/pose")

    def _on_wrench(self, message: WrenchStamped) -> None:
        self._take(self._gatherer.wrench, wrench_array(message), message.header, "wrench")

    def _on_twist(self, message: TwistStamped) -> None:
        self._take(self._gatherer.velocity, point_array(message.twist.linear), message.header, "state/twist")

    def _on_joints(self, message: JointState) -> None:
        # A driver may list the joints in any order; their names are numbered.
        position_rad = np.array(message.position)[np.argsort(message.name)]
        self._take(self._gatherer.joints, position_rad, message.header, "joint_states", framed=False)

    def _on_target(self, message: PoseStamped) -> None:
        if not self._take(self._gatherer.target, point_array(message.pose.position), message.header, "target_pose"):
            self._gatherer.no_target()  # the previous one may be out of date

    def _take(
        self,
        give: Callable[[int, NDArray[np.float64]], None],
        values: NDArray[np.float64],
        header: Header,
        topic: str,
        framed: bool = True,
    ) -> bool:
        """Pass on numbers that are finite and in the base frame: others would spoil everything learned from here on."""
        objection = frame_objection(header.frame_id, self._base_frame, topic) if framed else ""
        if not np.isfinite(values).all():
            objection = f"{topic} holds a value that is not a number: ignored"
        if objection:
            self._node.get_logger().error(objection, throttle_duration_sec=5.0)
            return False
        give(nanoseconds(header.stamp), values)
        self._heard()
        return True

    def _see(self, group: str, window: ObservationWindow, transport: str, qos: QoSProfile) -> None:
        """Subscribe to the pictures of a sensor group and to their calibration."""
        node, topic = self._node, PICTURES[group]
        observer = window if isinstance(window, WindowObserver) else None
        info = "/".join((*topic.split("/")[:-1], "camera_info"))
        pictures = AgentPictures(
            group,
            None if observer is None else observer.coding,
            None if observer is None else observer.camera,
            info_topic=node.resolve_topic_name(info),
            warn=node.get_logger().warning,
        )

        def on_image(message: AnyImage) -> None:
            try:
                reading = pictures.picture(message)
            except UserError as error:
                node.get_logger().error(f"a picture of '{group}' is not used: {error}", throttle_duration_sec=5.0)
                return
            self._gatherer.image(nanoseconds(message.header.stamp), reading, group)
            self._heard()

        node.create_subscription(CameraInfo, info, pictures.calibrate, qos)
        subscribe_to_pictures(node, topic, transport, on_image, qos)

    def _on_episode(self, message: EpisodeState) -> None:
        if message.phase == EpisodeState.PHASE_RUNNING:
            start_ns = nanoseconds(message.start_stamp)
            end_ns = start_ns + round(message.time_limit_s * 1e9)
            self._gatherer.running(message.episode_id, message.mode, start_ns, end_ns, message.context)
        elif message.phase == EpisodeState.PHASE_ENDED:
            end_ns = nanoseconds(message.end_stamp)
            self._gatherer.ended(message.episode_id, end_ns, message.success, message.timed_out)
        elif message.phase == EpisodeState.PHASE_IDLE:
            self._gatherer.aborted()
        self._heard()
