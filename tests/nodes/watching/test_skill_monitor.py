"""What the monitor shows is what the other nodes say."""

from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from sac_gmm_interfaces.msg import ControllerStatus, EpisodeState, MixtureModel
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from sac_gmm.control import Limit, Reason
from sac_gmm.demos import Demonstration, write_demonstration
from sac_gmm.models import GaussianMixture, SkillModel, load_model, translate
from sac_gmm.models.fields.ellipsoids import path_preview
from sac_gmm.perception.extrinsics import RigidTransform, save_extrinsics
from sac_gmm_nodes.common.conversions import header, model_message, point_array, pose_message, stamp_of
from sac_gmm_nodes.common.qos import EPISODE, LATCHED, RELIABLE, SENSOR
from sac_gmm_nodes.watching.skill_monitor import words

pytestmark = pytest.mark.ros
ROOT = Path(__file__).parents[3]
UPRIGHT = np.array([0.0, 0.0, 0.0, 1.0])


def points(marker):
    return np.array([point_array(point) for point in marker.points])


class Seen:
    """The last of each topic of the monitor, by namespace of the markers."""

    def __init__(self, graph):
        self.topics = {
            name: graph.listen(f"skill_monitor/{name}", MarkerArray, qos)
            for name, qos in (("skill", LATCHED), ("scene", LATCHED), ("motion", RELIABLE))
        }

    def __call__(self, topic, namespace):
        arrays = self.topics[topic]
        shown = arrays[-1].markers if arrays else []
        return [marker for marker in shown if marker.ns == namespace and marker.action == Marker.ADD]


@pytest.mark.slow
def test_it_shows_a_skill_at_work(graph, model_file):
    """Robot, controller and monitor, each a process; an episode that runs."""
    graph.start("pybullet_bridge", seed=3)
    box = {"workspace_min_m": "[0.3, -0.3, 0.1]", "workspace_max_m": "[0.7, 0.3, 0.6]", "max_speed_m_s": 0.1}
    graph.start("gmm_controller", model_file=model_file, autostart=True, reliable_state=False, **box)
    graph.start("skill_monitor", demonstrations=ROOT / "demos" / "door")
    seen = Seen(graph)
    targets = graph.listen("target_pose", PoseStamped, LATCHED)
    truths = graph.listen("pybullet_bridge/true_target_pose", PoseStamped, LATCHED)
    poses = graph.listen("state/pose", PoseStamped, SENSOR)
    statuses = graph.listen("controller_status", ControllerStatus, RELIABLE)
    episodes = graph.node.create_publisher(EpisodeState, "episode_state", EPISODE)

    shown = ("workspace", "detected_target", "true_target", "demonstrations")
    graph.wait(
        lambda: seen("skill", "current") and all(seen("scene", name) for name in shown) and truths and poses,
        "skill and scene",
    )
    target, truth = (point_array(said[-1].pose.position) for said in (targets, truths))
    means = load_model(model_file).mixture.means[:, :3]
    for name in ("base", "current"):
        centres = [point_array(marker.pose.position) for marker in seen("skill", name)]
        np.testing.assert_allclose(centres, means + target, atol=1e-12)
    corners = points(seen("scene", "workspace")[0])
    np.testing.assert_allclose([corners.min(0), corners.max(0)], [[0.3, -0.3, 0.1], [0.7, 0.3, 0.6]])
    [detected], [true] = seen("scene", "detected_target"), seen("scene", "true_target")
    np.testing.assert_allclose(point_array(detected.pose.position), target)
    np.testing.assert_allclose(point_array(true.pose.position), truth)
    assert 1e-4 < np.linalg.norm(target - truth) < 0.06
    ways = [points(marker) for marker in seen("scene", "demonstrations")]
    assert len(ways) == 5 and all(np.linalg.norm(way[0] - target) < 0.2 for way in ways)

    start = targets[-1].header.stamp
    episodes.publish(EpisodeState(phase=1, episode_id=4))
    episodes.publish(
        EpisodeState(phase=2, episode_id=4, mode=EpisodeState.MODE_TRAIN, start_stamp=start, time_limit_s=9.0)
    )

    def whole():
        """The latest message in which all is to be seen, the tip having gone some way."""
        for message in reversed(seen.topics["motion"][-100:]):
            shown = {marker.ns: marker for marker in message.markers if marker.action == Marker.ADD}
            if {"velocity", "rollout", "preview", "episode"} <= set(shown):
                gone_m = np.linalg.norm(np.ptp(points(shown["rollout"]), axis=0))
                if gone_m > 0.01 and shown["episode"].text.startswith("episode 4, training: "):
                    return shown
        return None

    graph.wait(lambda: whole() is not None, "motion")
    shown = whole()
    way = points(shown["preview"])
    field = path_preview(load_model(model_file), way[0] - target, dt_s=1 / 15, max_speed=0.1) + target
    np.testing.assert_allclose(way, field, atol=1e-6)
    arrow = np.subtract(*points(shown["velocity"])[::-1])
    commanded = np.array([point_array(status.velocity) for status in statuses])
    assert np.linalg.norm(0.15 / 0.1 * commanded - arrow, axis=1).min() < 1e-9, "0.15 m long at 0.1 m/s"
    frames = {m.header.frame_id for arrays in seen.topics.values() for m in arrays[-1].markers if m.action == 0}
    assert frames == {"lbr_link_0"}

    # Whoever comes late sees skill and scene too.
    late = graph.node.create_subscription(MarkerArray, "skill_monitor/skill", (again := []).append, LATCHED)
    graph.wait(lambda: again, "the skill for a late listener")
    assert {marker.ns for marker in again[0].markers} == {"base", "current", "prior"}
    graph.node.destroy_subscription(late)
    assert graph.stop("skill_monitor") == 0


