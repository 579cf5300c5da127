"""The simulated robot: a PyBullet task behind the topics of a real arm.

    ros2 run sac_gmm_nodes pybullet_bridge --ros-args -p task:=door -p lockstep:=true

In real time, physics runs on the wall clock. In lock-step it runs only during an episode, and each control period
waits, for a bounded time, for the answers to the last state: the command, and the reward if a picture was sent. There
is then one picture per decision of the agent, at the pace that the adapter announces (`method_pace`). In both modes,
the arm stops after `command_timeout_s` of simulated time without a command, as the robot's driver does.

It also plays the driver of a KUKA LBR iiwa, with its FRI session and, via `~/set_fault`, its faults. With
`driver: only` it offers that driver's topics instead of its own, to rehearse what will run on the robot. Only then it
publishes TF: beside the plain topics that is robot_state_publisher's, and a frame must have one source.

With `serve_reset: false` it is reset as a robot is: `home_reset` moves the arm, and only what goes back by itself, like
a door with a closer, does. The target is then detected anew as each episode begins.

It ends where another robot publishes the same states, or where two nodes command it when it starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from gymnasium.spaces import Box
from rclpy.executors import Executor
from rosgraph_msgs.msg import Clock
from sac_gmm_interfaces.msg import EpisodeState, Reward
from sac_gmm_interfaces.srv import ResetTask, SetFault
from scipy.spatial.transform import Rotation
from std_msgs.msg import Bool, Header

from sac_gmm.control.lbr_state import SessionState
from sac_gmm.core.errors import UserError
from sac_gmm.tasks import TASKS, make_task
from sac_gmm.tasks.arms.description import JOINT_LIMITS_RAD
from sac_gmm_nodes.common.conversions import (
    STAMP_TOLERANCE_NS,
    header,
    nanoseconds,
    pays,
    pose_message,
    reached,
    stamp_of,
    twist_array,
)
from sac_gmm_nodes.common.episode_times import EpisodeTimes
from sac_gmm_nodes.common.node import BaseNode, run_node
from sac_gmm_nodes.common.pace import PaceListener, decision_steps
from sac_gmm_nodes.common.qos import COMMAND, EPISODE, LATCHED, RELIABLE, SENSOR, stream
from sac_gmm_nodes.simulation.plain_topics import PlainTopics
from sac_gmm_nodes.simulation.scene_markers import SceneMarkers
from sac_gmm_nodes.simulation.sensor_topics import SensorTopics
from sac_gmm_nodes.simulation.simulated_lbr import COMMANDS, FAULTS, STATE, DriverTopics, FriSession
from sac_gmm_nodes.simulation.sole_robot import SoleRobot

_IDLE_PERIOD_S = 0.1  # period at which the state is repeated while physics is on hold
_ABSENT_S = 10.0  # wall time to wait in lock-step for an answer from an absent node
_REPEAT_S = 1.0  # period at which an unanswered state is sent again
_NO_TURN = np.array([0.0, 0.0, 0.0, 1.0])


class PybulletBridge(BaseNode):
    """Runs the physics in its main thread, between the callbacks, so that nothing needs a lock."""

    def __init__(self) -> None:
        super().__init__("pybullet_bridge")
        task = self.text("task", "door", "the scene to simulate", tuple(TASKS))
        rate_hz = self.real("control_rate_hz", 30.0, 1.0, 240.0, "Hz", "rate of states and commands")
        self._base_frame = self.text("base_frame", "lbr_link_0", "frame of poses, twists and the target")
        self._lockstep = self.flag("lockstep", False, "advance only when the last state has been answered")
        self.driven_by_events = self._lockstep
        reliable = self.flag("reliable_state", self._lockstep, "send every state and picture, not only the latest")
        self._lockstep_timeout_s = self.real(
            "lockstep_timeout_s", 10.0, 0.1, 600.0, "s", "wall time to wait for an answer in lock-step"
        )
        self._wait_for_reward = self.flag("wait_for_reward", True, "in lock-step, wait for the reward of each reading")
        timeout_s = self.real("command_timeout_s", 0.2, 0.02, 5.0, "s", "simulated time after which a command is void")
        self._command_timeout_ns = round(timeout_s * 1e9)
        choices = ("off", "also", "only")
        driver = self.text("driver", "off" if self._lockstep else "also", "the topics of an LBR's driver", choices)
        in_tip_frame = self.flag("twist_in_tip_frame", False, "take the driver's twists in the axes of the tip")
        self._driver_gain = self.real(
            "driver_gain", 1.0, 0.1, 2.0, "", "factor on the driver's twists: a real driver moves slower than commanded"
        )
        self._resets = self.flag(
            "serve_reset", True, "offer reset_task; false: home_reset brings the arm back, and the scene is left alone"
        )
        if self._lockstep and not self._resets:
            raise UserError("parameter serve_reset is false: in lock-step nothing moves between episodes: set it")
        seed = self.whole("seed", 0, 0, 2**31 - 1, "seed of the scene before the first reset")
        self._times = EpisodeTimes(self)

        self._task = make_task(task, control_rate_hz=rate_hz)
        self._rate_hz, self._period_ns = rate_hz, 1e9 / rate_hz
        limits = self._task.action_space
        assert isinstance(limits, Box)
        self._limits = limits

        states = [topic for topic, said in (("state/pose", driver != "only"), (STATE, driver != "off")) if said]
        SoleRobot(self, states, ("command/twist", *(COMMANDS if driver != "off" else ())))

        self._sim_clock = self.create_publisher(Clock, "/clock", SENSOR)
        self._plain = PlainTopics(self, self._task.arm, stream(reliable)) if driver != "only" else None
        self._target = self.create_publisher(PoseStamped, "target_pose", LATCHED)
        self._sensors = SensorTopics(self, self._task, stream(reliable))
        self._driver: DriverTopics | None = None
        if driver != "off":
            arm, client = self._task.arm, self._task.client
            self._driver = DriverTopics(
                self, arm, client, in_tip_frame, driver == "only", self._on_driver_twist, self._on_driver_joints
            )
            self.create_service(SetFault, "~/set_fault", self._on_set_fault)
        # The truth is published under the bridge's own name: for checking the reward and for display, never for
        # learning or deciding. The fixed camera's pose reveals it too, because the camera is placed relative to the
        # door.
        self._success = self.create_publisher(Bool, "~/task_success", LATCHED)
        self._true_target = self.create_publisher(PoseStamped, "~/true_target_pose", LATCHED)
        if "fixed" in self._task.cameras:
            self._camera_pose = self.create_publisher(PoseStamped, "~/fixed_camera_pose", LATCHED)
        self._objects = SceneMarkers(self, self._task)
        self.create_subscription(TwistStamped, "command/twist", self._on_command, COMMAND)
        self.create_subscription(Reward, "reward", self._on_reward, RELIABLE)
        self._pace = PaceListener(self, self._on_pace)
        self.create_subscription(EpisodeState, "episode_state", self._on_episode, EPISODE)
        if self._resets:
            self.create_service(ResetTask, "reset_task", self._on_reset)

        self._periods_run = 0  # simulated time in control periods: an integer, so that it does not drift
        self._now_ns = self._start_ns = 0  # simulated time, and the time of the episode's first state
        self._step = 0  # control periods since then
        self._command = np.zeros(6)
        self._joint_command: np.ndarray | None = None  # used instead if a client of the driver sends positions
        self._session = FriSession(SessionState.COMMANDING_ACTIVE if self._lockstep else SessionState.IDLE)
        self._commanded_ns = 0  # simulated time at which it arrived
        self._answered_ns = self._rewarded_ns = -1  # the states answered by the last command and the last reward
        self._succeeded = False  # according to the reward
        self._episode_id = 0
        self._was_success = False  # according to the truth
        self._patience_s = self._lockstep_timeout_s
        self._deadline_s = time.monotonic()
        self._end_ns: int | None = None  # of the running episode; None if none is running
        self._held = False  # the episode has ended here; physics waits for the episode manager
        self._reset(seed, -1.0)
        self.get_logger().info(f"task '{task}', {rate_hz:g} Hz, {'lock-step' if self._lockstep else 'real time'}")

    def spin(self, executor: Executor) -> None:
        """Alternate physics and callbacks until asked to stop."""
        while not self.stopping.is_set():
            if not self._lockstep:
                self._real_time(executor)
            elif self._end_ns is None or self._held:
                self._publish_state()
                self._wait(executor, _IDLE_PERIOD_S, lambda: self._end_ns is not None and not self._held)
            else:
                self._lockstep_step(executor)

    def close(self) -> None:
        """Disconnect from the physics engine."""
        self._task.close()

    # Time ------------------------------------------------------------------------------------------------------

    def _lockstep_step(self, executor: Executor) -> None:
        """Send the state, wait for its answers, advance by one control period."""
        assert self._end_ns is not None
        now_ns, at_end = self._now_ns, reached(self._now_ns, self._end_ns)
        waits_for_reward = self._wait_for_reward and self._sensors.is_judged(self._step, at_end)

        def answered() -> bool:
            commanded = at_end or self._answered_ns >= now_ns
            return commanded and (not waits_for_reward or self._rewarded_ns >= now_ns)

        def over() -> bool:
            return self._end_ns is None or now_ns != self._now_ns  # ended, or the scene was reset

        def patience_s() -> float:
            """A node that is present may take its time: the controller waits for an agent that may be learning."""
            wanted = ("command/twist", "reward") if waits_for_reward else ("command/twist",)
            there = all(self.count_publishers(topic) for topic in wanted)
            return self._patience_s if there else min(self._patience_s, _ABSENT_S)

        awaited = "rewards" if waits_for_reward else "decisions" if self._sensors.is_decided(self._step) else "commands"
        begun_s, waited_s = time.monotonic(), 0.0
        settled = False
        while not (settled or self.stopping.is_set()) and (waited_s == 0.0 or waited_s < patience_s()):
            # Repeated from time to time: a listener that was only just discovered has missed it.
            with self._times.spent_on("states"):
                self._publish_state()
            with self._times.spent_on("pictures"):
                self._publish_pictures(at_end)
            with self._times.spent_on(awaited):
                settled = self._wait(executor, min(self._patience_s, _REPEAT_S), lambda: answered() or over())
            waited_s = time.monotonic() - begun_s
        if over() or self.stopping.is_set():
            return
        if answered():
            self._patience_s = self._lockstep_timeout_s
        else:
            missing = "reward" if at_end or self._answered_ns >= now_ns else "command/twist"
            self.get_logger().warning(
                f"no {missing} for the state at {now_ns / 1e9:.3f} s within {waited_s:.1f} s: continuing without",
                throttle_duration_sec=1.0,
            )
            self._patience_s = self._period_ns / 1e9  # do not wait as long again for a node that is gone
        if at_end or self._succeeded:
            self._held = True
        else:
            with self._times.spent_on("physics"):
                self._advance()

    def _real_time(self, executor: Executor) -> None:
        """Run one control period on the wall clock."""
        self._deadline_s = max(self._deadline_s + self._period_ns / 1e9, time.monotonic() - self._period_ns / 1e9)
        self._publish_state()
        self._publish_pictures()
        now_ns = self._now_ns
        while (left_s := self._deadline_s - time.monotonic()) > 0 and not self.stopping.is_set():
            executor.spin_once(timeout_sec=left_s)
        if now_ns == self._now_ns:
            self._advance()

    def _wait(self, executor: Executor, timeout_s: float, done: Callable[[], bool]) -> bool:
        """Run callbacks until `done()` or for `timeout_s`; return whether it is done."""
        end_s = time.monotonic() + timeout_s
        while not done():
            left_s = end_s - time.monotonic()
            if left_s <= 0 or self.stopping.is_set():
                return False
            executor.spin_once(timeout_sec=min(left_s, _IDLE_PERIOD_S))
        return True

    def _pass_time(self) -> None:
        self._periods_run += 1
        self._now_ns = round(self._periods_run * self._period_ns)

    def _advance(self) -> None:
        if self._now_ns + self._period_ns - self._commanded_ns > self._command_timeout_ns + STAMP_TOLERANCE_NS:
            self._stop_arm()
        if self._joint_command is not None:
            twist = self._task.arm.twist_to_joints(self._joint_command, self._period_ns / 1e9)
            self._command = np.clip(twist, self._limits.low, self._limits.high)
        if not self._session.commanding:
            self._stop_arm()
        self._task.advance(self._command)
        self._observation = self._task.observe()
        self._pass_time()
        self._step += 1
        success = self._task.truth()["success"] > 0.5
        if success != self._was_success:
            self._was_success = success
            self._success.publish(Bool(data=success))

    def _stop_arm(self) -> None:
        self._command[:] = 0.0
        self._joint_command = None

    # Callbacks -------------------------------------------------------------------------------------------------

    def _on_command(self, message: TwistStamped) -> None:
        if self._is_command(twist := twist_array(message)):
            self._command = np.clip(twist, self._limits.low, self._limits.high)
            self._joint_command = None
            self._answered_ns = nanoseconds(message.header.stamp)

    def _on_driver_twist(self, twist: np.ndarray) -> None:
        if self._is_command(twist):
            self._command = np.clip(self._driver_gain * twist, self._limits.low, self._limits.high)
            self._joint_command = None
            self._answered_ns = self._now_ns  # it has no stamp: it answers the last state sent

    def _on_driver_joints(self, joints: np.ndarray) -> None:
        if joints.shape == (7,) and self._is_command(joints):
            self._joint_command = np.clip(joints, -JOINT_LIMITS_RAD, JOINT_LIMITS_RAD)
            self._answered_ns = self._now_ns

    def _is_command(self, numbers: np.ndarray) -> bool:
        if not np.isfinite(numbers).all():
            self.get_logger().error("a command that is not a number was ignored", throttle_duration_sec=1.0)
            return False
        self._commanded_ns = self._now_ns
        return True

    def _on_set_fault(self, request: SetFault.Request, response: SetFault.Response) -> SetFault.Response:
        response.success = request.fault in FAULTS
        if response.success:
            self._session.fault = request.fault
        response.message = (
            "" if response.success else f"there is no fault '{request.fault}': one of {', '.join(FAULTS)}"
        )
        return response

    def _on_reward(self, message: Reward) -> None:
        self._rewarded_ns = nanoseconds(message.header.stamp)
        self._succeeded = pays(message, self._episode_id, self._start_ns)

    def _on_pace(self) -> None:
        if self._sensors.interval is None:  # a change of pace waits for the next episode
            self._take_pace()

    def _take_pace(self) -> None:
        if self._lockstep and self._pace.latest is not None:
            self._sensors.interval = decision_steps(self._pace.latest, self._rate_hz)
            self._sensors.looks_once = self._pace.latest.looks_once

    def _on_episode(self, message: EpisodeState) -> None:
        if message.phase != EpisodeState.PHASE_RUNNING:
            self._end_ns = None
            if self._resets:
                self._stop_arm()
            if message.phase == EpisodeState.PHASE_ENDED:
                self._times.end()
            return
        start_ns = nanoseconds(message.start_stamp)
        if not self._resets:
            self._start_ns = start_ns
            self._task.detect_target(np.random.default_rng(message.seed % 2**63))
            self._publish_target()
        elif start_ns != self._start_ns:
            self.get_logger().error(
                f"an episode starts at {start_ns / 1e9:.3f} s, but that is not where the task was reset"
            )
        self._pace.catch_up()
        self._take_pace()
        if self._resets and self._now_ns < self._start_ns:
            self._pass_time()
        self._episode_id = message.episode_id
        self._times.begin(message.episode_id)
        self._end_ns = start_ns + round(message.time_limit_s * 1e9)
        self._held = False
        self._patience_s = self._lockstep_timeout_s

    def _on_reset(self, request: ResetTask.Request, response: ResetTask.Response) -> ResetTask.Response:
        try:
            self._reset(request.seed, request.target_noise_std_m, request.context)
        except (UserError, ValueError) as error:
            response.message = str(error)
            return response
        response.success = True
        response.context = self._task.context.tolist()
        response.stamp = stamp_of(self._start_ns)
        return response

    def _reset(self, seed: int, noise_std_m: float, context: Sequence[float] = ()) -> None:
        """Reset the scene; simulated time continues, so that no stamp is used twice."""
        options: dict[str, object] = {"target_noise_std_m": noise_std_m} if noise_std_m >= 0 else {}
        if len(context):
            options["context"] = np.asarray(context)
        self._observation, _ = self._task.reset(seed=seed, options=options)
        self._pass_time()
        # In lock-step the episode's first state comes one period later, when the episode runs: an answer to an earlier
        # state, such as the zero of a controller at rest, must not count as the answer to it.
        self._start_ns = round((self._periods_run + self._lockstep) * self._period_ns)
        self._step = 0
        self._stop_arm()
        self._answered_ns = self._rewarded_ns = -1
        self._succeeded = self._was_success = False
        self._publish_target()
        self._success.publish(Bool(data=False))
        self._publish_truth()
        self._publish_state()

    # Publishing ------------------------------------------------------------------------------------------------

    def _header(self, frame_id: str | None = None) -> Header:
        return header(stamp_of(self._now_ns), self._base_frame if frame_id is None else frame_id)

    def _publish_state(self) -> None:
        head = self._header()
        self._sim_clock.publish(Clock(clock=head.stamp))
        if self._plain is not None:
            self._plain.publish(self._observation, head)
        self._objects.publish(head)
        self._session.step(self._now_ns)
        if self._driver is not None:
            period_s = self._period_ns / 1e9
            self._driver.publish(self._session, self._joint_command, self._observation["wrench"], head, period_s)

    def _publish_target(self) -> None:
        """Publish where the target is detected, as of the start of the episode."""
        detected = header(stamp_of(self._start_ns), self._base_frame)
        self._target.publish(pose_message(self._task.target_m, _NO_TURN, detected))

    def _publish_truth(self) -> None:
        head = self._header()
        self._true_target.publish(pose_message(self._task.true_target_m, _NO_TURN, head))
        if "fixed" in self._task.cameras:
            position, rotation = self._task.cameras["fixed"].pose
            self._camera_pose.publish(pose_message(position, Rotation.from_matrix(rotation).as_quat(), head))

    def _publish_pictures(self, everything: bool = False) -> None:
        due = self._sensors.due(self._step, everything)
        self._sensors.publish(due, self._header(), self._now_ns, first=self._step == 0)


def main() -> None:
    """Run the node."""
    run_node(PybulletBridge)


if __name__ == "__main__":
    main()
