import numpy as np
import pytest
import robot_interfaces
from geometry_msgs.msg import PoseWithCovarianceStamped
from rosgraph_msgs.msg import Clock
from sac_gmm_interfaces.msg import EpisodeState, Heartbeat, Reward
from sensor_msgs.msg import CameraInfo, Image

from sac_gmm.perception import Camera
from sac_gmm.perception.render import clutter, facing_rotation, render_marker
from sac_gmm_nodes.common.conversions import header, nanoseconds, stamp_of
from sac_gmm_nodes.common.pictures import camera_info_message, image_message, picture_array
from sac_gmm_nodes.common.qos import EPISODE, RELIABLE, SENSOR

pytestmark = pytest.mark.ros

CAMERA = Camera.create(320, 240, [390, 0, 160, 0, 390, 120, 0, 0, 1])
STEP_NS = 100_000_000


def picture(tilt_rad=0.4, marker=True, marker_id=7, dictionary="DICT_4X4_50", distance_m=0.6):
    background = clutter(np.random.default_rng(0), 240, 320, shapes=10)
    if marker:
        background = render_marker(
            background, CAMERA, dictionary, marker_id, 0.08, [0, 0, distance_m], facing_rotation(tilt_rad)
        )
    return np.repeat(background[..., None], 3, axis=2)


SEEN, NOT_SEEN = picture(), picture(marker=False)


class World:
    """A camera, a clock and an episode manager in the test's process, with aruco_reward in its own."""

    def __init__(self, graph, *, calibrated=True, **parameters):
        self.graph = graph
        self.rewards = graph.listen("reward", Reward, RELIABLE)
        self.images = graph.node.create_publisher(Image, "fixed_camera/image", RELIABLE)
        self.infos = graph.node.create_publisher(CameraInfo, "fixed_camera/camera_info", RELIABLE)
        self.clocks = graph.node.create_publisher(Clock, "/clock", RELIABLE)
        self.episodes = graph.node.create_publisher(EpisodeState, "episode_state", EPISODE)
        given = {"use_sim_time": True, "reliable_state": True, "silence_timeout_s": 30.0} | parameters
        graph.start("aruco_reward", **given)
        self.stamp_ns = 5 * 10**9
        publishers = (self.images, self.infos, self.clocks, self.episodes)
        graph.wait(lambda: all(publisher.get_subscription_count() for publisher in publishers), "aruco_reward")
        while calibrated and not self.show(NOT_SEEN).valid:
            pass  # the first image may overtake its calibration
        self.rewards.clear()

    def send_info(self, camera=CAMERA):
        stamped = header(stamp_of(self.stamp_ns), "fixed_camera_optical_frame")
        self.infos.publish(camera_info_message(camera.matrix, camera.width, camera.height, stamped))

    def show(self, image, *, info=True, encoding="rgb8", age_ns=0, same_stamp=False):
        """Send one image and return the Reward that answers it."""
        if not same_stamp:
            self.stamp_ns += STEP_NS
        self.clocks.publish(Clock(clock=stamp_of(self.stamp_ns)))
        if info:
            self.send_info()
        message = image_message(image, header(stamp_of(self.stamp_ns - age_ns), "fixed_camera_optical_frame"))
        message.encoding = encoding
        before = len(self.rewards)
        self.images.publish(message)

        def answer():  # among what is said of the silence meanwhile
            said = [reward for reward in self.rewards[before:] if reward.header.stamp == message.header.stamp]
            return said[0] if said else None

        self.graph.wait(answer, "a reward")
        return answer()

    def episode(self, phase, episode_id, start_ns=0):
        self.episodes.publish(EpisodeState(phase=phase, episode_id=episode_id, start_stamp=stamp_of(start_ns)))

    def show_until(self, image, success, limit=50):
        """Show an image again and again, since topics are not ordered among each other, until the verdict is so."""
        for _ in range(limit):
            if self.show(image).success == success:
                return
        raise AssertionError(f"success never became {success}")


def test_each_image_gets_one_reward_debounced_and_with_its_stamp(graph):
    world = World(graph, frames_on=2, frames_off=2)
    successes = [world.show(image).success for image in [NOT_SEEN, SEEN, SEEN, NOT_SEEN, SEEN, NOT_SEEN, NOT_SEEN]]
    assert successes == [False, False, True, True, True, True, False]
    assert len(world.rewards) == 7
    assert all(reward.valid for reward in world.rewards)
    reward = world.rewards[2]
    assert (reward.seen, reward.marker_id, reward.value) == (True, 7, 1.0)
    assert reward.marker_pose.position.z == pytest.approx(0.6, abs=0.02)
    assert reward.header.frame_id == "fixed_camera_optical_frame"
    assert "marker seen, turned 2" in reward.text
    assert graph.stop("aruco_reward") == 0


