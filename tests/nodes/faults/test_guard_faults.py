"""What others may send to the guard, and what may become of them: the arm stops within its limits and says why."""

from __future__ import annotations

import signal
import sys

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64
from tests.nodes.commands import MANY
from tests.nodes.faults.conftest import ArmRig

from sac_gmm.control import Reason, State
from sac_gmm_nodes.common.conversions import header, nanoseconds, stamp_of, twist_message
from sac_gmm_nodes.common.qos import RELIABLE

pytestmark = [pytest.mark.ros, pytest.mark.slow]
N_FUZZED = 400
WEIRD = (np.nan, np.inf, -np.inf, 1e308, -1e308, 1e-308, 5.0)
SENDER = """
import math, time, rclpy
from geometry_msgs.msg import TwistStamped
rclpy.init()
node = rclpy.create_node("sender")
publisher = node.create_publisher(TwistStamped, "desired_twist", 10)
message = TwistStamped()
message.header.frame_id = "lbr_link_0"
while True:
    message.header.stamp = node.get_clock().now().to_msg()
    message.twist.linear.x = 0.1 * math.cos(2.0 * time.monotonic())
    publisher.publish(message)
    time.sleep(0.02)
"""


class GuardRig(ArmRig):
    """The guard, and a sender in the test's process that leads the arm around a circle."""

    def __init__(self, folder):
        super().__init__(folder, "guard", state_timeout_s=1.0, command_timeout_s=0.5)
        node = self.graph.node
        self.twists = node.create_publisher(TwistStamped, "desired_twist", RELIABLE)
        self.joints = node.create_publisher(JointState, "desired_joint_velocity", RELIABLE)
        self.grippers = node.create_publisher(Float64, "desired_gripper", RELIABLE)
        self.gripped = self.graph.listen("command/gripper", Float64, MANY)
        self.asking, self.spoil = False, lambda message: None

    def message(self, tick):
        turn = 0.02 * tick
        twist = np.array([0.1 * np.cos(turn), 0.1 * np.sin(turn), 0.0, 0.0, 0.0, 0.0])
        return twist_message(twist, header(self.graph.node.get_clock().now().to_msg(), "lbr_link_0"))

    def _act(self, tick):
        if self.asking and tick % 2 == 0:
            message = self.message(tick)
            self.spoil(message)
            self.twists.publish(message)

    def begin(self):
        """Have the arm move, with a good sender; give the number of statuses so far."""
        self.spoil, self.asking = lambda message: None, True
        self.position = np.array([0.5, 0.0, 0.5])
        self.moving_again()
        return len(self.statuses)

    def moving_again(self):
        fast = 0.05**2
        self.wait_for(
            lambda status: status.state == State.ACTIVE and status.velocity.x**2 + status.velocity.y**2 > fast, "motion"
        )

    def said(self, sentence):
        self.wait_for(lambda status: sentence in status.remedy, f"a status that says {sentence!r}")


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    rig = GuardRig(tmp_path_factory.mktemp("guard"))
    try:
        rig.start()
        yield rig
    finally:
        rig.close()


def set_stamp(message, ns):
    message.header.stamp = stamp_of(ns)


def later(message, seconds):
    set_stamp(message, nanoseconds(message.header.stamp) + round(seconds * 1e9))


def test_nobody_asks(rig, table):
    rig.wait_for(lambda status: status.reason == Reason.NO_COMMAND and status.state == State.IDLE, "nobody to ask")
    rig.said("publish desired_twist")
    assert not rig.commands, "no command before the first that is asked for"
    rig.begin()
    rig.commands.check_limits()
    table.add("nobody asks the guard for a motion", "rests; the first command is no jump", "NO_COMMAND")


