"""Serves the live page: shows what runs over ROS 2 in a browser on this machine, with buttons to stop it.

    ros2 run sac_gmm_nodes live_view --ros-args -p port:=8080 -p demonstrations:=demos/door

The page is `sac_gmm.view`; this node has the topics that fill it and the services that its buttons call. Messages are
read at the rate of the page, and for most topics only the newest, so that watching costs little.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.client import Client
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription
from sac_gmm_interfaces.msg import Heartbeat
from sac_gmm_interfaces.srv import ResetTask
from std_srvs.srv import SetBool, Trigger

from sac_gmm.core.errors import UserError
from sac_gmm.models import load_model
from sac_gmm.tasks import TASKS
from sac_gmm.view import Snapshot, Status
from sac_gmm.view.collector import Collector, workspace
from sac_gmm.view.demonstrations import relative_paths
from sac_gmm.view.listener import TOPICS, WHOLE_STREAMS, Listener
from sac_gmm.view.live_page import LOOPBACK, LivePage
from sac_gmm.view.robot import iiwa_urdf, joint_names
from sac_gmm_nodes.common.node import BaseNode, run_node
from sac_gmm_nodes.common.optional_messages import message_type
from sac_gmm_nodes.common.polling import Polled, take
from sac_gmm_nodes.common.qos import EPISODE, EVERY, LATCHED, SENSOR

_ANSWER_S = 3.0  # for a service to answer a button
_LATCHED_TOPICS = ("model", "target_pose", "pybullet_bridge/true_target_pose")
_STATES = ("joint_states", "state/pose")  # while one of them arrives, the robot is there
_STREAM = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)


class LiveView(BaseNode):
    """A source for the live page, and the page itself."""

    def __init__(self) -> None:
        super().__init__("live_view")
        host = self.text("host", LOOPBACK, "address to listen on; all who reach it can press the buttons")
        port = self.whole("port", 8080, 1, 65535, "port to listen on")
        self._rate_hz = self.real("rate_hz", 10.0, 0.2, 60.0, "Hz", "rate of the page")
        task = self.text("task", "door", "task whose gripper is drawn", tuple(TASKS))
        urdf_file = self.text("urdf_file", "", "description of another robot than the iiwa")
        demonstrations = self.text("demonstrations", "", "folder of bags to draw beside the skill")
        skill_file = self.text("skill_file", "", "the skill as fitted, if the page starts too late to hear of it")
        controller = self.text("controller", "gmm_controller", "the controller's name")
        self.refuse_unknown_parameters()

        self.title = f"live, ROS domain {os.environ.get('ROS_DOMAIN_ID', '0')}"
        self.urdf = _read(urdf_file) if urdf_file else iiwa_urdf(task)
        self._collector = Collector(
            base=load_model(skill_file) if skill_file else None,
            demonstrations=relative_paths(
                Path(demonstrations) if demonstrations else None, tell=self.get_logger().warning
            ),
            status=Status(
                "waiting",
                "nothing has been heard over ROS 2 yet",
                "Start a launch file, for example launch/simulation.launch.yaml, with the same ROS_DOMAIN_ID.",
                troubled=True,
            ),
        )
        self._listener = Listener(self._collector, joint_names(self.urdf))
        self._heard_s: dict[str, float] = {}  # when robot and controller were last heard
        polled = Polled()
        self._topics: dict[str, Subscription] = {
            topic: self.create_subscription(
                message_type(kind), topic, _unused, _qos(topic), callback_group=polled, raw=True
            )
            for topic, kind in TOPICS.items()
        }
        self._others_beats = self.create_subscription(Heartbeat, "heartbeat", _unused, EVERY, callback_group=polled)
        self._controller_name = controller
        self.controls = LiveControls(self, controller, lambda: self._listener.episode_running)
        self._box_due_s = 0.0
        self._page = LivePage(self, host, port)
        self.get_logger().info(f"open {self._page.address} in a browser on this machine")
        self.run_thread(self._serve)

    # The source ------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Process what has arrived since the last call."""
        for topic, subscription in self._topics.items():
            messages = take(subscription)
            if messages and topic in _STATES:
                self._heard_s["robot"] = messages[-1][1]
            for cdr, _ in messages if topic in WHOLE_STREAMS else messages[-1:]:
                try:
                    self._listener.take_in(topic, deserialize_message(cdr, subscription.msg_type))
                except UserError as error:
                    self.get_logger().warning(f"{topic}: {error}", throttle_duration_sec=10.0)
        for beat, arrived_s in take(self._others_beats):
            if beat.node.rsplit("/", 1)[-1] == self._controller_name:
                self._heard_s["controller"] = arrived_s
        if self._heard_s:
            self._collector.change(heard_s=min(self._heard_s.values()))
        self._ask_for_the_box()
        return self._collector.snapshot()

    def _ask_for_the_box(self) -> None:
        """The workspace is a parameter of the controller; ask for it until it is known."""
        now_s = time.monotonic()
        if now_s < self._box_due_s:
            return
        self._box_due_s = now_s + 5.0
        self.controls.ask_for_the_box(lambda low, high: self._collector.change(workspace_m=workspace(low, high)))

    def _serve(self) -> None:
        self._page.run(self.stopping, self._rate_hz)

    def close(self) -> None:
        """Close the page."""
        self.join_threads()
        self._page.close()


