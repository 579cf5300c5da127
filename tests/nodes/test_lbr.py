"""A KUKA LBR iiwa behind its driver's topics: controller and simulated robot, each a process, faults and all."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import rclpy
import robot_interfaces
from geometry_msgs.msg import PoseStamped, Twist, WrenchStamped
from rcl_interfaces.srv import GetParameters
from rclpy.qos import QoSProfile
from sac_gmm_interfaces.msg import ControllerStatus, EpisodeState
from sac_gmm_interfaces.srv import SetFault
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool
from tests.nodes.commands import following
from tests.nodes.faults.conftest import stop_of

from sac_gmm.control import Limit, Reason, SafetyLimits, State
from sac_gmm.models import GaussianMixture, SkillModel, save_model
from sac_gmm.tasks.arms.description import HOME_RAD, describe_iiwa
from sac_gmm_nodes.common.conversions import (
    header,
    nanoseconds,
    point_array,
    pose_message,
    stamp_of,
    twist_array,
    wrench_array,
    wrench_message,
)
from sac_gmm_nodes.common.qos import COMMAND, EPISODE, LATCHED, SENSOR

pytestmark = [pytest.mark.ros, pytest.mark.slow]
RATE_HZ = 100.0
LIMITS = SafetyLimits()
EVERY_ONE = QoSProfile(depth=1000)
WORDS = {
    "session": "the FRI session drops and returns",
    "safety": "a safety stop",
    "drives": "the drives are switched off",
    "connection": "a poor connection",
    "tracking": "poor tracking",
}


@pytest.fixture(scope="session")
def outward_model(tmp_path_factory):
    """A skill that goes away from the robot for ever."""
    means = np.array([[0.3, 0, 0, 0.15, 0, 0], [0.6, 0, 0, 0.15, 0, 0]])
    mixture = GaussianMixture(np.full(2, 0.5), means, np.tile(np.diag([1.0] * 3 + [1e-3] * 3), (2, 1, 1)))
    path = tmp_path_factory.mktemp("model") / "outward.npz"
    save_model(path, SkillModel("gmm", mixture, np.zeros(3)))
    return path


class Lab:
    """Robot and controller, an episode that runs unless it is not wanted, and an ear on what is commanded."""

    def __init__(self, graph, model_file, bridge=None, episode=True, **controller):
        graph.env |= robot_interfaces.environment()
        from lbr_fri_idl.msg import LBRState

        self.graph = graph
        self.heard: list[np.ndarray] = []  # commands
        self.numbers: list[int] = []  # as their publisher counts them
        self.sent_s: list[float] = []
        self.states = graph.listen("lbr/state", LBRState, SENSOR)
        self.poses = graph.listen("state/pose", PoseStamped, SENSOR)
        self.statuses = graph.listen("controller_status", ControllerStatus, EVERY_ONE)
        graph.node.create_subscription(Twist, "lbr/command/twist", self._on_twist, EVERY_ONE)
        self.episodes = graph.node.create_publisher(EpisodeState, "episode_state", EPISODE)
        graph.start("pybullet_bridge", driver="only", control_rate_hz=120, **(bridge or {}))
        targets = graph.listen("target_pose", PoseStamped, LATCHED)
        graph.wait(lambda: targets, "the target")
        start = targets[-1].header.stamp
        if episode:
            self.episodes.publish(EpisodeState(phase=2, episode_id=1, start_stamp=start, time_limit_s=3600.0))
        assert EpisodeState.PHASE_RUNNING == 2
        graph.start(
            "gmm_controller",
            model_file=model_file,
            autostart=True,
            **({"robot": "lbr", "rate_hz": RATE_HZ, "tip_frame": "tcp", "use_sim_time": True} | controller),
        )

    def _on_twist(self, message, info):
        self.numbers.append(info["publication_sequence_number"])
        self.sent_s.append(1e-9 * info["source_timestamp"])
        self.heard.append(twist_array(message))

    def wait(self, what, **fields):
        """Wait until the newest status has these values."""
        wanted = {name: int(value) for name, value in fields.items()}
        self.graph.wait(
            lambda: self.statuses and all(getattr(self.statuses[-1], n) == v for n, v in wanted.items()), what
        )

    def moving(self, what="motion"):
        self.wait(what, state=State.ACTIVE)
        self.graph.wait(lambda: np.linalg.norm(self.heard[-1]) > 0.02 if self.heard else False, what)

    def fault(self, name):
        assert self.graph.call(SetFault, "pybullet_bridge/set_fault", SetFault.Request(fault=name)).success

    def stop_by(self, fault, reason):
        """Let a fault happen while the arm moves and wait for silence; how the arm came to rest."""
        before = len(self.statuses) - 1
        self.fault(fault)
        self.wait(fault, reason=reason)
        assert self.statuses[-1].remedy
        self.silence()
        statuses = self.statuses[before:]
        first = next(i for i, status in enumerate(statuses) if status.reason == reason)
        assert statuses[first].tick - statuses[first - 1].tick == 1, "no status was missed where the stop begins"
        stop = stop_of(statuses, reason)
        assert stop.ticks * stop.period_s <= stop.bound_s, f"{stop.ticks} ticks from {stop.speed_m_s} m/s"
        return stop

    def resume(self):
        assert self.graph.call(SetBool, "gmm_controller/pause", SetBool.Request(data=False)).success

    def silence(self):
        """Wait until nothing has been commanded for thirty ticks, and a zero was the last."""
        count = tick = 0

        def silent():
            nonlocal count, tick
            if len(self.heard) > count:
                count, tick = len(self.heard), self.statuses[-1].tick
            return self.statuses[-1].tick > tick + 30 and not self.heard[-1].any()

        self.graph.wait(lambda: self.heard and silent(), "zero commands, then silence")

    def check_limits(self):
        """All commands so far are finite and within the limits on speed, acceleration and jerk."""
        count = len(self.heard)  # more may be heard meanwhile
        twists = np.array(self.heard[:count])
        assert np.isfinite(twists).all() and not twists[:, 3:].any()
        follows = following(self.numbers[:count], self.sent_s[:count])
        acceleration = np.diff(twists[:, :3], axis=0) * RATE_HZ
        jerk = (np.diff(acceleration, axis=0) * RATE_HZ)[follows[1:] & follows[:-1]]
        acceleration = acceleration[follows]
        assert np.linalg.norm(twists[:, :3], axis=1).max() <= LIMITS.max_speed_m_s + 1e-9
        assert np.linalg.norm(acceleration, axis=1).max() <= LIMITS.max_acceleration_m_s2 + 1e-6
        assert np.linalg.norm(jerk, axis=1).max() <= LIMITS.max_jerk_m_s3 + 1e-3

    def position(self):
        return point_array(self.poses[-1].pose.position)


def test_what_the_robot_says_of_itself_stops_the_arm_and_is_told(graph, outward_model, table):
    """Session, safety and drives latch until somebody says go on; quality and tracking heal by themselves."""
    lab = Lab(graph, outward_model, singularity_slow=0.002, singularity_stop=0.001, max_speed_m_s=0.03)
    lab.moving("motion once the session commands")
    graph.wait(lambda: lab.states and lab.states[-1].session_state == 4, "the robot's state")
    lab.graph.wait(lambda: len(lab.poses) > 50, "poses for others")
    for fault, reason in (
        ("session", Reason.SESSION_LOST),
        ("safety", Reason.SAFETY_STOP),
        ("drives", Reason.DRIVES_OFF),
    ):
        stop = lab.stop_by(fault, reason)
        lab.fault("none")
        graph.wait(lambda: lab.states[-1].session_state == 4, "the session commanding again")
        lab.wait("the reason latched: it does not go on by itself", reason=reason)
        lab.silence()
        lab.resume()
        lab.moving(f"motion after {fault}")
        rest = f"ramps {stop}, then silence; when it is back, rests until resumed by a person"
        table.add(f"the LBR: {WORDS[fault]}", rest, reason.name)
    for fault, reason in (("connection", Reason.POOR_CONNECTION), ("tracking", Reason.POOR_TRACKING)):
        stop = lab.stop_by(fault, reason)
        lab.fault("none")
        lab.moving(f"motion again by itself after {fault}")
        rest = f"ramps {stop}, then silence; goes on when it has been good for a while"
        table.add(f"the LBR: {WORDS[fault]}", rest, reason.name)
    lab.check_limits()
    assert graph.stop("gmm_controller") == 0
    assert "Traceback" not in graph.output("gmm_controller")


def test_the_arm_stops_before_a_singular_posture_and_names_it(graph, outward_model, table):
    """By the driver's twist; the pose by TF."""
    lab = Lab(graph, outward_model, pose_source="tf")
    lab.moving()
    lab.wait("the edge of the arm's reach", state=State.ACTIVE, limit=Limit.SINGULARITY)
    graph.wait(lambda: np.linalg.norm(lab.heard[-1]) < 0.005, "rest at the edge")
    assert 0.65 < lab.position()[0] < 0.9
    assert "singular" in next(status.remedy for status in lab.statuses if status.limit == Limit.SINGULARITY)
    # Joints have the last word, after the limits on acceleration and jerk: where states come in bursts, it is needed.
    speeds = np.array([np.linalg.norm(twist) for twist in lab.heard])
    changes = (np.diff(speeds) * RATE_HZ)[following(lab.numbers, lab.sent_s)]
    assert speeds.max() <= LIMITS.max_speed_m_s + 1e-9
    assert changes.max() <= LIMITS.max_acceleration_m_s2 + 1e-6
    assert changes.min() >= -3 * LIMITS.max_acceleration_m_s2
    hardest = f"slows down by at most {-changes.min():.1f} m/s², stops at {lab.position()[0]:.2f} m in x"
    table.add("a skill leads to a singular posture", hardest, "ACTIVE, limit SINGULARITY")


