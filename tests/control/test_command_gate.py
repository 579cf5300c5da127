"""What others ask for: whether it can be followed, by value, frame, joints, stamp, age and sender."""

import numpy as np
import pytest

from sac_gmm.control import Reason
from sac_gmm.control.command_gate import FORGOTTEN_S, Command, CommandGate, CommandSettings, gripper_opening

NOW_NS = 1_000_000_000_000
TWIST = np.array([0.1, 0.0, -0.05, 0.0, 0.0, 0.2])
NAMES = ("A1", "A2", "A3")
GOOD = {"topic": "desired_twist", "values": TWIST, "stamp_ns": NOW_NS, "arrived_s": 0.0, "frame_id": "base"}


def gate_of(lockstep=False, joints=()):
    return CommandGate(CommandSettings(command_timeout_s=0.2), "base", lockstep, lambda: joints)


def asked_for(gate=None, now_s=0.01, **changes):
    gate = gate or gate_of()
    gate.take(Command(**GOOD | changes), NOW_NS)
    return gate.asked(now_s, NOW_NS + round(now_s * 1e9))


def joints_asked(velocities, names, joints=NAMES):
    changes = {"topic": "desired_joint_velocity", "values": np.array(velocities), "names": names, "frame_id": ""}
    return asked_for(gate_of(joints=joints), **changes)


def test_a_good_command_is_asked_for_as_it_is():
    asked = asked_for()
    assert asked.reason is Reason.NONE
    np.testing.assert_array_equal(asked.twist, TWIST)


def test_before_the_first_command_nobody_asks():
    assert gate_of().asked(0.0, NOW_NS).reason is Reason.NO_COMMAND


