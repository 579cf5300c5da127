import array
import signal

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, TwistStamped, WrenchStamped
from rclpy.duration import Duration
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rosbags.highlevel import AnyReader
from sac_gmm_interfaces.msg import EpisodeState
from sac_gmm_interfaces.srv import StartRecording, StopRecording
from sensor_msgs.msg import CameraInfo, Image, JointState
from tests.demos.saved import saved_so_far

from sac_gmm.demos import find_unfinished, read_demonstration, salvage
from sac_gmm_nodes.common.conversions import stamp_of
from sac_gmm_nodes.common.qos import EPISODE, LATCHED

pytestmark = pytest.mark.ros

PERIOD_NS = 33_333_333


class Robot:
    """A robot and an episode manager in the test's process, with demo_recorder in its own."""

    def __init__(self, graph, folder, **parameters):
        self.graph = graph
        kinds = {
            "state/pose": PoseStamped,
            "state/twist": TwistStamped,
            "command/twist": TwistStamped,
            "joint_states": JointState,
            "wrench": WrenchStamped,
            "target_pose": PoseStamped,
        }
        self.out = {
            topic: graph.node.create_publisher(
                kind, topic, LATCHED if topic == "target_pose" else QoSProfile(depth=100)
            )
            for topic, kind in kinds.items()
        }
        self.episodes = graph.node.create_publisher(EpisodeState, "episode_state", EPISODE)
        graph.start("demo_recorder", folder=folder, reliable_state=True, **parameters)
        wanted = [*self.out.values(), *([self.episodes] if parameters.get("follow_episodes") else [])]
        graph.wait(lambda: all(publisher.get_subscription_count() for publisher in wanted), "demo_recorder")
        self.sent = {topic: [] for topic in self.out}

    def begin(self, path, task="door"):
        return self.graph.call(
            StartRecording, "start_recording", StartRecording.Request(path=path, task=task, operator_name="ann")
        )

    def end(self, discard=False):
        return self.graph.call(StopRecording, "stop_recording", StopRecording.Request(discard=discard))

    def send(self, topic, message, step):
        message.header.stamp = stamp_of(10**9 + step * PERIOD_NS)
        message.header.frame_id = "base"
        self.out[topic].publish(message)
        self.sent[topic].append(message)

    def target(self):
        message = PoseStamped()
        message.pose.position.x = 0.5
        self.send("target_pose", message, 0)

    def state(self, step):
        pose, twist = PoseStamped(), TwistStamped()
        pose.pose.position.x = 0.01 * step
        twist.twist.linear.x = 0.3
        self.send("state/pose", pose, step)
        self.send("state/twist", twist, step)
        self.send("command/twist", TwistStamped(), step)
        self.send("joint_states", JointState(name=["a1"], position=[0.1 * step]), step)
        self.send("wrench", WrenchStamped(), step)


@pytest.fixture
def bags(tmp_path):
    folder = tmp_path / "bags"
    folder.mkdir()
    return folder


def test_an_episode_becomes_a_bag_with_the_messages_that_were_sent(graph, bags):
    robot = Robot(graph, bags)
    robot.target()
    answer = robot.begin("door/door_00")
    assert answer.success, answer.message
    for step in range(60):
        robot.state(step)
    path = bags / "door" / "door_00"
    assert not path.exists() and path.with_name(".door_00.partial").exists()
    answer = robot.end()
    assert answer.success, answer.message
    assert answer.path == str(path)
    assert answer.n_samples == 60
    assert "0 messages dropped" in answer.message

    demonstration = read_demonstration(path)
    assert demonstration.n_samples == 60
    assert demonstration.target_m.tolist() == [0.5, 0, 0]
    assert demonstration.task == "door" and demonstration.meta["operator"] == "ann"
    with AnyReader([path]) as reader:
        written = {topic: [] for topic in robot.sent}
        for connection, _, data in reader.messages():
            topic = connection.topic.removeprefix("/")
            written[topic].append(deserialize_message(bytes(data), type(robot.sent[topic][0])))
    assert written == robot.sent

    again = robot.begin("door/door_00")
    assert not again.success and "never overwritten" in again.message


def test_following_episodes_a_held_simulation_is_not_recorded(graph, bags):
    robot = Robot(graph, bags, follow_episodes=True)
    robot.episodes.publish(EpisodeState(phase=EpisodeState.PHASE_IDLE))
    robot.target()
    robot.state(-1)  # a start waits for the first
    assert robot.begin("a").success
    for step in range(5):
        robot.state(step)
    start = stamp_of(10**9 + 5 * PERIOD_NS)
    robot.episodes.publish(EpisodeState(phase=EpisodeState.PHASE_RESETTING))
    robot.episodes.publish(EpisodeState(phase=EpisodeState.PHASE_RUNNING, start_stamp=start))
    for step in range(5, 30):
        robot.state(step)
    robot.episodes.publish(
        EpisodeState(phase=EpisodeState.PHASE_ENDED, start_stamp=start, end_stamp=stamp_of(10**9 + 24 * PERIOD_NS))
    )
    for step in range(30, 35):
        robot.state(step)
    answer = robot.end()
    assert answer.success, answer.message
    steps = np.rint(read_demonstration(bags / "a").position_m[:, 0] / 0.01).astype(int)
    assert steps.tolist() == list(range(5, 25))


def test_following_episodes_it_does_not_start_deaf(graph, bags):
    robot = Robot(graph, bags, follow_episodes=True, wait_s=0.5)
    robot.episodes.publish(EpisodeState(phase=EpisodeState.PHASE_IDLE))
    answer = robot.begin("a")
    assert not answer.success and "/state/pose" in answer.message
    assert list(bags.iterdir()) == []


