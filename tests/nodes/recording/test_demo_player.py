import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from tests.demos.foreign import without_slashes
from tests.nodes.commands import MANY, Commands

from sac_gmm.core.errors import UserError
from sac_gmm.demos import EpisodeBagWriter, read_demonstration
from sac_gmm.demos.bags.message_types import EPISODE_TOPICS, JOINTS, POSE, pose_stamped, twist_stamped, typestore
from sac_gmm.demos.bags.recover import _next_chunk
from sac_gmm_nodes.common.conversions import header, nanoseconds, point_array
from sac_gmm_nodes.common.qos import COMMAND, LATCHED, RELIABLE
from sac_gmm_nodes.recording.demo_player import DemoPlayer

pytestmark = pytest.mark.ros

ROOT = Path(__file__).resolve().parents[3]
FRAME = "lbr_link_0"
SAFE = {"workspace_min_m": [0.2, -0.5, 0.05], "workspace_max_m": [0.9, 0.5, 0.8]}


@pytest.fixture
def bag(tmp_path):
    """Two seconds of a straight way, with commands in it."""
    path = tmp_path / "bag"
    with EpisodeBagWriter(path, EPISODE_TOPICS) as writer:
        writer.write("/target_pose", pose_stamped(10**9, FRAME, [0.6, 0, 0.3]))
        for i in range(61):
            stamp = 10**9 + i * 33_333_333
            writer.write("/state/pose", pose_stamped(stamp, FRAME, [0.4 + 0.001 * i, 0, 0.3]))
            writer.write("/state/twist", twist_stamped(stamp, FRAME, [0.03, 0, 0]))
            writer.write("/command/twist", twist_stamped(stamp, FRAME, [0.03, 0, 0]))
            joints = typestore().types[JOINTS](
                pose_stamped(stamp, "", [0, 0, 0]).header, ["a1"], np.array([0.01 * i]), np.array([]), np.array([])
            )
            writer.write("/joint_states", joints)
    return path


def test_states_are_said_again_as_they_were_and_commands_never(graph, bag):
    poses = graph.listen("replay/state/pose", PoseStamped, RELIABLE)
    joints = graph.listen("replay/joint_states", JointState, RELIABLE)
    targets = graph.listen("replay/target_pose", PoseStamped, LATCHED)
    commands = graph.listen("replay/command/twist", TwistStamped, RELIABLE)
    launch = ROOT / "launch" / "replay.launch.yaml"
    command = [sys.executable, "-m", "sac_gmm.cli.main", "up", str(launch), f"bag:={bag}", "pace:=2.0", "loop:=true"]
    graph.run("replay", command)
    graph.wait(lambda: len(poses) > 130 and len(joints) > 60 and targets, "the recording, twice")
    recorded = read_demonstration(bag)
    said = np.array([point_array(message.pose.position) for message in poses])
    begin = int(np.flatnonzero(np.isclose(said[:, 0], 0.4))[-1])
    length = min(61, len(said) - begin)
    assert np.allclose(said[begin : begin + length], recorded.position_m[:length]), "in order, none missing"
    stamps = np.array([nanoseconds(message.header.stamp) for message in poses])
    assert stamps[0] > 10**18, "stamped with the time of playing, so that viewers take it for now"
    assert (np.diff(stamps) >= 0).all()
    assert point_array(targets[0].pose.position).tolist() == [0.6, 0, 0.3]
    assert graph.node.count_publishers("replay/command/twist") == 0 and not commands
    assert "/command/twist" in graph.output("replay"), "it says what it leaves out"
    assert graph.stop("replay") == 0


def test_a_recording_of_two_clocks_is_played_to_its_end(graph, tmp_path):
    """The first message came before the clock was set."""
    path = tmp_path / "bag"
    with EpisodeBagWriter(path, {"/state/pose": EPISODE_TOPICS["/state/pose"]}) as writer:
        for stamp in (10**9, 17 * 10**17, 17 * 10**17 + 10**8):
            writer.write("/state/pose", pose_stamped(stamp, FRAME, [0.4, 0, 0.3]))
    player = graph.start("demo_player", bag=path, pace=100.0)
    assert player.wait(120.0) == 0
    output = graph.output("demo_player")
    assert "a gap of 1699999999 s in the recording is cut to 60 s" in output and "played 3 messages" in output


