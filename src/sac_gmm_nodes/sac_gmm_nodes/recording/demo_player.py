"""Plays a recorded demonstration: as states to watch, or as a guarded motion of the arm.

    ros2 launch sac_gmm_bringup replay.launch.yaml bag:=demos/door/door_00                   # states, below /replay
    ros2 launch sac_gmm_bringup replay.launch.yaml bag:=demos/door/door_00 mode:=motion

`mode: state` republishes what the robot published – poses, twists, joints, wrenches, target, pictures – but no
commands, so that no arm can follow it; it refuses topics on which a robot publishes. `mode: motion` moves the arm
along the recorded path after `~/start`: only from where the recording begins, slowly at first, and through the same
safety pipeline as a skill.
"""

from __future__ import annotations

import math
import struct
import time
from pathlib import Path

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.duration import Duration
from rclpy.executors import Executor
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rosbags.interfaces import Connection
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger

from sac_gmm.control import DRIVER_TIMEOUT_S, SafetyLimits
from sac_gmm.control.motion_replay import MotionReplay, ReplaySettings, ReplayState
from sac_gmm.core.errors import UserError
from sac_gmm.demos import TopicNames, check_demonstration, read_demonstration
from sac_gmm.demos.bags.bag_file import CDR
from sac_gmm.demos.bags.message_types import (
    COMMAND_TWIST,
    EPISODE_TOPICS,
    LATCHED_TOPICS,
    STATE_POSE,
    STATE_TWIST,
    TARGET_POSE,
    has_header,
)
from sac_gmm.demos.bags.open_bag import open_bag, serialisation
from sac_gmm.demos.bags.topics import absolute
from sac_gmm_nodes.common.conversions import frame_objection, header, nanoseconds, point_array, stamp_of, twist_message
from sac_gmm_nodes.common.node import BaseNode, run_node
from sac_gmm_nodes.common.optional_messages import message_type
from sac_gmm_nodes.common.qos import COMMAND, LATCHED, stream
from sac_gmm_nodes.control.control_loop import without_missed

# Sensor data. Everything else in a bag may be a command to someone.
_STATE_TYPES = {
    "sensor_msgs/msg/Image",
    "sensor_msgs/msg/CompressedImage",
    "sensor_msgs/msg/CameraInfo",
    "visualization_msgs/msg/MarkerArray",
}
_STATE_TOPICS = frozenset(EPISODE_TOPICS) - {COMMAND_TWIST}
_STOP_S = 5.0  # for the arm to come to rest within its limits when the player is asked to end
_LONGEST_GAP_S = 60.0  # a longer silence of the bag, for example from mixed clocks, is cut short
_LISTENERS_S = 4.0  # to find each other before the first message; a DDS participant announces itself every 3 s


