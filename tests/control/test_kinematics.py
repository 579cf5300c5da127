"""Pinocchio against PyBullet's kinematics of the same description, and the tree of frames against both."""

import numpy as np
import pybullet as pb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sac_gmm.control.kinematics import ArmKinematics, FrameTree
from sac_gmm.core.errors import UserError
from sac_gmm.tasks.arms.description import JOINT_LIMITS_RAD, JOINT_NAMES, describe_iiwa
from sac_gmm.tasks.arms.iiwa import Iiwa

JOINTS = st.tuples(*(st.floats(-limit, limit) for limit in JOINT_LIMITS_RAD)).map(np.array)


@pytest.fixture(scope="module")
def arm():
    client = pb.connect(pb.DIRECT)
    yield Iiwa(client)
    pb.disconnect(client)


@pytest.fixture(scope="module")
def kinematics():
    return ArmKinematics(describe_iiwa(), "tcp")


def assert_same_turn(one, other):
    """Up to sign and to the length, which the simulator keeps only roughly at one."""
    one, other = one / np.linalg.norm(one), other / np.linalg.norm(other)
    np.testing.assert_allclose(one if one @ other > 0 else -one, other, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(q=JOINTS)
def test_pose_and_jacobian_are_those_of_the_simulator(arm, kinematics, q):
    for joint, angle in zip(arm.joints, q, strict=True):
        pb.resetJointState(arm.body, joint, angle, 0.0, arm._client)
    arm.refresh()
    kinematics.update(q)
    np.testing.assert_allclose(kinematics.position_m, arm.position_m, atol=2e-7)
    assert_same_turn(kinematics.orientation_xyzw, arm.orientation_xyzw)
    np.testing.assert_allclose(kinematics.jacobian, arm.jacobian(), atol=2e-6)


@settings(max_examples=30, deadline=None)
@given(q=JOINTS)
def test_the_frame_tree_gives_the_same_pose_from_either_end(arm, kinematics, q):
    for joint, angle in zip(arm.joints, q, strict=True):
        pb.resetJointState(arm.body, joint, angle, 0.0, arm._client)
    arm.refresh()
    tree = FrameTree()
    for index, name in enumerate([*JOINT_NAMES, "gripper", "finger", "tcp"]):
        state = pb.getLinkState(arm.body, index, 0, 1, arm._client)
        parent = pb.getLinkState(arm.body, index - 1, 0, 1, arm._client) if index else None
        if parent is None:
            origin, turn = state[4], state[5]
        else:
            back = pb.invertTransform(parent[4], parent[5])
            origin, turn = pb.multiplyTransforms(*back, state[4], state[5])
        parents = ["base", *JOINT_NAMES, "gripper", "finger"]
        tree.set(parents[index], name, np.array(origin), np.array(turn), index if index < 7 else None)
    position, turn, stamp = tree.pose("base", "tcp")
    np.testing.assert_allclose(position, arm.position_m, atol=1e-5)  # as exact as the simulator's quaternions
    assert_same_turn(turn, arm.orientation_xyzw)
    assert stamp == 0
    back_m, back, _ = tree.pose("tcp", "base")
    forth_m, forth = pb.multiplyTransforms(position, turn, back_m, back)
    np.testing.assert_allclose(forth_m, 0, atol=1e-5)
    assert abs(forth[3]) == pytest.approx(1.0, abs=1e-6)


def test_a_tree_with_a_gap_or_a_loop_has_no_pose():
    tree = FrameTree()
    here, still = np.zeros(3), np.array([0.0, 0, 0, 1])
    tree.set("a", "b", here, still, None)
    assert tree.pose("a", "b")[2] is None
    assert tree.pose("a", "c") is None
    assert tree.pose("z", "b") is None
    tree.set("b", "a", here, still, 1)
    assert tree.pose("z", "b") is None


def test_another_base_and_an_offset_of_the_tip(kinematics):
    q = np.deg2rad([10, 30, -20, -70, 15, 60, 5.0])
    urdf = describe_iiwa().replace(
        '<link name="lbr_link_0">',
        '<link name="world"/><joint name="mount" type="fixed"><parent link="world"/><child link="lbr_link_0"/>'
        '<origin xyz="1 2 3" rpy="0.3 -0.2 0.9"/></joint><link name="lbr_link_0">',
        1,
    )
    moved = ArmKinematics(urdf, "gripper", "lbr_link_0", (0, 0, 0.139))
    moved.update(q)
    kinematics.update(q)
    np.testing.assert_allclose(moved.position_m, kinematics.position_m, atol=1e-9)
    np.testing.assert_allclose(moved.jacobian, kinematics.jacobian, atol=1e-9)
    assert moved.orientation_xyzw == pytest.approx(kinematics.orientation_xyzw)


def test_joints_are_found_by_name_in_any_order(kinematics):
    names = ["gripper_joint", *reversed(JOINT_NAMES)]
    assert kinematics.in_order(names, [9.0, 7, 6, 5, 4, 3, 2, 1]).tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert kinematics.in_order(names[:-1], [9.0, 7, 6, 5, 4, 3, 2]) is None
    assert kinematics.in_order(names, [1.0]) is None


def test_limits_come_from_the_description(kinematics):
    assert kinematics.joint_names == JOINT_NAMES
    np.testing.assert_allclose(kinematics.upper_rad, JOINT_LIMITS_RAD)
    np.testing.assert_allclose(kinematics.lower_rad, -JOINT_LIMITS_RAD)
    assert (kinematics.max_speed_rad_s > 1).all()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("<robot", "tcp"), "not a URDF"),
        ((describe_iiwa(), "tool0"), "tip_frame 'tool0' is not a link.*lbr_link_7"),
        ((describe_iiwa(), "tcp", "base"), "base_frame 'base' is not a link"),
        ((describe_iiwa(), "tcp", "lbr_link_3"), "moves with joint 'lbr_A3'"),
        ((describe_iiwa(), "lbr_link_0"), "no movable joint"),
        ((describe_iiwa(), "tcp", "lbr_link_0", (0, 0)), "tip_offset_m"),
    ],
)
def test_what_cannot_work_is_refused_in_words(arguments, words):
    with pytest.raises(UserError, match=words):
        ArmKinematics(*arguments)


def test_a_wrong_number_of_joints_is_refused(kinematics):
    with pytest.raises(UserError, match="7 joints"):
        kinematics.update(np.zeros(6))


def test_not_a_number_stays_not_a_number(kinematics):
    kinematics.update(np.full(7, np.nan))
    assert not np.isfinite(kinematics.position_m).any()


def test_the_tree_names_the_frames_it_has_heard_of():
    frames = FrameTree()
    assert frames.names == set()
    frames.set("world", "rail", np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]), None)
    frames.set("flange", "tool", np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]), 5)
    assert frames.names == {"world", "rail", "flange", "tool"}
    assert frames.pose("world", "tool") is None