def test_damage_that_is_met_while_it_plays_is_a_sentence(tmp_path):
    with EpisodeBagWriter(tmp_path / "bag", {"/state/pose": POSE}) as writer:
        for i in range(30_000):  # several chunks
            writer.write("/state/pose", pose_stamped(i, FRAME, [i, 0, 0]))
    file = tmp_path / "bag" / "bag.mcap"
    content, last = bytearray(file.read_bytes()), 0
    with file.open("rb") as opened:
        while (chunk := _next_chunk(opened, last + 1)) is not None:
            last = chunk
    content[last + 60 : last + 160] = bytes(100)  # behind the chunk's own header
    file.write_bytes(content)
    said = []
    player = SimpleNamespace(
        _bag=tmp_path / "bag",
        _said={"/state/pose": SimpleNamespace(publish=said.append)},
        _pace=1e9,
        _stamp_now=False,
        _clocks=None,
        stopping=threading.Event(),
    )
    with pytest.raises(UserError, match=r"damaged inside, .* `sac-gmm demos salvage` makes a bag of what can be read"):
        DemoPlayer._say_once(player, SimpleNamespace(spin_once=lambda timeout_sec: None))
    assert said


def test_a_bag_without_leading_slashes_is_played_under_the_same_names(graph, bag, tmp_path):
    poses = graph.listen("state/pose", PoseStamped, RELIABLE)
    targets = graph.listen("target_pose", PoseStamped, LATCHED)
    graph.start("demo_player", bag=without_slashes(bag, tmp_path / "plain"), loop=True)
    graph.wait(lambda: len(poses) > 60 and targets, "the recording")
    assert graph.node.count_publishers("command/twist") == 0
    assert "no state of the robot: command/twist" in graph.output("demo_player")
    assert graph.stop("demo_player") == 0


def test_topics_that_are_named_are_played_as_the_states_that_they_are(graph, tmp_path):
    """A bag of `ros2 bag record`: its topics have names of their own."""
    kinds = {"/tip": "geometry_msgs/msg/PoseStamped", "/goal": "geometry_msgs/msg/PoseStamped"}
    with EpisodeBagWriter(tmp_path / "bag", kinds | {"/state/pose": kinds["/tip"]}) as writer:
        writer.write("/goal", pose_stamped(10**9, FRAME, [0.6, 0, 0.3]))
        for i in range(61):
            writer.write("/tip", pose_stamped(10**9 + i * 33_333_333, FRAME, [0.4, 0, 0.3]))
            writer.write("/state/pose", pose_stamped(10**9 + i * 33_333_333, FRAME, [0.9, 0, 0.9]))
    poses = graph.listen("state/pose", PoseStamped, RELIABLE)
    targets = graph.listen("target_pose", PoseStamped, LATCHED)
    graph.start("demo_player", bag=tmp_path / "bag", loop=True, pose_topic="tip", target_topic="/goal")
    graph.wait(lambda: len(poses) > 60 and targets, "the recording")
    assert {message.pose.position.x for message in poses} == {0.4}, "the topic that was named, and no other"
    assert point_array(targets[0].pose.position).tolist() == [0.6, 0, 0.3]
    assert "no state of the robot: /state/pose" in graph.output("demo_player")
    assert graph.stop("demo_player") == 0


def test_beside_a_robot_it_plays_nothing(graph, bag):
    robot = graph.node.create_publisher(PoseStamped, "state/pose", RELIABLE)
    player = graph.start("demo_player", bag=bag)
    assert player.wait(120.0) == 2
    assert "somebody publishes /state/pose already" in graph.output("demo_player")
    assert robot.get_subscription_count() == 0


def test_beside_a_robot_whose_topic_it_is_remapped_to_it_plays_nothing(graph, bag):
    graph.node.create_publisher(PoseStamped, "robot/pose", RELIABLE)
    command = [sys.executable, "-m", "sac_gmm_nodes.recording.demo_player", "--ros-args", "-p", f"bag:={bag}"]
    assert graph.run("demo_player", [*command, "-r", "state/pose:=robot/pose"]).wait(120.0) == 2
    assert "somebody publishes /robot/pose already" in graph.output("demo_player")


