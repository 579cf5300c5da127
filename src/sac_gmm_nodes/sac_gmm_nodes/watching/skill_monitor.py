"""Shows the skill, the path it would take and what the arm does, as RViz markers.

    ros2 run sac_gmm_nodes skill_monitor --ros-args -p demonstrations:=demos/door
    ros2 launch sac_gmm_bringup rviz.launch.yaml view:=simulation

It only listens: nothing that moves or learns depends on it. It has three topics: `~/skill`, the fitted and the active
mixture around the detected target; `~/scene`, what stands still during an episode; `~/motion`, what changes all the
time. The first two are latched. The true target and the fixed camera's pose are shown if a simulation publishes them;
nothing that decides listens to those.
"""

from __future__ import annotations

import textwrap
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import Pose, PoseStamped, PoseWithCovarianceStamped
from rclpy.parameter import parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient
from sac_gmm_interfaces.msg import ControllerStatus, EpisodeState, MixtureModel
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from sac_gmm.control import Limit, Reason, SafetyLimits
from sac_gmm.core.errors import UserError
from sac_gmm.demos import check_set, find_bags, read_demonstration
from sac_gmm.models import SkillModel, load_model
from sac_gmm.models.fields.ellipsoids import path_preview
from sac_gmm.perception.extrinsics import RigidTransform, load_extrinsics
from sac_gmm_nodes.common.conversions import model_of, nanoseconds, point_array
from sac_gmm_nodes.common.node import BaseNode, run_node
from sac_gmm_nodes.common.qos import EPISODE, LATCHED, RELIABLE, SENSOR
from sac_gmm_nodes.watching import markers

BASE = (0.45, 0.55, 0.80, 0.25)
CURRENT = (0.95, 0.55, 0.10, 0.45)
WORDS = (1.0, 1.0, 1.0, 1.0)
PREVIEW = (1.0, 0.85, 0.2, 0.9)
VELOCITY = (0.2, 0.8, 1.0, 1.0)
DETECTED = (0.95, 0.2, 0.2, 0.9)
TRUE = (0.2, 0.9, 0.3, 0.9)
DEMONSTRATION = (0.6, 0.6, 0.65, 0.6)
BOX = (0.4, 0.6, 0.9, 0.5)
BOX_HIT = (1.0, 0.15, 0.1, 1.0)
OUTCOMES = {None: (0.9, 0.9, 0.9, 0.9), True: (0.2, 0.9, 0.3, 0.9), False: (0.9, 0.3, 0.3, 0.9)}

_LIMITS = ("workspace_min_m", "workspace_max_m", "max_speed_m_s")
_ASK_S = 1.0  # period at which the controller is asked for its limits until it has answered
_LONGEST_ARROW_M = 0.15  # at the highest allowed speed
_TRAIL_POINTS = 3000
_WAY_POINTS = 2000  # largest number of points drawn per demonstration
_TRAIL_STEP_M = 0.001  # a path is drawn from points at least this far apart
_PREVIEW_STEP_S = 1 / 15
_TEXT_WIDTH = 70  # characters per line
_FRESH_NS = 1_000_000_000  # a marker or a command that is older than the state by more than this is hidden
_MODES = {
    EpisodeState.MODE_BASE: "the skill as fitted",
    EpisodeState.MODE_TRAIN: "training",
    EpisodeState.MODE_EVALUATE: "evaluation",
}