def test_a_joint_keeps_its_margin_and_joint_positions_take_the_twists_place(graph, model_file, tmp_path, table):
    """The elbow's limit, by the description given, lies on the way down; the driver takes joint positions.

    In which axes it would take twists, which it is not sent, is nobody's business: on the robot, no controller that
    could be asked runs then.
    """
    words = describe_iiwa().partition('name="lbr_A4"')
    end_rad = -np.deg2rad(83.0)
    (tmp_path / "arm.urdf").write_text(words[0] + words[1] + words[2].replace('lower="', f'lower="{end_rad}" was="', 1))
    lab = Lab(
        graph,
        model_file,
        bridge={"twist_in_tip_frame": True},
        command="joint_position",
        check_driver=True,
        joint_band_rad=0.02,
        urdf_file=tmp_path / "arm.urdf",
    )
    from lbr_fri_idl.msg import LBRJointPositionCommand

    commands = graph.listen("lbr/command/joint_position", LBRJointPositionCommand, COMMAND)
    graph.wait(lambda: commands, "joint positions")
    graph.wait(lambda: lab.states, "the robot's state")
    begun = np.array(lab.states[0].measured_joint_position)
    assert np.abs(np.array(commands[0].joint_position) - begun).max() < 0.01, "it begins where the arm is"
    lab.wait("the elbow's limit", state=State.ACTIVE, limit=Limit.JOINT)
    graph.wait(lambda: abs(lab.statuses[-1].velocity.z) < 2e-3, "rest at the limit")
    elbow = [state.measured_joint_position[3] for state in lab.states]
    assert min(command.joint_position[3] for command in commands) >= end_rad + 0.05 - 1e-9
    assert end_rad + 0.025 < min(elbow) < end_rad + 0.07, "what swings over, the margin is for"
    assert "joint" in next(status.remedy for status in lab.statuses if status.limit == Limit.JOINT)
    steps = np.diff([command.joint_position for command in commands], axis=0)
    assert np.abs(steps).max() < 0.02
    assert not lab.heard, "no twist where positions are commanded"
    left_mrad = 1e3 * (min(elbow) - end_rad)
    kept = f"slows down and stops {left_mrad:.0f} mrad before the limit, of which 50 are the margin"
    table.add("a skill leads a joint to its limit", kept, "ACTIVE, limit JOINT")
    lab.fault("session")
    lab.wait("session", reason=Reason.SESSION_LOST)
    held = len(commands)
    graph.wait(lambda: lab.statuses[-1].state == State.PAUSED, "rest")
    count, tick = len(commands), lab.statuses[-1].tick
    graph.wait(lambda: lab.statuses[-1].tick > tick + 50, "half a second of ticks")
    assert len(commands) - count < 12 and len(commands) >= held, "silence after the zero commands"


