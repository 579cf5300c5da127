import itertools
import json
import re
import time

import numpy as np
import pytest
import robot_interfaces
from geometry_msgs.msg import PoseStamped, Twist, TwistStamped, Vector3, WrenchStamped
from sac_gmm_interfaces.msg import EpisodeState, MethodPace
from sac_gmm_interfaces.srv import ResetTask, SetFault
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import String

from sac_gmm.control.kinematics import ArmKinematics
from sac_gmm_nodes.common.conversions import header, nanoseconds, point_array, stamp_of, twist_array, twist_message
from sac_gmm_nodes.common.pictures import depth_array
from sac_gmm_nodes.common.qos import COMMAND, EPISODE, LATCHED, RELIABLE

pytestmark = [pytest.mark.ros, pytest.mark.slow]
LOCKSTEP = {"lockstep": True, "wait_for_reward": False, "fixed_camera_period_steps": 0, "wrist_camera_period_steps": 0}


class Driver:
    """The other side of the bridge, in the test's process."""

    def __init__(self, graph, **parameters):
        self.graph = graph
        self.poses = graph.listen("state/pose", PoseStamped, RELIABLE)
        self.twists = graph.listen("state/twist", TwistStamped, RELIABLE)
        self.targets = graph.listen("target_pose", PoseStamped, LATCHED)
        self.commands = graph.node.create_publisher(TwistStamped, "command/twist", COMMAND)
        self.episodes = graph.node.create_publisher(EpisodeState, "episode_state", EPISODE)
        graph.start("pybullet_bridge", **(LOCKSTEP | parameters))
        graph.wait(lambda: self.poses and self.targets, "the first state")

    def reset(self, seed=0, noise=-1.0):
        request = ResetTask.Request(seed=seed, target_noise_std_m=noise)
        self.start = nanoseconds(self.graph.call(ResetTask, "reset_task", request).stamp)
        self.graph.wait(lambda: self.stamps(self.targets)[-1] == self.start, "the new target")

    def run(self, phase=EpisodeState.PHASE_RUNNING, time_limit_s=10.0):
        state = EpisodeState(phase=phase, episode_id=1, start_stamp=stamp_of(self.start), time_limit_s=time_limit_s)
        self.episodes.publish(state)

    def command(self, stamp_ns, vx=0.0):
        twist = np.array([vx, 0, 0, 0, 0, 0.0])
        self.commands.publish(twist_message(twist, header(stamp_of(stamp_ns))))

    def at(self, step):
        """Stamp of a step of the episode, to the nanosecond's rounding."""
        return self.start + round(step * 1e9 / 30)

    def step(self, message):
        """The step of the episode that a message belongs to."""
        return round((nanoseconds(message.header.stamp) - self.start) * 30e-9)

    def stamps(self, messages):
        return [nanoseconds(message.header.stamp) for message in messages]


def test_in_lockstep_physics_waits_for_the_command(graph):
    driver = Driver(graph, log_times=True)
    joints = graph.listen("joint_states", JointState, RELIABLE)
    wrenches = graph.listen("wrench", WrenchStamped, RELIABLE)
    driver.reset()
    before = driver.stamps(driver.poses)[-1]
    graph.wait(lambda: driver.stamps(driver.poses).count(before) > 3, "the state, again and again")
    assert abs(before - driver.at(-1)) <= 1  # the first state of the episode comes when it runs
    driver.command(before, vx=-0.1)  # a controller at rest answers, too: not for the first state
    driver.run()
    graph.wait(lambda: driver.stamps(driver.poses).count(driver.start) > 1, "the first state, again")
    stamp = driver.start
    assert driver.stamps(driver.poses)[-1] == stamp
    for _ in range(20):
        driver.command(stamp, vx=-0.1)
        graph.wait(lambda stamp=stamp: driver.stamps(driver.poses)[-1] > stamp, "the next state")
        stamp = driver.stamps(driver.poses)[-1]
    assert abs(stamp - driver.at(20)) <= 1
    assert twist_array(driver.twists[-1])[0] < -0.05
    assert list(joints[-1].name) == [f"lbr_A{i}" for i in range(1, 8)]
    assert len(joints[-1].position) == 7
    assert np.isfinite([wrenches[-1].wrench.force.x, wrenches[-1].wrench.torque.z]).all()
    driver.run(EpisodeState.PHASE_ENDED)
    count = len(driver.poses)
    graph.wait(lambda: len(driver.poses) > count + 3, "states of the held scene")
    assert driver.stamps(driver.poses)[-1] == stamp
    [times] = re.findall(r"times of episode 1: (\{.*\})", graph.output("pybullet_bridge"))
    assert {"physics", "states", "commands"} <= json.loads(times).keys()
    assert graph.stop("pybullet_bridge") == 0


