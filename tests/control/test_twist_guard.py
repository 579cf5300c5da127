"""The guard's tick: what anybody may send, and what the arm is told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sac_gmm.control import Limit, Reason, SafetyLimits, SafetyPipeline, State, remedy
from sac_gmm.control.command_gate import Asked, Command, CommandGate, CommandSettings
from sac_gmm.control.joint_limits import JointGuard, JointSettings
from sac_gmm.control.kinematics import ArmKinematics
from sac_gmm.control.twist_guard import TurnLimits, TwistGuard
from sac_gmm.tasks.arms.description import HOME_RAD, describe_iiwa

DT = 1 / 30
HERE = np.array([0.5, 0.0, 0.5])
N_STREAMS, TICKS = 10_000, 12


def asking(*twist):
    return Asked(Reason.NONE, twist=np.array(twist, float))


def run(guard, asked, n=60, hold=Reason.NONE):
    return np.array([guard.tick(HERE, 0.0, asked, hold).twist.copy() for _ in range(n)])


def test_a_tick_is_one_step_of_the_pipeline():
    """So that a skill moves behind the guard as it does offline."""
    guard, pipeline = TwistGuard(dt_s=DT), SafetyPipeline(SafetyLimits(), DT)
    for asked in np.random.default_rng(0).uniform(-0.5, 0.5, (200, 3)):
        tick = guard.tick(HERE, 0.0, asking(*asked, 0, 0, 0))
        np.testing.assert_array_equal(tick.twist[:3], pipeline.step(asked.copy(), HERE)[0])
        assert not tick.twist[3:].any()


def test_a_turn_has_limits_of_its_own():
    turns = TurnLimits(max_turn_rad_s=0.5)
    twists = run(TwistGuard(turns=turns, dt_s=DT), asking(0.1, 0, 0, 0, 3.0, 4.0))
    np.testing.assert_allclose(twists[-1], [0.1, 0, 0, 0, 0.3, 0.4], atol=1e-12)
    assert np.linalg.norm(twists[0, 3:]) < 0.5 * np.linalg.norm(twists[-1, 3:])


def test_a_turn_alone_is_brought_to_rest_then_zeros_then_silence():
    guard = TwistGuard(dt_s=DT)
    run(guard, asking(0, 0, 0, 0, 0, 1.0))
    ticks = [guard.tick(HERE, 0.0, Asked(Reason.STALE_COMMAND)) for _ in range(60)]
    assert ticks[0].state is State.STOPPING and ticks[-1].state is State.WAITING
    assert not ticks[-1].twist.any() and not ticks[-1].publish and guard.silent
    states = [tick.state for tick in ticks]
    assert sum(tick.publish for tick in ticks[states.index(State.WAITING) :]) == guard.limits.zero_commands


def test_nothing_is_sent_before_the_first_command():
    guard = TwistGuard(dt_s=DT)
    tick = guard.tick(HERE, 0.0, Asked(Reason.NO_COMMAND))
    assert (tick.publish, tick.state, tick.reason) == (False, State.IDLE, Reason.NO_COMMAND)


@pytest.mark.parametrize(
    ("position", "age_s", "hold", "reason"),
    [
        (None, 0.0, Reason.NONE, Reason.NO_STATE),
        (np.array([0.5, np.nan, 0.5]), 0.0, Reason.NONE, Reason.NOT_A_NUMBER),
        (HERE, 1.0, Reason.NONE, Reason.STALE_STATE),
        (HERE, 0.0, Reason.NO_DEADMAN, Reason.NO_DEADMAN),
    ],
)
def test_the_arms_own_trouble_comes_before_what_is_asked(position, age_s, hold, reason):
    guard = TwistGuard(dt_s=DT)
    assert guard.tick(position, age_s, Asked(Reason.STALE_COMMAND), hold).reason is reason


def test_joint_velocities_need_known_joints():
    assert TwistGuard(dt_s=DT).tick(HERE, 0.0, Asked(Reason.NONE, joints_rad_s=np.ones(7))).reason is (
        Reason.COMMAND_REFUSED
    )


def test_the_speed_scale_holds_for_way_and_turn():
    guard = TwistGuard(dt_s=DT)
    guard.scale_speed(0.5)
    np.testing.assert_allclose(run(guard, asking(0.2, 0, 0, 0, 0, 0.8))[-1], [0.1, 0, 0, 0, 0, 0.4], atol=1e-12)
    guard.start_from_rest()
    np.testing.assert_allclose(run(guard, asking(0.2, 0, 0, 0, 0, 0.8))[-1], [0.1, 0, 0, 0, 0, 0.4], atol=1e-12)


def check_motion(commands, limit_speed, limit_acceleration, limit_jerk, dt_s):
    v = np.vstack([np.zeros((2, 3)), commands])
    a = np.diff(v, axis=0) / dt_s
    assert np.isfinite(v).all()
    assert np.linalg.norm(v, axis=1).max() <= limit_speed + 1e-9
    assert np.linalg.norm(a, axis=1).max() <= limit_acceleration * (1 + 1e-6)
    assert np.linalg.norm(np.diff(a, axis=0) / dt_s, axis=1).max() <= limit_jerk * (1 + 1e-6)


def check_limits(guard, twists, dt_s):
    limits, turns = guard.limits, guard.turns
    check_motion(twists[:, :3], limits.max_speed_m_s, limits.max_acceleration_m_s2, limits.max_jerk_m_s3, dt_s)
    most = turns.max_turn_rad_s, turns.max_turn_acceleration_rad_s2, turns.max_turn_jerk_rad_s3
    check_motion(twists[:, 3:], *most, dt_s)


numbers = st.floats(-2, 2) | st.floats(allow_nan=True, allow_infinity=True)
events = st.one_of(
    st.tuples(st.just("ask"), st.tuples(*[numbers] * 6)),
    st.tuples(st.just("ask"), st.tuples(*[st.floats(-0.5, 0.5)] * 6)),
    st.tuples(st.just("hold"), st.sampled_from(list(Reason)[1:])),
    st.tuples(st.just("go_on"), st.none()),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(events, max_size=60))
def test_whatever_is_asked_the_commands_stay_within_the_limits(stream):
    guard, twists = TwistGuard(dt_s=DT), [np.zeros(6)]
    for kind, value in stream:
        if kind == "go_on":
            guard.reset(moving=True)
            continue
        asked = asking(*value) if kind == "ask" else Asked(value)
        twists.append(guard.tick(HERE, 0.0, asked).twist.copy())
    check_limits(guard, np.array(twists), DT)


class Adversary:
    """Senders that do all that senders may do wrong, in front of a gate."""

    weird = (np.nan, np.inf, -np.inf, 1e308, -1e308, 1e-308, 0.0, -0.0, 5.0)

    def __init__(self, rng):
        self.rng = rng
        self.gate = CommandGate(CommandSettings(), "base", joint_names=lambda: ("A1", "A2"))
        self.now_s, self.now_ns, self.number = 0.0, 10**12, 0
        self.begin()

    def begin(self):
        """A new stream: how often it sends and how bad it is."""
        rng = self.rng
        self.rate, self.bad = rng.choice((0.1, 0.5, 1.0, 3.0)), rng.choice((0.0, 0.05, 0.5))
        self.direction = rng.normal(size=6) * 10.0 ** rng.uniform(-3, 3)
        self.gate.note_senders(rng.choice(("/a", "/b"), rng.integers(0, 3)).tolist())

    def send(self, dt_s):
        """What arrives in one period."""
        rng = self.rng
        self.now_s += dt_s
        self.now_ns += round(dt_s * 1e9)
        for _ in range(rng.poisson(self.rate)):
            self.number += 1
            values = self.direction if rng.random() < 0.7 else rng.normal(size=6)
            topic, frame, names, stamp_ns, number = "desired_twist", "base", None, self.now_ns, self.number
            if rng.random() < self.bad:
                kind = rng.integers(0, 7)
                if kind == 0:
                    values = values.copy()
                    values[rng.integers(0, 6)] = self.weird[rng.integers(0, len(self.weird))]
                elif kind == 1:
                    values = rng.normal(size=rng.integers(0, 9))
                elif kind == 2:
                    frame = ("", "tool0")[rng.integers(0, 2)]
                elif kind == 3:
                    stamp_ns = int(rng.choice((0, 1, 2**62, self.now_ns + rng.integers(-(10**9), 10**9))))
                elif kind == 4:
                    topic, values, names = "desired_joint_velocity", rng.normal(size=2), ("A2", "A1")
                elif kind == 5:
                    number = int(rng.integers(0, 100))
                else:
                    values = values * 10.0 ** rng.uniform(-300, 300)
            self.gate.take(Command(topic, values, stamp_ns, self.now_s, frame, names, number), self.now_ns)

    def asked(self):
        return self.gate.asked(self.now_s, self.now_ns)


def test_ten_thousand_adversarial_streams_keep_the_limits_and_every_stop_is_explained():
    """The arm goes where it is told, its state fails at times, and limits and periods differ."""
    rng = np.random.default_rng(0)
    seen = set()
    per_guard = 100
    with np.errstate(over="ignore"):
        for _ in range(N_STREAMS // per_guard):
            dt_s = float(rng.choice((1 / 30, 0.01, 0.004)))
            limits = SafetyLimits(
                workspace_min_m=(0.3, -0.3, 0.2),
                workspace_max_m=(0.7, 0.3, 0.8),
                slow_down_band_m=float(rng.uniform(0.0, 0.1)),
                max_speed_m_s=float(rng.uniform(0.05, 1.5)),
                max_acceleration_m_s2=float(rng.uniform(0.5, 20)),
                max_jerk_m_s3=float(rng.uniform(10, 2000)),
            )
            turns = TurnLimits(*(float(rng.uniform(*reach)) for reach in ((0.1, 1.5), (0.5, 20), (10, 2000))))
            guard, adversary = TwistGuard(limits, turns, dt_s), Adversary(rng)
            position, twists = HERE.copy(), np.zeros((per_guard * TICKS, 6))
            low, high = np.array(limits.workspace_min_m) - 1e-6, np.array(limits.workspace_max_m) + 1e-6
            for k in range(per_guard * TICKS):
                if k % TICKS == 0:
                    adversary.begin()
                    guard.clear_fault()
                    guard.scale_speed(float(rng.choice((1.0, 1.0, 0.3, 0.0))))
                adversary.send(dt_s)
                asked, trouble = adversary.asked(), rng.random()
                known = position if trouble > 0.005 else position + (np.nan, np.inf)[k % 2]
                age_s = 0.0 if trouble < 0.96 else 1.0
                tick = guard.tick(None if trouble > 0.99 else known, age_s, asked)
                twists[k] = tick.twist
                position = position + dt_s * tick.twist[:3]
                assert (position >= low).all() and (position <= high).all(), "out of the box"
                seen.add(tick.reason)
                if tick.reason is not Reason.NONE:
                    assert tick.state is not State.ACTIVE
                    assert (asked.text if tick.reason is asked.reason else "") or remedy(tick.reason, tick.limit)
                assert tick.publish or not tick.twist.any()
            check_limits(guard, twists, dt_s)
    of_commands = {Reason.NO_COMMAND, Reason.STALE_COMMAND, Reason.SECOND_SENDER, Reason.COMMAND_REFUSED}
    assert seen >= of_commands | {Reason.NONE, Reason.NO_STATE, Reason.NOT_A_NUMBER, Reason.STALE_STATE}


class Joints:
    """An arm whose joints are known, as the link to it offers them."""

    def __init__(self, limits, dt_s):
        kinematics = ArmKinematics(describe_iiwa(), "tcp")
        settings = JointSettings()
        self.guard = JointGuard(kinematics, settings, limits.max_acceleration_m_s2, limits.max_speed_m_s, dt_s)
        self.joint_names = kinematics.joint_names
        self.share, self.twist_of, self.twist_share = self.guard.share, self.guard.twist_of, self.guard.twist_share


@pytest.fixture(scope="module")
def arm():
    return Joints(SafetyLimits(), 0.01)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_an_arm_that_is_told_anything_passes_no_joint_limit(arm, seed):
    rng = np.random.default_rng(seed)
    limits = SafetyLimits(workspace_min_m=(-2, -2, -2), workspace_max_m=(2, 2, 2))
    guard, joint = TwistGuard(limits, dt_s=0.01, arm=arm), arm.guard
    joints, asked = HOME_RAD.copy(), asking(*np.zeros(6))
    for k in range(600):
        joint.update(joints)
        if k % 150 == 0:
            as_joints = rng.random() < 0.4
            values = rng.normal(size=7 if as_joints else 6) * 10.0 ** rng.uniform(-1, 2)
            asked = Asked(Reason.NONE, joints_rad_s=values) if as_joints else asking(*values)
        tick = guard.tick(joint.kinematics.position_m.copy(), 0.0, asked)
        rates = joint.joint_velocity(tick.twist)
        assert (np.abs(rates) <= joint.max_joint_speed_rad_s * 1.001).all()
        assert np.linalg.norm(tick.twist[:3]) <= limits.max_speed_m_s + 1e-9
        assert np.linalg.norm(tick.twist[3:]) <= guard.turns.max_turn_rad_s + 1e-9
        joints = joints + 0.01 * rates
        assert (joints > joint.lower_rad - 1e-3).all() and (joints < joint.upper_rad + 1e-3).all()


def test_joint_velocities_move_the_tip_as_the_joints_would(arm):
    arm.guard.update(HOME_RAD)
    guard, wanted = TwistGuard(dt_s=0.01, arm=arm), np.zeros(7)
    wanted[1] = 0.05
    for _ in range(100):
        tick = guard.tick(HERE, 0.0, Asked(Reason.NONE, joints_rad_s=wanted))
    np.testing.assert_allclose(tick.twist, arm.guard.kinematics.jacobian @ wanted, atol=1e-6)


def test_joint_velocities_are_first_scaled_to_the_joints_limits(arm):
    arm.guard.update(HOME_RAD)
    twist = arm.twist_of(np.full(7, 1e308))
    assert np.isfinite(twist).all() and np.linalg.norm(twist) < 10


def test_a_limit_of_the_turn_is_named():
    guard = TwistGuard(dt_s=DT)
    assert guard.tick(HERE, 0.0, asking(0, 0, 0, 0, 0, 5.0)).limit is Limit.SPEED
