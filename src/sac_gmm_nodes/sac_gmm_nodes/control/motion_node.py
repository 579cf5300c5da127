"""What every node that moves the arm is made of: link, loop, deadman, requests, reports and life cycle.

`gmm_controller` and `guard` add what they follow. Once configured, such a node reports what it would do; it moves the
arm only while active. The loop runs in a thread of its own. On the wall clock it keeps absolute deadlines; in lock-step
it ticks once for every new state of a running episode. Callbacks run in the main thread and only swap references.

This file is long because loop and callbacks share those references. Whatever can be separated - the link to the arm,
the deadline loop, requests, resets, reports, what subclasses add - has its own module in this room.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Collection, Sequence

import numpy as np
from sac_gmm_interfaces.msg import EpisodeState

from sac_gmm.control import DRIVER_TIMEOUT_S, Reason, SafetyLimits, State, Tick, state_of
from sac_gmm.control.command_gate import CommandGate, CommandSettings
from sac_gmm.control.twist_guard import TurnLimits
from sac_gmm_nodes.common.lifecycle import ManagedNode
from sac_gmm_nodes.common.qos import EPISODE, stream
from sac_gmm_nodes.control.control_loop import DeadlineLoop, LoopStatistics, claim_processor
from sac_gmm_nodes.control.deadman import Deadman
from sac_gmm_nodes.control.episode import Episode
from sac_gmm_nodes.control.joint_link import JointLink, link_of
from sac_gmm_nodes.control.motion_hooks import Motion, MotionHooks
from sac_gmm_nodes.control.motion_reports import MotionReports
from sac_gmm_nodes.control.motion_requests import MotionRequests
from sac_gmm_nodes.control.reset_motion import ResetMotion
from sac_gmm_nodes.control.robot_link import ArmReading

_SWITCH_INTERVAL_S = 0.0002  # how long a callback may delay the loop's thread
_COLLECT_S = 5.0  # between two garbage collections, while no episode is running
_TELL_S = 0.2  # between two looks at why the arm is held, for the log
_STOP_S = 3.0  # for the arm to come to rest and the zero commands to be sent on deactivation
_STUCK_S = 2.0  # without a tick for this long the loop hangs, and the heartbeat stops


class MotionNode(ManagedNode, MotionHooks[Motion]):
    """Parameters and topics around one `SafeMotion`.

    A subclass declares its own parameters and subscriptions after this constructor, ends its own with `begin`, and
    implements what `MotionHooks` asks for.

    Attributes:
        link: The link to the arm.

    Args:
        name: The node's name.
        without: Fields of `SafetyLimits` that are no parameters of this node.
    """

    states_by_executor = False  # if false, the loop takes them itself, right before it needs them

    def __init__(self, name: str, without: Collection[str] = ()) -> None:
        super().__init__(name)
        self._rate_hz = self.real("rate_hz", 100.0, 30.0, 500.0, "Hz", "rate of the loop; in lock-step, of the states")
        self._lockstep = self.flag("lockstep", False, "tick once per state instead of on the wall clock")
        self.driven_by_events = self._lockstep
        self.states_by_executor = self.states_by_executor or self._lockstep
        reliable = self.flag("reliable_state", self._lockstep, "ask for every state, not only the latest")
        base_frame = self._base_frame = self.text("base_frame", "lbr_link_0", "frame of poses, twists and the target")
        self._deadman = Deadman(self)
        self._priority = self.whole("realtime_priority", 0, 0, 99, "SCHED_FIFO priority of the loop; 0 for none")
        self._cores = self.wholes("cpu_affinity", (), 0, 1023, "cores that the loop may run on; empty for all")
        self._lock_memory = self.flag("lock_memory", False, "keep the process from being swapped out")
        self._limits = self.settings(SafetyLimits, without=without)
        self._turns = self.settings(TurnLimits)
        self._command_settings = self.settings(CommandSettings)

        # What the callbacks pass to the loop. Each is one reference, replaced as a whole.
        self._news = threading.Condition()
        self._reading: ArmReading | None = None
        self._episode: Episode | None = None
        self._moving_allowed = False  # active

        # Owned by the loop while it runs.
        self._motion: Motion | None = None
        self._rehearsal: Motion | None = None
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
        self._last_stamp_ns = 0

        self.link = link_of(self, base_frame, stream(reliable), self._on_reading if self.states_by_executor else None)
        gate = CommandGate(self._command_settings, base_frame, joint_names=self.joint_names)
        self._resets = ResetMotion(self, gate, self._turns, possible=not self._lockstep)
        self._reports = MotionReports(self, base_frame, self.complaint, self._sentence)
        self._requests = MotionRequests(self, self._go_on, self._held)
        self.create_subscription(EpisodeState, "episode_state", self._on_episode, EPISODE)
        self.create_timer(1.0, self._report, clock=self.steady_clock)
        self.create_timer(_TELL_S, self._reports.tell_reasons, clock=self.steady_clock)
        self.create_timer(_COLLECT_S, self._collect_garbage, clock=self.steady_clock)

    def begin(self) -> None:
        """Start by itself if the parameter autostart says so; the end of a subclass's constructor."""
        if self.autostart:
            self.refuse_unknown_parameters()
            self.start_by_itself()

    def complaint(self, reason: Reason) -> str:
        """What is wrong, and what to do about it; empty where what is said of the reason in general is enough."""
        return self.link.complaint(reason)

    def joint_names(self) -> Sequence[str]:
        """The arm's joints in order; empty while, or because, they are unknown."""
        return self.link.joint_names if isinstance(self.link, JointLink) else ()

    @property
    def resetting(self) -> bool:
        """Whether a reset moves the arm."""
        return self._resets.driving

    # Life cycle ------------------------------------------------------------------------------------------------

    def configure(self) -> None:
        """Start the loop, which does not move the arm yet."""
        joints = self.link.prepare(self._limits, 1 / self._rate_hz)
        self._motion = self.make_motion(joints)
        self._resets.prepare(self._limits, 1 / self._rate_hz, joints)
        self._statistics = LoopStatistics()
        self._requests.hold = Reason.NONE
        self._episode_id, self._begun, self._running = 0, None, False
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        gc.disable()  # from now on it runs only between episodes, in the main thread
        gc.collect()
        gc.freeze()
        self._loop_ended = False
        self._ticked_s = time.monotonic()
        if not self._lockstep:
            self._rehearsal = self.make_motion(None)
            self._loop = DeadlineLoop(
                1 / self._rate_hz, self._wall_tick, self._arrival, self._fell_behind, self._rehearse
            )
        self._thread = self.run_thread(self._lockstep_loop if self._loop is None else self._wall_loop)

    def activate(self) -> None:
        """Allow the arm to move."""
        self._clear_faults()
        self._resets.forget()
        self._moving_allowed = True
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
        """Stop the loop and forget what was configured."""
        self._moving_allowed = False
        self._loop_ended = True
        if self._loop is not None:
            self._loop.end()
        self._notify()
        if self._thread is not None:
            self._thread.join(_STOP_S)
        self._loop = self._thread = self._motion = self._rehearsal = None
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

    @property
    def _pace_words(self) -> str:
        """How it ticks, for the log."""
        return "lock-step" if self._lockstep else f"{self._rate_hz:g} Hz"

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
        if self._motion is not None and time.monotonic() - self._ticked_s > DRIVER_TIMEOUT_S:
            self._motion.start_from_rest()
            self._resets.start_from_rest()
        self._reading = self.link.poll()
        self._follow_episode(moving=True)
        self._tick(self._reading, begun_s, late_s)
        self.link.tell()

    def _rehearse(self) -> None:
        """Run the code of a tick, with a copy and a message that move nothing."""
        reading = self.link.poll()
        if self._rehearsal is not None and reading is not None and self.may_rehearse():
            self._rehearsal.clear_fault()
            self._running_episode()
            hold = self._reason_to_hold(time.monotonic(), self._running)
            self.link.rehearse(self.move(self._rehearsal, reading, 0.0, hold).twist)

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
            self.await_decision(reading)
            if reading is self._reading:
                self._tick(reading, time.perf_counter(), late_s=0.0)

    def _state_is_new(self) -> bool:
        """Whether a state of the running episode waits for its tick, with all that the tick needs."""
        episode, reading = self._episode, self._reading
        if not self._moving_allowed or episode is None or reading is None or not episode.running:
            return False
        news = reading.stamp_ns != self._last_stamp_ns  # a restarted simulation begins with earlier stamps
        return news and reading.stamp_ns >= episode.start_ns and self.answerable(reading, episode)

    def _follow_episode(self, moving: bool) -> bool:
        """Process the start or the end of an episode; return whether one has begun."""
        assert self._motion is not None
        running = self._running_episode()
        begins = running is not None and running.key != self._begun
        if running is not None and begins:
            self._begun = running.key
            self._episode_id = running.number
            self._step = 0
            self._motion.reset(moving=moving)
        self._running = running is not None
        return begins

    def _running_episode(self) -> Episode | None:
        """The running episode, as last announced."""
        episode, reading = self._episode, self._reading
        stamp_ns = None if reading is None else reading.stamp_ns
        return episode if episode is not None and episode.runs_at(stamp_ns) else None

    def _reason_to_hold(self, now_s: float, running: bool) -> Reason:
        """Why the arm must not move, apart from what the motion finds in the state itself."""
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
        if (shared := self.shared_reason()) is not Reason.NONE:
            return shared
        if self._resets.contested:
            return Reason.SECOND_SENDER
        return Reason.NONE if self.resetting else self.own_reason(now_s, running)

    def _tick(self, reading: ArmReading | None, begun_s: float, late_s: float) -> None:
        motion = self._motion
        assert motion is not None
        now_s = self._ticked_s = time.monotonic()
        self._resets.look(self._running, motion.at_rest, self.wanted_by)
        hold, age_s = self._reason_to_hold(now_s, self._running), 0.0
        if reading is not None:
            self._last_stamp_ns = reading.stamp_ns
            age_s = now_s - reading.arrived_s
        for mover in (motion, self._resets):
            mover.scale_speed(self._requests.speed_scale)
        if resetting := self.resetting:
            tick = self._resets.move(reading, age_s, hold, self._running)._replace(version=motion.version)
        else:
            tick = self.move(motion, reading, 0.0 if self._lockstep else age_s, hold)
        if tick.publish:
            self.link.send(tick.twist, self._last_stamp_ns)
            self._commanded = True
        self._silent = not tick.publish
        due = not resetting and self.decision_due(tick)
        compute_s = time.perf_counter() - begun_s
        self._statistics.add(late_s, compute_s)
        self._publish_status(tick, due, compute_s, late_s, age_s)
        self.after_tick(tick)
        if tick.state is State.ACTIVE and not resetting:
            self._step += 1

    # Callbacks -------------------------------------------------------------------------------------------------

    def _notify(self) -> None:
        with self._news:
            self._news.notify_all()

    def _on_reading(self, reading: ArmReading) -> None:
        self._reading = reading
        self._notify()

    def _on_episode(self, message: EpisodeState) -> None:
        self._episode = Episode.of(message)
        self._notify()
        if message.phase == EpisodeState.PHASE_RESETTING:
            gc.collect()

    def _go_on(self) -> None:
        """Allow motion again after a pause or a stop."""
        self._clear_faults()

    def _clear_faults(self) -> None:
        if self._motion is not None:
            self._motion.clear_fault()
            self._resets.clear_fault()
        self.link.clear()

    def _collect_garbage(self) -> None:
        if not self._running:
            gc.collect()

    # Publishing ------------------------------------------------------------------------------------------------

    def _publish_status(self, tick: Tick, due: bool, compute_s: float, late_s: float, age_s: float) -> None:
        assert self._motion is not None
        status = self._reports.status
        status.tick = self._motion.ticks + self._resets.ticks
        status.episode_id, status.step, status.decision_due = self._episode_id, self._step, due
        status.tick_time_s, status.late_s, status.state_age_s = compute_s, late_s, age_s
        status.speed_scale = self._requests.speed_scale
        self.fill_status(status)
        self._reports.publish_status(tick, self._last_stamp_ns)

    def _standing_reason(self) -> Reason:
        """Why the arm is not moved now, whether or not a tick says so."""
        motion, reading, now_s = self._motion, self._reading, time.monotonic()
        if motion is None:
            return Reason.INACTIVE
        hold = self._reason_to_hold(now_s, self._running_episode() is not None)
        if motion.faulted:
            return Reason.NOT_A_NUMBER
        if hold or self._lockstep or reading is None or now_s - reading.arrived_s <= self._limits.state_timeout_s:
            return hold
        return Reason.STALE_STATE

    def _sentence(self, reason: Reason) -> str:
        return self._resets.sentence(reason) or self.sentence(reason)

    def _held(self) -> tuple[Reason, str]:
        reason = self._standing_reason()
        return reason, self._reports.words(reason)

    @property
    def _tells_by_itself(self) -> bool:
        """Whether statuses come without `_report`: from a loop on the wall clock."""
        return self._loop is not None

    def _report(self) -> None:
        """Say how it stands, once a second, whether or not there are ticks: in lock-step there are none at rest."""
        if not self._tells_by_itself:
            reason = self._standing_reason()
            state = state_of(reason, at_rest=True) if reason else State.WAITING
            version = 0 if self._motion is None else self._motion.version
            self._reports.publish_without_tick(reason, state, version, self._last_stamp_ns)
        self._reports.complain()
        self._reports.diagnose(
            self.lifecycle_state, self._statistics, self._rate_hz, self.link.driver, self.alive, self.diagnostics()
        )