def test_without_commands_the_arm_stops_after_the_timeout_of_simulated_time(graph):
    driver = Driver(graph, lockstep_timeout_s=0.3)
    driver.reset()
    driver.run()
    stamp = driver.start
    for _ in range(30):
        driver.command(stamp, vx=-0.15)
        graph.wait(lambda stamp=stamp: driver.stamps(driver.poses)[-1] > stamp, "the next state")
        stamp = driver.stamps(driver.poses)[-1]
    last_ns = driver.stamps(driver.poses)[-2]
    graph.wait(lambda: driver.stamps(driver.poses)[-1] - last_ns > 0.6e9, "physics going on without commands")
    speed = {nanoseconds(m.header.stamp) - last_ns: np.linalg.norm(twist_array(m)[:3]) for m in driver.twists}
    assert speed[0] > 0.1
    # Zero is commanded from 0.2 s on; what remains is the swing of a compliant arm.
    assert max(value for age, value in speed.items() if age > 0.23e9) < 0.05
    assert max(value for age, value in speed.items() if age > 0.3e9) < 0.015
    assert "no command/twist for the state" in graph.output("pybullet_bridge")


def test_the_same_seed_gives_the_same_scene_and_noise_is_what_was_asked_for(graph):
    driver = Driver(graph)
    targets = []
    for seed, noise in ((3, -1.0), (4, -1.0), (3, -1.0), (3, 0.0)):
        driver.reset(seed, noise)
        targets.append(point_array(driver.targets[-1].pose.position))
    np.testing.assert_array_equal(targets[0], targets[2])
    assert np.linalg.norm(targets[0] - targets[1]) > 1e-3
    assert 0 < np.linalg.norm(targets[0] - targets[3]) < 0.06
    stamps = driver.stamps(driver.targets)
    assert stamps == sorted(set(stamps))


def test_pictures_come_in_step_with_the_episode(graph):
    driver = Driver(graph, wrist_camera_period_steps=4, fixed_camera_period_steps=3)
    wrist = graph.listen("wrist_camera/image", Image, RELIABLE)
    fixed = graph.listen("fixed_camera/image", Image, RELIABLE)
    infos = graph.listen("fixed_camera/camera_info", CameraInfo, RELIABLE)
    driver.reset()
    driver.run(time_limit_s=10 / 30)
    for k in range(10):
        graph.wait(lambda k=k: driver.step(driver.poses[-1]) >= k, "the state")
        driver.command(driver.stamps(driver.poses)[-1])
    graph.wait(lambda: fixed and driver.step(fixed[-1]) == 10, "the picture of the last state")
    graph.wait(lambda: wrist and driver.step(wrist[-1]) == 10, "the picture of the last state")
    assert [driver.step(message) for message in wrist] == [0, 4, 8, 10]
    assert [driver.step(message) for message in fixed] == [1, 4, 7, 10]
    assert (wrist[0].height, wrist[0].width, wrist[0].encoding) == (64, 64, "rgb8")
    assert infos[0].k[0] > 100
    assert infos[0].header == fixed[0].header