@pytest.fixture
def skill():
    means = np.zeros((4, 6))
    means[:, 2] = [0.15, 0.1, 0.05, 0.0]
    means[:-1, 5] = -0.05
    return SkillModel(
        "gmm", GaussianMixture(np.full(4, 0.25), means, np.tile(1e-3 * np.eye(6), (4, 1, 1))), np.zeros(3)
    )


def fewer(skill):
    mixture = skill.mixture
    return SkillModel("gmm", GaussianMixture([0.5, 0.5], mixture.means[:2], mixture.covariances[:2]), np.zeros(3))


def test_base_and_current_part_and_another_skill_takes_all_away(graph, skill):
    seen = Seen(graph)
    models = graph.node.create_publisher(MixtureModel, "model", LATCHED)
    targets = graph.node.create_publisher(PoseStamped, "target_pose", LATCHED)
    graph.start("skill_monitor")
    head = header(stamp_of(7), "base")
    targets.publish(pose_message(np.array([0.5, 0.0, 0.3]), UPRIGHT, head))
    models.publish(model_message(skill, skill.model_id, 0, head))
    graph.wait(lambda: len(seen("skill", "current")) == 4, "the skill")
    moved = translate(skill, [0.02, 0.0, 0.0])
    models.publish(model_message(moved, skill.model_id, 1, head))

    def apart():
        pairs = zip(seen("skill", "base"), seen("skill", "current"), strict=True)
        return [point_array(now.pose.position) - point_array(then.pose.position) for then, now in pairs]

    graph.wait(lambda: np.allclose(apart(), [[0.02, 0.0, 0.0]] * 4), "the update")
    assert seen.topics["skill"][-1].markers[0].action == Marker.ADD, "the same components: nothing is taken away"

    other = fewer(skill)
    models.publish(model_message(other, other.model_id, 0, head))
    graph.wait(lambda: len(seen("skill", "current")) == 2, "the other skill")
    assert seen.topics["skill"][-1].markers[0].action == Marker.DELETEALL
    assert len(seen("skill", "base")) == 2


