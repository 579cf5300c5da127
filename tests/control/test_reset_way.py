"""The way to a start: sampled densely, back the way the tip came, and refused where the arm must not go."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tip_poses import POSES, pose

from sac_gmm.control import SafetyLimits
from sac_gmm.control.joint_limits import JointGuard, JointSettings
from sac_gmm.control.kinematics import ArmKinematics
from sac_gmm.control.reset_way import (
    STEP_M,
    TURN_M,
    StartSettings,
    TipPose,
    Trail,
    check_box,
    check_joints,
    joint_leg,
    straight_leg,
)
from sac_gmm.core.errors import UserError
from sac_gmm.tasks.arms.description import HOME_RAD, describe_iiwa

LIMITS = SafetyLimits(workspace_min_m=(0.25, -0.45, 0.05), workspace_max_m=(0.8, 0.45, 0.8), slow_down_band_m=0.03)


@settings(max_examples=50, deadline=None)
@given(start=POSES, goal=POSES)
def test_a_straight_way_is_straight_and_sampled_densely(start, goal):
    leg = straight_leg(start, goal)
    np.testing.assert_array_equal(leg.positions_m[0], start.position_m)
    np.testing.assert_allclose(leg.positions_m[-1], goal.position_m, atol=1e-12)
    assert leg.end.apart(goal)[1] < 1e-6
    samples = [TipPose(*sample) for sample in zip(leg.positions_m, leg.xyzw, strict=True)]
    steps = [np.hypot(*np.array(a.apart(b)) * [1.0, TURN_M]) for a, b in itertools.pairwise(samples)]
    assert max(steps) <= STEP_M * (1 + 1e-6)
    assert leg.lengths_m[-1] == pytest.approx(sum(steps), abs=1e-6)
    along = goal.position_m - start.position_m
    off = np.cross(leg.positions_m - start.position_m, along)
    assert np.abs(off).max() < 1e-9


@settings(max_examples=50, deadline=None)
@given(start=POSES, goal=POSES)
def test_a_way_between_two_places_in_the_box_stays_in_it(start, goal):
    check_box([straight_leg(start, goal)], LIMITS)


@pytest.mark.parametrize(
    ("start", "goal", "sentence"),
    [
        (pose(x=0.2), pose(), r"the arm is at \(0.200, 0.000, 0.300\) m, outside the workspace box, .* by hand"),
        (pose(), pose(z=0.02), r"the start pose \(0.500, 0.000, 0.020\) m is outside the workspace box"),
    ],
)
def test_an_arm_or_a_start_outside_the_box_is_refused(start, goal, sentence):
    with pytest.raises(UserError, match=sentence):
        check_box([straight_leg(start, goal)], LIMITS)


def test_a_way_that_leaves_the_box_is_refused():
    trail = Trail()
    for z in np.linspace(0.3, 0.0, 200):
        trail.take(pose(z=z))
    for z in np.linspace(0.0, 0.3, 200):
        trail.take(pose(x=0.53, z=z))
    back = trail.leg(pose(x=0.53), 1.0)
    with pytest.raises(UserError, match=r"the way back the way it came leaves the workspace box"):
        check_box([back, straight_leg(back.end, pose())], LIMITS)


def test_the_way_back_is_the_way_that_the_tip_came():
    """Down, then along: back along, then up, as far as is asked for."""
    trail = Trail()
    down = [pose(z=z) for z in np.linspace(0.4, 0.3, 400)]
    along = [pose(y=y) for y in np.linspace(0.0, 0.1, 400)]
    for one in (*down, *along):
        trail.take(one)
    for distance_m, end in ((0.05, pose(y=0.05)), (0.15, pose(z=0.35)), (5.0, pose(z=0.4))):
        leg = trail.leg(along[-1], distance_m)
        assert np.linalg.norm(leg.end.position_m - end.position_m) < 0.003
        assert leg.lengths_m[-1] <= distance_m + 1e-9
        corner = (np.abs(leg.positions_m[:, 1]) > 0.003) & (leg.positions_m[:, 2] > 0.303)
        assert not corner.any(), "it does not cut the corner"
    # Held on its way back, it goes on from where it is, and not forth again.
    leg = trail.leg(pose(y=0.04), 0.02)
    assert np.linalg.norm(leg.end.position_m - pose(y=0.02).position_m) < 0.003


def test_no_way_back_is_known_where_the_arm_did_not_come_from():
    trail = Trail()
    assert trail.leg(pose(), 0.1) is None
    for y in np.linspace(0.0, 0.1, 100):
        trail.take(pose(y=y))
    assert trail.leg(pose(z=0.4), 0.1) is None, "it has been led elsewhere"
    trail.take(pose(y=0.3))
    leg = trail.leg(pose(y=0.301), 0.1)
    assert leg is None or leg.lengths_m[-1] < 0.003, "the way over a jump is unknown"
    trail.clear()
    assert trail.leg(pose(y=0.3), 0.1) is None


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(-(2**63), 2**63 - 1), box=st.tuples(*[st.floats(0.0, 0.1)] * 3))
def test_a_varied_start_is_in_its_box_and_the_same_for_the_same_seed(seed, box):
    varied, home = StartSettings(start_box_m=box), np.array([0.5, 0.0, 0.3])
    start = varied.start(home, seed)
    assert (np.abs(start - home) <= np.array(box) + 1e-12).all()
    np.testing.assert_array_equal(start, varied.start(home, seed))


def test_starts_vary_with_the_seed_and_fill_the_box():
    varied, home = StartSettings(start_box_m=(0.02, 0.01, 0.0)), np.zeros(3)
    starts = np.array([varied.start(home, seed) for seed in range(200)])
    assert (np.abs(starts).max(axis=0)[:2] > [0.019, 0.0095]).all() and not starts[:, 2].any()
    np.testing.assert_array_equal(StartSettings().start(home, 3), home)


# Joints ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guard():
    return JointGuard(ArmKinematics(describe_iiwa(), "tcp"), JointSettings(), 2.0, 0.25, 0.01)


def tip(guard, joints):
    guard.update(joints)
    return TipPose(guard.kinematics.position_m.copy(), guard.kinematics.orientation_xyzw.copy())


def test_joints_that_can_follow_end_where_the_way_does(guard):
    start = tip(guard, HOME_RAD)
    goal = TipPose(start.position_m + [0.05, 0.1, -0.05], start.xyzw)
    joints = check_joints([straight_leg(start, goal)], guard, HOME_RAD)
    reached = tip(guard, joints)
    distance_m, angle_rad = reached.apart(goal)
    assert distance_m < 0.002 and angle_rad < 0.01
    assert ((joints > guard.lower_rad) & (joints < guard.upper_rad)).all()


def test_a_joint_that_would_come_to_its_limit_is_named_before_it_moves(guard):
    joints, beyond, away = HOME_RAD.copy(), HOME_RAD.copy(), HOME_RAD.copy()
    joints[6], beyond[6], away[6] = guard.upper_rad[6] + np.array([-0.1, 0.4, -0.6])
    start = tip(guard, joints)
    with pytest.raises(UserError, match="joint lbr_A7 would come to its limit"):
        check_joints([straight_leg(start, tip(guard, beyond))], guard, joints)
    check_joints([straight_leg(start, tip(guard, away))], guard, joints)


def test_a_way_out_of_the_arms_reach_is_refused(guard):
    start = tip(guard, HOME_RAD)
    with pytest.raises(UserError, match=r"singular posture|cannot reach|limit"):
        check_joints([straight_leg(start, TipPose(start.position_m + [0.8, 0.0, 0.0], start.xyzw))], guard, HOME_RAD)


def test_on_the_joints_way_all_joints_move_in_proportion(guard):
    goal = HOME_RAD + np.array([0.3, -0.1, 0.0, 0.2, 0.0, -0.1, 0.4])
    leg = joint_leg(guard.kinematics, HOME_RAD, goal)
    halfway = tip(guard, 0.5 * (HOME_RAD + goal))
    assert np.linalg.norm(leg.positions_m - halfway.position_m, axis=1).min() < STEP_M
    assert leg.end.apart(tip(guard, goal))[0] < 1e-9
