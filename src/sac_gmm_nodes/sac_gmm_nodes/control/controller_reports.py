"""What the controller reports: status on every tick, the model in force, answers to updates, diagnostics."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from lifecycle_msgs.msg import State as LifecycleState
from sac_gmm_interfaces.msg import ControllerStatus, MixtureModel, MixtureUpdate, MixtureUpdateAnswer

from sac_gmm.control import Reason, Tick, Verdict, remedy
from sac_gmm.models import SkillModel
from sac_gmm_nodes.common.conversions import header, model_message, stamp_of
from sac_gmm_nodes.common.node import BaseNode
from sac_gmm_nodes.common.qos import LATCHED, RELIABLE
from sac_gmm_nodes.control.control_loop import LoopStatistics

_AS_IT_SHOULD_BE = (Reason.NONE, Reason.NO_EPISODE, Reason.PAUSED, Reason.INACTIVE)
_LIFECYCLE = {
    LifecycleState.PRIMARY_STATE_UNCONFIGURED: "unconfigured",
    LifecycleState.PRIMARY_STATE_INACTIVE: "inactive",
    LifecycleState.PRIMARY_STATE_ACTIVE: "active",
    LifecycleState.PRIMARY_STATE_FINALIZED: "finalized",
}


class ControllerReports:
    """The publishers, and the messages they reuse.

    Args:
        node: The controller.
        frame_id: The base frame.
    """

    def __init__(self, node: BaseNode, frame_id: str) -> None:
        self._node, self._frame_id = node, frame_id
        self._status = node.create_publisher(ControllerStatus, "controller_status", RELIABLE)
        self._model = node.create_publisher(MixtureModel, "model", LATCHED)
        self._answers = node.create_publisher(MixtureUpdateAnswer, "model_update_answer", RELIABLE)
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", RELIABLE)
        self.status = ControllerStatus()
        self.status.header.frame_id = frame_id
        self._accepted = self._refused = 0
        self._last_refusal = ""

    def publish_status(self, tick: Tick, stamp_ns: int) -> None:
        """Publish `status`, the rest of which has been filled in, for one tick."""
        status, stamp, velocity = self.status, self.status.header.stamp, self.status.velocity
        stamp.sec, stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
        if (status.reason, status.limit) != (tick.reason, tick.limit):
            status.reason, status.limit = int(tick.reason), int(tick.limit)
            status.remedy = remedy(tick.reason, tick.limit)
        status.state = int(tick.state)
        status.version = tick.version
        velocity.x, velocity.y, velocity.z = tick.twist[:3].tolist()
        self._status.publish(status)

    def publish_model(self, model: SkillModel, model_id: str, version: int, stamp_ns: int) -> None:
        """Publish the model in force."""
        self.status.model_id = model_id
        self._model.publish(model_message(model, model_id, version, header(stamp_of(stamp_ns), self._frame_id)))

    def answer(self, update: MixtureUpdate, verdict: Verdict, tick: int) -> None:
        """Answer an update."""
        self._accepted += verdict.accepted
        self._refused += not verdict.accepted
        if not verdict.accepted:
            self._last_refusal = f"{verdict.answer.name}: {verdict.text}"
        self._answers.publish(
            MixtureUpdateAnswer(
                header=update.header,
                model_id=update.model_id,
                base_version=update.base_version,
                new_version=update.new_version,
                episode_id=update.episode_id,
                decision=update.decision,
                accepted=verdict.accepted,
                reason=int(verdict.answer),
                text=verdict.text,
                tick=tick,
            )
        )

    def diagnose(self, lifecycle_state: int, statistics: LoopStatistics, rate_hz: float, driver: str) -> None:
        """Publish the health of loop, state and updates on /diagnostics."""
        status, times = self.status, statistics.summary()
        level, message = DiagnosticStatus.OK, status.remedy or "moving the arm"
        if status.reason not in _AS_IT_SHOULD_BE:
            level = DiagnosticStatus.ERROR if status.reason == Reason.NOT_A_NUMBER else DiagnosticStatus.WARN
        values = {
            "lifecycle_state": _LIFECYCLE.get(lifecycle_state, "in a transition"),
            "reason": Reason(status.reason).name,
            "driver": driver,
            "rate_hz": rate_hz,
            **times,
            "state_age_s": status.state_age_s,
            "speed_scale": status.speed_scale,
            "model_id": status.model_id,
            "model_version": status.version,
            "updates_accepted": self._accepted,
            "updates_refused": self._refused,
            "last_refusal": self._last_refusal,
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