class DemoPlayer(BaseNode):
    """Reads a bag; publishes states or commands."""

    def __init__(self) -> None:
        super().__init__("demo_player")
        bag = self.text("bag", "", "the demonstration to play")
        if not bag:
            raise UserError("parameter bag is empty: name a demonstration, e.g. demos/door/door_00")
        self._bag = Path(bag).expanduser()
        motion = self.text("mode", "state", "what to play", ("state", "motion")) == "motion"
        names = TopicNames(
            self.text("pose_topic", TopicNames.pose_topic, "topic of the end-effector's pose in the bag"),
            self.text("twist_topic", TopicNames.twist_topic, "topic of its velocity in the bag"),
            self.text("target_topic", TopicNames.target_topic, "topic of the target in the bag"),
        )
        self._pace = self.real("pace", 1.0, 0.01, 100.0, "", "mode state: seconds of the recording per second")
        self._loop = self.flag("loop", False, "mode state: start over at the end")
        self._stamp_now = self.flag("stamp_now", True, "mode state: stamp with the playback time, else as recorded")
        self._with_clock = self.flag("publish_clock", False, "mode state: publish the recording's time on /clock")
        rate_hz = self.real("rate_hz", 100.0, 1.0, 500.0, "Hz", "mode motion: rate of the commands")
        self._to_target = self.flag("relative_to_target", False, "mode motion: shift the path to the target seen now")
        self._frame = self.text("base_frame", "lbr_link_0", "mode motion: frame of the poses and commands")
        autostart = self.flag("autostart", False, "mode motion: start without waiting for ~/start")
        reliable = self.flag("reliable_state", False, "mode motion: ask for every state, not only the latest")
        limits, settings = self.settings(SafetyLimits), self.settings(ReplaySettings)
        self._player = None if not motion else self._prepare_motion(names, limits, settings, rate_hz, reliable)
        self._start_at_once = autostart
        if not motion:
            self._prepare_states(names)

    def spin(self, executor: Executor) -> None:
        """Play until the end."""
        if self._player is not None:
            self._move(executor, self._player)
        else:
            self._say(executor)

    # States ----------------------------------------------------------------------------------------------------

    def _prepare_states(self, names: TopicNames) -> None:
        named = {
            absolute(names.pose_topic): STATE_POSE,
            absolute(names.twist_topic): STATE_TWIST,
            absolute(names.target_topic): TARGET_POSE,
        }
        left_out = []
        self._said: dict[str, Publisher] = {}  # by the topic as the bag spells it
        publishers: dict[str, Publisher] = {}
        with open_bag(self._bag) as reader:
            connections = list(reader.connections)
        for connection in connections:
            name = _state_name(connection, named)
            if not name:
                left_out.append(connection.topic)
                continue
            if name not in publishers:
                qos = LATCHED if name in LATCHED_TOPICS else QoSProfile(depth=10)
                self._refuse_where_others_speak(name.removeprefix("/"))
                publishers[name] = self.create_publisher(message_type(connection.msgtype), name.removeprefix("/"), qos)
            self._said[connection.topic] = publishers[name]
        if not self._said:
            raise UserError(f"{self._bag} holds no state that can be shown: it has {', '.join(left_out)}")
        if left_out:
            self.get_logger().info(f"not played, since it is no state of the robot: {', '.join(sorted(left_out))}")
        self._clocks = self.create_publisher(Clock, "/clock", COMMAND) if self._with_clock else None

    def _refuse_where_others_speak(self, topic: str) -> None:
        """Refuse a topic with other publishers: a controller that hears recording and robot would follow both."""
        end_s = time.monotonic() + (_LISTENERS_S if not self._said else 0.0)  # others are found within that time
        while True:
            if self.count_publishers(topic):
                raise UserError(
                    f"somebody publishes {self.resolve_topic_name(topic)} already: play in a separate namespace, "
                    "as replay.launch.yaml does, or stop the robot's driver"
                )
            if time.monotonic() >= end_s:
                return
            time.sleep(0.05)

    def _say(self, executor: Executor) -> None:
        while not self.stopping.is_set():
            count = self._say_once(executor)
            if not self._loop:
                break
        for publisher in set(self._said.values()):
            if publisher.get_subscription_count():
                publisher.wait_for_all_acked(Duration(seconds=1))
        self.get_logger().info(f"played {count} messages of {self._bag}")

    def _say_once(self, executor: Executor) -> int:
        count, before_ns, due_s = 0, 0, time.monotonic()
        with open_bag(self._bag) as reader:
            chosen = [connection for connection in reader.connections if connection.topic in self._said]
            for connection, log_ns, raw in reader.messages(connections=chosen):
                gap_s = (log_ns - (before_ns or log_ns)) * 1e-9
                before_ns = log_ns
                if gap_s > _LONGEST_GAP_S:
                    self.get_logger().warning(f"a gap of {gap_s:.0f} s in the recording is cut to {_LONGEST_GAP_S:g} s")
                due_s += min(gap_s, _LONGEST_GAP_S) / self._pace
                while not self.stopping.is_set():
                    left_s = due_s - time.monotonic()
                    executor.spin_once(timeout_sec=min(max(left_s, 0.0), 0.1))
                    if left_s <= 0.0:
                        break
                if self.stopping.is_set():
                    break
                data = bytes(raw)
                if self._stamp_now and has_header(connection.msgtype):
                    data = _stamped(data, self.get_clock().now().nanoseconds)
                if self._clocks is not None:
                    self._clocks.publish(Clock(clock=stamp_of(log_ns)))
                self._said[connection.topic].publish(data)
                count += 1
        return count

    # Motion ----------------------------------------------------------------------------------------------------

    def _prepare_motion(
        self, names: TopicNames, limits: SafetyLimits, settings: ReplaySettings, rate_hz: float, reliable: bool
    ) -> MotionReplay:
        self._demonstration = read_demonstration(self._bag, names)
        for problem in check_demonstration(self._demonstration).problems:
            self.get_logger().warning(f"{self._bag} {problem}")
        if self._demonstration.frame_id != self._frame:
            raise UserError(
                f"{self._bag} was recorded in frame '{self._demonstration.frame_id}', but base_frame is '{self._frame}'"
            )
        self._make = lambda shift: MotionReplay(
            self._demonstration.time_s, self._demonstration.position_m + shift, limits, 1.0 / rate_hz, settings
        )
        self._pose: tuple[float, np.ndarray] | None = None  # time of arrival, position
        self._pose_ns = -1  # its stamp
        self._target: np.ndarray | None = None
        self._objections: dict[str, str] = {}  # by topic: why its messages cannot be used
        self._command = self.create_publisher(TwistStamped, "command/twist", COMMAND)
        self.create_subscription(PoseStamped, "state/pose", self._on_pose, stream(reliable))
        self.create_subscription(PoseStamped, "target_pose", self._on_target, LATCHED)
        self.create_service(Trigger, "~/start", self._on_start)
        self.create_service(Trigger, "~/stop", self._on_stop)
        return self._make(np.zeros(3))

    def _move(self, executor: Executor, first: MotionReplay) -> None:
        """Keep absolute deadlines, with callbacks in between. When asked to end, bring the arm to rest first."""
        period_s = first.dt_s
        deadline_s = time.monotonic()
        rest_by_s = math.inf
        logged = -1.0
        if self._start_at_once:
            end_s = deadline_s + 10.0
            while (
                (self._pose is None or self._needs_target) and time.monotonic() < end_s and not self.stopping.is_set()
            ):
                executor.spin_once(timeout_sec=0.05)
            if not self.stopping.is_set():
                self._begin()
            deadline_s = time.monotonic()
        while True:
            player = self._player
            assert player is not None
            now_s = time.monotonic()
            if self.stopping.is_set():
                rest_by_s = min(rest_by_s, now_s + _STOP_S)
                if player.state is ReplayState.WAITING:
                    return
                if now_s > rest_by_s:
                    self.get_logger().error(f"not at rest within {_STOP_S:g} s: sending a zero command instead")
                    return
                player.stop()
            if now_s - deadline_s > DRIVER_TIMEOUT_S:
                player.start_from_rest()
            if player.state is ReplayState.MOVING and (why := self._other_commander()):
                player.stop(why)
            age_s = 0.0 if self._pose is None else now_s - self._pose[0]
            tick = player.tick(None if self._pose is None else self._pose[1], age_s)
            if tick.publish:
                self._command.publish(twist_message(tick.twist, header(self.get_clock().now().to_msg(), self._frame)))
            elif tick.state in (ReplayState.DONE, ReplayState.ABORTED):
                break
            if tick.share >= logged + 0.25:
                logged = tick.share
                self.get_logger().info(f"{tick.state.value}: {100 * tick.share:.0f} % of the path")
            deadline_s = without_missed(deadline_s + period_s, period_s)
            while (left_s := deadline_s - time.monotonic()) > 0.0:
                executor.spin_once(timeout_sec=left_s)
            executor.spin_once(timeout_sec=0.0)
        ended = f"the replay ended after {100 * tick.share:.0f} % of the path: {tick.text}"
        if tick.state is ReplayState.ABORTED and not self.stopping.is_set():
            raise UserError(ended)
        self.get_logger().info(ended if tick.state is ReplayState.ABORTED else f"completed: {self._bag}")

    @property
    def _needs_target(self) -> bool:
        return self._to_target and self._target is None

    def _begin(self) -> None:
        """Start the motion.

        Raises:
            UserError: Someone else commands the arm, no target has been detected, or the arm is not at the start of
                the path.
        """
        if why := self._other_commander():
            raise UserError(why)
        if self._needs_target:
            raise UserError(
                self._objections.get("target_pose")
                or "no target has been detected yet: check target_pose, or play with relative_to_target: false"
            )
        if self._pose is None and "state/pose" in self._objections:
            raise UserError(self._objections["state/pose"])
        if self._player is not None and self._player.state is ReplayState.WAITING and self._target is not None:
            shift = self._target - self._demonstration.target_m if self._to_target else np.zeros(3)
            self._player = self._make(shift)
        assert self._player is not None
        if self._pose is None:
            self._player.start(None)
        else:
            self._player.start(self._pose[1], time.monotonic() - self._pose[0])
        self.get_logger().info(f"moving along {self._bag}")

    def _other_commander(self) -> str:
        """Why this node must not move the arm now; empty if nobody else commands it."""
        if self.count_publishers("command/twist") <= 1:
            return ""
        return f"somebody else publishes {self.resolve_topic_name('command/twist')}: stop the controller first"

    def _on_pose(self, message: PoseStamped) -> None:
        stamp_ns = nanoseconds(message.header.stamp)
        if self._in_base_frame(message, "state/pose") and stamp_ns != self._pose_ns:  # a repeat is no news
            self._pose, self._pose_ns = (time.monotonic(), point_array(message.pose.position)), stamp_ns

    def _on_target(self, message: PoseStamped) -> None:
        if self._in_base_frame(message, "target_pose"):
            self._target = point_array(message.pose.position)

    def _in_base_frame(self, message: PoseStamped, topic: str) -> bool:
        objection = frame_objection(message.header.frame_id, self._frame, self.resolve_topic_name(topic))
        if objection:
            self._objections[topic] = objection
        return not objection

    def _on_start(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            self._begin()
            response.success, response.message = True, "moving"
        except UserError as error:
            response.success, response.message = False, str(error)
            self.get_logger().error(response.message)
        return response

    def _on_stop(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        assert self._player is not None
        self._player.stop()
        response.success, response.message = True, "stopping"
        return response

    def close(self) -> None:
        """Leave the arm with a zero command, if it was commanded."""
        if self._player is not None and self._player.commands:
            self._command.publish(twist_message(np.zeros(6), header(self.get_clock().now().to_msg(), self._frame)))
            self._command.wait_for_all_acked(Duration(seconds=1))


def _state_name(connection: Connection, named: dict[str, str]) -> str:
    """Under which name a topic of a bag is a state that can be shown; empty where it is none, or may be a command.

    Args:
        connection: The topic.
        named: Topics that a person named, and which states they are. Others under those states' names are left out.
    """
    topic = absolute(connection.topic)
    name = named.get(topic, topic)
    if "command" in topic or serialisation(connection) != CDR or (topic not in named and name in named.values()):
        return ""
    of_its_type = EPISODE_TOPICS.get(name, connection.msgtype) == connection.msgtype
    return name if of_its_type and (name in _STATE_TOPICS or connection.msgtype in _STATE_TYPES) else ""


def _stamped(data: bytes, stamp_ns: int) -> bytes:
    """Serialised bytes with a new header stamp."""
    changed = bytearray(data)
    struct.pack_into("<iI" if data[1] & 1 else ">iI", changed, 4, *divmod(stamp_ns, 10**9))
    return bytes(changed)


def main() -> None:
    """Entry point."""
    run_node(DemoPlayer)


if __name__ == "__main__":
    main()
