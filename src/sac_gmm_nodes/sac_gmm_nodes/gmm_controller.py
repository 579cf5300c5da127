"""Moves the arm along the field of a skill, and takes in new versions of it: `sac_gmm.control` behind topics.

    ros2 run sac_gmm_nodes gmm_controller --ros-args -p model_file:=door.npz

The loop has a thread of its own. On the wall clock it keeps absolute deadlines; in lock-step it ticks once for every
new state of a running episode. Callbacks, in the main thread, only swap references.
"""

from __future__ import annotations

import gc
import sys
import threading
import time

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped, Vector3
from rclpy.duration import Duration
from sac_gmm_interfaces.msg import (
    ControllerStatus,
    EpisodeState,
    MixtureModel,
    MixtureUpdate,
    MixtureUpdateAnswer,
)
from std_srvs.srv import SetBool, Trigger

from sac_gmm.control import (
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
    remedy,
)
from sac_gmm.errors import SacGmmError
from sac_gmm.models import load_model
from sac_gmm_nodes.conversions import (
    header,
    model_message,
    nanoseconds,
    point_array,
    reached,
    stamp_of,
    twist_message,
    update_of,
)
from sac_gmm_nodes.node_helpers import COMMAND, EPISODE, LATCHED, RELIABLE, BaseNode, run_node, stream

_SWITCH_INTERVAL_S = 0.0005  # how long a callback may keep the loop's thread from running
_OVERTIME_NS = 500_000_000  # past its time limit, in which the episode manager should have ended an episode
_REPEAT_S = 1.0  # at which a decision that nobody has taken is announced again