def test_a_driver_that_takes_twists_in_the_axes_of_its_tip_is_not_sent_any(graph, model_file, table):
    lab = Lab(graph, model_file, bridge={"twist_in_tip_frame": True})
    lab.wait("the wrong setting", reason=Reason.WRONG_DRIVER_SETTING)
    graph.wait(lambda: "twist_in_tip_frame is true" in graph.output("gmm_controller"), "an error in the log")
    assert "twist_in_tip_frame" in lab.statuses[-1].remedy
    assert not any(twist.any() for twist in lab.heard)
    table.add("the LBR: a driver that takes twists in its tip's axes", "is not moved at all", "WRONG_DRIVER_SETTING")


def test_a_driver_that_does_not_say_in_which_axes_it_takes_twists_is_not_sent_any(graph, model_file, table):
    """As rclcpp answers when it is asked for what was not declared: with nothing at all."""
    graph.node.create_service(GetParameters, "another/twist_controller/get_parameters", lambda asked, answer: answer)
    graph.env |= robot_interfaces.environment()
    graph.run(
        "gmm_controller",
        [
            *(
                sys.executable,
                "-m",
                "sac_gmm_nodes.control.gmm_controller",
                "--ros-args",
                "-p",
                f"model_file:={model_file}",
            ),
            *("-p", "autostart:=true", "-p", "robot:=lbr", "-p", "tip_frame:=tcp"),
            *("-r", "lbr/twist_controller/get_parameters:=another/twist_controller/get_parameters"),
        ],
    )
    statuses = graph.listen("controller_status", ControllerStatus, EVERY_ONE)
    graph.start("pybullet_bridge", driver="only", control_rate_hz=120)
    graph.wait(lambda: "knows none of" in graph.output("gmm_controller"), "an error in the log")
    graph.wait(lambda: statuses and statuses[-1].reason == Reason.WRONG_DRIVER_SETTING, "the arm to be held")
    assert "takes twists in base axes" not in graph.output("gmm_controller")
    table.add("the LBR: a driver that does not say in which axes", "is not moved at all", "WRONG_DRIVER_SETTING")