def test_in_lockstep_the_agent_s_pictures_come_at_the_announced_pace(graph):
    paces = graph.node.create_publisher(MethodPace, "method_pace", LATCHED)
    paces.publish(MethodPace(decision_interval=5, control_rate_hz=30.0))
    driver = Driver(graph, wrist_camera_period_steps=3, fixed_camera_period_steps=3)
    wrist = graph.listen("wrist_camera/image", Image, RELIABLE)
    fixed = graph.listen("fixed_camera/image", Image, RELIABLE)
    # An agent that looks once gets the first picture alone, where nobody else listens.
    for interval, once, expected in ((5, False, [0, 5, 10]), (4, False, [0, 4, 8, 10]), (4, True, [0])):
        paces.publish(MethodPace(decision_interval=interval, control_rate_hz=30.0, looks_once=once))
        driver.reset()
        driver.run(time_limit_s=10 / 30)
        for k in range(10):
            graph.wait(lambda k=k: driver.step(driver.poses[-1]) >= k, "the state")
            if k == 1:  # what is announced on the way does not matter before the next episode
                paces.publish(MethodPace(decision_interval=7, control_rate_hz=30.0))
            driver.command(driver.stamps(driver.poses)[-1])
        graph.wait(lambda: fixed and driver.step(fixed[-1]) == 10, "the picture of the last state")
        graph.wait(lambda: wrist and driver.step(wrist[-1]) == expected[-1], "the last picture for the agent")  # noqa: B023
        steps = [driver.step(message) for message in wrist]
        assert sorted({step for step in steps if step >= 0}) == expected
        driver.run(EpisodeState.PHASE_ENDED)


@pytest.mark.parametrize(
    ("task", "topic", "shape"),
    [
        ("lever", "depth_camera/image", (64, 64)),
        ("peg", "tactile_left/image", (64, 64)),
        ("peg", "tactile/image", (128, 64)),
    ],
)
def test_tasks_publish_their_own_sensors(graph, task, topic, shape):
    driver = Driver(graph, task=task, wrist_camera_period_steps=4)
    pictures = graph.listen(topic, Image, RELIABLE)
    infos = graph.listen("depth_camera/camera_info", CameraInfo, RELIABLE)
    driver.reset()
    driver.run(time_limit_s=4 / 30)
    for k in range(4):
        graph.wait(lambda k=k: driver.step(driver.poses[-1]) >= k, "the state")
        driver.command(driver.stamps(driver.poses)[-1], vx=0.1)
    graph.wait(lambda: pictures and driver.step(pictures[-1]) == 4, "the picture of the last state")
    assert [driver.step(message) for message in pictures] == [0, 4]
    assert pictures[0].encoding == "32FC1"
    metres = [depth_array(message) for message in pictures]
    assert metres[0].shape == shape
    assert np.isfinite(metres).all()
    assert not np.array_equal(*metres)
    of_others = {"lever": ("tactile/image", "limit_switch"), "peg": ("depth_camera/image",)}
    assert [name for name in of_others[task] if graph.node.count_publishers(name)] == [], "sensors that it has not"
    if task == "lever":
        assert 0.1 < np.median(metres[0]) < 1.5
        assert infos[0].header == pictures[0].header
        assert (infos[0].width, infos[0].height) == (64, 64)
    else:
        assert 1e-5 < metres[0].max() < 3e-3  # an imprint in a gel of three millimetres


def test_real_time_is_not_ahead_of_the_wall_clock(graph):
    """Not in lock-step it would go as fast as it can; how far a busy machine falls behind is its own affair."""
    driver = Driver(graph, lockstep=False, reliable_state=True)
    graph.wait(lambda: len(driver.poses) > 5, "states")
    begun, first = time.monotonic(), driver.stamps(driver.poses)[-1]
    graph.wait(lambda: driver.stamps(driver.poses)[-1] - first > 2e9, "two seconds of simulated time")
    assert time.monotonic() - begun > 1.0, "a state may be heard late, but hardly by a second"


