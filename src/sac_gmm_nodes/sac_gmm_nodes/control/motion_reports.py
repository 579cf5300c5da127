"""What a node that moves the arm reports: status, diagnostics, and the log of reasons."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from lifecycle_msgs.msg import State as LifecycleState
from sac_gmm_interfaces.msg import ControllerStatus

from sac_gmm.control import Limit, Reason, State, Tick, remedy
from sac_gmm_nodes.common.node import BaseNode
from sac_gmm_nodes.common.qos import RELIABLE
from sac_gmm_nodes.control.control_loop import LoopStatistics
from sac_gmm_nodes.control.reason_log import AS_IT_SHOULD_BE, ReasonLog

_IN_STEP = "waiting for the next state"
_SILENT_S = 1.2  # without a tick for so long, the status is given without one
_LIFECYCLE = {
    LifecycleState.PRIMARY_STATE_UNCONFIGURED: "unconfigured",
    LifecycleState.PRIMARY_STATE_INACTIVE: "inactive",
    LifecycleState.PRIMARY_STATE_ACTIVE: "active",
    LifecycleState.PRIMARY_STATE_FINALIZED: "finalized",
}


class MotionReports:
    """The publishers, and the messages that they reuse.

    Args:
        node: The node that moves the arm.
        frame_id: The base frame.
        complaint: What is wrong, and what to do about it, for a reason; empty where what is said of it in general is
            enough. It may look around: it is asked once a second.
        sentence: The same, known at once: it is asked on every tick.
    """

    def __init__(
        self,
        node: BaseNode,
        frame_id: str,
        complaint: Callable[[Reason], str],
        sentence: Callable[[Reason], str] = lambda _: "",
    ) -> None:
        self._node, self._frame_id, self._ask, self._sentence = node, frame_id, complaint, sentence
        self._status = node.create_publisher(ControllerStatus, "controller_status", RELIABLE)
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", RELIABLE)
        self.status = ControllerStatus()
        self.status.header.frame_id = frame_id
        self._reasons = ReasonLog(node.get_logger())
        self._complaint = (Reason.NONE, "")  # a reason, and what is said of it in place of the usual remedy
        self._said: tuple[int, int, str] | None = None  # reason, limit and complaint of the status published last
        self._ticked_s = -float("inf")
        self._latest = self.status  # the last one published, on a tick or not

    def publish_status(self, tick: Tick, stamp_ns: int) -> None:
        """Publish `status`, which is otherwise filled in, for one tick."""
        self._ticked_s = time.monotonic()
        self._publish(self.status, tick, stamp_ns)

    def publish_without_tick(self, reason: Reason, state: State, version: int, stamp_ns: int) -> None:
        """Publish a status where no tick has for a while: nobody who looks shall find nothing, or what is over."""
        if time.monotonic() - self._ticked_s < _SILENT_S:
            return
        ticked = self.status  # left alone: it belongs to the thread that ticks
        status = ControllerStatus(
            model_id=ticked.model_id, tick=ticked.tick, episode_id=ticked.episode_id, speed_scale=ticked.speed_scale
        )
        status.header.frame_id = self._frame_id
        self._publish(status, Tick(np.zeros(6), False, state, reason, Limit.NONE, version), stamp_ns)

    def _publish(self, status: ControllerStatus, tick: Tick, stamp_ns: int) -> None:
        stamp, velocity = status.header.stamp, status.velocity
        stamp.sec, stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
        about, complaint = self._complaint
        complaint = self._sentence(tick.reason) or (complaint if about == tick.reason else "")
        said = (int(tick.reason), int(tick.limit), complaint)
        if said != self._said or status is not self._latest:
            self._said = said
            status.reason, status.limit = said[:2]
            status.remedy = said[2] or remedy(tick.reason, tick.limit)
        status.state = int(tick.state)
        status.version = tick.version
        velocity.x, velocity.y, velocity.z = tick.twist[:3].tolist()
        self._status.publish(status)
        self._latest = status
        self._reasons.note(tick.reason)

    def words(self, reason: Reason) -> str:
        """What to do about a reason: as it stands now, or else as it is in general."""
        return self._sentence(reason) or self._ask(reason) or remedy(reason, Limit.NONE)

    def complain(self) -> None:
        """Find out what is to be said of the reason that holds the arm now."""
        reason = Reason(self._latest.reason)
        self._complaint = reason, self._ask(reason)

    def tell_reasons(self) -> None:
        """Log the reasons that have come since the last call."""
        self._reasons.tell(self.words)

    def diagnose(
        self,
        lifecycle_state: int,
        statistics: LoopStatistics,
        rate_hz: float,
        driver: str,
        alive: bool,
        more: Mapping[str, Any],
    ) -> None:
        """Publish the health of loop and state on /diagnostics, and `more` values of the node's own."""
        status, times = self._latest, statistics.summary()
        moving = status.state == State.ACTIVE
        level, message = DiagnosticStatus.OK, status.remedy or ("moving the arm" if moving else _IN_STEP)
        if status.reason not in (*AS_IT_SHOULD_BE, Reason.PAUSED):
            level = DiagnosticStatus.ERROR if status.reason == Reason.NOT_A_NUMBER else DiagnosticStatus.WARN
        if not alive:
            level, silent_s = DiagnosticStatus.ERROR, time.monotonic() - self._ticked_s
            message = f"the loop has not ticked for {silent_s:.0f} s: look at the load of the machine"
        values = {
            "lifecycle_state": _LIFECYCLE.get(lifecycle_state, "in a transition"),
            "reason": Reason(status.reason).name,
            "driver": driver,
            "rate_hz": rate_hz,
            **times,
            "state_age_s": status.state_age_s,
            "speed_scale": status.speed_scale,
            **more,
        }
        entry = DiagnosticStatus(
            level=level,
            name=f"{self._node.name_below_root}: control loop",
            hardware_id=self._frame_id,
            message=message,
            values=[
                KeyValue(key=key, value=f"{value:.6g}" if isinstance(value, float) else str(value))
                for key, value in values.items()
            ],
        )
        array = DiagnosticArray(status=[entry])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._diagnostics.publish(array)