class GmmController(BaseNode):
    """Parameters and topics around one `VelocityController` and one `UpdateGate`."""

    def __init__(self) -> None:
        super().__init__("gmm_controller")
        model_file = self.text("model_file", "", "the skill to run, a file written by `sac-gmm fit`")
        rate_hz = self.real("rate_hz", 100.0, 1.0, 500.0, "Hz", "rate of the loop; in lock-step that of the states")
        self._lockstep = self.flag("lockstep", False, "tick once per state instead of on the wall clock")
        reliable = self.flag("reliable_state", self._lockstep, "ask for every state, not only the latest")
        self._lockstep_timeout_s = self.real(
            "lockstep_timeout_s", 5.0, 0.05, 600.0, "s", "in lock-step, wall time to wait for the adapter's update"
        )
        self._expect_adapter = self.flag(
            "expect_adapter", False, "in lock-step, wait for an update even before the adapter has sent its first"
        )
        self._interval = self.whole("decision_interval", 32, 1, 10_000, "control steps between two decisions")
        self._base_frame = self.text("base_frame", "lbr_link_0", "frame of poses, twists and the target")
        limits = self.settings(SafetyLimits)
        blend = self.settings(BlendSettings)
        bounds = self.settings(UpdateBounds)
        if not model_file:
            raise SacGmmError("parameter model_file is empty: give the file of a skill, written by `sac-gmm fit`")
        self._base = load_model(model_file)
        self._controller = VelocityController(self._base, limits, 1 / rate_hz, blend)
        self._gate = UpdateGate(self._base, limits, bounds)

        self._twist = self.create_publisher(TwistStamped, "command/twist", COMMAND)
        self._model = self.create_publisher(MixtureModel, "model", LATCHED)
        self._status = self.create_publisher(ControllerStatus, "controller_status", RELIABLE)
        self._answers = self.create_publisher(MixtureUpdateAnswer, "model_update_answer", RELIABLE)
        self.create_subscription(PoseStamped, "state/pose", self._on_pose, stream(reliable))
        self.create_subscription(PoseStamped, "target_pose", self._on_target, LATCHED)
        self.create_subscription(EpisodeState, "episode_state", self._on_episode, EPISODE)
        self.create_subscription(MixtureUpdate, "model_update", self._on_update, RELIABLE)
        self.create_service(SetBool, "~/pause", self._on_pause)
        self.create_service(Trigger, "~/stop", self._on_stop)
        self.create_service(Trigger, "~/roll_back", self._on_roll_back)

        # What the callbacks leave for the loop. Each is one reference, replaced as a whole.
        self._news = threading.Condition()
        self._pose: tuple[int, float, np.ndarray] | None = None  # stamp, time of arrival, position
        self._target: tuple[int, np.ndarray] | None = None  # stamp, position
        self._episode: EpisodeState | None = None
        self._hold = Reason.NONE
        self._answered: tuple[int, int] | None = None  # episode and decision of the last update answered

        # What belongs to the loop.
        self._episode_id = 0
        self._running = False
        self._step = 0
        self._published_version: int | None = None
        self._adapter_missed = False
        self._last_stamp_ns = -1

        self.get_logger().info(
            f"{self._base.kind} skill {self._base.model_id} of {self._base.mixture.n_components} components, "
            + ("lock-step" if self._lockstep else f"{rate_hz:g} Hz")
        )
        self._publish_model()
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        gc.collect()
        gc.freeze()  # from here on it runs between episodes only
        self.run_thread(self._lockstep_loop if self._lockstep else self._wall_loop)

    def close(self) -> None:
        """End the loop and leave the arm with a zero command."""
        with self._news:
            self._news.notify_all()
        self.join_threads()
        stamp = stamp_of(max(self._last_stamp_ns, 0))
        self._twist.publish(twist_message(np.zeros(6), header(stamp, self._base_frame)))
        self._twist.wait_for_all_acked(Duration(seconds=1))  # else it may be gone before it has been read

    # The loop --------------------------------------------------------------------------------------------------

    def _wall_loop(self) -> None:
        """Tick at absolute deadlines: a late tick does not make the next one late."""
        period_s = self._controller.pipeline.dt_s
        deadline_s = time.monotonic()
        while not self.stopping.is_set():
            self._follow_episode(moving=True)
            pose = self._pose
            age_s = 0.0 if pose is None else time.monotonic() - pose[1]
            self._tick(age_s)
            deadline_s += period_s
            delay_s = deadline_s - time.monotonic()
            if delay_s > 0:
                time.sleep(delay_s)
            elif delay_s < -10 * period_s:
                self.get_logger().warning(
                    f"the loop is {-delay_s * 1e3:.0f} ms late: lower rate_hz or free the processor",
                    throttle_duration_sec=5.0,
                )
                deadline_s = time.monotonic()

    def _lockstep_loop(self) -> None:
        """Tick once for every new state of a running episode."""
        while not self.stopping.is_set():
            with self._news:
                self._news.wait_for(lambda: self.stopping.is_set() or self._state_is_new())
            if self.stopping.is_set():
                return
            self._follow_episode(moving=False)
            if self._step % self._interval == 0:
                self._wait_for_adapter()
            self._tick(age_s=0.0)

    def _state_is_new(self) -> bool:
        """Whether a state of the running episode waits for its tick, with a target that belongs to that episode."""
        episode, pose, target = self._episode, self._pose, self._target
        if episode is None or episode.phase != EpisodeState.PHASE_RUNNING or pose is None or target is None:
            return False
        start_ns = nanoseconds(episode.start_stamp)
        return pose[0] > self._last_stamp_ns and pose[0] >= start_ns and target[0] >= start_ns

    def _follow_episode(self, moving: bool) -> None:
        """Take in the start or the end of an episode."""
        running = self._running_episode()
        if running is not None and running != self._episode_id:
            gc.disable()
            self._episode_id = running
            self._step = 0
            self._adapter_missed = False
            self._controller.reset(moving=moving)
        elif self._running and running is None:
            gc.enable()
        self._running = running is not None

    def _running_episode(self) -> int | None:
        """The number of the episode that is running, as last heard; one whose manager is gone ends all the same."""
        episode, pose = self._episode, self._pose
        if episode is None or episode.phase != EpisodeState.PHASE_RUNNING:
            return None
        if pose is not None and reached(pose[0], _end_ns(episode) + _OVERTIME_NS):
            return None
        return episode.episode_id

    def _tick(self, age_s: float) -> None:
        begun_s = time.perf_counter()
        pose, target, hold = self._pose, self._target, self._hold
        if pose is None:
            hold = Reason.NO_STATE
        elif target is None:
            hold = Reason.NO_TARGET
        elif not self._running and hold is Reason.NONE:
            hold = Reason.NO_EPISODE
        state = None if pose is None or target is None else ArmState(pose[2], target[1], age_s)
        tick = self._controller.tick(state, hold)
        stamp_ns = self._last_stamp_ns = pose[0] if pose is not None else 0
        if tick.publish:
            self._twist.publish(twist_message(tick.twist, header(stamp_of(stamp_ns), self._base_frame)))
        due = not self._lockstep and tick.state is State.ACTIVE and self._step % self._interval == 0
        self._publish_status(tick, due, time.perf_counter() - begun_s)
        if tick.version != self._published_version:
            self._publish_model()
        if tick.state is State.ACTIVE:
            self._step += 1

    def _wait_for_adapter(self) -> None:
        """In lock-step: say that a decision is due and hold the tick until the adapter's update has been answered."""
        pose, episode = self._pose, self._episode
        if pose is None or episode is None or self._hold is not Reason.NONE:
            return
        if reached(pose[0], _end_ns(episode)):
            return  # nothing can follow the last state
        decision = (self._episode_id, self._step // self._interval)
        self._last_stamp_ns = pose[0]
        waiting = Tick(np.zeros(6), False, State.ACTIVE, Reason.NONE, Limit.NONE, self._controller.version)
        expected = not self._adapter_missed and (self._expect_adapter or self._controller.adapter_alive)
        end_s = time.monotonic() + (self._lockstep_timeout_s if expected else 0.0)

        def settled() -> bool:
            return self._answered == decision or self._running_episode() != decision[0] or self.stopping.is_set()

        while not settled():
            # Said again from time to time: an adapter that was only just found by the middleware has missed it.
            self._publish_status(waiting, True, 0.0)
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                break
            with self._news:
                self._news.wait_for(settled, min(left_s, _REPEAT_S))
        if expected and not settled():
            self._adapter_missed = True
            self.get_logger().warning(
                f"no update for decision {decision[1]} of episode {decision[0]} within {self._lockstep_timeout_s:g} s: "
                f"going on with version {self._controller.version}"
            )

    # Callbacks -------------------------------------------------------------------------------------------------

    def _on_pose(self, message: PoseStamped) -> None:
        position = message.pose.position
        arrived = (nanoseconds(message.header.stamp), time.monotonic(), point_array(position))
        if self._lockstep:
            with self._news:
                self._pose = arrived
                self._news.notify_all()
        else:
            self._pose = arrived

    def _on_target(self, message: PoseStamped) -> None:
        with self._news:
            self._target = nanoseconds(message.header.stamp), point_array(message.pose.position)
            self._news.notify_all()

    def _on_episode(self, message: EpisodeState) -> None:
        with self._news:
            self._episode = message
            self._news.notify_all()

    def _on_update(self, message: MixtureUpdate) -> None:
        target = self._target
        verdict = self._gate.judge(
            update_of(message),
            self._controller.version,
            None if target is None else target[1],
            self._running_episode(),
        )
        tick = self._controller.ticks
        if verdict.accepted and verdict.model is not None:
            tick = self._controller.swap(verdict.model, message.new_version)
        else:
            self.get_logger().warning(
                f"update {message.new_version} refused ({verdict.answer.name}): {verdict.text}",
                throttle_duration_sec=1.0,
            )
        self._answers.publish(
            MixtureUpdateAnswer(
                header=message.header,
                model_id=message.model_id,
                base_version=message.base_version,
                new_version=message.new_version,
                episode_id=message.episode_id,
                decision=message.decision,
                accepted=verdict.accepted,
                reason=int(verdict.answer),
                text=verdict.text,
                tick=tick,
            )
        )
        with self._news:
            self._answered = message.episode_id, message.decision
            self._news.notify_all()

    def _on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._hold = Reason.PAUSED if request.data else Reason.NONE
        if not request.data:
            self._controller.clear_fault()
        response.success = True
        response.message = "paused" if request.data else "going on"
        return response

    def _on_stop(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._hold = Reason.STOPPED
        response.success = True
        response.message = remedy(Reason.STOPPED, Limit.NONE)
        return response

    def _on_roll_back(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = True
        response.message = f"back to version {self._controller.roll_back()}"
        return response

    # Publishing ------------------------------------------------------------------------------------------------

    def _publish_status(self, tick: Tick, due: bool, tick_time_s: float) -> None:
        vx, vy, vz = tick.twist[:3].tolist()
        self._status.publish(
            ControllerStatus(
                header=header(stamp_of(max(self._last_stamp_ns, 0)), self._base_frame),
                state=int(tick.state),
                reason=int(tick.reason),
                limit=int(tick.limit),
                remedy=remedy(tick.reason, tick.limit),
                model_id=self._base.model_id,
                version=tick.version,
                tick=self._controller.ticks,
                episode_id=self._episode_id,
                step=self._step,
                decision=self._step // self._interval,
                decision_due=due,
                adapter_alive=self._controller.adapter_alive,
                tick_time_s=tick_time_s,
                velocity=Vector3(x=vx, y=vy, z=vz),
            )
        )

    def _publish_model(self) -> None:
        version = self._controller.version
        stamp = stamp_of(max(self._last_stamp_ns, 0)) if self._published_version is not None else stamp_of(0)
        self._model.publish(
            model_message(self._controller.model, self._base.model_id, version, header(stamp, self._base_frame))
        )
        self._published_version = version


def _end_ns(episode: EpisodeState) -> int:
    return nanoseconds(episode.start_stamp) + round(episode.time_limit_s * 1e9)


def main() -> None:
    """Run the node."""
    run_node(GmmController)


if __name__ == "__main__":
    main()