def test_an_arm_with_joint_states_and_a_position_controller(graph, model_file):
    """No LBR's driver: joint states in, positions for a forward controller out."""
    lab = Lab(graph, model_file, robot="joints", command="forward_position")
    commands = graph.listen("lbr/forward_position_controller/commands", Float64MultiArray, COMMAND)
    lab.wait("motion", state=State.ACTIVE)
    start = lab.position()
    graph.wait(lambda: lab.position()[2] < start[2] - 0.03, "the way down")
    assert len(commands[-1].data) == 7
    of_bridge = [name for name, _ in graph.node.get_publisher_names_and_types_by_node("pybullet_bridge", "/")]
    assert "/lbr/joint_states" in of_bridge
    plain = {"/joint_states", "/state/pose", "/state/twist", "/wrench"}
    assert plain.isdisjoint(of_bridge), "beside the driver's they would be silent"


@pytest.fixture
def joints(graph, outward_model, tmp_path):
    """Joint states of an arm that is held, measured with a tremble, and a controller that sends positions."""
    (tmp_path / "arm.urdf").write_text(describe_iiwa())
    message = JointState(name=[f"lbr_A{i}" for i in range(1, 8)], position=HOME_RAD.tolist())
    message.header.stamp = stamp_of(10**9)
    publisher = graph.node.create_publisher(JointState, "joint_states", SENSOR)
    advance, tremble_rad = [True], [1e-6]

    def stream():
        if advance[0]:
            message.header.stamp = stamp_of(nanoseconds(message.header.stamp) + 10_000_000)
        tremble_rad[0] *= -1
        message.position[0] += tremble_rad[0]
        publisher.publish(message)

    graph.node.create_timer(0.01, stream)
    targets = graph.node.create_publisher(PoseStamped, "target_pose", LATCHED)
    head = header(stamp_of(10**9), "lbr_link_0")
    targets.publish(pose_message(np.array([0.5, 0.0, 0.3]), np.array([0.0, 0.0, 0.0, 1.0]), head))
    episodes = graph.node.create_publisher(EpisodeState, "episode_state", EPISODE)
    episodes.publish(EpisodeState(phase=2, episode_id=1, start_stamp=stamp_of(10**9), time_limit_s=3600.0))
    statuses = graph.listen("controller_status", ControllerStatus, EVERY_ONE)
    commands = graph.listen("forward_position_controller/commands", Float64MultiArray, EVERY_ONE)
    parameters = {"robot": "joints", "robot_name": '""', "command": "forward_position", "tip_frame": "tcp"}
    graph.start(
        "gmm_controller", model_file=outward_model, urdf_file=tmp_path / "arm.urdf", autostart=True, **parameters
    )
    return message, advance, statuses, commands, tremble_rad


