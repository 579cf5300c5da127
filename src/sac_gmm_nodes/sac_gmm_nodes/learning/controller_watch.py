"""Whether there is a controller that can take part in an episode; if not, why, and what to do about it."""

from __future__ import annotations

import time

from lifecycle_msgs.msg import State
from sac_gmm_interfaces.msg import Heartbeat

from sac_gmm_nodes.common.node import BaseNode
from sac_gmm_nodes.common.polling import Publishers
from sac_gmm_nodes.common.qos import RELIABLE

_DOWN_S = 5.0  # a controller that is down for so long does not come up by itself
_STARTING_S = 30.0  # but the first one may, for so long after this node was started: one launch file starts both
_SILENT_S = 3.0  # a node that has sent no heartbeat for so long is gone, or hangs
_LAUNCH = "`ros2 launch sac_gmm_bringup simulation.launch.yaml model:=…`, or robot.launch.yaml on a robot"
_STATES = {
    State.PRIMARY_STATE_UNCONFIGURED: "unconfigured: the lifecycle manager brings it up once all nodes are there; by "
    "hand, `ros2 lifecycle set {name} configure`, then `ros2 lifecycle set {name} activate`",
    State.PRIMARY_STATE_INACTIVE: "inactive: the lifecycle manager activates it once all nodes are there; by hand, "
    "`ros2 lifecycle set {name} activate`",
    State.PRIMARY_STATE_FINALIZED: "finalized, which cannot be undone: end its launch with Ctrl-C and start it again, "
    + _LAUNCH,
}


class ControllerWatch:
    """Follows the heartbeats of the nodes that publish `controller_status`.

    Args:
        node: The node that wants a controller.
    """

    def __init__(self, node: BaseNode) -> None:
        self._node = node
        self._publishers = Publishers(node, node.resolve_topic_name("controller_status"))
        self._beats: dict[str, tuple[float, int]] = {}  # by node: time of the last one, lifecycle state
        self._starting_until_s = time.monotonic() + _STARTING_S
        self._why, self._since_s = "", time.monotonic()
        node.create_subscription(Heartbeat, "heartbeat", self._on_heartbeat, RELIABLE)

    def why_down(self) -> str:
        """Why no controller can move the arm, and what to do; empty if one can, or does not say how it is."""
        why = self._why_absent() or self._why_resting()
        if why != self._why:
            self._why, self._since_s = why, time.monotonic()
        return why

    def given_up(self, since_s: float) -> str:
        """The same, once nothing is to be expected any more.

        Args:
            since_s: When the wait for a controller began, by `time.monotonic`.
        """
        why = self.why_down()
        if set(self._states().values()) == {State.PRIMARY_STATE_FINALIZED}:
            return why
        until_s = max(self._starting_until_s, max(since_s, self._since_s) + _DOWN_S)
        return why if time.monotonic() >= until_s else ""

    def resting(self) -> str:
        """Why the controller, which is there, has not moved the arm for some time; empty if it may."""
        why = self.why_down()
        return why if why == self._why_resting() and time.monotonic() >= self._since_s + _DOWN_S else ""

    def _why_absent(self) -> str:
        if self._node.count_publishers("controller_status") == 0:
            return f"a controller: nobody publishes controller_status; start one, {_LAUNCH}"
        silent = [name for name, state in self._states().items() if state is None and name in self._beats]
        if silent and len(silent) == len(self._states()):
            return f"a controller: {silent[0]} is silent; look at its log, and start it again if it is gone"
        return ""

    def _why_resting(self) -> str:
        states = self._states()
        if not states or not all(state in _STATES for state in states.values()):
            return ""
        name, state = max(states.items(), key=lambda entry: entry[1] == State.PRIMARY_STATE_INACTIVE)
        return f"a controller that may move the arm: {name} is {_STATES[state or 0].format(name=name)}"

    def _states(self) -> dict[str, int | None]:
        """The controllers' lifecycle states by name; None for one that does not say."""
        now_s, never = time.monotonic(), (-float("inf"), 0)
        beats = {name: self._beats.get(name, never) for name in self._publishers.names}
        return {name: state if now_s - at_s < _SILENT_S else None for name, (at_s, state) in beats.items()}

    def _on_heartbeat(self, message: Heartbeat) -> None:
        self._beats[message.node] = time.monotonic(), message.lifecycle_state
        if message.lifecycle_state == State.PRIMARY_STATE_ACTIVE and message.node in self._publishers.names:
            self._starting_until_s = 0.0
