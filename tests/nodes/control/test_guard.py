"""The guard: in lock-step one tick for each state, when its command is there; joint velocities; its parameters."""

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, Twist, TwistStamped
from sac_gmm_interfaces.msg import ControllerStatus, EpisodeState
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64
from std_srvs.srv import SetBool

from sac_gmm.control import Reason, SafetyLimits, SafetyPipeline, State
from sac_gmm.control.kinematics import ArmKinematics
from sac_gmm.tasks.arms.description import HOME_RAD, describe_iiwa
from sac_gmm_nodes.common.conversions import (
    header,
    joint_message,
    nanoseconds,
    pose_message,
    stamp_of,
    twist_array,
    twist_message,
)
from sac_gmm_nodes.common.qos import COMMAND, EPISODE, RELIABLE, SENSOR

pytestmark = [pytest.mark.ros, pytest.mark.slow]
START_NS, PERIOD_NS = 1_000_000_000, 33_333_333
FRAME = "lbr_link_0"
NO_TURN = np.array([0.0, 0.0, 0.0, 1.0])


class Simulation:
    """A simulation and a sender in the test's process, both in lock-step."""

    def __init__(self, graph, **parameters):
        self.graph = graph
        self.commands = graph.listen("command/twist", TwistStamped, RELIABLE)
        self.statuses = graph.listen("controller_status", ControllerStatus, RELIABLE)
        self.gripped = graph.listen("command/gripper", Float64, RELIABLE)
        node = graph.node
        self.poses = node.create_publisher(PoseStamped, "state/pose", COMMAND)
        self.episodes = node.create_publisher(EpisodeState, "episode_state", EPISODE)
        self.twists = node.create_publisher(TwistStamped, "desired_twist", RELIABLE)
        self.grippers = node.create_publisher(Float64, "desired_gripper", RELIABLE)
        self.now_ns = START_NS
        graph.start("guard", lockstep=True, rate_hz=30.0, autostart=True, **parameters)

    def begin(self, episode_id=1):
        running = EpisodeState(phase=EpisodeState.PHASE_RUNNING, episode_id=episode_id, time_limit_s=60.0)
        running.start_stamp = stamp_of(self.now_ns)
        self.episodes.publish(running)

    def send_state(self, position):
        self.poses.publish(pose_message(position, NO_TURN, header(stamp_of(self.now_ns), FRAME)))

    def ask(self, twist, stamp_ns=None):
        self.twists.publish(twist_message(np.asarray(twist, float), header(stamp_of(stamp_ns or self.now_ns), FRAME)))

    @property
    def answered(self):
        return bool(self.commands) and nanoseconds(self.commands[-1].header.stamp) == self.now_ns

    def step(self, position, twist):
        """State and command out until the answer is there: what was only just discovered has missed the first."""

        def tried():
            self.send_state(position)
            self.ask(twist)
            return self.answered

        if not self.commands:
            self.graph.wait(tried, "the first answer")
        else:
            self.send_state(position)
            self.ask(twist)
            self.graph.wait(lambda: self.answered, f"an answer to the state at {self.now_ns} ns")
        return twist_array(self.commands[-1])

    def says(self, reason, sentence=""):
        def said():
            last = self.statuses[-1] if self.statuses else None
            return last is not None and last.reason == reason and sentence in last.remedy

        self.graph.wait(said, f"{reason.name}: {sentence}")