def test_a_joint_state_said_again_is_as_old_as_before(graph, joints, table):
    message, advance, statuses, _, tremble_rad = joints
    graph.wait(lambda: statuses and statuses[-1].state == State.ACTIVE, "motion")
    advance[0] = False
    graph.wait(lambda: statuses[-1].reason == Reason.STALE_STATE, "stale states to be noticed")
    table.add("joint states that repeat themselves", "ramps to zero, as for states that stop", "STALE_STATE")

    advance[0] = True
    graph.wait(lambda: statuses[-1].state == State.ACTIVE, "motion again")
    tremble_rad[0] = 0.0
    words = "/joint_states (published by /listener) did not change for 0."
    graph.wait(lambda: words in statuses[-1].remedy, "positions that are repeated under new stamps to be noticed")
    assert statuses[-1].reason == Reason.STALE_STATE
    tremble_rad[0] = 1e-6
    tick = statuses[-1].tick
    graph.wait(lambda: statuses[-1].tick > tick + 50, "half a second of ticks")
    assert statuses[-1].reason == Reason.STALE_STATE, "it rests until somebody says go on"
    assert graph.call(SetBool, "gmm_controller/pause", SetBool.Request(data=False)).success
    graph.wait(lambda: statuses[-1].state == State.ACTIVE, "motion")
    fault = "joint positions that are repeated under new stamps while the arm is commanded"
    table.add(fault, "ramps to zero after 0.3 s and 10 mm; rests until resumed by a person", "STALE_STATE")

    message.header.stamp = stamp_of(7200 * 10**9)  # by a clock that is past the episode's end
    words = "no episode is running at the arm's time: the stamps of /joint_states (published by /listener) are "
    graph.wait(lambda: words in statuses[-1].remedy, "the clocks to be named")
    assert statuses[-1].reason == Reason.NO_EPISODE and "s behind this node's clock" in statuses[-1].remedy
    poses = graph.listen("state/pose", PoseStamped, SENSOR)
    advance[0] = False
    message.header.stamp = stamp_of(0)
    graph.wait(lambda: poses and poses[-1].header.stamp.sec > 10**9, "the time of arrival in place of an unset stamp")


