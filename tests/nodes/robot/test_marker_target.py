import array
import json

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from sac_gmm_interfaces.msg import EpisodeState
from sensor_msgs.msg import CameraInfo, CompressedImage
from std_srvs.srv import Trigger

from sac_gmm.perception import Camera
from sac_gmm.perception.extrinsics import RigidTransform, save_extrinsics
from sac_gmm.perception.render import clutter, facing_rotation, render_marker
from sac_gmm_nodes.common.conversions import header, nanoseconds, point_array, pose_message, stamp_of
from sac_gmm_nodes.common.pictures import camera_info_message
from sac_gmm_nodes.common.qos import EPISODE, LATCHED, RELIABLE

pytestmark = pytest.mark.ros
CAMERA = Camera.create(320, 240, [390, 0, 160, 0, 390, 120, 0, 0, 1])
IN_BASE = RigidTransform.of((0.4, -0.7, 0.5), (-0.7071068, 0.0, 0.0, 0.7071068))  # it looks along y
PLACE = np.array([0.02, -0.01, 0.6])  # of the marker in the camera's frame
NO_TURN = np.array([0.0, 0.0, 0.0, 1.0])
FRAME, OPTICAL = "lbr_link_0", "camera_optical_frame"
SECOND_NS = 10**9
# Ages that are not what these tests are about: on a busy machine a message comes late.
PATIENT = {"max_image_age_s": 60.0, "max_state_age_s": 60.0, "silence_timeout_s": 60.0, "max_window_s": 60.0}


def picture(x_m=0.0):
    background = clutter(np.random.default_rng(0), 240, 320, shapes=8)
    grey = render_marker(background, CAMERA, "DICT_4X4_50", 3, 0.08, PLACE + [x_m, 0, 0], facing_rotation(0.5))
    return array.array("B", cv2.imencode(".png", grey)[1].tobytes())


class World:
    """An arm, a camera and an episode manager in the test's process."""

    def __init__(self, graph):
        self.graph, node = graph, graph.node
        self.targets = graph.listen("target_pose", PoseStamped, LATCHED)
        self.reports = graph.listen("/diagnostics", DiagnosticArray, RELIABLE)
        self.poses = node.create_publisher(PoseStamped, "state/pose", RELIABLE)
        self.episodes = node.create_publisher(EpisodeState, "episode_state", EPISODE)
        self.images = node.create_publisher(CompressedImage, "fixed_camera/image/compressed", RELIABLE)
        self.infos = node.create_publisher(CameraInfo, "fixed_camera/camera_info", RELIABLE)
        self.tip_m = np.array([0.5, 0.1, 0.4])

    def now_ns(self):
        return self.graph.node.get_clock().now().nanoseconds

    def stand(self):
        self.poses.publish(pose_message(self.tip_m, NO_TURN, header(stamp_of(self.now_ns()), FRAME)))
        return True

    def show(self, image):
        """The arm's state and a picture, both of now."""
        self.stand()
        head = header(stamp_of(self.now_ns()), OPTICAL)
        self.infos.publish(camera_info_message(CAMERA.matrix, CAMERA.width, CAMERA.height, head))
        self.images.publish(CompressedImage(header=head, format="rgb8; png compressed bgr8", data=image))
        return True

    def episode(self, phase, episode_id=1):
        start_ns = self.now_ns() if phase == EpisodeState.PHASE_RUNNING else 0
        self.episodes.publish(EpisodeState(phase=phase, episode_id=episode_id, start_stamp=stamp_of(start_ns)))
        return start_ns

    def told(self, words, level=DiagnosticStatus.ERROR):
        statuses = [status for report in self.reports for status in report.status if "target" in status.name]
        return any(words in status.message and status.level == level for status in statuses[-1:])

    def until_target(self, since, image, start_ns=0):
        def come():
            return self.show(image) and any(nanoseconds(t.header.stamp) >= start_ns for t in self.targets[since:])

        self.graph.wait(come, "a target")
        return next(t for t in self.targets[since:] if nanoseconds(t.header.stamp) >= start_ns)