@pytest.mark.parametrize(
    ("fault", "spoil", "reason", "sentence"),
    [
        ("is not a number", lambda m: setattr(m.twist.linear, "y", np.nan), Reason.COMMAND_REFUSED, "is not a number"),
        (
            "is in another frame",
            lambda m: setattr(m.header, "frame_id", "tool0"),
            Reason.COMMAND_REFUSED,
            "desired_twist (published by /listener) is in the frame 'tool0', not in the base frame 'lbr_link_0'",
        ),
        ("has no stamp", lambda m: set_stamp(m, 0), Reason.COMMAND_REFUSED, "has no stamp"),
        ("comes from the future", lambda m: later(m, 60.0), Reason.COMMAND_REFUSED, "in the future"),
        ("comes late", lambda m: later(m, -30.0), Reason.STALE_COMMAND, "repeats an old command"),
    ],
)
def test_a_command_that_cannot_be_followed(rig, table, fault, spoil, reason, sentence):
    since = rig.begin()
    sent = len(rig.commands)
    rig.spoil = spoil
    stop = rig.stop_for(reason, since)
    rig.said(sentence)
    rig.commands.check_limits(sent)
    rig.begin()
    rig.commands.check_limits(sent)
    table.add(f"a command to the guard {fault}", f"ramps {stop}; goes on with the next good one", Reason(reason).name)


@pytest.mark.parametrize("how", ["falls silent", "repeats its last command"])
def test_the_sender_says_nothing_new(rig, table, how):
    since = rig.begin()
    sent = len(rig.commands)
    if how == "falls silent":
        rig.asking = False
    else:
        now = rig.graph.node.get_clock().now().nanoseconds
        rig.spoil = lambda message: set_stamp(message, now)
    stop = rig.stop_for(Reason.STALE_COMMAND, since)
    rig.said("nothing new came on desired_twist (published by /listener) for more than 0.5 s")
    rig.commands.check_limits(sent)
    table.add(f"the guard's sender {how}", f"ramps {stop} after command_timeout_s, then silence", "STALE_COMMAND")


def test_a_second_sender(rig, table):
    since = rig.begin()
    sent = len(rig.commands)
    second = rclpy.create_node("joystick", context=rig.graph.context)
    second.create_publisher(TwistStamped, "desired_twist", RELIABLE)
    stop = rig.stop_for(Reason.SECOND_SENDER, since)
    rig.said("/joystick and /listener ask for motions at once: stop all but one")
    second.destroy_node()
    rig.moving_again()
    rig.commands.check_limits(sent)
    table.add(
        "a second sender asks the guard for motions",
        f"ramps {stop}, whichever of the two; goes on when one is left",
        "SECOND_SENDER, with both their names",
    )


def test_a_reset_asks_too(rig, table):
    """Alone it has the arm between episodes; beside another that asks for motions neither has."""
    since = rig.begin()
    sent = len(rig.commands)
    resets = rig.graph.node.create_publisher(TwistStamped, "reset/desired_twist", RELIABLE)
    resetting = [True]

    def ask():
        if resetting[0]:
            message = rig.message(0)
            message.twist.linear.x, message.twist.linear.y = 0.0, -0.1
            resets.publish(message)

    timer = rig.graph.node.create_timer(0.02, ask)
    stop = rig.stop_for(Reason.SECOND_SENDER, since)
    rig.said("asks for the motion of a reset, and desired_twist (published by /listener) for another at once")
    rig.asking = False
    rig.wait_for(lambda status: status.velocity.y < -0.09 and status.reason == Reason.NONE, "the reset's motion")
    resetting[0] = False
    rig.wait_for(lambda status: status.reason == Reason.STALE_COMMAND and status.velocity.y == 0.0, "rest")
    rig.said("nothing new came on reset/desired_twist (published by /listener)")
    rig.graph.node.destroy_timer(timer)
    rig.graph.node.destroy_publisher(resets)
    rig.begin()
    rig.commands.check_limits(sent)
    table.add(
        "a reset asks the guard for motions beside another sender",
        f"ramps {stop}; follows the one that is left",
        "SECOND_SENDER, with both their names",
    )


def test_another_commander(rig, table):
    since = rig.begin()
    sent = len(rig.commands)
    other = rclpy.create_node("another", context=rig.graph.context)
    other.create_publisher(TwistStamped, "command/twist", RELIABLE)
    stop = rig.stop_for(Reason.OTHER_COMMANDER, since)
    rig.said("/another publishes on /command/twist too: stop all but one")
    other.destroy_node()
    rig.moving_again()
    rig.commands.check_limits(sent)
    table.add(
        "another node publishes on the arm's command topic",
        f"ramps {stop}, then silence; goes on when the other is gone",
        "OTHER_COMMANDER, with its name",
    )