def test_zeros_of_another_publisher_are_never_followed(graph, joints, table):
    """As by joint_state_publisher beside a driver: the same joints, ten times a second."""
    _, _, statuses, commands, _ = joints
    graph.wait(lambda: statuses and statuses[-1].state == State.ACTIVE, "motion")
    other = rclpy.create_node("joint_state_publisher", context=graph.node.context)
    zeros = other.create_publisher(JointState, "joint_states", SENSOR)
    name = [f"lbr_A{i}" for i in range(1, 8)]
    timer = graph.node.create_timer(0.1, lambda: zeros.publish(JointState(name=name, position=[0.0] * 7)))
    words = (
        "/joint_states (published by /joint_state_publisher, /listener) gives the arm's joints in two places in turn: "
    )
    graph.wait(lambda: words in statuses[-1].remedy, "a remedy that names both")
    assert statuses[-1].reason == Reason.STALE_STATE and "stop whoever is not the arm's driver" in statuses[-1].remedy
    graph.wait(lambda: statuses[-1].state not in (State.ACTIVE, State.STOPPING), "rest")
    graph.wait(lambda: "in two places in turn" in graph.output("gmm_controller"), "the same in the log")
    refused = graph.call(SetBool, "gmm_controller/pause", SetBool.Request(data=False))
    assert "STALE_STATE" in refused.message or "NO_STATE" in refused.message
    timer.cancel()
    tick = statuses[-1].tick
    graph.wait(lambda: statuses[-1].tick > tick + 100, "a second of ticks")
    other.destroy_node()
    if statuses[-1].reason == Reason.STALE_STATE:  # zeros came after somebody said go on
        assert graph.call(SetBool, "gmm_controller/pause", SetBool.Request(data=False)).success
    graph.wait(lambda: statuses[-1].state == State.ACTIVE, "motion")
    assert np.abs(np.array([command.data for command in commands]) - HOME_RAD).max() < 0.06
    held = "ramps to zero at once; never follows it; rests until it is stopped and a person resumes"
    table.add("another publisher of the arm's joints", held, "STALE_STATE")


def test_a_gripper_that_publishes_on_the_same_topic_does_not_stop_the_arm(graph, joints, table):
    """Its messages come right after each of the arm's, as from a driver of its own."""
    _, _, statuses, _, _ = joints
    gripper = graph.node.create_publisher(JointState, "joint_states", SENSOR)

    def publish():
        for jaw in ("left_jaw", "right_jaw"):
            gripper.publish(JointState(name=[jaw], position=[0.02]))

    graph.node.create_timer(0.002, publish)
    graph.wait(lambda: statuses and statuses[-1].state == State.ACTIVE, "motion")
    since = len(statuses)

    def goes_on():
        """Twenty ticks of motion in a row; a busy machine may hold them up now and then."""
        states = [status.state for status in statuses[since:]]
        return any(states[k : k + 20] == [State.ACTIVE] * 20 for k in range(len(states)))

    graph.wait(goes_on, "motion that goes on")
    graph.wait(lambda: "also carries other joints" in graph.output("gmm_controller"), "a line that names the other")
    assert "left_jaw" in graph.output("gmm_controller")
    table.add("another publisher on joint_states", "goes on; it is named in the log", "ACTIVE")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda m: setattr(m, "name", [f"arm_{name}" for name in m.name]),
            ["lbr_A1, lbr_A2", "are missing", "arm_lbr_A7"],
        ),
        (lambda m: setattr(m, "position", m.position[:4]), ["7 names but 4 positions"]),
    ],
)
def test_joints_that_do_not_match_the_description_are_named(graph, joints, change, words):
    message, _, statuses, commands, _ = joints
    change(message)

    words = ["/joint_states (published by /listener)", *words]

    def told():
        return statuses and statuses[-1].reason == Reason.NO_STATE and all(w in statuses[-1].remedy for w in words)

    graph.wait(told, "a remedy that names the joints and who publishes them")
    graph.wait(lambda: words[1] in graph.output("gmm_controller"), "the same in the log")
    assert not commands