class TestDriver:
    """The bridge as the driver of a KUKA LBR iiwa, in real time."""

    @pytest.fixture
    def driver(self, graph):
        graph.env |= robot_interfaces.environment()
        driver = Driver(graph, lockstep=False, reliable_state=True, control_rate_hz=120)
        from lbr_fri_idl.msg import LBRJointPositionCommand, LBRState

        driver.states = graph.listen("lbr/state", LBRState, RELIABLE)
        driver.joint_commands = graph.node.create_publisher(
            LBRJointPositionCommand, "lbr/command/joint_position", COMMAND
        )
        driver.twist_commands = graph.node.create_publisher(Twist, "lbr/command/twist", COMMAND)
        driver.described = graph.listen("lbr/robot_description", String, LATCHED)
        graph.wait(lambda: driver.states and driver.states[-1].session_state == 4, "a session that commands")
        return driver

    def test_state_and_description_are_of_one_arm(self, driver):
        driver.graph.wait(lambda: driver.described, "a description")
        assert driver.graph.node.count_publishers("/tf") == 0, "frames are robot_state_publisher's here"
        assert [s for s, t in itertools.pairwise(m.session_state for m in driver.states) if s > t] == []
        state = driver.states[-1]
        assert (state.connection_quality, state.safety_state, state.drive_state) == (3, 0, 2)
        assert state.tracking_performance == 1.0
        kinematics = ArmKinematics(driver.described[0].data, "tcp")
        kinematics.update(np.array(state.measured_joint_position))
        position = point_array(driver.poses[-1].pose.position)
        np.testing.assert_allclose(position, kinematics.position_m, atol=1e-5)

    def test_it_takes_the_drivers_twist_and_stops_without_it(self, driver):
        start = point_array(driver.poses[-1].pose.position)

        def risen():
            driver.twist_commands.publish(Twist(linear=Vector3(z=0.05)))
            return point_array(driver.poses[-1].pose.position)[2] > start[2] + 0.02

        driver.graph.wait(risen, "motion upward")
        driver.graph.wait(lambda: abs(twist_array(driver.twists[-1])[2]) < 2e-3, "rest after the time-out")

    def test_it_goes_to_joint_positions(self, driver):
        driver.graph.wait(lambda: driver.described, "the description")
        goal = np.array(driver.states[-1].measured_joint_position) + np.deg2rad([2, -2, 1, 2, -1, 2, 3])

        kinematics = ArmKinematics(driver.described[0].data, "tcp")
        kinematics.update(goal)

        def arrived():
            driver.joint_commands.publish(driver.joint_commands.msg_type(joint_position=goal))
            joints = np.array(driver.states[-1].measured_joint_position)
            way_m = np.linalg.norm(point_array(driver.poses[-1].pose.position) - kinematics.position_m)
            return np.abs(joints - goal).max() < 0.01 and way_m < 2e-3

        driver.graph.wait(arrived, "the joint positions, and the tip's position that belongs to them")
        assert any(np.allclose(state.commanded_joint_position, goal) for state in driver.states)

    def test_a_lost_session_stops_the_arm_and_comes_back_through_all_states(self, driver):
        graph = driver.graph
        moving = graph.node.create_timer(0.01, lambda: driver.twist_commands.publish(Twist(linear=Vector3(z=0.04))))
        graph.wait(lambda: twist_array(driver.twists[-1])[2] > 0.03, "motion")
        graph.call(SetFault, "pybullet_bridge/set_fault", SetFault.Request(fault="session"))
        graph.wait(lambda: driver.states[-1].session_state == 0, "a lost session")
        graph.wait(lambda: abs(twist_array(driver.twists[-1])[2]) < 2e-3, "rest, in spite of commands")
        assert np.isnan(driver.states[-1].ipo_joint_position).all()
        lost = len(driver.states)
        graph.call(SetFault, "pybullet_bridge/set_fault", SetFault.Request(fault="none"))
        graph.wait(lambda: twist_array(driver.twists[-1])[2] > 0.03, "motion again")
        assert {message.session_state for message in driver.states[lost:]} == {0, 1, 2, 3, 4}
        graph.node.destroy_timer(moving)
        answer = graph.call(SetFault, "pybullet_bridge/set_fault", SetFault.Request(fault="gremlins"))
        assert not answer.success and "session" in answer.message

    def test_each_fault_shows_in_the_state(self, driver):
        shows = {
            "connection": lambda s: s.connection_quality == 1 and s.session_state == 4,
            "tracking": lambda s: s.tracking_performance < 0.5 and s.session_state == 4,
            "safety": lambda s: s.safety_state != 0 and s.session_state == 0,
            "drives": lambda s: s.drive_state == 0 and s.session_state == 2,
        }
        for fault, shown in shows.items():
            driver.graph.call(SetFault, "pybullet_bridge/set_fault", SetFault.Request(fault=fault))
            driver.graph.wait(lambda shown=shown: shown(driver.states[-1]), fault)