def test_a_marker_turned_too_far_is_seen_but_not_paid(graph):
    world = World(graph, frames_on=1, max_tilt_rad=0.9)
    reward = world.show(picture(tilt_rad=1.05))
    assert (reward.valid, reward.seen, reward.success) == (True, True, False)
    assert "does not count" in reward.text
    assert world.show(picture(tilt_rad=0.8)).success


def test_other_markers_are_not_paid(graph):
    world = World(graph, frames_on=1)
    for other in (picture(marker_id=8), picture(dictionary="DICT_5X5_50")):
        reward = world.show(other)
        assert (reward.valid, reward.seen, reward.success) == (True, False, False)


def test_a_success_does_not_leak_into_the_next_episode(graph):
    world = World(graph, frames_on=1, frames_off=100)
    world.episode(EpisodeState.PHASE_RUNNING, 1, world.stamp_ns)
    world.show_until(SEEN, True)
    world.episode(EpisodeState.PHASE_RESETTING, 2)
    world.show_until(SEEN, False)  # the door stands open still, but that is the past
    begin = world.stamp_ns + 10 * STEP_NS
    world.episode(EpisodeState.PHASE_RUNNING, 2, begin)
    while world.stamp_ns + STEP_NS < begin:
        reward = world.show(SEEN)
        assert not reward.success, "taken before the episode began"
        assert reward.episode_id == 2
    world.show_until(SEEN, True)
    world.episode(EpisodeState.PHASE_RUNNING, 3, world.stamp_ns)
    world.show_until(NOT_SEEN, False)  # a new episode forgets even where no reset was announced


def test_a_repeated_image_is_answered_but_counts_once(graph):
    world = World(graph, frames_on=2)
    world.show(SEEN)
    assert [world.show(SEEN, same_stamp=True).success for _ in range(3)] == [False] * 3
    assert world.show(SEEN).success


def test_what_makes_a_reward_invalid_is_said(graph):
    world = World(graph, calibrated=False, frames_on=1)
    reward = world.show(SEEN, info=False)
    assert not reward.valid and "no calibration" in reward.text
    while not world.show(SEEN).valid:
        pass  # until the calibration has come
    reward = world.show(SEEN, encoding="nv12")
    assert not reward.valid and "nv12" in reward.text and not reward.success
    reward = world.show(SEEN, age_ns=3 * 10**9)
    assert not reward.valid and "3.0 s old" in reward.text
    reward = world.show(np.zeros((120, 160, 3), np.uint8))
    assert not reward.valid and "160x120 but the calibration is for 320x240" in reward.text
    assert world.show(SEEN).success, "it recovers"


def test_silence_is_an_invalid_reward_with_the_last_stamp(graph):
    world = World(graph, calibrated=False, silence_timeout_s=0.3)
    clock_ns = 0

    def time_goes_on():
        nonlocal clock_ns
        clock_ns = max(clock_ns, world.stamp_ns) + STEP_NS
        world.clocks.publish(Clock(clock=stamp_of(clock_ns)))
        return True

    graph.wait(lambda: time_goes_on() and world.rewards, "a reward without any image")
    assert not world.rewards[0].valid and "no image on /fixed_camera/image" in world.rewards[0].text
    assert nanoseconds(world.rewards[0].header.stamp) == 0
    world.show(SEEN)
    clock_ns = world.stamp_ns
    graph.wait(lambda: time_goes_on() and not world.rewards[-1].valid, "a reward after the camera fell silent")
    assert nanoseconds(world.rewards[-1].header.stamp) == world.stamp_ns, "never a stamp that no image had"


def test_where_simulated_time_stands_still_no_image_is_missed(graph):
    """In lock-step a simulation rests while an agent learns: the camera is well."""
    world = World(graph, silence_timeout_s=0.05)
    beats = graph.listen("heartbeat", Heartbeat, RELIABLE)
    world.show(SEEN)
    since = len(beats)
    graph.wait(lambda: len(beats) > since + 4, "two seconds of the wall clock")  # its timer rang many times
    assert all(reward.valid for reward in world.rewards)
    assert "no image" not in graph.output("aruco_reward")


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"dictionary": "DICT_3X3"}, ["dictionary", "DICT_4X4_50", "DICT_APRILTAG_36h11"]),
        ({"marker_id": 50}, ["marker id 50 is not in DICT_4X4_50: choose 0 to 49"]),
        ({"marker_size_m": 5.0}, ["marker_size_m", "0.005 to 1 m"]),
        ({"board_file": "/nowhere.yaml"}, ["cannot read the marker board /nowhere.yaml"]),
        ({"min_similarity": 0.1}, ["min_similarity", "0.3 to 1"]),
        ({"frames_on": 0}, ["frames_on", "1 to 100"]),
        ({"marker_sise": 0.1}, ["there is no parameter marker_sise"]),
    ],
)
def test_bad_parameters_end_the_node_with_a_sentence(graph, parameters, words):
    process = graph.start("aruco_reward", **parameters)
    assert process.wait(120.0) == 2
    text = graph.output("aruco_reward")
    assert all(word in text for word in words), text
    assert "Traceback" not in text


