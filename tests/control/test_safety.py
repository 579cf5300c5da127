import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sac_gmm.control import Limit, SafetyLimits, SafetyPipeline
from sac_gmm.control.twist_guard import TurnLimits
from sac_gmm.core.errors import UserError
from sac_gmm.tasks import Twist

EPS = 1e-9
velocities = st.lists(st.tuples(*[st.floats(-20, 20)] * 3), min_size=1, max_size=60)
limit_sets = st.builds(
    SafetyLimits,
    max_speed_m_s=st.floats(0.01, 1.5),
    max_acceleration_m_s2=st.floats(0.1, 20),
    max_jerk_m_s3=st.floats(1, 2000),
)
periods = st.sampled_from([1 / 30, 0.01, 0.004])


def commands(limits, dt_s, asked, position=(0.0, 0.0, 0.5)):
    pipeline = SafetyPipeline(limits, dt_s)
    return np.array([pipeline.step(np.array(v, float), np.array(position))[0].copy() for v in asked])


@settings(max_examples=200, deadline=None)
@given(limit_sets, periods, velocities)
def test_speed_acceleration_and_jerk_are_never_exceeded(limits, dt_s, asked):
    v = np.vstack([np.zeros((2, 3)), commands(limits, dt_s, asked)])
    a = np.diff(v, axis=0) / dt_s
    j = np.diff(a, axis=0) / dt_s
    assert np.isfinite(v).all()
    assert np.linalg.norm(v, axis=1).max() <= limits.max_speed_m_s + EPS
    assert np.linalg.norm(a, axis=1).max() <= limits.max_acceleration_m_s2 * (1 + 1e-6)
    assert np.linalg.norm(j, axis=1).max() <= limits.max_jerk_m_s3 * (1 + 1e-6)


@settings(max_examples=100, deadline=None)
@given(st.tuples(*[st.floats(-20, 20)] * 3).filter(lambda v: np.linalg.norm(v) > 1e-3))
def test_a_constant_request_is_reached_in_its_own_direction(asked):
    limits = SafetyLimits()
    v = commands(limits, 0.01, [asked] * 200)[-1]
    speed = min(np.linalg.norm(asked), limits.max_speed_m_s)
    np.testing.assert_allclose(v, np.array(asked) / np.linalg.norm(asked) * speed, atol=1e-9)


@settings(max_examples=300, deadline=None)
@example((0.0, 0.0, 0.84375), (1.0, 1.0, 1.0), 0.01, 0.0, 1.5)
@given(
    st.tuples(*[st.floats(-0.85, 0.85)] * 3),
    st.tuples(*[st.floats(-10, 10)] * 3),
    periods,
    st.floats(0, 0.2),
    st.floats(0.05, 1.5),
)
def test_an_arm_that_follows_never_leaves_the_box(start, asked, dt_s, band, speed):
    limits = SafetyLimits(
        workspace_min_m=(-0.9,) * 3, workspace_max_m=(0.9,) * 3, slow_down_band_m=band, max_speed_m_s=speed
    )
    pipeline, position = SafetyPipeline(limits, dt_s), np.array(start)
    for _ in range(int(3 / dt_s)):
        position = position + dt_s * pipeline.step(np.array(asked), position)[0]
        assert np.abs(position).max() <= 0.9 + 1e-9


def test_outside_the_box_only_the_way_back_is_open():
    limits = SafetyLimits()
    out = commands(limits, 0.01, [(0.1, 0.1, 0.0)] * 50, position=(0.95, 0.0, 0.5))[-1]
    back = commands(limits, 0.01, [(-0.1, 0.1, 0.0)] * 50, position=(0.95, 0.0, 0.5))[-1]
    np.testing.assert_allclose(out, [0.0, 0.1, 0.0], atol=1e-12)
    np.testing.assert_allclose(back, [-0.1, 0.1, 0.0], atol=1e-12)


def test_ten_metres_per_second_are_cut_without_turning():
    v = commands(SafetyLimits(), 0.01, [(6.0, 0.0, 8.0)] * 100)
    assert np.linalg.norm(v, axis=1).max() <= 0.25 + EPS
    np.testing.assert_allclose(v[-1], [0.15, 0.0, 0.2], atol=1e-12)


@pytest.mark.parametrize(
    ("position", "asked", "limit"),
    [
        ((0.0, 0.0, 0.5), (0.0, 0.0, 0.0), Limit.NONE),
        ((0.89, 0.0, 0.5), (0.2, 0.0, 0.0), Limit.WORKSPACE),
        ((0.0, 0.0, 0.5), (5.0, 0.0, 0.0), Limit.SPEED),
        ((0.0, 0.0, 0.5), (0.2, 0.0, 0.0), Limit.ACCELERATION),
        ((0.0, 0.0, 0.5), (0.015, 0.0, 0.0), Limit.JERK),
    ],
)
def test_the_first_limit_in_the_order_is_named(position, asked, limit):
    assert SafetyPipeline(SafetyLimits(), 0.01).step(np.array(asked), np.array(position))[1] is limit


