"""Which message of a topic with several publishers is taken, and what is said where none will do."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import JointState

from sac_gmm.control.kinematics import ArmKinematics
from sac_gmm.tasks.arms.description import HOME_RAD, JOINT_NAMES, describe_iiwa
from sac_gmm_nodes.common.conversions import stamp_of
from sac_gmm_nodes.control.joint_input import JointInput

pytestmark = pytest.mark.ros
TOPIC = "/cell/joint_states"


@pytest.fixture(scope="module")
def kinematics():
    return ArmKinematics(describe_iiwa(), "tcp")


class Log:
    def __init__(self):
        self.lines = []

    def warning(self, text):
        self.lines.append(text)

    def info(self, text, once=False):
        if not once or text not in self.lines:
            self.lines.append(text)


@pytest.fixture
def node():
    """As much of a node as is asked for: who publishes, a log, and a timer that the test rings."""
    log, timers = Log(), []
    info = [SimpleNamespace(node_name=name, node_namespace="/cell") for name in ("arm_driver", "hand_driver")]
    return SimpleNamespace(
        log=log,
        ring=lambda: [timer() for timer in timers],
        get_logger=lambda: log,
        steady_clock=Clock(clock_type=ClockType.STEADY_TIME),
        create_timer=lambda _period, callback, clock: timers.append(callback),
        get_publishers_info_by_topic=lambda _topic: info,
    )


def arm(turn_rad=0.0, **changes):
    return JointState(**({"name": list(JOINT_NAMES), "position": (HOME_RAD + turn_rad).tolist()} | changes))


def hand(*names):
    return JointState(name=list(names), position=[0.01] * len(names))


def came(*messages):
    now_s = time.monotonic()
    return [(message, now_s - 0.001 * k) for k, message in enumerate(reversed(messages))][::-1]


def test_the_newest_with_the_arms_joints_is_taken_whoever_else_publishes_after_it(node, kinematics):
    joints = JointInput(node, TOPIC)
    messages = came(arm(0.01), hand("left_jaw", "right_jaw"), arm(0.02), *[hand("rail")] * 30)
    message, arrived_s, found = joints.pick(messages, kinematics)
    assert message is messages[2][0] and arrived_s == messages[2][1]
    np.testing.assert_allclose(found, HOME_RAD + 0.02)
    assert joints.complaint() == ""
    node.ring()
    node.ring()
    (line,) = node.log.lines
    assert f"{TOPIC} (published by /cell/arm_driver, /cell/hand_driver)" in line
    assert "rail; left_jaw, right_jaw" in line


def test_names_in_another_order_and_joints_beside_them_are_no_matter(node, kinematics):
    order = [6, 2, 0, 1, 3, 5, 4]
    message = JointState(
        name=["jaw", *(JOINT_NAMES[i] for i in order)], position=[float("nan"), *(float(HOME_RAD[i]) for i in order)]
    )
    np.testing.assert_allclose(JointInput(node, TOPIC).pick(came(message), kinematics)[2], HOME_RAD)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            hand(*(f"panda_joint{k}" for k in range(1, 8))),
            ["lbr_A1, lbr_A2, lbr_A3, lbr_A4, lbr_A5, lbr_A6, lbr_A7 are missing", "there are panda_joint1, ", "urdf_"],
        ),
        (hand(*JOINT_NAMES[:4], "wrist", *JOINT_NAMES[5:]), ["lbr_A5 is missing", "lbr_A4, wrist, lbr_A6"]),
        (arm(name=[]), ["there are no names"]),
        (arm(position=HOME_RAD[:5].tolist()), ["7 names but 5 positions"]),
        (SimpleNamespace(measured_joint_position=[0.0] * 6), ["it has 6 joints", "has 7 (lbr_A1, "]),
    ],
)
def test_joints_that_are_not_the_arms_are_named_beside_those_that_are_missing(node, kinematics, message, words):
    joints = JointInput(node, TOPIC)
    assert joints.pick(came(message), kinematics) is None
    complaint = joints.complaint()
    assert complaint.startswith(f"{TOPIC} (published by /cell/arm_driver, /cell/hand_driver) comes without")
    for part in words:
        assert part in complaint
    node.ring()
    assert not node.log.lines, "there is no arm beside which others publish"


def test_silence_is_told_from_nobody_there(node):
    assert JointInput(node, TOPIC).complaint().startswith(f"nothing comes on {TOPIC} (published by /cell/arm_driver")
    node.get_publishers_info_by_topic = lambda _topic: []
    assert JointInput(node, TOPIC).complaint().startswith(f"nobody publishes {TOPIC}: start the arm's driver")


def test_who_publishes_the_arms_joints_twice_is_named_until_somebody_says_go_on(node, kinematics):
    joints = JointInput(node, TOPIC)
    zeros = arm(position=[0.0] * 7)
    joints.pick(came(*[arm(), zeros] * 3), kinematics)
    assert joints.twofold and not joints.trusted
    joints.pick(came(zeros), kinematics)
    complaint = joints.complaint()
    assert complaint.startswith(
        f"{TOPIC} (published by /cell/arm_driver, /cell/hand_driver) gives the arm's joints in two"
    )
    assert "lbr_A4 is at " in complaint and "~/pause data: false" in complaint
    joints.clear()
    assert not joints.twofold and "continuous for 0.3 s" in joints.complaint()


def test_what_is_no_number_beside_the_arms_positions_is_no_matter(node, kinematics):
    """As drivers of mobile bases give efforts that they do not measure, and wheels that have not been heard of yet."""
    nan = float("nan")
    message = arm(
        name=[*JOINT_NAMES, "wheel"], position=[*HOME_RAD.tolist(), nan], velocity=[nan] * 8, effort=[nan] * 8
    )
    np.testing.assert_allclose(JointInput(node, TOPIC).pick(came(message), kinematics)[2], HOME_RAD)


@pytest.mark.parametrize(("ahead_s", "words"), [(3600, "3600 s ahead of"), (-86400, "86400 s behind"), (0.5, "")])
def test_stamps_by_another_clock_are_said_once(node, kinematics, ahead_s, words):
    now = Clock(clock_type=ClockType.SYSTEM_TIME).now
    node.get_clock = lambda: SimpleNamespace(now=now)
    message = arm()
    message.header.stamp = stamp_of(now().nanoseconds + round(ahead_s * 1e9))
    joints = JointInput(node, TOPIC)
    for _ in range(3):
        joints.pick(came(message), kinematics)
        node.ring()
    assert len(node.log.lines) == bool(words)
    assert all(f"(published by /cell/arm_driver, /cell/hand_driver) are {words}" in line for line in node.log.lines)
    assert bool(joints.clocks) == bool(words) and words in joints.clocks
    message.header.stamp = stamp_of(0)  # unset, as some drivers leave it
    joints.pick(came(message), kinematics)
    node.ring()
    assert len(node.log.lines) == bool(words)