def test_discarding_leaves_nothing_and_the_name_is_free(graph, bags):
    robot = Robot(graph, bags)
    assert robot.begin("a").success
    robot.state(0)
    answer = robot.end(discard=True)
    assert answer.success and answer.message == "discarded"
    assert list(bags.iterdir()) == []
    assert robot.begin("a").success


def test_what_goes_wrong_is_answered_in_a_sentence(graph, bags):
    robot = Robot(graph, bags)
    answer = robot.end()
    assert not answer.success and "no recording is in progress" in answer.message
    answer = robot.begin(" ")
    assert not answer.success and "path of the bag is empty" in answer.message
    (bags / "file").write_text("")
    answer = robot.begin("file/bag")
    assert not answer.success and "cannot write" in answer.message
    assert robot.begin("a").success
    answer = robot.begin("b")
    assert not answer.success and "stop that recording first" in answer.message
    answer = robot.end()
    assert not answer.success and "nothing was recorded" in answer.message
    assert not (bags / "a").exists()


def test_ctrl_c_in_the_middle_keeps_what_there_is_and_says_where(graph, bags):
    robot = Robot(graph, bags)
    assert robot.begin("a").success
    robot.state(0)
    assert graph.stop("demo_recorder") == 0
    assert ".a.partial" in graph.output("demo_recorder")
    assert (bags / ".a.partial").exists() and not (bags / "a").exists()


def picture(i, encoding="rgb8", channels=3):
    pixels = np.full((48, 64 * channels), i % 256, np.uint8)
    return Image(height=48, width=64, encoding=encoding, step=64 * channels, data=array.array("B", pixels.tobytes()))


@pytest.mark.parametrize("compression", ["auto", "zstd"])
def test_pictures_are_recorded_as_they_were_sent_and_as_reliably_as_they_are_offered(graph, bags, compression):
    offers = {
        "camera/color": QoSProfile(depth=50),
        "camera/depth": QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT),
    }
    cameras = {topic: graph.node.create_publisher(Image, topic, qos) for topic, qos in offers.items()}
    infos = graph.node.create_publisher(CameraInfo, "camera/info", QoSProfile(depth=50))
    topics = "camera/color, camera/depth camera/info:sensor_msgs/msg/CameraInfo"
    robot = Robot(graph, bags, extra_topics=topics, compression=compression)
    publishers = [*cameras.values(), infos]
    graph.wait(lambda: all(p.get_subscription_count() for p in publishers), "the recorder to find the cameras")
    asked = {
        topic: graph.node.get_subscriptions_info_by_topic(f"/{topic}")[0].qos_profile.reliability for topic in cameras
    }
    assert asked["camera/color"] == ReliabilityPolicy.RELIABLE
    assert asked["camera/depth"] == ReliabilityPolicy.BEST_EFFORT
    assert robot.begin("a").success
    robot.target()
    sent = []
    for step in range(40):
        robot.state(step)
        for topic, camera in cameras.items():
            message = picture(step) if topic == "camera/color" else picture(step, "16UC1", 2)
            message.header.stamp = stamp_of(10**9 + step * PERIOD_NS)
            camera.publish(message)
            if topic == "camera/color":
                sent.append(message)
        infos.publish(CameraInfo(header=message.header))
    for publisher in [*robot.out.values(), cameras["camera/color"], infos]:
        assert publisher.wait_for_all_acked(Duration(seconds=10))  # the request to stop could overtake them
    answer = robot.end()
    assert answer.success, answer.message
    with AnyReader([bags / "a"]) as reader:
        found = {c.topic: [bytes(d) for _, _, d in reader.messages(connections=[c])] for c in reader.connections}
    assert [deserialize_message(data, Image) for data in found["/camera/color"]] == sent
    assert len(found["/camera/info"]) == 40
    assert len(found["/camera/depth"]) > 30, "best effort: what was offered no better cannot be had better"
    size = (bags / "a" / "a.mcap").stat().st_size
    raw = 40 * (48 * 64 * 3 + 48 * 64 * 2)
    assert (size > raw) == (compression == "auto"), "pictures are stored as they are, unless compression is asked for"


def test_cameras_that_are_not_there_and_types_that_are_none_are_named(graph, bags):
    robot = Robot(graph, bags, extra_topics="camera/color")
    answer = robot.begin("a")
    assert not answer.success and "nobody publishes /camera/color yet" in answer.message
    assert list(bags.iterdir()) == []
    assert graph.stop("demo_recorder") == 0
    for text, words in (("x:lab_msgs/msg/Thing", "no message type lab_msgs/msg/Thing"), ("wrench", "already")):
        process = graph.start("demo_recorder", extra_topics=text)
        assert process.wait(120.0) == 2
        assert words in graph.output("demo_recorder")
        graph.processes.pop("demo_recorder")


def test_kill_9_of_the_recorder_keeps_what_it_has_written(graph, bags):
    """How much that is, after what time, tests/demos/bags/test_salvage.py says."""
    robot = Robot(graph, bags)
    assert robot.begin("door_00").success
    robot.target()
    step = 0

    def a_second_is_safe():
        nonlocal step
        for _ in range(5):
            robot.state(step)
            step += 1
        return saved_so_far(bags / ".door_00.partial", "/state/pose") >= 100

    graph.wait(a_second_is_safe, "a hundred states on the disk while more are coming")
    assert graph.stop("demo_recorder", signal.SIGKILL) == -signal.SIGKILL
    assert not (bags / "door_00").exists()
    done = salvage(*find_unfinished([bags]))
    assert done.path == bags / "door_00"
    demonstration = read_demonstration(done.path)
    assert demonstration.n_samples >= 100
    assert demonstration.position_m[-1, 0] == pytest.approx(0.01 * (demonstration.n_samples - 1)), "without a gap"
    assert demonstration.meta["operator"] == "ann"
