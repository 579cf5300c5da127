"""Moves the arm along the velocity field of a skill and takes in new versions of it: `sac_gmm.control` behind topics.

    ros2 run sac_gmm_nodes gmm_controller --ros-args -p model_file:=door.npz -p autostart:=true

A lifecycle node: once configured it has loaded its skill and reports what it would do; it moves the arm only while
active. On the wall clock it keeps absolute deadlines; in lock-step it ticks once for every new state of a running
episode. Loop, link to the arm and reports are those of every node that moves the arm: `motion_node`. Between episodes
it follows a reset, which asks on topics of its own: `reset_motion`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from sac_gmm_interfaces.msg import (
    ControllerStatus,
    EpisodeState,
    MixtureUpdate,
)
from std_srvs.srv import Trigger

from sac_gmm.control import (
    Answer,
    ArmState,
    BlendSettings,
    Limit,
    Reason,
    State,
    Tick,
    UpdateBounds,
    UpdateGate,
    VelocityController,
    Verdict,
)
from sac_gmm.control.twist_guard import ArmJoints
from sac_gmm.core.errors import UserError
from sac_gmm.models import SkillModel, load_model
from sac_gmm_nodes.common.conversions import frame_objection, nanoseconds, point_array, reached, update_of
from sac_gmm_nodes.common.node import run_node
from sac_gmm_nodes.common.pace import PaceListener, decision_steps
from sac_gmm_nodes.common.qos import LATCHED, RELIABLE
from sac_gmm_nodes.control.adapter_wait import AdapterWait
from sac_gmm_nodes.control.episode import Episode
from sac_gmm_nodes.control.model_reports import ModelReports
from sac_gmm_nodes.control.motion_node import MotionNode
from sac_gmm_nodes.control.robot_link import ArmReading


class GmmController(MotionNode[VelocityController]):
    """A `MotionNode` that follows a skill, with one `UpdateGate` for its new versions."""

    def __init__(self) -> None:
        super().__init__("gmm_controller")
        self._model_file = self.text("model_file", "", "the skill to run, a file written by `sac-gmm fit`")
        lockstep_timeout_s = self.real(
            "lockstep_timeout_s", 5.0, 0.05, 600.0, "s", "in lock-step, wall time to wait for the adapter's update"
        )
        self._expect_adapter = self.flag(
            "expect_adapter", False, "in lock-step, wait for an update even before the adapter has sent its first"
        )
        self._blend = self.settings(BlendSettings, without=("blend_s",))  # announced by the adapter
        self._bounds = self.settings(UpdateBounds)
        if not self._model_file:
            raise UserError("parameter model_file is empty: give the file of a skill, written by `sac-gmm fit`")

        # What the callbacks pass to the loop. Each is one reference, replaced as a whole.
        self._target: tuple[int, np.ndarray] | None = None  # stamp, position
        self._answered: tuple[int, int] | None = None  # episode and decision of the last answered update

        # Owned by the loop while it runs.
        self._gate: UpdateGate | None = None
        self._base: SkillModel | None = None
        self._interval: int | None = None  # control steps between two decisions; None: nobody decides
        self._published_version: int | None = None
        self._adapter_missed = False

        self._models = ModelReports(self, self._base_frame)
        self._adapter_wait = AdapterWait(self, self._news, lockstep_timeout_s)
        self._pace = PaceListener(self, self._notify)
        self.create_subscription(PoseStamped, "target_pose", self._on_target, LATCHED)
        self.create_subscription(MixtureUpdate, "model_update", self._on_update, RELIABLE)
        self.create_service(Trigger, "~/roll_back", self._on_roll_back)
        self.begin()

    # Life cycle ------------------------------------------------------------------------------------------------

    def configure(self) -> None:
        """Load the skill and start the loop, which does not move the arm yet."""
        base = self._base = load_model(self._model_file)
        self._interval = self._published_version = None
        super().configure()
        self._gate = UpdateGate(base, self._limits, self._bounds)
        self.get_logger().info(
            f"{base.kind} skill {base.model_id} of {base.mixture.n_components} components, {self._pace_words}"
        )

    def activate(self) -> None:
        """Allow the arm to move."""
        self._publish_model()
        super().activate()

    def cleanup(self) -> None:
        """Stop the loop and unload the skill."""
        super().cleanup()
        self._gate = self._base = None

    # The loop --------------------------------------------------------------------------------------------------

    def make_motion(self, joints: ArmJoints | None) -> VelocityController:
        """See `MotionHooks`."""
        assert self._base is not None
        return VelocityController(self._base, self._limits, 1 / self._rate_hz, self._blend, joints)

    def move(self, motion: VelocityController, reading: ArmReading | None, age_s: float, hold: Reason) -> Tick:
        """See `MotionHooks`."""
        target, state = self._target, None
        if reading is not None and target is not None:
            state = ArmState(reading.position_m, target[1], age_s)
        return motion.tick(state, hold)

    def may_rehearse(self) -> bool:
        """See `MotionHooks`."""
        return self._target is not None

    def answerable(self, reading: ArmReading, episode: Episode) -> bool:
        """Whether the target belongs to the same episode as the state."""
        target = self._target
        return target is not None and target[0] >= episode.start_ns

    def await_decision(self, reading: ArmReading | None) -> None:
        """Hold the tick until the adapter has announced its pace, and has answered a due decision."""
        if self._interval is None:
            self._wait_for_pace()
        if self._decides:
            self._wait_for_adapter(reading)

    def _follow_episode(self, moving: bool) -> bool:
        """Process the start or the end of an episode."""
        begins = super()._follow_episode(moving)
        if begins:
            self._adapter_missed = False
            self._answered = None
        if begins or self._interval is None:  # the first announcement changes nothing that is in progress
            self._take_pace()
        return begins

    def _take_pace(self) -> None:
        """Apply the pace that the adapter has announced."""
        pace = self._pace.latest
        if pace is not None and self._motion is not None:
            self._interval = decision_steps(pace, self._rate_hz)
            self._motion.blend = replace(self._blend, blend_s=pace.blend_s)

    @property
    def _decides(self) -> bool:
        """Whether a decision is due at this step of the episode."""
        return self._interval is not None and self._step % self._interval == 0

    def own_reason(self, now_s: float, running: bool) -> Reason:
        """Why the arm must not move: no target, or no episode."""
        episode, target = self._episode, self._target
        if target is None:
            return Reason.NO_TARGET
        if not running or episode is None:
            return Reason.NO_EPISODE
        return Reason.NONE if target[0] >= episode.start_ns else Reason.NO_TARGET  # the target of another episode

    def decision_due(self, tick: Tick) -> bool:
        """Whether the adapter may send an update now; in lock-step it has been asked before the tick."""
        return not self._lockstep and tick.state is State.ACTIVE and self._decides

    def after_tick(self, tick: Tick) -> None:
        """Publish the model where another one is in force."""
        if tick.version != self._published_version:
            self._publish_model()

    def _wait_for_pace(self) -> None:
        """In lock-step: hold the tick until the expected adapter has announced its pace."""
        if self._expect_adapter and not self._adapter_missed:
            known = self._adapter_wait.until(
                lambda: self._pace.latest is not None or self._out_of_step,
                lambda: self._publish_waiting(State.WAITING, due=False),
                "pace (method_pace)",
            )
            self._adapter_missed = not known
            self._take_pace()

    def _wait_for_adapter(self, reading: ArmReading | None) -> None:
        """In lock-step: announce a due decision, and hold the tick until the adapter's update has been answered."""
        controller, episode = self._motion, self._episode
        if controller is None or reading is None or episode is None or self._requests.hold is not Reason.NONE:
            return
        if reached(reading.stamp_ns, episode.end_ns):
            return  # nothing follows the last state
        decision = (self._episode_id, self._decision)
        self._last_stamp_ns = reading.stamp_ns

        def settled() -> bool:
            return self._answered == decision or self._out_of_step

        def ask() -> None:
            self._publish_waiting(State.ACTIVE, due=True)

        if not self._adapter_missed and (self._expect_adapter or controller.adapter_alive):
            what = f"update for decision {decision[1]} of episode {decision[0]}"
            self._adapter_missed = not self._adapter_wait.until(settled, ask, what)
        elif not settled():
            ask()

    @property
    def _out_of_step(self) -> bool:
        """Whether there is nothing left to wait for: the episode is over, or the node should rest."""
        running = self._running_episode()
        over = running is None or running.key != self._begun
        return over or self._loop_ended or not self._moving_allowed

    @property
    def _decision(self) -> int:
        """Number of the decision that this step of the episode belongs to."""
        return self._step // self._interval if self._interval else 0

    # Callbacks -------------------------------------------------------------------------------------------------

    def _on_target(self, message: PoseStamped) -> None:
        objection = frame_objection(message.header.frame_id, self._base_frame, "target_pose")
        if objection:
            self.get_logger().error(objection, throttle_duration_sec=5.0)
        # Even a target in another frame replaces the previous one, which may be out of date.
        self._target = None if objection else (nanoseconds(message.header.stamp), point_array(message.pose.position))
        self._notify()

    def _on_episode(self, message: EpisodeState) -> None:
        self._pace.catch_up()  # an episode begins at the pace announced before it
        super()._on_episode(message)

    def _on_update(self, message: MixtureUpdate) -> None:
        controller, gate, target = self._motion, self._gate, self._target
        tick = 0
        if controller is None or gate is None:
            verdict = Verdict(False, Answer.NOT_READY, "the controller is not configured")
        else:
            position = None if target is None else target[1]
            running = self._running_episode()
            number = None if running is None else running.number
            verdict = gate.judge(update_of(message), controller.version, position, number)
            tick = controller.ticks
            if verdict.accepted and verdict.model is not None:
                tick = controller.swap(verdict.model, message.new_version)
        if not verdict.accepted and not (verdict.answer is Answer.NOT_READY and self._is_over(message.episode_id)):
            self.get_logger().warning(
                f"update {message.new_version} refused ({verdict.answer.name}): {verdict.text}",
                throttle_duration_sec=1.0,
            )
        self._models.answer(message, verdict, tick)
        self._answered = message.episode_id, message.decision
        self._notify()

    def _is_over(self, number: int) -> bool:
        """Whether an episode has ended or was cancelled: an update for it came too late, which is nobody's fault."""
        announced, running = self._episode, self._running_episode()
        return announced is not None and number <= announced.number and (running is None or number != running.number)

    def _on_roll_back(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        version = None if self._motion is None else self._motion.roll_back()
        response.success = version is not None
        response.message = "not configured" if version is None else f"back to version {version}"
        return response

    # Publishing ------------------------------------------------------------------------------------------------

    def fill_status(self, status: ControllerStatus) -> None:
        """See `MotionHooks`."""
        assert self._motion is not None
        status.adapter_alive, status.decision = self._motion.adapter_alive, self._decision

    def diagnostics(self) -> dict[str, Any]:
        """See `MotionHooks`."""
        return self._models.diagnostics

    @property
    def _tells_by_itself(self) -> bool:
        return super()._tells_by_itself or self._adapter_wait.waiting

    def _publish_waiting(self, state: State, due: bool) -> None:
        """Publish a status for a tick that is still waited for."""
        assert self._motion is not None
        waiting = Tick(np.zeros(6), False, state, Reason.NONE, Limit.NONE, self._motion.version)
        self._publish_status(waiting, due, 0.0, 0.0, 0.0)

    def _publish_model(self) -> None:
        if self._motion is not None and self._base is not None:
            version = self._motion.version
            stamp_ns = 0 if self._published_version is None else self._last_stamp_ns
            self._reports.status.model_id = self._base.model_id
            self._models.publish_model(self._motion.model, self._base.model_id, version, stamp_ns)
            self._published_version = version


def main() -> None:
    """Run the node."""
    run_node(GmmController)


if __name__ == "__main__":
    main()
