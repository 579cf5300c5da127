"""Joints near their limits and singular postures, in a closed loop with the pipeline: the arm does as it is told."""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tests.ratio import times_as_long

from sac_gmm.control import Limit, SafetyLimits, SafetyPipeline
from sac_gmm.control.joint_limits import JointGuard, JointIntegrator, JointSettings
from sac_gmm.control.kinematics import ArmKinematics
from sac_gmm.core.errors import UserError
from sac_gmm.tasks.arms.description import HOME_RAD, JOINT_LIMITS_RAD, describe_iiwa

DT_S = 0.01
LIMITS = SafetyLimits(workspace_min_m=(-2, -2, -2), workspace_max_m=(2, 2, 2))
SETTINGS = JointSettings()
JOINTS = st.tuples(*(st.floats(-0.95 * limit, 0.95 * limit) for limit in JOINT_LIMITS_RAD)).map(np.array)
DIRECTIONS = st.tuples(*[st.floats(-1, 1)] * 3).map(np.array).filter(lambda d: np.linalg.norm(d) > 0.1)


@pytest.fixture(scope="module")
def kinematics():
    return ArmKinematics(describe_iiwa(), "tcp")


@pytest.fixture(scope="module")
def guard(kinematics):
    return guard_of(kinematics)


def guard_of(kinematics, **changes):
    return JointGuard(kinematics, JointSettings(**changes), LIMITS.max_acceleration_m_s2, LIMITS.max_speed_m_s, DT_S)


def run(guard, joints, asked_of, seconds):
    """Follow the pipeline's command with an arm that does what it is told; yields joints, velocity, limit, s."""
    pipeline = SafetyPipeline(LIMITS, DT_S, guard)
    joints = joints.copy()
    guard.update(joints)
    for k in range(round(seconds / DT_S)):
        guard.update(joints)
        velocity, limit = pipeline.step(asked_of(k).copy(), guard.kinematics.position_m)
        yield joints.copy(), velocity.copy(), limit, guard.singular_value
        joints += guard.joint_velocity(velocity) * DT_S


