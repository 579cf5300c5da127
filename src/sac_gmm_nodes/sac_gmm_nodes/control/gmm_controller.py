"""Moves the arm along the velocity field of a skill and takes in new versions of it: `sac_gmm.control` behind topics.

    ros2 run sac_gmm_nodes gmm_controller --ros-args -p model_file:=door.npz -p autostart:=true

A lifecycle node: once configured it has loaded its skill and reports what it would do; it moves the arm only while
active. The loop runs in a thread of its own. On the wall clock it keeps absolute deadlines; in lock-step it ticks once
for every new state of a running episode. Callbacks run in the main thread and only swap references.

This file is long because loop and callbacks share those references. Whatever can be separated - the link to the arm,
the deadline loop, requests, reports, the wait for the adapter - has its own module in this room.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from dataclasses import replace

import numpy as np
from geometry_msgs.msg import PoseStamped
from sac_gmm_interfaces.msg import (
    EpisodeState,
    MixtureUpdate,
)

from sac_gmm.control import (
    DRIVER_TIMEOUT_S,
    Answer,
    ArmState,
    BlendSettings,
    Limit,
    Reason,
    SafetyLimits,
    State,
    Tick,
    UpdateBounds,
    UpdateGate,
    VelocityController,
    Verdict,
)
from sac_gmm.control.velocity_controller import state_of
from sac_gmm.core.errors import UserError
from sac_gmm.models import SkillModel, load_model
from sac_gmm_nodes.common.conversions import frame_objection, nanoseconds, point_array, reached, update_of
from sac_gmm_nodes.common.lifecycle import ManagedNode
from sac_gmm_nodes.common.node import run_node
from sac_gmm_nodes.common.pace import PaceListener, decision_steps
from sac_gmm_nodes.common.qos import EPISODE, LATCHED, RELIABLE, stream
from sac_gmm_nodes.control.adapter_wait import AdapterWait
from sac_gmm_nodes.control.control_loop import DeadlineLoop, LoopStatistics, claim_processor
from sac_gmm_nodes.control.controller_reports import ControllerReports, words
from sac_gmm_nodes.control.deadman import Deadman
from sac_gmm_nodes.control.episode import Episode
from sac_gmm_nodes.control.joint_link import link_of
from sac_gmm_nodes.control.motion_requests import MotionRequests
from sac_gmm_nodes.control.robot_link import ArmReading

_SWITCH_INTERVAL_S = 0.0002  # how long a callback may delay the loop's thread
_COLLECT_S = 5.0  # between two garbage collections, while no episode is running
_TELL_S = 0.2  # between two looks at why the arm is held, for the log
_STOP_S = 3.0  # for the arm to come to rest and the zero commands to be sent on deactivation
_STUCK_S = 2.0  # without a tick for this long the loop hangs, and the heartbeat stops


class GmmController(ManagedNode):
    """Parameters and topics around one `VelocityController` and one `UpdateGate`."""

    states_by_executor = False  # if false, the loop takes them itself, right before it needs them

    def __init__(self) -> None:
        super().__init__("gmm_controller")
        self._model_file = self.text("model_file", "", "the skill to run, a file written by `sac-gmm fit`")
        self._rate_hz = self.real("rate_hz", 100.0, 30.0, 500.0, "Hz", "rate of the loop; in lock-step, of the states")
        self._lockstep = self.flag("lockstep", False, "tick once per state instead of on the wall clock")
        self.states_by_executor = self.states_by_executor or self._lockstep
        reliable = self.flag("reliable_state", self._lockstep, "ask for every state, not only the latest")
        lockstep_timeout_s = self.real(
            "lockstep_timeout_s", 5.0, 0.05, 600.0, "s", "in lock-step, wall time to wait for the adapter's update"
        )
        self._expect_adapter = self.flag(
            "expect_adapter", False, "in lock-step, wait for an update even before the adapter has sent its first"
        )
        base_frame = self._base_frame = self.text("base_frame", "lbr_link_0", "frame of poses, twists and the target")
        self._deadman = Deadman(self)
        self._priority = self.whole("realtime_priority", 0, 0, 99, "SCHED_FIFO priority of the loop; 0 for none")
        self._cores = self.wholes("cpu_affinity", (), 0, 1023, "cores that the loop may run on; empty for all")
        self._lock_memory = self.flag("lock_memory", False, "keep the process from being swapped out")
        self._limits = self.settings(SafetyLimits)
        self._blend = self.settings(BlendSettings, without=("blend_s",))  # announced by the adapter
        self._bounds = self.settings(UpdateBounds)
        if not self._model_file:
            raise UserError("parameter model_file is empty: give the file of a skill, written by `sac-gmm fit`")

        # What the callbacks pass to the loop. Each is one reference, replaced as a whole.
        self._news = threading.Condition()
        self._reading: ArmReading | None = None
        self._target: tuple[int, np.ndarray] | None = None  # stamp, position
        self._episode: Episode | None = None
        self._answered: tuple[int, int] | None = None  # episode and decision of the last answered update
        self._moving_allowed = False  # active

        # Owned by the loop while it runs.
        self._controller: VelocityController | None = None
        self._rehearsal: VelocityController | None = None
        self._gate: UpdateGate | None = None
        self._base: SkillModel | None = None
        self._loop: DeadlineLoop | None = None
        self._thread: threading.Thread | None = None
        self._loop_ended = True
        self._statistics = LoopStatistics()
        self._ticked_s = 0.0
        self._silent = True  # whether the last tick sent nothing
        self._commanded = False  # whether anything was sent since the node was activated
        self._episode_id = 0
        self._begun: tuple[int, int] | None = None  # number and start of the last processed episode
        self._running = False
        self._step = 0
        self._interval: int | None = None  # control steps between two decisions; None: nobody decides
        self._published_version: int | None = None
        self._adapter_missed = False
        self._last_stamp_ns = 0

        self.link = link_of(self, base_frame, stream(reliable), self._on_reading if self.states_by_executor else None)
        self._reports = ControllerReports(self, base_frame)
        self._adapter_wait = AdapterWait(self, self._news, lockstep_timeout_s)
        self._pace = PaceListener(self, self._notify)
        self.create_subscription(PoseStamped, "target_pose", self._on_target, LATCHED)
        self.create_subscription(EpisodeState, "episode_state", self._on_episode, EPISODE)
        self.create_subscription(MixtureUpdate, "model_update", self._on_update, RELIABLE)
        self._requests = MotionRequests(self, self._go_on, self._roll_back, self._held)
        self.create_timer(1.0, self._report, clock=self.steady_clock)
        self.create_timer(_TELL_S, lambda: self._reports.tell_reasons(self.link), clock=self.steady_clock)
        self.create_timer(_COLLECT_S, self._collect_garbage, clock=self.steady_clock)
        if self.autostart:
            self.refuse_unknown_parameters()
            self.start_by_itself()

    # Life cycle ------------------------------------------------------------------------------------------------

    def configure(self) -> None:
        """Load the skill and start the loop, which does not move the arm yet."""
        base = load_model(self._model_file)
        joints = self.link.prepare(self._limits, 1 / self._rate_hz)
        self._controller = VelocityController(base, self._limits, 1 / self._rate_hz, self._blend, joints)
        self._gate = UpdateGate(base, self._limits, self._bounds)
        self._base = base
        self._statistics = LoopStatistics()
        self._requests.hold = Reason.NONE
        self._episode_id, self._begun, self._running, self._published_version = 0, None, False, None
        self._interval = None
        self.get_logger().info(
            f"{base.kind} skill {base.model_id} of {base.mixture.n_components} components, "
            + ("lock-step" if self._lockstep else f"{self._rate_hz:g} Hz")
        )
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        gc.disable()  # from now on it runs only between episodes, in the main thread
        gc.collect()
        gc.freeze()
        self._loop_ended = False
        self._ticked_s = time.monotonic()
        if not self._lockstep:
            self._rehearsal = VelocityController(base, self._limits, 1 / self._rate_hz, self._blend)
            self._loop = DeadlineLoop(
                1 / self._rate_hz, self._wall_tick, self._arrival, self._fell_behind, self._rehearse
            )
        self._thread = self.run_thread(self._lockstep_loop if self._loop is None else self._wall_loop)

    def activate(self) -> None:
        """Allow the arm to move."""
        if self._controller is not None:
            self._controller.clear_fault()
        self.link.clear()
        self._moving_allowed = True
        self._publish_model()
        self._notify()

    def deactivate(self) -> None:
        """Bring the arm to rest within its limits, send the zero commands, then stay silent."""
        self._moving_allowed = False
        self._notify()
        end_s = time.monotonic() + _STOP_S
        first_tick = self._statistics.ticks
        while not self._lockstep and not (self._silent and self._statistics.ticks > first_tick + 1):
            ticking = self._thread is not None and self._thread.is_alive()
            if time.monotonic() > end_s or not ticking:
                self.get_logger().error("the loop did not bring the arm to rest: a zero command is sent instead")
                break
            time.sleep(0.005)
        self._send_zero()

    def cleanup(self) -> None:
        """Stop the loop and unload the skill."""
        self._moving_allowed = False
        self._loop_ended = True
        if self._loop is not None:
            self._loop.end()
        self._notify()
        if self._thread is not None:
            self._thread.join(_STOP_S)
        self._loop = self._thread = self._controller = self._rehearsal = self._gate = self._base = None
        gc.enable()

    def close(self) -> None:
        """Leave the arm at rest and stop the loop."""
        if self._moving_allowed:
            self.deactivate()
        self.cleanup()
        self.link.flush()  # otherwise the last command may be lost before it is read

    @property
    def alive(self) -> bool:
        """Whether the loop, if there is one on the wall clock, keeps ticking."""
        return self._loop is None or self._loop_is_alive

    @property
    def _loop_is_alive(self) -> bool:
        return time.monotonic() - self._ticked_s < _STUCK_S

    def _send_zero(self) -> None:
        """Send a last zero command if anything was sent before: by now the topic may belong to another node."""
        if self._commanded:
            self.link.send(np.zeros(6), self._last_stamp_ns)
        self._commanded = False

    # The loop --------------------------------------------------------------------------------------------------

    def _wall_loop(self) -> None:
        assert self._loop is not None
        claim_processor(self._priority, self._cores, self._lock_memory, self.get_logger())
        self._loop.run()

    def _wall_tick(self, late_s: float) -> None:
        begun_s = time.perf_counter()
        if self._controller is not None and time.monotonic() - self._ticked_s > DRIVER_TIMEOUT_S:
            self._controller.start_from_rest()
        self._reading = self.link.poll()
        self._follow_episode(moving=True)
        self._tick(self._reading, begun_s, late_s)
        self.link.tell()

    def _rehearse(self) -> None:
        """Run the code of a tick, with a controller and a message that move nothing."""
        reading, target = self.link.poll(), self._target
        if self._rehearsal is not None and reading is not None and target is not None:
            self._rehearsal.clear_fault()
            self._running_episode()
            hold = self._reason_to_hold(time.monotonic(), self._running)
            tick = self._rehearsal.tick(ArmState(reading.position_m, target[1]), hold)
            self.link.rehearse(tick.twist)

    def _arrival(self) -> float | None:
        return None if self._reading is None else self._reading.arrived_s

    def _fell_behind(self, late_s: float) -> None:
        self.get_logger().warning(
            f"the loop is {late_s * 1e3:.0f} ms late: lower rate_hz or free the processor", throttle_duration_sec=5.0
        )

    def _lockstep_loop(self) -> None:
        """Tick once for every new state of a running episode.

        A state without its tick is replaced by another only when the scene is reset. The new state belongs to the next
        episode: it must not be answered with the present episode's model.
        """
        claim_processor(self._priority, self._cores, self._lock_memory, self.get_logger())
        while not self._loop_ended:
            with self._news:
                self._news.wait_for(lambda: self._loop_ended or self._state_is_new())
                reading = self._reading
            if self._loop_ended:
                return
            self._follow_episode(moving=False)
            if self._interval is None:
                self._wait_for_pace()
            if self._decides:
                self._wait_for_adapter(reading)
            if reading is self._reading:
                self._tick(reading, time.perf_counter(), late_s=0.0)

    def _state_is_new(self) -> bool:
        """Whether a state of the running episode waits for its tick, with a target that belongs to the same episode."""
        episode, reading, target = self._episode, self._reading, self._target
        if not self._moving_allowed or episode is None or reading is None or target is None:
            return False
        news = reading.stamp_ns != self._last_stamp_ns  # a restarted simulation begins with earlier stamps
        return episode.running and news and min(reading.stamp_ns, target[0]) >= episode.start_ns

    def _follow_episode(self, moving: bool) -> None:
        """Process the start or the end of an episode."""
        assert self._controller is not None
        running = self._running_episode()
        if running is not None and running.key != self._begun:
            self._begun = running.key
            self._episode_id = running.number
            self._step = 0
            self._adapter_missed = False
            self._answered = None
            self._controller.reset(moving=moving)
            self._take_pace()
        elif self._interval is None:  # the first announcement changes nothing that is in progress
            self._take_pace()
        self._running = running is not None

    def _take_pace(self) -> None:
        """Apply the pace that the adapter has announced."""
        pace = self._pace.latest
        if pace is not None and self._controller is not None:
            self._interval = decision_steps(pace, self._rate_hz)
            self._controller.blend = replace(self._blend, blend_s=pace.blend_s)

    @property
    def _decides(self) -> bool:
        """Whether a decision is due at this step of the episode."""
        return self._interval is not None and self._step % self._interval == 0

    def _running_episode(self) -> Episode | None:
        """The running episode, as last announced."""
        episode, reading = self._episode, self._reading
        stamp_ns = None if reading is None else reading.stamp_ns
        return episode if episode is not None and episode.runs_at(stamp_ns) else None

    def _reason_to_hold(self, now_s: float, running: bool) -> Reason:
        """Why the arm must not move, apart from what the controller finds in the state itself."""
        if not self._moving_allowed:
            return Reason.INACTIVE
        if self._requests.hold is not Reason.NONE:
            return self._requests.hold
        if self._reading is None:
            return Reason.NO_STATE
        if (driver := self.link.hold(now_s)) is not Reason.NONE:
            return driver
        if self._deadman.released(now_s):
            return Reason.NO_DEADMAN
        episode, target = self._episode, self._target
        if target is None:
            return Reason.NO_TARGET
        if not running or episode is None:
            return Reason.NO_EPISODE
        return Reason.NONE if target[0] >= episode.start_ns else Reason.NO_TARGET  # the target of another episode

    def _tick(self, reading: ArmReading | None, begun_s: float, late_s: float) -> None:
        controller, target = self._controller, self._target
        assert controller is not None
        now_s = self._ticked_s = time.monotonic()
        hold, age_s, state = self._reason_to_hold(now_s, self._running), 0.0, None
        if reading is not None:
            self._last_stamp_ns = reading.stamp_ns
            age_s = now_s - reading.arrived_s
            if target is not None:
                counted_s = 0.0 if self._lockstep else age_s
                state = ArmState(reading.position_m, target[1], counted_s)
        controller.pipeline.speed_scale = self._requests.speed_scale
        tick = controller.tick(state, hold)
        if tick.publish:
            self.link.send(tick.twist, self._last_stamp_ns)
            self._commanded = True
        self._silent = not tick.publish
        due = not self._lockstep and tick.state is State.ACTIVE and self._decides
        compute_s = time.perf_counter() - begun_s
        self._statistics.add(late_s, compute_s)
        self._publish_status(tick, due, compute_s, late_s, age_s)
        if tick.version != self._published_version:
            self._publish_model()
        if tick.state is State.ACTIVE:
            self._step += 1

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
        controller, episode = self._controller, self._episode
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

    def _notify(self) -> None:
        with self._news:
            self._news.notify_all()

    def _on_reading(self, reading: ArmReading) -> None:
        self._reading = reading
        self._notify()

    def _on_target(self, message: PoseStamped) -> None:
        objection = frame_objection(message.header.frame_id, self._base_frame, "target_pose")
        if objection:
            self.get_logger().error(objection, throttle_duration_sec=5.0)
        # Even a target in another frame replaces the previous one, which may be out of date.
        self._target = None if objection else (nanoseconds(message.header.stamp), point_array(message.pose.position))
        self._notify()

    def _on_episode(self, message: EpisodeState) -> None:
        self._pace.catch_up()  # an episode begins at the pace announced before it
        self._episode = Episode.of(message)
        self._notify()
        if message.phase == EpisodeState.PHASE_RESETTING:
            gc.collect()

    def _on_update(self, message: MixtureUpdate) -> None:
        controller, gate, target = self._controller, self._gate, self._target
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
        self._reports.answer(message, verdict, tick)
        self._answered = message.episode_id, message.decision
        self._notify()

    def _is_over(self, number: int) -> bool:
        """Whether an episode has ended or was cancelled: an update for it came too late, which is nobody's fault."""
        announced, running = self._episode, self._running_episode()
        return announced is not None and number <= announced.number and (running is None or number != running.number)

    def _go_on(self) -> None:
        """Allow motion again after a pause or a stop."""
        if self._controller is not None:
            self._controller.clear_fault()
            self.link.clear()

    def _roll_back(self) -> int | None:
        return None if self._controller is None else self._controller.roll_back()

    def _collect_garbage(self) -> None:
        if not self._running:
            gc.collect()

    # Publishing ------------------------------------------------------------------------------------------------

    def _publish_waiting(self, state: State, due: bool) -> None:
        """Publish a status for a tick that is still waited for."""
        assert self._controller is not None
        waiting = Tick(np.zeros(6), False, state, Reason.NONE, Limit.NONE, self._controller.version)
        self._publish_status(waiting, due, 0.0, 0.0, 0.0)

    def _publish_status(self, tick: Tick, due: bool, compute_s: float, late_s: float, age_s: float) -> None:
        controller = self._controller
        assert controller is not None
        status = self._reports.status
        status.tick, status.adapter_alive = controller.ticks, controller.adapter_alive
        status.episode_id, status.step, status.decision_due = self._episode_id, self._step, due
        status.decision = self._decision
        status.tick_time_s, status.late_s, status.state_age_s = compute_s, late_s, age_s
        status.speed_scale = self._requests.speed_scale
        self._reports.publish_status(tick, self._last_stamp_ns)

    def _publish_model(self) -> None:
        if self._controller is not None and self._base is not None:
            version = self._controller.version
            stamp_ns = 0 if self._published_version is None else self._last_stamp_ns
            self._reports.publish_model(self._controller.model, self._base.model_id, version, stamp_ns)
            self._published_version = version

    def _standing_reason(self) -> Reason:
        """Why the arm is not moved now, whether or not a tick says so."""
        controller, reading, now_s = self._controller, self._reading, time.monotonic()
        if controller is None:
            return Reason.INACTIVE
        hold = self._reason_to_hold(now_s, self._running_episode() is not None)
        if controller.faulted:
            return Reason.NOT_A_NUMBER
        if hold or self._lockstep or reading is None or now_s - reading.arrived_s <= self._limits.state_timeout_s:
            return hold
        return Reason.STALE_STATE

    def _held(self) -> tuple[Reason, str]:
        reason = self._standing_reason()
        return reason, words(reason, self.link)

    def _report(self) -> None:
        """Say how it stands, once a second, whether or not there are ticks: in lock-step there are none at rest."""
        if self._loop is None and not self._adapter_wait.waiting:  # these say so themselves
            reason = self._standing_reason()
            state = state_of(reason, at_rest=True) if reason else State.WAITING
            version = 0 if self._controller is None else self._controller.version
            self._reports.publish_without_tick(reason, state, version, self._last_stamp_ns)
        self._reports.complain(self.link)
        self._reports.diagnose(self.lifecycle_state, self._statistics, self._rate_hz, self.link.driver, self.alive)


def main() -> None:
    """Run the node."""
    run_node(GmmController)


if __name__ == "__main__":
    main()