def test_the_pose_comes_with_a_covariance_that_grows_with_the_distance_and_as_a_frame(graph):
    graph.env |= robot_interfaces.environment()
    from tf2_msgs.msg import TFMessage

    world = World(graph, frames_on=1, publish_tf=True, marker_frame="door_marker")
    poses = graph.listen("aruco_reward/marker_pose", PoseWithCovarianceStamped, SENSOR)
    frames = graph.listen("/tf", TFMessage, RELIABLE)
    graph.wait(lambda: graph.node.count_publishers("aruco_reward/marker_pose"), "the pose's publisher")
    graph.wait(lambda: world.show(SEEN).seen and poses and frames, "a pose and a frame")
    near = np.reshape(poses[-1].pose.covariance, (6, 6))
    assert np.allclose(near, near.T) and np.linalg.eigvalsh(near).min() > 0.0
    assert 1e-5 < np.sqrt(near[2, 2]) < 0.02, "metres along the line of sight"
    assert near[2, 2] > near[0, 0], "the distance is known less well than the direction"
    frame = frames[-1].transforms[0]
    assert (frame.header.frame_id, frame.child_frame_id) == ("fixed_camera_optical_frame", "door_marker")
    assert frame.transform.translation.z == pytest.approx(0.6, abs=0.01)
    del poses[:]
    graph.wait(lambda: world.show(picture(distance_m=1.0)).seen and poses, "the pose of a marker further away")
    graph.wait(lambda: poses[-1].pose.pose.position.z > 0.9, "its own pose")
    assert poses[-1].pose.covariance[14] > 2.0 * near[2, 2]


def test_a_board_is_seen_though_half_of_it_is_covered(graph, tmp_path):
    file = tmp_path / "board.yaml"
    file.write_text(
        "dictionary: DICT_4X4_50\nmarker_size_m: 0.05\ngrid: {columns: 2, rows: 1, gap_m: 0.03, first_id: 20}\n"
    )
    world = World(graph, frames_on=1, board_file=file)
    both = clutter(np.random.default_rng(1), 240, 320, shapes=10)
    rotation = facing_rotation(0.4)
    for marker_id, x in ((20, -0.04), (21, 0.04)):
        place = np.array([0.0, 0.0, 0.6]) + rotation @ [x, 0.0, 0.0]
        both = render_marker(both, CAMERA, "DICT_4X4_50", marker_id, 0.05, place, rotation)
    half = both.copy()
    half[:, 160:] = 128
    for image in (both, half):
        reward = world.show(np.repeat(image[..., None], 3, axis=2))
        assert (reward.seen, reward.success) == (True, True)
        assert reward.marker_pose.position.z == pytest.approx(0.6, abs=0.02)
        assert abs(reward.marker_pose.position.x) < 0.01, "the board's centre, whichever markers are seen"
    assert not world.show(SEEN).seen, "a marker that is not of the board"


def test_once_done_the_marker_may_turn_a_little_further(graph):
    world = World(graph, frames_on=1, frames_off=1, max_tilt_rad=0.9, tilt_hysteresis_rad=0.1)
    at_limit = picture(tilt_rad=0.94)
    assert not world.show(at_limit).success
    assert world.show(picture(tilt_rad=0.8)).success
    assert world.show(at_limit).success, "it does not flicker at the limit"
    assert not world.show(picture(tilt_rad=1.1)).success
    assert not world.show(at_limit).success


def test_the_debug_image_shows_what_was_judged(graph):
    world = World(graph, frames_on=1)
    images = graph.listen("aruco_reward/debug_image", Image, SENSOR)
    graph.wait(lambda: world.show(SEEN).seen and images, "a debug image")
    drawn = picture_array(images[-1])
    assert drawn.shape == SEEN.shape
    changed = np.abs(drawn.astype(int) - SEEN).sum(axis=2) > 60
    assert 100 < changed.sum() < 0.1 * changed.size