def test_joints_come_in_the_arms_order():
    asked = joints_asked([1.0, 2.0, 3.0], ("A3", "A1", "A2"))
    assert (asked.reason, asked.twist) == (Reason.NONE, None)
    np.testing.assert_array_equal(asked.joints_rad_s, [2.0, 3.0, 1.0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("index", [0, 5])
def test_what_is_no_number_is_refused(value, index):
    values = TWIST.copy()
    values[index] = value
    asked = asked_for(values=values)
    assert asked.reason is Reason.COMMAND_REFUSED and "desired_twist is not a number" in asked.text


@pytest.mark.parametrize("frame", ["", "tool0"])
def test_a_twist_in_another_frame_is_refused(frame):
    asked = asked_for(frame_id=frame)
    assert asked.reason is Reason.COMMAND_REFUSED
    assert f"in the frame {frame!r}, not in the base frame 'base'" in asked.text


@pytest.mark.parametrize(
    ("velocities", "names", "joints", "sentence"),
    [
        ([1.0], ("A1",), NAMES, "names the joints A1: expected A1, A2, A3, each once"),
        ([1.0] * 4, (*NAMES, "finger"), NAMES, "expected A1, A2, A3"),
        ([1.0] * 3, ("A1", "A1", "A2"), NAMES, "expected A1, A2, A3, each once"),
        ([1.0] * 2, NAMES, NAMES, "has 3 names and 2 velocities"),
        ([1.0] * 3, NAMES, (), "the arm's joints are not known: publish desired_twist"),
        ([np.nan, 1.0, 1.0], NAMES, NAMES, "is not a number"),
    ],
)
def test_wrong_joints_are_refused(velocities, names, joints, sentence):
    asked = joints_asked(velocities, names, joints)
    assert asked.reason is Reason.COMMAND_REFUSED and sentence in asked.text


def test_a_stamp_that_is_missing_or_in_the_future_is_refused():
    assert "has no stamp" in asked_for(stamp_ns=0).text
    asked = asked_for(stamp_ns=NOW_NS + 1_000_000_000)
    assert asked.reason is Reason.COMMAND_REFUSED and "1 s in the future" in asked.text


def test_stamps_that_go_back_are_refused_until_they_go_forward():
    gate = gate_of()
    assert asked_for(gate).reason is Reason.NONE
    asked = asked_for(gate, stamp_ns=NOW_NS - 1_000_000)
    assert asked.reason is Reason.COMMAND_REFUSED and "go back" in asked.text
    assert asked_for(gate, stamp_ns=NOW_NS + 1_000_000).reason is Reason.NONE


def test_a_clock_that_was_set_back_is_followed():
    gate = gate_of()
    assert asked_for(gate).reason is Reason.NONE
    an_hour_ns = 3600 * 10**9
    gate.take(Command(**GOOD | {"stamp_ns": NOW_NS - an_hour_ns}), NOW_NS - an_hour_ns)
    assert gate.asked(0.01, NOW_NS - an_hour_ns).reason is Reason.NONE


def test_a_command_grows_old_and_is_then_forgotten():
    gate = gate_of()
    assert asked_for(gate, now_s=0.19).reason is Reason.NONE
    asked = gate.asked(0.21, NOW_NS)
    assert (
        asked.reason is Reason.STALE_COMMAND and "nothing new came on desired_twist for more than 0.2 s" in asked.text
    )
    assert gate.asked(FORGOTTEN_S + 0.01, NOW_NS).reason is Reason.NO_COMMAND


def test_a_repeat_is_as_old_as_what_it_repeats():
    gate = gate_of()
    for arrived_s in (0.0, 0.1, 0.2):
        gate.take(Command(**GOOD | {"arrived_s": arrived_s}), NOW_NS)
    assert gate.asked(0.21, NOW_NS).reason is Reason.STALE_COMMAND


@pytest.mark.parametrize(("age_s", "sentence"), [(0.5, "repeats an old command"), (1e6, "is stamped 1000000 s ago")])
def test_a_command_that_comes_late_is_not_followed(age_s, sentence):
    asked = asked_for(stamp_ns=NOW_NS - round(age_s * 1e9) + 10**7, now_s=0.01)
    assert asked.reason is Reason.STALE_COMMAND and sentence in asked.text


def test_two_senders_are_named_and_neither_is_followed():
    gate = gate_of()
    gate.note_senders(["/skill_runner", "/joy_teleop", "/joy_teleop"])
    asked = asked_for(gate)
    assert asked.reason is Reason.SECOND_SENDER and asked.text.startswith("/joy_teleop and /skill_runner ask")
    gate.note_senders(["/joy_teleop"])
    assert gate.asked(0.01, NOW_NS).reason is Reason.NONE


def test_two_senders_of_one_name_are_known_by_their_numbers():
    gate = gate_of()
    reasons = []
    for k, number in enumerate((100, 101, 1, 102, 2, 103)):
        stamp_ns = NOW_NS + k * 10**7
        gate.take(Command(**GOOD | {"stamp_ns": stamp_ns, "arrived_s": 0.01 * k, "number": number}), stamp_ns)
        reasons.append(gate.asked(0.01 * k, stamp_ns).reason)
    assert reasons == [Reason.NONE] * 4 + [Reason.SECOND_SENDER] * 2, "one that starts again counts from one, too"


def test_in_lockstep_a_command_answers_a_state():
    gate = gate_of(lockstep=True)
    gate.take(Command(**GOOD | {"stamp_ns": 7}), NOW_NS)
    assert gate.answers(7) and not gate.answers(8)
    assert gate.asked(1e6, NOW_NS, state_ns=7).reason is Reason.NONE, "time plays no part"
    waiting = gate.asked(0.0, NOW_NS, state_ns=8)
    assert waiting.reason is Reason.NO_COMMAND and "in lock-step its stamp must be that of the state" in waiting.text
    gate.take(Command(**GOOD | {"stamp_ns": 8, "values": np.full(6, np.nan)}), NOW_NS)
    assert gate.answers(8) and gate.asked(0.0, NOW_NS, state_ns=8).reason is Reason.COMMAND_REFUSED


def test_what_was_asked_before_can_be_forgotten():
    gate = gate_of()
    asked_for(gate)
    gate.forget()
    assert gate.asked(0.01, NOW_NS).reason is Reason.NO_COMMAND


def test_a_command_of_rest_wants_no_motion_and_is_forgotten_like_any():
    gate = gate_of()
    assert not gate.wants_motion and not gate.heard(0.0)
    asked_for(gate)
    assert gate.wants_motion and gate.heard(FORGOTTEN_S) and not gate.heard(FORGOTTEN_S + 0.01)
    asked_for(gate, values=np.zeros(6), stamp_ns=NOW_NS + 1)
    assert gate.heard(0.0) and not gate.wants_motion
    asked_for(gate, values=np.full(6, np.nan), stamp_ns=NOW_NS + 2)
    assert gate.wants_motion, "what is no number is not rest"
    gate.forget()
    assert not gate.heard(0.0)


def test_a_gripper_command_is_cut_to_its_range():
    assert [gripper_opening(value) for value in (-3.0, 0.25, 7.0)] == [-1.0, 0.25, 1.0]
    assert gripper_opening(float("nan")) is None and gripper_opening(float("inf")) is None