def test_in_lockstep_a_command_becomes_what_the_pipeline_makes_of_it(graph):
    simulation = Simulation(graph)
    position, pipeline, rng = (
        np.array([0.5, 0.0, 0.5]),
        SafetyPipeline(SafetyLimits(), 1 / 30),
        np.random.default_rng(0),
    )
    simulation.says(Reason.NO_STATE)
    simulation.send_state(position)
    graph.wait(
        lambda: simulation.send_state(position) or simulation.statuses[-1].reason == Reason.NO_EPISODE, "a state"
    )
    assert simulation.statuses[-1].state == State.IDLE

    # Nothing happens before the command is there, and that is what the status says, again and again.
    simulation.begin()
    simulation.says(Reason.NO_COMMAND)
    sentence = "has not yet answered the state at 1.000 s; the last command is stamped 0.500 s"
    graph.wait(lambda: simulation.ask(np.zeros(6), 500_000_000) or sentence in simulation.statuses[-1].remedy, sentence)
    said = len(simulation.statuses)
    graph.wait(lambda: len(simulation.statuses) >= said + 2, "the same, said again")
    assert not simulation.commands and simulation.statuses[-1].tick == 0

    for _ in range(30):
        asked = rng.uniform(-0.4, 0.4, 3)
        command = simulation.step(position, [*asked, 0.0, 0.0, 0.0])
        wanted = pipeline.step(asked.copy(), position)[0]
        np.testing.assert_array_equal(command, [*wanted, 0.0, 0.0, 0.0])
        position = position + command[:3] / 30
        simulation.now_ns += PERIOD_NS
    assert len(simulation.commands) == 30, "one answer for each state"

    def ticked():
        return [status for status in simulation.statuses if status.reason == Reason.NONE and status.step]

    graph.wait(lambda: len(ticked()) == 29, "a status of every tick")
    assert [status.step for status in ticked()] == list(range(1, 30))
    assert all(status.state == State.ACTIVE for status in ticked())

    # Another episode begins at rest.
    simulation.now_ns += START_NS
    simulation.begin(2)
    first = simulation.step(position, [0.2, 0.0, 0.0, 0.0, 0.0, 0.0])
    fresh = SafetyPipeline(SafetyLimits(), 1 / 30).step(np.array([0.2, 0.0, 0.0]), position)[0]
    np.testing.assert_array_equal(first[:3], fresh)

    # Paused: the arm is brought to rest, state by state; then the states wait, and go on when it may.
    graph.call(SetBool, "guard/pause", SetBool.Request(data=True))
    zeros = 0
    while zeros < 10:
        simulation.now_ns += PERIOD_NS
        simulation.send_state(position)
        graph.wait(lambda: simulation.answered, "a command that brings the arm to rest")
        zeros += not twist_array(simulation.commands[-1]).any()
    simulation.now_ns += PERIOD_NS
    simulation.send_state(position)
    simulation.grippers.publish(Float64(data=0.5))
    simulation.ask([0.2, 0.0, 0.0, 0.0, 0.0, 0.5])
    simulation.says(Reason.PAUSED)
    assert not simulation.answered
    graph.call(SetBool, "guard/pause", SetBool.Request(data=False))
    graph.wait(lambda: simulation.answered, "the command for the state that waited")
    command = twist_array(simulation.commands[-1])
    assert command[0] > 0 and command[5] > 0
    graph.wait(lambda: simulation.gripped, "the gripper")
    assert simulation.gripped[0].data == 0.5


def test_joint_velocities_move_the_tip_of_an_arm_whose_joints_are_known(graph, tmp_path):
    urdf, kinematics = describe_iiwa(), ArmKinematics(describe_iiwa(), "tcp")
    (tmp_path / "arm.urdf").write_text(urdf)
    twists = graph.listen("lbr/command/twist", Twist, RELIABLE)
    statuses = graph.listen("controller_status", ControllerStatus, RELIABLE)
    states = graph.node.create_publisher(JointState, "lbr/joint_states", SENSOR)
    wishes = graph.node.create_publisher(JointState, "desired_joint_velocity", RELIABLE)
    names, joints, wanted = list(kinematics.joint_names), HOME_RAD.copy(), np.array([0.0, 0.01, 0, 0, 0, 0.01, 0])
    asked = [*names]

    def live():
        joints[:] += 0.01 * wanted
        head = header(graph.node.get_clock().now().to_msg())
        states.publish(joint_message(names, joints, head))
        wishes.publish(JointState(header=head, name=asked[::-1], velocity=wanted[: len(asked)][::-1].tolist()))

    def follows():
        kinematics.update(joints)
        wished = kinematics.jacobian @ wanted
        return twists and np.linalg.norm(twist_array(twists[-1]) - wished) < 0.02 * np.linalg.norm(wished)

    graph.node.create_timer(0.01, live)
    own = {"robot": "joints", "urdf_file": tmp_path / "arm.urdf", "tip_frame": "tcp"}
    graph.start("guard", autostart=True, state_timeout_s=1.0, command_timeout_s=60.0, **own)
    graph.wait(follows, "the tip's twist")
    del asked[3:]
    sentence = f"names the joints {', '.join(names[2::-1])}: expected {', '.join(names)}, each once"
    graph.wait(lambda: sentence in statuses[-1].remedy, "a refusal that names the joints")
    assert statuses[-1].reason == Reason.COMMAND_REFUSED


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"max_turn_rad_s": 9.0}, "parameter max_turn_rad_s = 9 is out of range: expected 0.001 to 1.5 rad/s"),
        ({"start_ramp_s": 0.1}, "there is no parameter start_ramp_s"),
    ],
)
def test_bad_parameters_are_refused_in_one_sentence(graph, parameters, sentence):
    process = graph.start("guard", autostart=True, **parameters)
    assert process.wait(120.0) == 2
    assert sentence in graph.output("guard") and "Traceback" not in graph.output("guard")