@settings(max_examples=40, deadline=None)
@given(q=JOINTS)
def test_the_gradient_is_the_derivative_of_the_measure(guard, q):
    guard.update(q)
    gradient, value = guard._gradient.copy(), guard.singular_value
    J = guard.kinematics.jacobian.copy()
    J[3:] *= 0.3
    singular_values = np.linalg.svd(J, compute_uv=False)
    assert value == pytest.approx(singular_values[-1], abs=1e-7)
    assume(value > 1e-3 and singular_values[-2] > value + 1e-3)  # else it has a kink
    for k in range(7):
        step = np.zeros(7)
        step[k] = 1e-6
        guard.update(q + step)
        above = guard.singular_value
        guard.update(q - step)
        assert gradient[k] == pytest.approx((above - guard.singular_value) / 2e-6, abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(q=JOINTS, direction=DIRECTIONS)
def test_joint_speeds_move_the_tip_as_asked_and_do_not_turn_it(kinematics, q, direction):
    guard = guard_of(kinematics, pseudo_inverse_damping=0.0)
    guard.update(q)
    assume(guard.singular_value > 0.02)
    twist = kinematics.jacobian @ guard.joint_velocity(direction)
    np.testing.assert_allclose(twist, [*direction, 0, 0, 0], atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(q=JOINTS, direction=DIRECTIONS)
@example(q=HOME_RAD, direction=np.array([1.0, 0, 0]))  # to the edge of its reach
@example(q=HOME_RAD, direction=np.array([-1.0, 0, 0]))  # an elbow that folds up
# A start beside a singularity, which slows it for three seconds before it goes on.
@example(q=np.array([2.125, 0, 0, -0.21875, 0, -0.25, 0]), direction=np.array([0.453125, 0, -0.640625]))
def test_an_arm_driven_to_the_end_passes_no_limit(guard, q, direction):
    guard.update(q)
    assume(guard.singular_value > SETTINGS.singularity_stop + 0.005)
    assume((np.minimum(q - guard.lower_rad, guard.upper_rad - q) > 0.01).all())
    asked = 0.24 * direction / np.linalg.norm(direction)
    before, met = np.zeros(3), set()
    for joints, velocity, limit, value in run(guard, q, lambda _: asked, 16.0):
        assert (joints > guard.lower_rad - 1e-3).all() and (joints < guard.upper_rad + 1e-3).all()
        assert value > SETTINGS.singularity_stop - 2e-3
        assert (np.abs(guard.joint_velocity(velocity)) < guard.max_joint_speed_rad_s * 1.001).all()
        assert np.linalg.norm(velocity) <= LIMITS.max_speed_m_s * 1.001
        growth = np.linalg.norm(velocity) - np.linalg.norm(before)
        assert growth <= LIMITS.max_acceleration_m_s2 * DT_S * 1.01, "it may brake harder, never start harder"
        before = velocity
        met.add(limit)
        if np.linalg.norm(velocity) > 0.01:
            assert np.linalg.norm(np.cross(velocity, asked)) < 1e-3 * np.linalg.norm(velocity)  # direction kept
    assert met & {Limit.JOINT, Limit.SINGULARITY}
    assert np.linalg.norm(before) < 0.12, "after sixteen seconds in one direction every iiwa is near its end"


def test_what_stopped_it_is_named_and_the_way_back_is_free(guard):
    asked = np.array([0.2, 0.0, 0.0])
    *_, (stuck, velocity, limit, value) = run(guard, HOME_RAD, lambda _: asked, 6.0)
    assert limit is Limit.SINGULARITY
    assert np.linalg.norm(velocity) < 0.01
    assert value == pytest.approx(SETTINGS.singularity_stop, abs=4e-3)
    *_, (_, velocity, limit, value) = run(guard, stuck, lambda _: -asked, 1.0)
    assert limit is Limit.NONE and velocity == pytest.approx(-asked, abs=1e-3)
    assert value > SETTINGS.singularity_slow

    near = HOME_RAD.copy()
    near[5] = guard.upper_rad[5] - 0.3
    guard.update(near)
    towards = guard.kinematics.jacobian[:3, 5] * 1.0
    asked = 0.2 * towards / np.linalg.norm(towards)
    names = [limit for *_, limit, _ in run(guard, near, lambda _: asked, 4.0)]
    assert names[-1] is Limit.JOINT


def test_braking_for_a_limit_keeps_to_the_limits_on_acceleration_and_jerk(guard):
    """On the way to the edge of the reach, where nothing comes as a surprise, the last word is not needed."""
    velocities = np.array([v for _, v, *_ in run(guard, HOME_RAD, lambda _: np.array([0.3, 0.0, 0.0]), 5.0)])
    acceleration = np.diff(velocities, axis=0) / DT_S
    jerk = np.diff(acceleration, axis=0) / DT_S
    assert np.linalg.norm(acceleration, axis=1).max() <= LIMITS.max_acceleration_m_s2 * 1.01
    assert np.linalg.norm(jerk, axis=1).max() <= LIMITS.max_jerk_m_s3 * 1.01
    assert np.linalg.norm(velocities, axis=1).max() > 0.2


def test_an_arm_that_begins_outside_may_come_back_but_go_no_further(guard):
    outside = HOME_RAD.copy()
    outside[3] = guard.lower_rad[3] - 0.02  # folded further than the margin allows
    guard.update(outside)
    fold = np.linalg.lstsq(guard._inverse, -np.eye(7)[3], rcond=None)[0]
    fold /= np.linalg.norm(fold)
    assert guard.allowed_speed(fold) == (0.0, Limit.JOINT)
    assert guard.allowed_speed(-fold)[0] > 0.1
    assert guard.share(np.zeros(3)) == (1.0, Limit.NONE)


def test_settings_that_contradict_each_other_are_refused(kinematics):
    with pytest.raises(UserError, match=r"singularity_stop = 0\.1 must be less"):
        JointSettings(singularity_stop=0.1)
    with pytest.raises(UserError, match=r"joint_margin_rad = 0\.6.*expected 0 to 0\.5 rad"):
        JointSettings(joint_margin_rad=0.6)
    stiff = ArmKinematics(describe_iiwa(), "tcp")
    stiff.lower_rad[2] = stiff.upper_rad[2] - 0.15
    with pytest.raises(UserError, match="leaves a joint no room"):
        guard_of(stiff, joint_margin_rad=0.1)


class TestJointIntegrator:
    """Joint positions for a driver that takes no twist."""

    def follow(self, guard, joints, velocity_of, steps, follows=True):
        integrator = JointIntegrator(guard, DT_S)
        commands = []
        joints = joints.copy()
        for k in range(steps):
            guard.update(joints)
            command = integrator.step(velocity_of(k)).copy()
            commands.append(command)
            if follows:
                joints = command
        return np.array(commands)

    def test_it_begins_where_the_arm_is_and_follows_the_twist(self, guard):
        velocity = np.array([0.05, -0.02, 0.03])
        commands = self.follow(guard, HOME_RAD, lambda k: velocity if k else np.zeros(3), 101)
        np.testing.assert_array_equal(commands[0], HOME_RAD)
        guard.update(HOME_RAD)
        start = guard.kinematics.position_m.copy()
        turn = guard.kinematics.orientation_xyzw
        guard.update(commands[-1])
        np.testing.assert_allclose(guard.kinematics.position_m - start, velocity, atol=2e-3)
        assert abs(turn @ guard.kinematics.orientation_xyzw) > 0.99999

    def test_an_arm_that_is_held_back_is_not_left_behind(self, guard):
        commands = self.follow(guard, HOME_RAD, lambda _: np.array([0.2, 0, 0]), 300, follows=False)
        assert np.abs(commands - HOME_RAD).max() == pytest.approx(0.05)

    @settings(max_examples=40, deadline=None)
    @given(q=JOINTS, velocity=DIRECTIONS)
    def test_no_joint_passes_its_limits_or_its_speed(self, guard, q, velocity):
        commands = self.follow(guard, q, lambda _: velocity, 60)
        low, high = np.minimum(guard.lower_rad, q), np.maximum(guard.upper_rad, q)
        assert (commands >= low - 1e-12).all() and (commands <= high + 1e-12).all()
        speeds = np.abs(np.diff(commands, axis=0)) / DT_S
        assert (speeds <= guard.max_joint_speed_rad_s * (1 + 1e-9)).all()

    def test_not_a_number_holds_the_position(self, guard):
        commands = self.follow(guard, HOME_RAD, lambda _: np.full(3, np.nan), 3)
        np.testing.assert_array_equal(commands, np.tile(HOME_RAD, (3, 1)))

    def test_after_forgetting_it_begins_at_the_arm_again(self, guard):
        integrator = JointIntegrator(guard, DT_S)
        guard.update(HOME_RAD)
        for _ in range(5):
            integrator.step(np.array([0.1, 0, 0]))
        integrator.forget()
        np.testing.assert_array_equal(integrator.step(np.zeros(3)), HOME_RAD)


def test_the_stage_is_cheap(guard):
    """Both questions and the posture together, beside the kinematics that they build on: about eight times as long."""
    velocity, committed = np.array([0.1, 0.05, -0.1]), np.zeros(3)

    def stage():
        guard.update(HOME_RAD)
        guard.share(velocity, committed)
        guard.share(velocity)

    assert times_as_long(stage, lambda: guard.kinematics.update(HOME_RAD), rounds=300) < 30