class Arm:
    """An arm that goes as it is told, in the test's process."""

    def __init__(self, graph, at, frame=FRAME):
        self.frame = frame
        self.graph, self.position, self.commands = graph, np.array(at), []
        self.follows = self.stamps = True
        self.now = graph.node.get_clock().now().to_msg()
        self.out = graph.node.create_publisher(PoseStamped, "state/pose", RELIABLE)
        graph.node.create_subscription(TwistStamped, "command/twist", self._on_twist, MANY)
        self.velocity = np.zeros(3)
        self._moved_s = time.monotonic()
        self.timer = graph.node.create_timer(0.01, self._tick)

    def _on_twist(self, message):
        linear = message.twist.linear
        self.velocity = np.array([linear.x, linear.y, linear.z])
        self.commands.append(self.velocity)

    def _tick(self):
        now_s = time.monotonic()
        if self.follows:
            self.position = self.position + (now_s - self._moved_s) * self.velocity
        self._moved_s = now_s
        if self.stamps:
            self.now = self.graph.node.get_clock().now().to_msg()
        message = PoseStamped(header=header(self.now, self.frame))
        message.pose.position.x, message.pose.position.y, message.pose.position.z = self.position.tolist()
        self.out.publish(message)


def start(graph, bag, **parameters):
    given = {"mode": "motion", "speed_scale": 1.0, "state_timeout_s": 1.0, "ramp_s": 0.5} | SAFE | parameters
    return graph.start("demo_player", bag=bag, **given)


def test_a_motion_is_gone_from_its_start_to_its_end(graph, bag):
    arm = Arm(graph, [0.405, 0.003, 0.3])
    player = start(graph, bag)
    answer = graph.call(Trigger, "demo_player/start", Trigger.Request())
    while not answer.success and "no state" in answer.message:
        answer = graph.call(Trigger, "demo_player/start", Trigger.Request())
    assert answer.success, answer.message
    graph.wait(lambda: player.poll() is not None, "the end of the motion")
    assert player.returncode == 0, graph.output("demo_player")
    assert np.linalg.norm(arm.position - [0.46, 0, 0.3]) < 0.02
    speeds = np.linalg.norm(arm.commands, axis=1)
    assert speeds[0] < 0.005 and 0.02 < speeds.max() < 0.1 and not speeds[-1]


def test_ctrl_c_brings_the_arm_to_rest_within_its_limits(graph, bag):
    arm = Arm(graph, [0.4, 0.0, 0.3])
    heard = Commands(graph)
    slow = 0.2
    start(graph, bag, autostart=True, max_acceleration_m_s2=slow, rate_hz=100.0)
    graph.wait(lambda: arm.velocity[0] > 0.02, "motion")
    assert graph.stop("demo_player") == 0
    graph.wait(lambda: not heard[-1].twist.any(), "a zero in the end")
    speeds = np.array([command.velocity[0] for command in heard])
    numbers = np.array([command.number for command in heard])
    assert (np.abs(np.diff(speeds)) / np.diff(numbers)).max() * 100.0 <= slow + 1e-6, "even where one was missed"
    assert "the replay ended after" in graph.output("demo_player")
    assert "Traceback" not in graph.output("demo_player")


def test_far_from_the_start_nothing_is_commanded(graph, bag):
    arm = Arm(graph, [0.5, 0.0, 0.3])
    start(graph, bag)
    answer = graph.call(Trigger, "demo_player/start", Trigger.Request())
    while "no state" in answer.message:
        answer = graph.call(Trigger, "demo_player/start", Trigger.Request())
    assert not answer.success
    assert "the arm is 100 mm from where the recording begins" in answer.message
    assert "at most 30 mm" in answer.message
    assert graph.stop("demo_player") == 0
    assert not arm.commands


def test_an_arm_that_does_not_follow_ends_it_with_a_sentence(graph, bag):
    arm = Arm(graph, [0.4, 0.0, 0.3])
    arm.follows = False
    player = start(graph, bag, autostart=True, max_deviation_m=0.02)
    graph.wait(lambda: player.poll() is not None or arm.commands, "a command")
    assert player.wait(120.0) == 2
    graph.processes.pop("demo_player")
    assert "off the recorded path" in graph.output("demo_player")
    assert not arm.commands[-1].any()


