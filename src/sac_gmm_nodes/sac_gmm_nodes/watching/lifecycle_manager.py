"""Brings up the lifecycle nodes in order, watches all nodes, and deactivates when one is lost.

    ros2 run sac_gmm_nodes lifecycle_manager --ros-args -p nodes:="['gmm_controller']" -p watched:="['pybullet_bridge']"

Nothing is configured before all heartbeats have arrived, and nothing stays active when one stops: the nodes are
deactivated in reverse order. What somebody else deactivates (`ros2 lifecycle set`) is no loss: the others are
deactivated too, and all rest until `~/set_active`, or until all have been activated again.

This is the slow line of defence, against processes that are gone or hang; the controller itself stops the arm within
a tenth of a second when states stop.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.client import Client
from rclpy.executors import Executor
from sac_gmm_interfaces.msg import Heartbeat
from std_srvs.srv import SetBool

from sac_gmm.core.errors import UserError
from sac_gmm_nodes.common.node import BaseNode, run_node
from sac_gmm_nodes.common.qos import RELIABLE

_TELL_EVERY_S = 2.0
_SETTLE_S = 1.0  # after this, a heartbeat can no longer be from before the activation
_ATTEMPTS = 3
_STATES = {
    State.PRIMARY_STATE_UNCONFIGURED: "unconfigured",
    State.PRIMARY_STATE_INACTIVE: "inactive",
    State.PRIMARY_STATE_ACTIVE: "active",
    State.PRIMARY_STATE_FINALIZED: "finalized",
}
_STANDING = (State.PRIMARY_STATE_ACTIVE, State.PRIMARY_STATE_INACTIVE)
_UP = {
    State.PRIMARY_STATE_UNCONFIGURED: (Transition.TRANSITION_CONFIGURE, "configure"),
    State.PRIMARY_STATE_INACTIVE: (Transition.TRANSITION_ACTIVATE, "activate"),
}


class LifecycleManager(BaseNode):
    """Runs its sequence in the main thread, between the callbacks."""

    def __init__(self) -> None:
        super().__init__("lifecycle_manager")
        self._names = [self._full(name) for name in self.texts("nodes", (), "nodes to bring up, in this order")]
        watched = [self._full(name) for name in self.texts("watched", (), "other nodes that must be alive")]
        self._startup_timeout_s = self.real(
            "startup_timeout_s", 60.0, 0.5, 3600.0, "s", "longest wait for all nodes, at the start and after a loss"
        )
        self._transition_timeout_s = self.real(
            "transition_timeout_s", 10.0, 0.1, 600.0, "s", "longest time for one transition"
        )
        self._heartbeat_timeout_s = self.real(
            "heartbeat_timeout_s", 5.0, 0.6, 600.0, "s", "a node that is silent for longer is lost"
        )
        self._reactivate = self.flag("reactivate", True, "bring everything up again once what was lost is back")
        if not self._names:
            raise UserError("parameter nodes is empty: name the nodes to bring up, e.g. nodes: [gmm_controller]")
        self._watched = [*watched, *self._names]
        self._beats: dict[str, tuple[float, int]] = {}  # time of the last one, state
        self._wanted = True
        self._handed_over = False  # somebody else has deactivated a node
        self._active_s = 0.0  # when the last node became active
        self._state = (DiagnosticStatus.STALE, "starting")
        # Not `_clients`, which belongs to rclpy.
        self._change = {name: self.create_client(ChangeState, _service(name, "change_state")) for name in self._names}
        self._get = {name: self.create_client(GetState, _service(name, "get_state")) for name in self._names}
        self.create_subscription(Heartbeat, "heartbeat", self._on_heartbeat, RELIABLE)
        self.create_service(SetBool, "~/set_active", self._on_set_active)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", RELIABLE)
        self.create_timer(1.0, self._diagnose, clock=self.steady_clock)

    def spin(self, executor: Executor) -> None:
        """Bring up, watch and bring down, for as long as the node runs.

        Raises:
            UserError: Something did not come in time, or a node refused a transition.
        """
        attempts = 0
        while not self.stopping.is_set():
            while not self.stopping.is_set() and not self._wanted:
                self.get_logger().warning(
                    "inactive: call ~/set_active with data: true to continue", throttle_duration_sec=30.0
                )
                executor.spin_once(timeout_sec=0.1)
                self._wanted = self._wanted or (self._handed_over and self._all_are_active())
            if self.stopping.is_set():
                return
            self._handed_over = False
            self._tell(DiagnosticStatus.WARN, "waiting for all nodes")
            self._wait(executor, self._missing, "still missing")
            attempts += 1
            if not self._bring_up(executor):
                if not self._wanted:
                    self._tell(DiagnosticStatus.WARN, "deactivating all: requested")
                    self._bring_down(executor)
                    attempts = 0
                elif attempts == _ATTEMPTS and not self.stopping.is_set():
                    raise UserError(f"the nodes were not brought up in {_ATTEMPTS} attempts: see the errors above")
                continue
            attempts = 0
            self._tell(DiagnosticStatus.OK, "all nodes are active")
            lost: list[str] = []
            while not self.stopping.is_set() and self._wanted and not lost:
                executor.spin_once(timeout_sec=0.1)
                lost = self._lost()
                if not lost and (deactivated := self._deactivated()):
                    self._wanted, self._handed_over = False, True
            if self.stopping.is_set():
                return
            if lost:
                self._tell(DiagnosticStatus.ERROR, f"deactivating all: lost: {', '.join(lost)}")
            else:
                by = f"somebody has deactivated {', '.join(deactivated)}" if self._handed_over else "asked to"
                self._tell(DiagnosticStatus.WARN, f"deactivating all: {by}")
            self._bring_down(executor)
            self._wanted = self._wanted and self._reactivate

    # Steps -----------------------------------------------------------------------------------------------------

    def _missing(self) -> list[str]:
        now_s = time.monotonic()
        silent = [
            f"heartbeat of {name}"
            for name in self._watched
            if now_s - self._beats.get(name, (-1e9, 0))[0] > self._heartbeat_timeout_s
        ]
        unready = [
            str(client.srv_name)
            for name in self._names
            for client in (self._change[name], self._get[name])
            if not client.service_is_ready()
        ]
        return silent + unready

    def _lost(self) -> list[str]:
        now_s = time.monotonic()
        lost = []
        for name in self._watched:
            at_s, state = self._beats.get(name, (-1e9, 0))
            if now_s - at_s > self._heartbeat_timeout_s:
                lost.append(f"{name} has been silent for {self._heartbeat_timeout_s:g} s")
            elif name in self._names and at_s > self._active_s + _SETTLE_S and state not in _STANDING:
                lost.append(f"{name} is {_STATES.get(state, 'in a transition')}")
        return lost

    def _deactivated(self) -> list[str]:
        """Nodes that are alive and inactive: somebody has asked them to be. One that was restarted is unconfigured."""
        beats = {name: self._beats.get(name, (-1e9, 0)) for name in self._names}
        inactive = State.PRIMARY_STATE_INACTIVE
        return [
            name for name, (at_s, state) in beats.items() if at_s > self._active_s + _SETTLE_S and state == inactive
        ]

    def _all_are_active(self) -> bool:
        return not self._missing() and all(self._beats[name][1] == State.PRIMARY_STATE_ACTIVE for name in self._names)

    def _bring_up(self, executor: Executor) -> bool:
        """Bring every node to active, in order; false if one was lost on the way, or if that is no longer wanted."""
        for name in self._names:
            while (state := self._state_of(executor, name)) != State.PRIMARY_STATE_ACTIVE:
                if state == State.PRIMARY_STATE_UNKNOWN or not self._wanted:
                    return False
                if state not in _UP:
                    raise UserError(f"{name} is {_STATES.get(state, state)} and cannot be brought up: start it again")
                transition, verb = _UP[state]
                answer = self._ask(executor, self._change[name], _request(transition), f"{name} to {verb}")
                if answer is None:
                    return False
                if not answer.success:
                    raise UserError(f"{name} refused to {verb}: the reason is in its log")
                self.get_logger().info(f"{name}: {verb}d")
        self._active_s = time.monotonic()
        return self._wanted

    def _bring_down(self, executor: Executor) -> None:
        """Deactivate the active nodes, last first; those that do not answer are left alone."""
        for name in reversed(self._names):
            if self._change[name].service_is_ready() and self._get[name].service_is_ready():
                if self._state_of(executor, name) != State.PRIMARY_STATE_ACTIVE:
                    self.get_logger().info(f"{name}: is not active")
                    continue
                request = _request(Transition.TRANSITION_DEACTIVATE)
                answer = self._ask(executor, self._change[name], request, f"{name} to deactivate")
                if answer is not None:
                    self.get_logger().info(
                        f"{name}: {'deactivated' if answer.success else 'refused to deactivate: see its log'}"
                    )

    def _state_of(self, executor: Executor, name: str) -> int:
        answer = self._ask(executor, self._get[name], GetState.Request(), f"{name} to say its state")
        return State.PRIMARY_STATE_UNKNOWN if answer is None else int(answer.current_state.id)

    # Helpers ---------------------------------------------------------------------------------------------------

    def _ask(self, executor: Executor, client: Client, request: Any, what: str) -> Any:
        """Call a service; None if no answer arrived in time."""
        future = client.call_async(request)
        end_s = time.monotonic() + self._transition_timeout_s
        while not future.done():
            if self.stopping.is_set() or time.monotonic() > end_s:
                client.remove_pending_request(future)
                if not self.stopping.is_set():
                    self.get_logger().error(f"waited {self._transition_timeout_s:g} s in vain for {what}")
                return None
            executor.spin_once(timeout_sec=0.1)
        return future.result()

    def _wait(self, executor: Executor, missing: Callable[[], list[str]], what: str) -> None:
        end_s = time.monotonic() + self._startup_timeout_s
        while (absent := missing()) and self._wanted and not self.stopping.is_set():
            if time.monotonic() > end_s:
                raise UserError(f"{what} after {self._startup_timeout_s:g} s: {', '.join(absent)}")
            self._state = (DiagnosticStatus.WARN, f"waiting for {', '.join(absent)}")
            self.get_logger().info(self._state[1], throttle_duration_sec=_TELL_EVERY_S)
            executor.spin_once(timeout_sec=0.1)

    def _full(self, name: str) -> str:
        return name if name.startswith("/") else f"{self.get_namespace().rstrip('/')}/{name}"

    def _tell(self, level: bytes, text: str) -> None:
        self._state = (level, text)
        log = self.get_logger()
        if level == DiagnosticStatus.ERROR:
            log.error(text)
        else:
            log.info(text)

    def _on_heartbeat(self, message: Heartbeat) -> None:
        self._beats[message.node] = time.monotonic(), message.lifecycle_state

    def _on_set_active(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._wanted = request.data
        response.success = True
        response.message = "bringing up" if request.data else "deactivating all"
        return response

    def _diagnose(self) -> None:
        level, text = self._state
        array = DiagnosticArray(status=[DiagnosticStatus(level=level, name=self.name_below_root, message=text)])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def _service(node: str, name: str) -> str:
    return "/".join((node, name))


def _request(transition: int) -> ChangeState.Request:
    return ChangeState.Request(transition=Transition(id=transition))


def main() -> None:
    """Run the node."""
    run_node(LifecycleManager)


if __name__ == "__main__":
    main()