class SkillMonitor(BaseNode):
    """Turns states, the model and its target into markers."""

    def __init__(self) -> None:
        super().__init__("skill_monitor")
        rate_hz = self.real("rate_hz", 10.0, 1.0, 50.0, "Hz", "rate at which moving things are shown")
        preview_rate_hz = self.real("preview_rate_hz", 2.0, 0.1, 10.0, "Hz", "rate at which the path ahead is computed")
        self._preview_s = self.real("preview_s", 10.0, 0.5, 60.0, "s", "how far ahead the path is shown")
        self._n_sigma = self.real("n_sigma", 2.0, 0.1, 5.0, "", "standard deviations from centre to surface")
        model_file = self.text("model_file", "", "the skill as fitted; empty: the first version 0 that is published")
        folder = self.text("demonstrations", "", "a bag to show, or a folder of bags")
        camera_file = self.text("camera_file", "", "the fixed camera's pose: file of `sac-gmm hands calibrate`")
        self._controller_name = self.text("controller", "gmm_controller", "node whose limits are shown")

        self._base: SkillModel | None = load_model(model_file) if model_file else None
        demonstrations = [read_demonstration(bag) for bag in (find_bags([folder]) if folder else ())]
        for problem in check_set(demonstrations).all_problems if demonstrations else ():
            self.get_logger().warning(f"the demonstrations: {problem}")
        ways = [demonstration.relative_m for demonstration in demonstrations]
        self._ways = [way[:: len(way) // _WAY_POINTS + 1] for way in ways]
        self._camera: RigidTransform | None = load_extrinsics(Path(camera_file))[2] if camera_file else None
        self._box: tuple[np.ndarray, np.ndarray] | None = None  # the controller's; None until it has reported it
        self._max_speed_m_s = SafetyLimits().max_speed_m_s
        self._current: SkillModel | None = None
        self._target: PoseStamped | None = None
        self._true_target: PoseStamped | None = None
        self._tip: tuple[Header, np.ndarray] | None = None
        self._status: ControllerStatus | None = None
        self._episode: EpisodeState | None = None
        self._marker: PoseWithCovarianceStamped | None = None
        self._trail: deque[np.ndarray] = deque(maxlen=_TRAIL_POINTS)
        self._outcomes: deque[bool] = deque(maxlen=20)
        self._path: np.ndarray | None = None
        self._box_hit = False

        self._skill_topic = markers.MarkerTopic(self, "~/skill", LATCHED)
        self._scene_topic = markers.MarkerTopic(self, "~/scene", LATCHED)
        self._motion_topic = markers.MarkerTopic(self, "~/motion", RELIABLE)
        self.create_subscription(MixtureModel, "model", self._on_model, LATCHED)
        self.create_subscription(PoseStamped, "target_pose", self._on_target, LATCHED)
        self.create_subscription(PoseStamped, "state/pose", self._on_pose, SENSOR)
        self.create_subscription(ControllerStatus, "controller_status", self._on_status, RELIABLE)
        self.create_subscription(EpisodeState, "episode_state", self._on_episode, EPISODE)
        self.create_subscription(PoseWithCovarianceStamped, "aruco_reward/marker_pose", self._on_marker, SENSOR)
        self.create_subscription(PoseStamped, "pybullet_bridge/true_target_pose", self._on_true_target, LATCHED)
        if self._camera is None:
            self.create_subscription(PoseStamped, "pybullet_bridge/fixed_camera_pose", self._on_camera, LATCHED)
        self._asked = AsyncParameterClient(self, self._controller_name)
        self._asking = self.create_timer(_ASK_S, self._ask_for_limits, clock=self.steady_clock)
        self.create_timer(1.0 / rate_hz, self._show_motion, clock=self.steady_clock)
        self.create_timer(1.0 / preview_rate_hz, self._look_ahead, clock=self.steady_clock)

    # What is heard ---------------------------------------------------------------------------------------------

    def _on_model(self, message: MixtureModel) -> None:
        try:
            self._current = model_of(message)
        except UserError as error:
            self.get_logger().warning(f"cannot show a model: {error}", throttle_duration_sec=5.0)
            return
        if message.version == 0:
            self._base = self._current
        elif self._base is not None and self._base.model_id != message.model_id:
            self._base = None  # it belongs to another skill
        self._show_skill()

    def _on_target(self, message: PoseStamped) -> None:
        self._target = message
        self._show_scene()
        self._show_skill()

    def _on_true_target(self, message: PoseStamped) -> None:
        self._true_target = message
        self._show_scene()

    def _on_pose(self, message: PoseStamped) -> None:
        tip = point_array(message.pose.position)
        self._tip = message.header, tip
        running = self._episode is None or self._episode.phase == EpisodeState.PHASE_RUNNING
        if running and (not self._trail or np.linalg.norm(tip - self._trail[-1]) >= _TRAIL_STEP_M):
            self._trail.append(tip)

    def _on_status(self, message: ControllerStatus) -> None:
        self._status = message
        hit = message.limit == Limit.WORKSPACE
        if hit != self._box_hit:
            self._box_hit = hit
            self._show_scene()

    def _on_episode(self, message: EpisodeState) -> None:
        before, self._episode = self._episode, message
        if message.phase == EpisodeState.PHASE_RUNNING and (before is None or before.phase != message.phase):
            self._trail.clear()
        if before is not None and before.mode != message.mode:
            self._outcomes.clear()
        if message.phase == EpisodeState.PHASE_ENDED and before is not None and before.phase != message.phase:
            self._outcomes.append(message.success)

    def _on_marker(self, message: PoseWithCovarianceStamped) -> None:
        self._marker = message

    def _on_camera(self, message: PoseStamped) -> None:
        self._camera = self._transform("pybullet_bridge/fixed_camera_pose", message.pose) or self._camera

    def _transform(self, topic: str, pose: Pose) -> RigidTransform | None:
        """A pose as a transform; None, with a warning, for one that nobody filled in."""
        turn = pose.orientation
        try:
            return RigidTransform.of(point_array(pose.position), (turn.x, turn.y, turn.z, turn.w))
        except UserError as error:
            self.get_logger().warning(f"a pose on {topic} is left out: {error}", throttle_duration_sec=5.0)
            return None

    def _ask_for_limits(self) -> None:
        if self._asked.services_are_ready():
            self._asked.get_parameters(list(_LIMITS), self._on_limits)

    def _on_limits(self, future: Any) -> None:
        low, high, speed = map(parameter_value_to_python, future.result().values)
        if low is None or high is None or speed is None:
            return  # a node of that name, but not this controller
        self._box, self._max_speed_m_s = (np.array(low), np.array(high)), speed
        self._asking.cancel()
        self._show_scene()

    # What is shown ---------------------------------------------------------------------------------------------

    def _show_skill(self) -> None:
        """Show the fitted and the active mixture, around the detected target."""
        if self._target is None:
            return
        origin, head = point_array(self._target.pose.position), self._target.header
        shown: list[Marker] = []
        for name, model, colour in (("base", self._base, BASE), ("current", self._current, CURRENT)):
            if model is not None and model.state_dim == 3:
                shown += markers.ellipsoids(name, model.mixture, origin, self._n_sigma, colour, head)
        if self._current is not None and self._current.state_dim == 3:
            shown += markers.priors("prior", self._current.mixture, origin, WORDS, head)
        self._skill_topic.show(shown)

    def _show_scene(self) -> None:
        """Show what stands still: box, targets, demonstrations."""
        shown: list[Marker] = []
        said = self._target or self._true_target
        head = said.header if said is not None else self._tip[0] if self._tip is not None else None
        if self._box is not None and head is not None:
            colour = BOX_HIT if self._box_hit else BOX
            shown.append(markers.box("workspace", *self._box, 0.003, colour, head))
        if self._target is not None:
            origin, head = point_array(self._target.pose.position), self._target.header
            shown.append(markers.ball("detected_target", origin, 0.014, DETECTED, head))
            shown += [
                markers.line("demonstrations", i, way + origin, 0.002, DEMONSTRATION, head)
                for i, way in enumerate(self._ways)
            ]
        if self._true_target is not None:
            origin = point_array(self._true_target.pose.position)
            shown.append(markers.ball("true_target", origin, 0.010, TRUE, self._true_target.header))
        self._scene_topic.show(shown)

    def _look_ahead(self) -> None:
        """Integrate the active field from the present tip position."""
        self._path = None
        if self._current is None or self._target is None or self._tip is None or self._current.state_dim != 3:
            return
        origin = point_array(self._target.pose.position)
        path = path_preview(
            self._current,
            self._tip[1] - origin,
            dt_s=_PREVIEW_STEP_S,
            duration_s=self._preview_s,
            max_speed=self._max_speed_m_s,
        )
        self._path = origin + path

    def _show_motion(self) -> None:
        """Show what changes all the time: velocity, past and predicted path, the marker, text."""
        if self._tip is None:
            return
        head, tip = self._tip
        now_ns = nanoseconds(head.stamp)
        shown: list[Marker] = []
        if self._path is not None:
            shown.append(markers.line("preview", 0, self._path, 0.003, PREVIEW, head))
        if len(self._trail) > 1:
            colour = OUTCOMES[_outcome(self._episode)]
            shown.append(markers.line("rollout", 0, np.array(self._trail), 0.003, colour, head))
        if (status := self._status) is not None and _is_fresh(status.header, now_ns):
            velocity = point_array(status.velocity)
            if np.linalg.norm(velocity) > 1e-3 * self._max_speed_m_s:
                end = tip + _LONGEST_ARROW_M / self._max_speed_m_s * velocity
                shown.append(markers.arrow("velocity", tip, end, 0.006, VELOCITY, head))
        in_camera = None
        if (seen := self._marker) is not None and self._camera is not None and _is_fresh(seen.header, now_ns):
            in_camera = self._transform("aruco_reward/marker_pose", seen.pose.pose)
        if in_camera is not None and self._camera is not None:
            place = self._camera @ in_camera
            shown.append(markers.axes("marker", place.position_m, place.rotation, 0.06, head))
        above = self._box[1] if self._box is not None else tip + [0.0, 0.0, 0.3]
        middle = [tip[0], tip[1], above[2] + 0.05]
        written = words(self._episode, self._status, self._outcomes, now_ns)
        if written:
            shown.append(markers.text("episode", 0, middle, written, 0.03, WORDS, head))
        self._motion_topic.show(shown)


def words(episode: EpisodeState | None, status: ControllerStatus | None, outcomes: Sequence[bool], now_ns: int) -> str:
    """The text above the arm: the episode, the last outcomes, and why the arm does not move."""
    lines = []
    if episode is not None and episode.episode_id:
        mode = _MODES.get(episode.mode, "unknown mode")
        lines.append(f"episode {episode.episode_id}, {mode}: {_progress(episode, now_ns)}")
    if outcomes:
        lines.append(f"success in {sum(outcomes)} of the last {len(outcomes)}")
    if status is not None:
        why = f"{Reason(status.reason).name}: " if status.reason != Reason.NONE else ""
        lines += textwrap.wrap(f"version {status.version} {why}{status.remedy}", _TEXT_WIDTH)
    return "\n".join(lines)


def _progress(episode: EpisodeState, now_ns: int) -> str:
    if episode.phase == EpisodeState.PHASE_RUNNING:
        elapsed_s = max(now_ns - nanoseconds(episode.start_stamp), 0) * 1e-9
        return f"{elapsed_s:.1f} of {episode.time_limit_s:g} s"
    if episode.phase == EpisodeState.PHASE_ENDED:
        return "success" if episode.success else "time is up" if episode.timed_out else "no success"
    return "the scene is being put back" if episode.phase == EpisodeState.PHASE_RESETTING else "waiting"


def _outcome(episode: EpisodeState | None) -> bool | None:
    if episode is None or episode.phase != EpisodeState.PHASE_ENDED:
        return None
    return bool(episode.success)


def _is_fresh(head: Header, now_ns: int) -> bool:
    return abs(now_ns - nanoseconds(head.stamp)) <= _FRESH_NS


def main() -> None:
    """Run the node."""
    run_node(SkillMonitor)


if __name__ == "__main__":
    main()