def test_the_target_of_an_episode_is_the_mean_of_pictures_taken_in_it_while_the_arm_stands(graph, tmp_path):
    save_extrinsics(tmp_path / "camera.json", FRAME, OPTICAL, IN_BASE)
    world = World(graph)
    spreads = graph.listen("marker_target/pose_with_covariance", PoseWithCovarianceStamped, LATCHED)
    graph.start(
        "marker_target",
        extrinsics_file=tmp_path / "camera.json",
        pictures=4,
        reliable_state=True,
        image_transport="compressed",
        **PATIENT,
    )
    graph.wait(lambda: world.images.get_subscription_count() and world.episodes.get_subscription_count(), "the node")
    # While the arm moves, nothing is looked at.
    step = [0]

    def move():
        step[0] += 1
        world.tip_m = np.array([0.5, 0.1 + 0.002 * (step[0] % 50), 0.4])
        return world.show(picture())

    graph.wait(lambda: move() and world.told("the arm moves", DiagnosticStatus.OK), "the reason")
    assert not world.targets
    target = world.until_target(0, picture())
    assert target.header.frame_id == FRAME
    truth = IN_BASE.apply(PLACE)
    assert np.linalg.norm(point_array(target.pose.position) - truth) < 0.005
    graph.wait(lambda: world.told("the target is known", DiagnosticStatus.OK), "the report")
    graph.wait(lambda: spreads and np.abs(spreads[0].pose.covariance).max() < 1e-4, "the spread")

    # A reset looks anew: the task was moved meanwhile, and the arm is not sent to where it was.
    world.episode(EpisodeState.PHASE_RESETTING)
    resetting = "the scene is being reset"
    graph.wait(lambda: world.show(picture()) and world.told(resetting, DiagnosticStatus.OK), "the reset to be heard of")
    since = len(world.targets)
    for _ in range(10):
        world.show(picture())
    start_ns = world.episode(EpisodeState.PHASE_RUNNING)
    moved = world.until_target(since, picture(0.05), start_ns)
    assert np.linalg.norm(point_array(moved.pose.position) - IN_BASE.apply(PLACE + [0.05, 0, 0])) < 0.005
    assert all(nanoseconds(t.header.stamp) >= start_ns for t in world.targets[since:]), "none while it was reset"
    for _ in range(20):
        world.show(picture())
    world.episode(EpisodeState.PHASE_ENDED)
    world.until_target(since + 1, picture())
    of_episode = world.targets[since:]
    assert np.linalg.norm(point_array(of_episode[1].pose.position) - truth) < 0.005, "one in the episode, then after it"

    # Somebody else says where the target is.
    graph.node.create_publisher(PoseStamped, "target_pose", LATCHED)
    why = "target_pose is published by /listener too"
    graph.wait(lambda: world.show(picture()) and world.told(why), "the second publisher to be named")
    assert why in graph.output("marker_target")
    assert graph.stop("marker_target") == 0


def test_a_fixed_target_is_taught_with_the_tip_kept_in_a_file_and_stamped_for_each_episode(graph, tmp_path):
    world, file = World(graph), tmp_path / "target.json"
    given = {"source": "fixed", "target_file": file} | PATIENT
    client = graph.node.create_client(Trigger, "marker_target/teach")  # before the node, which then knows it in time

    def teach():
        answer = client.call_async(Trigger.Request())
        graph.wait(answer.done, "the answer of teach")
        return answer.result()

    graph.start("marker_target", **given)
    graph.wait(lambda: world.told("no target has been taught"), "the reason")
    graph.wait_to_be_known(client.service_is_ready, "teach")
    refused = teach()
    assert not refused.success and "nothing has come on state/pose" in refused.message
    ticking = graph.node.create_timer(0.05, world.stand)
    graph.wait(lambda: teach().success, "the tip to be taken")
    graph.wait(lambda: world.targets, "the target")
    assert np.allclose(point_array(world.targets[-1].pose.position), world.tip_m)
    assert json.loads(file.read_text())["parent_frame"] == FRAME
    assert graph.stop("marker_target") == 0
    graph.node.destroy_timer(ticking)

    since = len(world.targets)
    graph.start("marker_target", **given)
    graph.wait(lambda: len(world.targets) > since, "the target from the file")
    start_ns = world.episode(EpisodeState.PHASE_RUNNING)
    graph.wait(lambda: any(nanoseconds(t.header.stamp) >= start_ns for t in world.targets[since:]), "the episode's")
    assert np.allclose(point_array(world.targets[-1].pose.position), world.tip_m)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, "extrinsics_file is empty"),
        ({"extrinsics_file": "config/hand_camera.json", "base_frame": "world"}, "'lbr_link_0', not in 'world'"),
    ],
)
def test_bad_parameters_end_it_in_one_sentence(graph, parameters, words):
    process = graph.start("marker_target", **parameters)
    assert process.wait(60) == 2
    del graph.processes["marker_target"]
    assert words in graph.output("marker_target") and "Traceback" not in graph.output("marker_target")