@pytest.mark.parametrize("trouble", ["a state that only repeats itself", "a second commander"])
def test_what_goes_wrong_on_the_way_ends_it_with_the_arm_at_rest(graph, bag, trouble):
    arm = Arm(graph, [0.4, 0.0, 0.3])
    commander = trouble == "a second commander"
    player = start(graph, bag, autostart=True, state_timeout_s=1.0 if commander else 0.2)
    graph.wait(lambda: player.poll() is not None or arm.commands, "a command")
    if commander:
        graph.node.create_publisher(TwistStamped, "command/twist", COMMAND)
        words = "somebody else publishes /command/twist"
    else:
        arm.stamps, words = False, "the state of the arm is"
    assert player.wait(120.0) == 2
    graph.processes.pop("demo_player")
    assert words in graph.output("demo_player")
    assert not arm.commands[-1].any()
    assert np.linalg.norm(arm.position - [0.46, 0, 0.3]) > 0.02  # it never came to the end


def test_two_commanders_and_a_wrong_frame_are_refused(graph, bag):
    Arm(graph, [0.4, 0.0, 0.3])
    controller = graph.node.create_publisher(TwistStamped, "command/twist", COMMAND)
    start(graph, bag)
    answer = graph.call(Trigger, "demo_player/start", Trigger.Request())
    assert not answer.success and "somebody else publishes /command/twist" in answer.message
    assert controller.get_subscription_count() >= 1
    assert graph.stop("demo_player") == 0
    wrong = start(graph, bag, base_frame="world")
    assert wrong.wait(120.0) == 2
    assert "recorded in frame 'lbr_link_0', but base_frame is 'world'" in graph.output("demo_player")
    graph.processes.pop("demo_player")


def test_a_state_in_another_frame_and_one_that_grows_old_are_named(graph, bag):
    arm = Arm(graph, [0.4, 0.0, 0.3], frame="world")
    start(graph, bag)

    def said(words):
        return words in graph.call(Trigger, "demo_player/start", Trigger.Request()).message

    graph.wait(lambda: said("/state/pose is in the frame 'world'"), "the frame")
    arm.frame = FRAME
    arm.position = np.array([0.2, 0.0, 0.3])
    graph.wait(lambda: said("mm from where the recording begins"), "the place")
    arm.timer.cancel()
    graph.wait(lambda: said("s old: check the connection to the robot"), "the age")
    graph.call(Trigger, "demo_player/stop", Trigger.Request())  # nothing was begun, so nothing is commanded
    assert graph.processes.pop("demo_player").wait(120.0) == 2
    assert not arm.commands


def test_the_overrides_for_ros2_bag_fit_what_our_nodes_say(graph, model_file):
    """Every latched topic is latched in both files, and what is asked for is not more than what is offered."""
    files = {
        kind: yaml.safe_load((ROOT / "config" / "rosbag" / f"{kind}_qos.yaml").read_text())
        for kind in ("record", "play")
    }
    assert files["record"].keys() == files["play"].keys()
    graph.start("pybullet_bridge")
    graph.start("aruco_reward")
    graph.start("gmm_controller", model_file=model_file)
    graph.start("episode_manager")
    of_nodes = {"/state/pose", "/target_pose", "/fixed_camera/image", "/reward", "/episode_state"}

    def offers():
        return {topic: graph.node.get_publishers_info_by_topic(topic) for topic in files["record"]}

    graph.wait(lambda: all(offers()[topic] for topic in of_nodes), "what the nodes offer")
    compared = 0
    for topic, infos in offers().items():
        asked, played = files["record"][topic], files["play"][topic]
        for info in infos:
            offered = info.qos_profile
            latched = offered.durability == DurabilityPolicy.TRANSIENT_LOCAL
            assert (asked["durability"] == "transient_local") == latched, topic
            assert (played["durability"] == "transient_local") == latched, topic
            reliable = offered.reliability == ReliabilityPolicy.RELIABLE
            assert asked["reliability"] == ("reliable" if reliable else "best_effort"), topic
            compared += 1
        assert played["reliability"] == "reliable", "so that nodes that want every message hear it"
    assert compared >= 10