def test_the_gripper(rig, table):
    rig.begin()
    for value, opening in ((0.5, 0.5), (-7.0, -1.0)):
        rig.graph.wait(
            lambda v=value, o=opening: rig.grippers.publish(Float64(data=v)) or rig.gripped[-1:] == [Float64(data=o)],
            f"the gripper at {opening}",
        )
    sentence = "desired_gripper (published by /listener) is not a number"
    rig.graph.wait(
        lambda: rig.grippers.publish(Float64(data=float("nan"))) or sentence in rig.graph.output("guard"), "an error"
    )
    assert {message.data for message in rig.gripped} == {0.5, -1.0}
    table.add("a gripper command to the guard is not a number", "does not move the gripper", "an error in the log")


def test_joint_velocities_where_no_joints_are_known(rig, table):
    since = rig.begin()
    rig.asking = False

    def ask():
        stamp = rig.graph.node.get_clock().now().to_msg()
        rig.joints.publish(JointState(header=header(stamp), name=["A1"], velocity=[0.1]))

    timer = rig.graph.node.create_timer(0.05, ask)
    stop = rig.stop_for(Reason.COMMAND_REFUSED, since)
    rig.said("the arm's joints are not known: publish desired_twist, or set robot to joints or lbr")
    rig.graph.node.destroy_timer(timer)
    table.add("joint velocities for an arm without joint states", f"ramps {stop}", "COMMAND_REFUSED")


def test_fuzzed_commands(rig, table):
    """Anything, as fast as it comes, in between good commands."""
    since = rig.begin()
    sent, rng, clock = len(rig.commands), np.random.default_rng(0), rig.graph.node.get_clock()
    for number in range(N_FUZZED):
        stamp = clock.now().to_msg() if number % 3 else stamp_of(int(rng.integers(0, 2**62)) % (2**31 * 10**9))
        frame = ("lbr_link_0", "", "tool0", "x" * 300)[rng.integers(0, 4)]
        twist = rng.normal(size=6) * 10.0 ** rng.uniform(-3, 3)
        twist[rng.integers(0, 6)] = WEIRD[rng.integers(0, len(WEIRD))]
        rig.twists.publish(twist_message(twist, header(stamp, frame)))
        names = [f"A{k}" for k in range(rng.integers(0, 9))]
        rig.joints.publish(
            JointState(header=header(stamp), name=names, velocity=rng.normal(size=rng.integers(0, 9)).tolist())
        )
        rig.grippers.publish(Float64(data=float(WEIRD[rng.integers(0, len(WEIRD))])))
    rig.graph.wait(lambda: any(s.reason == Reason.COMMAND_REFUSED for s in rig.statuses[since:]), "a refusal")
    rig.begin()
    rig.commands.check_limits(sent)
    turns = np.array([command.twist[3:] for command in rig.commands.since(sent)])
    assert np.isfinite(turns).all() and np.linalg.norm(turns, axis=1).max() <= 1.0 + 1e-9
    assert all(status.remedy for status in rig.statuses if status.reason != Reason.NONE), "every stop is explained"
    assert all(-1.0 <= message.data <= 1.0 for message in rig.gripped)
    table.add(
        f"{3 * N_FUZZED} fuzzed commands to the guard", "stays within its limits throughout", "every stop is explained"
    )


def test_the_sender_is_killed(rig, table):
    rig.asking = False
    for publisher in (rig.twists, rig.joints, rig.grippers):
        rig.graph.node.destroy_publisher(publisher)
    rig.graph.run("sender", [sys.executable, "-c", SENDER])
    rig.position = np.array([0.5, 0.0, 0.5])
    rig.moving_again()
    since, sent = len(rig.statuses), len(rig.commands)
    rig.graph.stop("sender", signal.SIGKILL)
    stop = rig.stop_for(Reason.STALE_COMMAND, since)
    rig.wait_for(lambda status: status.reason == Reason.NO_COMMAND, "nobody to ask any more")
    rig.commands.check_limits(sent)
    table.add(
        "the guard's sender is killed",
        f"ramps {stop} after command_timeout_s, then silence",
        "STALE_COMMAND, then NO_COMMAND",
    )
