"""Brings the arm to the start of an episode, and asks a person to put the task back where it does not go by itself.

    ros2 run sac_gmm_nodes home_reset --ros-args -p home_file:=home.json
    ros2 run sac_gmm_nodes home_reset --ros-args -p demonstrations:=runs/mine -p ask:="close the door"
    ros2 topic pub --once /reset_done std_msgs/msg/Empty

It serves `reset_task`. The start is what `sac-gmm robot teach-home` has stored, or the mean start of demonstrations;
`start_box_m` varies it by the seed. The arm first goes back the way that it came (`retreat_m`), out of contact, then
straight to its start. The whole way is checked before it moves, against the workspace box and the joint limits of the
node that moves the arm. That node (`gmm_controller` or `guard`) is asked on `reset/desired_twist`, which it follows
between episodes alone and within all its limits; the driver's controller is not switched. Then `ask` is said, and
`reset_done` waited for. The answer says how it went, or why it failed and what to do; so do the log, `reset_status`
and /diagnostics meanwhile.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped, WrenchStamped
from rclpy.callback_groups import ReentrantCallbackGroup
from sac_gmm_interfaces.msg import EpisodeState
from sac_gmm_interfaces.srv import ResetTask
from sensor_msgs.msg import JointState
from std_msgs.msg import Empty, String

from sac_gmm.control import SafetyLimits
from sac_gmm.control.home import Home, load_home
from sac_gmm.control.joint_limits import JointGuard
from sac_gmm.control.reset_job import ResetJob, ResetSettings, Seen
from sac_gmm.control.reset_way import (
    Leg,
    StartSettings,
    TipPose,
    Trail,
    check_box,
    check_joints,
    joint_leg,
    straight_leg,
)
from sac_gmm.control.way_follower import WaySettings
from sac_gmm.core.errors import UserError
from sac_gmm.demos import find_bags, read_demonstration
from sac_gmm.demos.starts import mean_start
from sac_gmm_nodes.common.conversions import frame_objection, header, point_array, twist_message, wrench_array
from sac_gmm_nodes.common.node import BaseNode, Turn, run_node
from sac_gmm_nodes.common.qos import COMMAND, EPISODE, LATCHED, RELIABLE, SENSOR
from sac_gmm_nodes.control.command_input import BETWEEN_EPISODES
from sac_gmm_nodes.control.episode import Episode
from sac_gmm_nodes.robot.arm_mover import ArmMover, joint_topics, until

_JOINTS_S = 1.0  # joint positions older than this are not those of the arm now
_DRIFT_RAD = 0.1  # joints further than this from the taught ones are worth a sentence
_LEVELS = {True: DiagnosticStatus.WARN, False: DiagnosticStatus.OK}


class HomeReset(BaseNode):
    """One reset at a time: a coroutine that plans it, and a timer that ticks its `ResetJob`."""

    def __init__(self) -> None:
        super().__init__("home_reset")
        self._base_frame = self.text("base_frame", "lbr_link_0", "frame of poses and twists")
        self._home_file = self.text("home_file", "", "the start pose, from `sac-gmm robot teach-home`")
        demonstrations = self.text("demonstrations", "", "without home_file: a bag or a folder of bags, to begin like")
        self._path = self.text(
            "path", "straight", "the way to the start; joints: all joints in proportion", ("straight", "joints")
        )
        self._start = self.settings(StartSettings)
        self._way = self.settings(WaySettings)
        self._settings = self.settings(ResetSettings)
        self._ask = self.text("ask", "", "what a person must do after the way; empty: the task goes back by itself")
        robot_name = self.text("robot_name", "lbr", "namespace of the arm's driver; empty for none")
        self._rate_hz = self.real("rate_hz", 50.0, 10.0, 250.0, "Hz", "rate of what the arm is asked for")
        self._mean_start = None if self._home_file else self._read_demonstrations(demonstrations)

        self._job: ResetJob | None = None
        self._busy = False  # with a call, from its first moment on
        self._trail = Trail()
        self._pose: TipPose | None = None
        self._pose_s = self._wrench_s = -float("inf")
        self._joints: dict[str, tuple[float, float]] = {}  # by name: position, rad, and when it came
        self._force_n = 0.0
        self._episode: Episode | None = None
        self._phase = EpisodeState.PHASE_IDLE
        self._began_phase = EpisodeState.PHASE_IDLE  # at the beginning of the reset
        self._confirmed = False
        self._said, self._failed = "", False

        calls = ReentrantCallbackGroup()  # a waiting call must not keep the rest from being heard
        self._mover = ArmMover(self, robot_name, calls)
        self._twists = self.create_publisher(TwistStamped, BETWEEN_EPISODES.twist, COMMAND)
        self._statuses = self.create_publisher(String, "reset_status", LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", RELIABLE)
        self.create_subscription(PoseStamped, "state/pose", self._on_pose, SENSOR)
        for topic in joint_topics(robot_name):
            self.create_subscription(JointState, topic, self._on_joints, SENSOR)
        self.create_subscription(WrenchStamped, "wrench", self._on_wrench, SENSOR)
        self.create_subscription(EpisodeState, "episode_state", self._on_episode, EPISODE)
        self.create_subscription(Empty, "reset_done", self._on_done, RELIABLE)
        self.create_timer(1 / self._rate_hz, self._tick, clock=self.steady_clock)
        self.create_timer(1.0, self._report, clock=self.steady_clock)
        self.create_service(ResetTask, "reset_task", self._on_reset, callback_group=calls)

    def close(self) -> None:
        """Leave the arm at rest."""
        if self._job is not None:
            self._send(np.zeros(6))

    def _read_demonstrations(self, path: str) -> Home:
        if not path:
            raise UserError(
                "parameter home_file is empty: give the file that `sac-gmm robot teach-home` writes, or "
                "demonstrations, to begin where they do"
            )
        frame, position, spread_m = mean_start([read_demonstration(bag) for bag in find_bags([Path(path)])])
        self.get_logger().info(f"the demonstrations begin within {1e3 * spread_m:.0f} mm of their mean start")
        return Home(frame, position)

    # A reset ---------------------------------------------------------------------------------------------------

    async def _on_reset(self, request: ResetTask.Request, response: ResetTask.Response) -> ResetTask.Response:
        if self._busy:
            response.message = "another reset is under way: wait for its end"
            return response
        self._busy, self._failed, self._began_phase = True, False, self._phase
        self._say("the reset begins")
        try:
            response.message = await self._reset(request.seed)
            response.success = True
            response.context, response.stamp = request.context, self.get_clock().now().to_msg()
            self.get_logger().info(response.message)
        except UserError as error:
            self._failed, response.message = True, str(error)
            self.get_logger().error(f"reset failed: {error}")
        finally:
            self._job, self._busy = None, False
        self._say(response.message if self._failed else "")
        return response

    async def _reset(self, seed: int) -> str:
        """Bring the arm to the start for a seed; say how it went.

        Raises:
            UserError: It cannot be brought there, or the task was not put back.
        """
        if self._episode is not None and self._episode.runs_at(self.get_clock().now().nanoseconds):
            raise UserError("an episode is running: the arm is reset after its end")
        home = self._home()
        limits, guard = await self._mover.limits(self._base_frame)
        if not await until(lambda: self._twists.get_subscription_count() > 0):
            raise UserError(
                f"nobody follows {self.resolve_topic_name(BETWEEN_EPISODES.twist)}: what moves the arm must run on the "
                "wall clock (lockstep: false)"
            )
        if guard is not None:  # making it has taken a moment, in which nothing was heard
            await until(lambda: self._fresh_joints(guard) is not None)
        start_m = self._start.start(home.position_m, seed)

        def plan(pose: TipPose, retreat: bool) -> Sequence[Leg]:
            return self._plan(pose, retreat, home, start_m, limits, guard)

        job = self._job = ResetJob(plan, self._settings, self._way, 1 / self._rate_hz, self._ask)
        while not job.over:
            if self.stopping.is_set():
                raise UserError("home_reset was ended")
            await Turn()
        if job.failure:
            raise UserError(job.failure)
        self._trail.clear()
        return job.message + self._drift(home)

    def _home(self) -> Home:
        """The start pose as it is now: it may be taught anew at any time."""
        home = self._mean_start or load_home(Path(self._home_file).expanduser())
        if home.base_frame != self._base_frame:
            raise UserError(
                f"the start pose is given in '{home.base_frame}', not in '{self._base_frame}': teach it again, or set "
                "base_frame"
            )
        return home

    def _plan(
        self,
        pose: TipPose,
        retreat: bool,
        home: Home,
        start_m: np.ndarray,
        limits: SafetyLimits,
        guard: JointGuard | None,
    ) -> Sequence[Leg]:
        """The way from where the tip is; checked.

        Raises:
            UserError: There is none that the arm may go.
        """
        back = self._trail.leg(pose, self._start.retreat_m) if retreat and self._start.retreat_m else None
        legs = [] if back is None else [back]
        start = TipPose(start_m, pose.xyzw if home.quaternion_xyzw is None else home.quaternion_xyzw)
        joints = None if guard is None else self._joints_of(guard)
        if self._path == "joints":
            legs.append(self._joint_leg(home, guard, joints, legs))
        legs.append(straight_leg(legs[-1].end if legs else pose, start))
        check_box(legs, limits)
        if guard is not None and joints is not None:
            check_joints(legs, guard, joints)
        return legs

    def _joint_leg(self, home: Home, guard: JointGuard | None, joints: np.ndarray | None, legs: Sequence[Leg]) -> Leg:
        if guard is None or joints is None:
            raise UserError("path is joints, but the arm's joints are not known to what moves it: set path to straight")
        wanted = guard.kinematics.in_order(home.joint_names, home.joints_rad.tolist())
        if wanted is None:
            raise UserError("path is joints, but the start pose holds none: teach it while joint_states are published")
        return joint_leg(guard.kinematics, check_joints(legs, guard, joints), wanted)

    def _joints_of(self, guard: JointGuard) -> np.ndarray:
        joints = self._fresh_joints(guard)
        if joints is None:
            wanted = ", ".join(guard.kinematics.joint_names)
            raise UserError(f"nothing new comes on joint_states of {wanted}, so that joint limits cannot be checked")
        return joints

    def _fresh_joints(self, guard: JointGuard) -> np.ndarray | None:
        since_s = time.monotonic() - _JOINTS_S
        fresh = {name: rad for name, (rad, at_s) in self._joints.items() if at_s >= since_s and math.isfinite(rad)}
        return guard.kinematics.in_order(list(fresh), list(fresh.values()))

    def _drift(self, home: Home) -> str:
        """What is to be said of joints that are not as they were taught, although the tip is."""
        if any(self._start.start_box_m):
            return ""
        taught = dict(zip(home.joint_names, home.joints_rad.tolist(), strict=True))
        off_rad = {name: abs(self._joints[name][0] - rad) for name, rad in taught.items() if name in self._joints}
        name, most_rad = max(off_rad.items(), key=lambda entry: entry[1], default=("", 0.0))
        if most_rad <= _DRIFT_RAD:
            return ""
        return f"; joint {name} is {most_rad:.2f} rad from where it was taught: the elbow can only be led back by hand"

    def _tick(self) -> None:
        job = self._job
        if job is None or job.over:
            return
        twist = job.tick(self._seen())
        self._confirmed = False
        if twist is not None:
            self._send(twist)
        if job.says and not job.over:
            self._say(job.says)

    def _seen(self) -> Seen:
        now_s, silence_s = time.monotonic(), self._settings.silence_timeout_s
        reason, remedy = self._mover.held(silence_s)
        force_n = self._force_n if now_s - self._wrench_s <= silence_s else None
        return Seen(
            now_s, self._pose, now_s - self._pose_s, reason, remedy, force_n, self._confirmed, self._why_abandoned()
        )

    def _why_abandoned(self) -> str:
        """Why nobody waits for this reset any more; empty if somebody may."""
        resetting = EpisodeState.PHASE_RESETTING
        if self._began_phase == resetting and self._phase != resetting:
            return "the reset was given up by the episode manager"
        return "an episode has begun: the reset is given up" if self._phase == EpisodeState.PHASE_RUNNING else ""

    def _send(self, twist: np.ndarray) -> None:
        self._twists.publish(twist_message(twist, header(self.get_clock().now().to_msg(), self._base_frame)))

    # Callbacks -------------------------------------------------------------------------------------------------

    def _on_pose(self, message: PoseStamped) -> None:
        if objection := frame_objection(message.header.frame_id, self._base_frame, "state/pose"):
            self.get_logger().error(objection, throttle_duration_sec=5.0)
            return
        turn = message.pose.orientation
        xyzw = np.array((turn.x, turn.y, turn.z, turn.w))
        position = point_array(message.pose.position)
        norm = float(np.linalg.norm(xyzw))
        if not np.isfinite(position).all() or not 0.5 < norm < 2.0:
            return
        self._pose, self._pose_s = TipPose(position, xyzw / norm), time.monotonic()
        if self._job is None:  # going back does not belong to the way that it came
            self._trail.take(self._pose)

    def _on_joints(self, message: JointState) -> None:
        now_s = time.monotonic()
        self._joints |= {name: (rad, now_s) for name, rad in zip(message.name, message.position, strict=False)}

    def _on_wrench(self, message: WrenchStamped) -> None:
        self._force_n, self._wrench_s = float(np.linalg.norm(wrench_array(message)[:3])), time.monotonic()

    def _on_episode(self, message: EpisodeState) -> None:
        self._episode, self._phase = Episode.of(message), message.phase
        if message.phase == EpisodeState.PHASE_RESETTING and self._busy:
            self._began_phase = message.phase  # its call came before the news

    def _on_done(self, _message: Empty) -> None:
        self._confirmed = True

    # Reports ---------------------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        """Say what is done or waited for: on `reset_status`, and in the log when it is new."""
        if text == self._said:
            return
        self._said = text
        self._statuses.publish(String(data=text))
        if self._job is not None:
            self.get_logger().info(text)
        self._report()

    def _report(self) -> None:
        waits = self._failed or self._said.startswith("waiting") or (bool(self._ask) and self._said == self._ask)
        entry = DiagnosticStatus(
            level=_LEVELS[waits],
            name=f"{self.name_below_root}: reset",
            hardware_id=self._base_frame,
            message=self._said or "no reset is under way",
        )
        self._diagnostics.publish(DiagnosticArray(header=header(self.get_clock().now().to_msg()), status=[entry]))


def main() -> None:
    """Run the node."""
    run_node(HomeReset)


if __name__ == "__main__":
    main()