def test_the_marker_stands_where_camera_and_detector_say(graph, tmp_path):
    camera = RigidTransform(np.array([1.0, 0.2, 0.5]), Rotation.from_euler("xyz", [-2.0, 0.1, 0.7]).as_matrix())
    save_extrinsics(tmp_path / "camera.json", "base", "camera", camera)
    seen = Seen(graph)
    poses = graph.node.create_publisher(PoseStamped, "state/pose", SENSOR)
    found = graph.node.create_publisher(PoseWithCovarianceStamped, "aruco_reward/marker_pose", SENSOR)
    graph.start("skill_monitor", camera_file=tmp_path / "camera.json")
    in_camera = RigidTransform(np.array([0.05, -0.1, 0.8]), Rotation.from_euler("xyz", [3.0, 0.2, 0.1]).as_matrix())
    message = PoseWithCovarianceStamped(header=header(stamp_of(10**9), "camera"))
    message.pose.pose = pose_message(in_camera.position_m, in_camera.quaternion_xyzw, Header()).pose
    empty = PoseWithCovarianceStamped(header=header(stamp_of(10**9), "camera"))
    empty.pose.pose.orientation.w = 0.0  # nobody has filled it in

    def tell(what):
        poses.publish(pose_message(np.array([0.5, 0.0, 0.4]), UPRIGHT, header(stamp_of(10**9), "base")))
        found.publish(what)
        return seen("motion", "marker")

    said = "a pose on aruco_reward/marker_pose is left out: a quaternion x y z w is four numbers of norm 1"
    graph.wait(lambda: not tell(empty) and said in graph.output("skill_monitor"), "the warning")
    graph.wait(lambda: tell(message), "the marker")
    corners = points(seen("motion", "marker")[0])
    np.testing.assert_allclose(corners[0], camera.rotation @ in_camera.position_m + camera.position_m, atol=1e-12)
    axes = (corners[1::2] - corners[0]).T
    np.testing.assert_allclose(axes / np.linalg.norm(axes[:, 0]), camera.rotation @ in_camera.rotation, atol=1e-9)


def test_words_say_why_the_arm_does_not_move():
    running = EpisodeState(phase=2, episode_id=3, mode=2, time_limit_s=10.0, start_stamp=stamp_of(10**9))
    status = ControllerStatus(version=5, reason=Reason.PAUSED, limit=Limit.NONE, remedy="call ~/pause to go on")
    written = words(running, status, [True, False], 3_500_000_000)
    assert written.splitlines() == [
        "episode 3, evaluation: 2.5 of 10 s",
        "success in 1 of the last 2",
        "version 5 PAUSED: call ~/pause to go on",
    ]
    ended = EpisodeState(phase=3, episode_id=3, mode=0, timed_out=True)
    assert words(ended, None, [], 0) == "episode 3, the skill as fitted: time is up"
    assert words(None, None, [], 0) == ""
    long = ControllerStatus(remedy="a word " * 30)
    assert max(map(len, words(None, long, [], 0).splitlines())) <= 70


def test_nobody_who_decides_listens_to_the_truth():
    """In the source: only what shows things to people names the true target or the camera's place."""
    nodes = ROOT / "src" / "sac_gmm_nodes" / "sac_gmm_nodes"
    for name in ("true_target", "fixed_camera_pose"):
        naming = {path.name for path in nodes.rglob("*.py") if name in path.read_text()}
        assert {"pybullet_bridge.py", "skill_monitor.py"} <= naming
        assert naming <= {"pybullet_bridge.py", "skill_monitor.py", "live_view.py"}


def test_a_bag_that_is_not_there_is_refused(graph):
    process = graph.start("skill_monitor", demonstrations="nowhere")
    assert process.wait(120.0) == 2
    assert "nowhere: there is no such bag" in graph.output("skill_monitor")


def test_it_says_what_is_wrong_with_the_demonstrations_and_thins_long_ones(graph, tmp_path):
    """A straight way of 5000 samples that jumps at its middle, along one axis alone."""
    time_s = np.arange(5000) / 1000.0
    position = np.zeros((5000, 3))
    position[:, 0] = 0.4 + 0.04 * time_s + 0.2 * (time_s > 2.5)
    write_demonstration(
        tmp_path / "push", Demonstration(time_s, position, np.gradient(position, time_s, axis=0), [0.6, 0.0, 0.0])
    )
    graph.start("skill_monitor", demonstrations=tmp_path / "push")
    targets = graph.node.create_publisher(PoseStamped, "target_pose", LATCHED)
    targets.publish(pose_message(np.array([0.5, 0.0, 0.3]), UPRIGHT, Header(frame_id="base")))
    seen = Seen(graph)
    graph.wait(lambda: seen("scene", "demonstrations"), "the demonstration")
    way = points(seen("scene", "demonstrations")[0])
    assert 1000 < len(way) <= 2000 and np.allclose(way[0], [0.3, 0.0, 0.3])
    assert "the demonstrations: push: jumps 200 mm" in graph.output("skill_monitor")
