"""The arm's own kinematics, dynamics and impedance agree with the physics engine's."""

import numpy as np
import pybullet as pb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sac_gmm.core.errors import UserError
from sac_gmm.core.small_algebra import rotation_between, square_root
from sac_gmm.tasks import TASKS, make_task
from sac_gmm.tasks.arms.description import HOME_RAD, JOINT_LIMITS_RAD
from sac_gmm.tasks.arms.iiwa import ImpedanceGains
from sac_gmm.tasks.twist_task import TOOL_DOWN_XYZW


@pytest.fixture(scope="module", params=TASKS)
def arm(request):
    task = make_task(request.param)
    yield task.arm
    task.close()


@pytest.mark.parametrize("seed", range(5))
def test_kinematics_and_inertia_are_those_of_the_engine(arm, seed):
    q = np.random.default_rng(seed).uniform(-0.9, 0.9, 7) * JOINT_LIMITS_RAD
    speed = np.random.default_rng(seed).normal(size=7)
    client, body = arm._client, arm.body
    for joint in range(7):
        pb.resetJointState(body, joint, q[joint], speed[joint], client)
    for joint in range(7, pb.getNumJoints(body, client)):
        if pb.getJointInfo(body, joint, client)[2] != pb.JOINT_FIXED:
            pb.resetJointState(body, joint, 0.0, 0.0, client)
    arm.refresh()
    tip = pb.getLinkState(body, arm.tcp_link, 1, 1, client)
    np.testing.assert_allclose(arm.position_m, tip[4], atol=1e-6)
    assert abs(arm.orientation_xyzw @ tip[5]) == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(arm.velocity_m_s, tip[6], atol=1e-5)
    np.testing.assert_allclose(arm.angular_velocity_rad_s, tip[7], atol=1e-5)
    zeros = [0.0] * (sum(pb.getJointInfo(body, i, client)[2] != pb.JOINT_FIXED for i in arm.links.values()) - 7)
    M = pb.calculateMassMatrix(body, [*q, *zeros], 0, client)
    np.testing.assert_allclose(arm.mass_matrix(), np.array(M)[:7, :7], atol=1e-5)
    J = pb.calculateJacobian(
        body, arm.tcp_link, (0, 0, 0), [*q, *zeros], [0.0] * (7 + len(zeros)), [0.0] * (7 + len(zeros)), client
    )
    np.testing.assert_allclose(arm.jacobian(), np.vstack(J)[:, :7], atol=1e-6)


def test_placing_is_exact_and_repeats_bit_for_bit(arm):
    goal = np.array([0.55, 0.04, 0.35])
    arm.place(goal, TOOL_DOWN_XYZW)
    first = arm.joint_position_rad
    np.testing.assert_allclose(arm.position_m, goal, atol=1e-8)
    turn = np.empty(3)
    rotation_between(arm.orientation_xyzw, TOOL_DOWN_XYZW, turn)
    np.testing.assert_allclose(turn, 0.0, atol=1e-8)
    arm.place(goal + 0.1, TOOL_DOWN_XYZW)
    arm.place(goal, TOOL_DOWN_XYZW)
    np.testing.assert_array_equal(arm.joint_position_rad, first)


def test_what_is_out_of_reach_is_refused_and_changes_nothing(arm):
    arm.place_joints(HOME_RAD)
    with pytest.raises(UserError, match="cannot reach"):
        arm.place(np.array([2.0, 0.0, 0.3]), TOOL_DOWN_XYZW)
    np.testing.assert_array_equal(arm.joint_position_rad, HOME_RAD)


@pytest.mark.parametrize(
    "gains",
    [
        {"rotation_stiffness_nm_rad": (25.0, 25.0)},
        {"rotation_stiffness_nm_rad": (25.0, -3.0, 3.0)},
        {"translation_stiffness_n_m": float("nan")},
        {"lead_m": 0.0},
        {"damping_ratio": (0.9, 0.9, 0.9)},
        {"lead_rad": "much"},
    ],
)
def test_bad_gains_are_named(gains):
    with pytest.raises(UserError, match=next(iter(gains))):
        ImpedanceGains(**gains)


def test_the_stiffness_about_each_axis_of_the_tip_is_its_own():
    """A constant torque about an axis turns the hand by torque over stiffness."""
    stiffness = (25.0, 40.0, 3.0)
    task = make_task("door", gains=ImpedanceGains(rotation_stiffness_nm_rad=stiffness))
    torque_nm = 0.2
    for axis in range(3):
        task.reset(seed=0)
        local = np.eye(3)[axis]
        world = local * [-1.0, 1.0, -1.0]  # tool down: x and z point the other way
        before = task.arm.orientation_xyzw
        for _ in range(480):
            task.arm.apply_torques(1 / 240)
            pb.applyExternalTorque(
                task.arm.body, task.arm.tcp_link, list(torque_nm * world), pb.WORLD_FRAME, task.client
            )
            pb.stepSimulation(task.client)
            task.arm.refresh()
        turn = np.empty(3)
        rotation_between(before, task.arm.orientation_xyzw, turn)
        np.testing.assert_allclose(turn, torque_nm / stiffness[axis] * world, atol=0.06 * torque_nm / stiffness[axis])
    task.close()


@given(arrays(np.float64, (6, 6), elements=st.floats(-10, 10)), st.integers(0, 5))
def test_the_square_root_of_a_matrix(A, seed):
    S = A @ A.T + 0.01 * np.eye(6)
    guess = np.ascontiguousarray(np.linalg.qr(np.random.default_rng(seed).normal(size=(6, 6)))[0])
    root = S.copy()
    square_root(root, guess, np.empty((6, 6)))
    np.testing.assert_allclose(root @ root, S, atol=1e-8 * np.abs(S).max())
    np.testing.assert_allclose(guess @ guess.T, np.eye(6), atol=1e-9)