def test_joints_that_are_not_numbers_are_not_commanded(graph, joints, table):
    message, _, statuses, commands, _ = joints
    message.position = [float("nan")] * 7
    commands.clear()
    graph.wait(lambda: statuses and statuses[-1].reason == Reason.NOT_A_NUMBER, "the numbers to be noticed")
    tick = statuses[-1].tick
    graph.wait(lambda: statuses[-1].tick > tick + 30, "more ticks")
    assert not commands
    table.add("joint states that are not numbers", "is not moved at all", "NOT_A_NUMBER")
    words = (
        "lbr_A1, lbr_A2, lbr_A3, lbr_A4, lbr_A5, lbr_A6, lbr_A7 of /joint_states (published by /listener) came as no"
    )
    graph.wait(lambda: words in statuses[-1].remedy, "the joints to be named")


def test_a_wrench_is_told_in_base_axes_and_only_while_it_is_felt(graph, joints):
    """A driver's wrench comes in the axes of the tip, which points down: pulled up, the arm feels the tip's -z."""
    felt, frame = np.array([1.0, 2.0, -3.0, 0.1, 0.2, 0.3]), ["tcp"]
    broadcaster = graph.node.create_publisher(WrenchStamped, "force_torque_broadcaster/wrench", SENSOR)
    timer = graph.node.create_timer(
        0.01, lambda: broadcaster.publish(wrench_message(felt, header(stamp_of(1), frame[0])))
    )
    poses = graph.listen("state/pose", PoseStamped, SENSOR)
    told = graph.listen("wrench", WrenchStamped, SENSOR)
    graph.wait(lambda: poses and told, "a wrench and a pose")
    turn = poses[-1].pose.orientation
    tip = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w])
    expected = tip.apply(felt.reshape(2, 3)).ravel()
    np.testing.assert_allclose(wrench_array(told[-1]), expected, atol=1e-5)  # between the two the joints tremble
    assert told[-1].wrench.force.z == pytest.approx(3.0, abs=0.1)
    assert told[-1].header.frame_id == "lbr_link_0"

    frame[0] = "lbr_link_0"
    graph.wait(lambda: wrench_array(told[-1]).tolist() == felt.tolist(), "one in base axes, as it is")
    frame[0] = "elsewhere"
    graph.wait(lambda: "is in the frame 'elsewhere'" in graph.output("gmm_controller"), "an error that names the frame")
    assert "tip_frame 'tcp'" in graph.output("gmm_controller")
    graph.node.destroy_timer(timer)
    graph.wait(lambda: "no wrench on /force_torque_broadcaster/wrench" in graph.output("gmm_controller"), "an error")
    told.clear()
    count = len(poses)
    graph.wait(lambda: len(poses) > count + 20, "more states")
    assert not told, "the last wrench is not that of now"


@pytest.mark.parametrize(
    "parameters, words",
    [
        ({"lockstep": True}, "robot = lbr runs on the wall clock"),
        ({"joint_margin_rad": 0.9}, "joint_margin_rad = 0.9 is out of range"),
        ({"tip_frame": "tool0", "urdf_file": "URDF"}, "tip_frame 'tool0' is not a link"),
        ({"urdf_file": "/nowhere.urdf"}, "/nowhere.urdf cannot be read"),
    ],
)
def test_what_cannot_work_is_said(graph, model_file, tmp_path, parameters, words):
    (tmp_path / "arm.urdf").write_text(describe_iiwa())
    given = {k: str(tmp_path / "arm.urdf") if v == "URDF" else v for k, v in parameters.items()}
    graph.env |= robot_interfaces.environment()
    process = graph.start("gmm_controller", model_file=model_file, robot="lbr", autostart=True, **given)
    graph.processes.pop("gmm_controller")  # it may end by itself, with an error
    graph.wait(lambda: words in graph.output("gmm_controller"), words)
    process.terminate()
    process.wait(120.0)