def test_ramps_down_to_exact_rest():
    pipeline = SafetyPipeline(SafetyLimits(), 0.01)
    for _ in range(50):
        pipeline.step(np.array([0.25, 0.0, 0.0]), None)
    ticks = 0
    while not pipeline.at_rest:
        pipeline.step(np.zeros(3), None)
        ticks += 1
    limits = pipeline.limits
    stop_s = limits.max_speed_m_s / limits.max_acceleration_m_s2
    assert ticks * 0.01 <= stop_s + 2 * limits.max_acceleration_m_s2 / limits.max_jerk_m_s3 + 0.02


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"max_speed_m_s": 10.0}, "max_speed_m_s = 10 is out of range: expected 0.001 to 1.5 m/s"),
        ({"max_jerk_m_s3": float("nan")}, "max_jerk_m_s3 = nan is out of range"),
        ({"workspace_min_m": (0.0, 0.0)}, "workspace_min_m has 2 entries: expected 3"),
        ({"workspace_min_m": (0.9, -0.9, 0.05)}, "the workspace box is 0 m wide along x"),
        ({"zero_commands": "many"}, "zero_commands = 'many' is not a number: expected 1 to 1000"),
    ],
)
def test_wrong_limits_are_refused_with_the_range(change, sentence):
    with pytest.raises(UserError, match=r"(?s).*") as error:
        SafetyLimits(**change)
    assert sentence in str(error.value)


def test_wrong_period_is_refused():
    with pytest.raises(UserError, match="dt_s = 2 is out of range"):
        SafetyPipeline(SafetyLimits(), 2.0)


@settings(max_examples=100, deadline=None)
@given(limit_sets, periods, st.lists(st.tuples(st.floats(0, 1), *[st.floats(-20, 20)] * 3), min_size=1, max_size=60))
def test_the_speed_scale_bounds_the_speed_and_is_taken_to_smoothly(limits, dt_s, asked):
    pipeline, v = SafetyPipeline(limits, dt_s), [np.zeros(3), np.zeros(3)]
    for scale, *velocity in asked:
        pipeline.speed_scale = scale
        v.append(pipeline.step(np.array(velocity), np.array((0.0, 0.0, 0.5)))[0].copy())
    largest = max(scale for scale, *_ in asked)
    assert np.linalg.norm(v, axis=1).max() <= largest * limits.max_speed_m_s + EPS
    a = np.diff(v, axis=0) / dt_s
    assert np.linalg.norm(a, axis=1).max() <= limits.max_acceleration_m_s2 * (1 + 1e-6)
    assert np.linalg.norm(np.diff(a, axis=0) / dt_s, axis=1).max() <= limits.max_jerk_m_s3 * (1 + 1e-6)


def test_scenes_cut_actions_to_the_same_speeds():
    assert SafetyLimits().max_speed_m_s == Twist().max_speed_m_s
    assert TurnLimits().max_turn_rad_s == Twist().max_turn_rad_s


def test_limits_come_back_from_a_skills_file():
    limits = SafetyLimits(max_speed_m_s=0.1, workspace_min_m=(0.1, 0.2, 0.3))
    assert SafetyLimits.from_json(json.loads(json.dumps(limits.to_json()))) == limits
    assert SafetyLimits.from_json({}) == SafetyLimits(), "as in files from before"
    with pytest.raises(UserError, match="there is no limit 'max_warp'"):
        SafetyLimits.from_json({"max_warp": 9.0})


def test_limits_that_are_no_tighter_than_a_skills_do_not_object():
    assert SafetyLimits().objection_to(SafetyLimits()) == ""
    assert SafetyLimits().objection_to(SafetyLimits(max_speed_m_s=0.1)) == ""
    assert SafetyLimits(workspace_max_m=(0.8, 0.9, 1.2)).objection_to(SafetyLimits(), box=False) == ""


@pytest.mark.parametrize(
    ("own", "sentence"),
    [
        ({"max_speed_m_s": 0.05}, "max_speed_m_s: the skill was trained with 0.25 m/s, only 0.05 is allowed here"),
        ({"max_acceleration_m_s2": 0.5}, "max_acceleration_m_s2: the skill was trained with 2 m/s^2"),
        ({"max_jerk_m_s3": 10.0}, "max_jerk_m_s3: the skill was trained with 40 m/s^3"),
        (
            {"workspace_max_m": (0.8, 0.9, 1.2)},
            "workspace_max_m: the skill was trained in a box that ends at x = 0.9 m",
        ),
        ({"workspace_min_m": (-0.9, -0.9, 0.2)}, "workspace_min_m: the skill was trained in a box that ends at z"),
    ],
)
def test_a_skill_beyond_the_limits_is_named_by_its_field(own, sentence):
    assert SafetyLimits(**own).objection_to(SafetyLimits()).startswith(sentence)