class LiveControls:
    """The services and the parameter that controller and robot offer, within their limits.

    Args:
        node: The node that calls them.
        controller: The controller's name.
        episode_running: Whether a reset would spoil an episode.
    """

    names = {  # noqa: RUF012 - the same for all
        "pause": "ramp the arm to rest",
        "resume": "let the arm move again, after a pause, a stop or a fault",
        "stop": "ramp the arm to rest until Resume; no safety function in the sense of a standard",
        "reset": "reset the scene to the start of an episode",
        "speed": "factor on the skill's speed",
    }

    def __init__(self, node: BaseNode, controller: str, episode_running: Any) -> None:
        self._node, self._episode_running = node, episode_running

        def own(service: str) -> str:
            return "/".join((controller, service))

        self._pause = node.create_client(SetBool, own("pause"))
        self._stop = node.create_client(Trigger, own("stop"))
        self._set = node.create_client(SetParameters, own("set_parameters"))
        self._get = node.create_client(GetParameters, own("get_parameters"))
        self._reset = node.create_client(ResetTask, "reset_task")
        self._resets = 0

    def speed_range(self) -> tuple[float, float]:
        """The range of the controller's parameter speed_scale."""
        return 0.0, 1.0

    def pause(self) -> str:
        """Ramp the arm to rest."""
        return self._outcome(self._call(self._pause, SetBool.Request(data=True)))

    def resume(self) -> str:
        """Let the arm move again."""
        return self._outcome(self._call(self._pause, SetBool.Request(data=False)))

    def stop(self) -> str:
        """Ramp the arm to rest until resumed explicitly."""
        return self._outcome(self._call(self._stop, Trigger.Request()))

    def reset(self) -> str:
        """Reset the scene, unless an episode is running."""
        if self._episode_running():
            raise UserError("an episode is running, and a reset would spoil it: wait for its end")
        self._resets += 1
        response = self._call(self._reset, ResetTask.Request(seed=self._resets, target_noise_std_m=-1.0))
        return self._outcome(response) or f"scene number {self._resets}"

    def set_speed(self, speed: float) -> str:
        """Set the controller's parameter speed_scale."""
        value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=speed)
        request = SetParameters.Request(parameters=[Parameter(name="speed_scale", value=value)])
        result = self._call(self._set, request).results[0]
        if not result.successful:
            raise UserError(result.reason)
        return f"speed scale {speed:g}"

    def ask_for_the_box(self, tell: Any) -> None:
        """Call `tell(low, high)` with the corners of the workspace once the controller has answered."""
        if not self._get.service_is_ready():
            return

        def answered(future: Any) -> None:
            response = future.result()
            if response is not None and len(response.values) == 2:
                low, high = (list(value.double_array_value) for value in response.values)
                if len(low) == len(high) == 3:
                    tell(low, high)

        request = GetParameters.Request(names=["workspace_min_m", "workspace_max_m"])
        self._get.call_async(request).add_done_callback(answered)

    def _call(self, client: Client, request: Any) -> Any:
        """Call a service from a thread other than that of the callbacks.

        Raises:
            UserError: Nobody answers.
        """
        if not client.service_is_ready():
            raise UserError(f"nobody offers the service {client.srv_name}: is its node running?")
        answered = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _future: answered.set())
        if not answered.wait(_ANSWER_S):
            client.remove_pending_request(future)
            raise UserError(f"the service {client.srv_name} did not answer within {_ANSWER_S:g} s")
        return future.result()

    @staticmethod
    def _outcome(response: Any) -> str:
        if response is None or not response.success:
            raise UserError(response.message if response is not None else "the service did not answer")
        return str(response.message)


def _qos(topic: str) -> QoSProfile:
    """The QoS as offered: latched topics and episodes in full; for the others, what arrived since the last look."""
    if topic in _LATCHED_TOPICS:
        return LATCHED
    if topic == "episode_state":
        return EPISODE
    return _STREAM if topic in WHOLE_STREAMS else SENSOR


def _unused(_message: Any) -> None:
    """Polled subscriptions have no callback."""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the robot's description {path}: {error}") from error


def main() -> None:
    """Run the node."""
    run_node(LiveView)


if __name__ == "__main__":
    main()
