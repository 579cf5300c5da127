import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from line_skill import line_skill

from sac_gmm.control import ArmState, BlendSettings, Reason, SafetyLimits, State, VelocityController
from sac_gmm.core.errors import UserError
from sac_gmm.models import GaussianMixture, SkillModel, translate

DT = 1 / 30
TARGET = np.array([0.5, 0.0, 0.4])


def state(offset=(0.3, 0.0, 0.0), age_s=0.0):
    return ArmState(TARGET + offset, TARGET, age_s)


def run(controller, n, arm=None, hold=Reason.NONE):
    return np.array([controller.tick(arm or state(), hold).twist.copy() for _ in range(n)])


def test_starts_from_zero_and_reaches_the_field():
    controller = VelocityController(line_skill(), dt_s=DT)
    twists = run(controller, 60)
    assert np.linalg.norm(twists[0]) <= controller.limits.max_acceleration_m_s2 * DT
    assert np.abs(twists[-1, 0] + 0.1) < 0.02
    assert not twists[:, 3:].any()


def test_nothing_is_published_before_the_first_state():
    controller = VelocityController(line_skill())
    for _ in range(20):
        tick = controller.tick(None)
        assert (tick.publish, tick.reason, tick.state) == (False, Reason.NO_STATE, State.WAITING)


def test_a_hold_ramps_to_zero_then_zeros_then_silence():
    controller = VelocityController(line_skill(), dt_s=DT)
    run(controller, 60)
    ticks = [controller.tick(state(), Reason.PAUSED) for _ in range(60)]
    states = [tick.state for tick in ticks]
    assert states[0] is State.STOPPING
    assert states[-1] is State.PAUSED
    assert sum(t.publish for t in ticks[states.index(State.PAUSED) :]) == controller.limits.zero_commands
    assert not ticks[-1].publish


@pytest.mark.parametrize(
    ("arm", "reason"),
    [
        (ArmState(TARGET, TARGET, 0.5), Reason.STALE_STATE),
        (ArmState(TARGET, TARGET, float("nan")), Reason.STALE_STATE),
        (ArmState(np.array([0.0, np.nan, 0.0]), TARGET), Reason.NOT_A_NUMBER),
        (ArmState(TARGET, np.array([0.0, np.inf, 0.0])), Reason.NOT_A_NUMBER),
        (None, Reason.NO_STATE),
    ],
)
def test_bad_states_stop_the_arm(arm, reason):
    controller = VelocityController(line_skill(), dt_s=DT)
    run(controller, 60)
    ticks = [controller.tick(arm) for _ in range(20)]
    assert ticks[0].reason is reason
    assert not ticks[-1].twist.any()


def test_stale_states_resume_but_a_fault_stays_until_it_is_cleared():
    controller = VelocityController(line_skill(), dt_s=DT)
    run(controller, 10)
    run(controller, 20, state(age_s=1.0))
    assert controller.tick(state()).reason is Reason.NONE
    controller.tick(ArmState(np.full(3, np.nan), TARGET))
    assert controller.tick(state()).reason is Reason.NOT_A_NUMBER
    controller.clear_fault()
    assert controller.tick(state()).reason is Reason.NONE


def test_a_swap_blends_without_a_jump_and_counts_versions():
    controller = VelocityController(line_skill(), dt_s=DT)
    run(controller, 60)
    before = controller.tick(state()).twist.copy()
    tick = controller.swap(line_skill(speed_m_s=0.2), 5)
    assert tick == controller.ticks + 1
    after = run(controller, 30)
    assert controller.version == 5
    steps = np.linalg.norm(np.diff(np.vstack([before, after]), axis=0), axis=1)
    assert steps.max() <= 0.1 / (controller.blend.blend_s / DT) * 1.2
    assert after[-1, 0] < before[0] - 0.05


def test_swaps_during_a_blend_stay_continuous_and_leave_one_layer():
    controller = VelocityController(line_skill(), dt_s=DT)
    run(controller, 60)
    last = controller.tick(state()).twist.copy()
    for version in range(1, 60):
        controller.swap(line_skill(speed_m_s=0.2 if version % 2 else 0.05), version)
        twist = controller.tick(state()).twist
        assert np.linalg.norm(twist - last) < 0.04
        last = twist.copy()
    run(controller, 30)
    assert len(controller._layers) == 1


def test_roll_back_comes_to_the_base_when_all_that_are_kept_are_undone():
    controller = VelocityController(line_skill(), dt_s=DT)
    for version in range(1, 12):
        controller.swap(line_skill(), version)
    assert [controller.roll_back() for _ in range(9)] == [10, 9, 8, 7, 6, 5, 4, 0, 0]


def test_roll_back_restores_the_version_before():
    controller = VelocityController(line_skill(), dt_s=DT)
    run(controller, 2)
    for version in (1, 2):
        controller.swap(line_skill(speed_m_s=0.1 + 0.05 * version), version)
        run(controller, 20)
    assert controller.roll_back() == 1
    assert controller.roll_back() == 0
    assert controller.roll_back() == 0
    assert np.abs(run(controller, 40)[-1, 0] + 0.1) < 0.02


def test_without_the_adapter_the_base_returns_by_a_ramp():
    blend = BlendSettings(adapter_timeout_s=0.5, adapter_return_s=0.5)
    controller = VelocityController(line_skill(), dt_s=DT, blend=blend)
    controller.swap(line_skill(speed_m_s=0.2), 1)
    first = run(controller, 14)
    assert controller.adapter_alive and controller.version == 1
    then = run(controller, 60)
    assert not controller.adapter_alive
    assert controller.version == 0
    assert np.abs(np.diff(np.vstack([first, then])[10:, 0])).max() < 0.02
    assert np.abs(then[-1, 0] + 0.1) < 0.02


def test_reset_goes_back_to_the_base_model():
    controller = VelocityController(line_skill(), dt_s=DT)
    controller.swap(line_skill(speed_m_s=0.2), 3)
    run(controller, 30)
    controller.reset()
    assert controller.version == 0
    assert controller.model is controller.base
    assert controller.pipeline.at_rest


def test_a_field_of_ten_metres_per_second_is_cut():
    twists = run(VelocityController(line_skill(speed_m_s=10.0), dt_s=DT), 100)
    assert np.linalg.norm(twists, axis=1).max() <= 0.25 + 1e-9


def test_a_planar_skill_is_refused():
    flat = SkillModel("gmm", GaussianMixture([1.0], np.zeros((1, 4)), np.eye(4)[None]), np.zeros(2))
    with pytest.raises(UserError, match="moves in 2 dimensions"):
        VelocityController(flat)


finite = st.floats(-2, 2)
any_number = st.floats(allow_nan=True, allow_infinity=True)
positions = st.tuples(*[st.one_of(finite, any_number)] * 3).map(np.array)
ticks = st.one_of(
    st.tuples(st.just("tick"), st.builds(ArmState, positions, positions, st.one_of(st.floats(0, 0.2), any_number))),
    st.tuples(st.just("tick"), st.builds(ArmState, st.tuples(*[finite] * 3).map(np.array), st.just(TARGET))),
    st.tuples(st.just("hold"), st.sampled_from(list(Reason)[1:])),
    st.tuples(st.just("swap"), st.tuples(*[st.floats(-0.3, 0.3)] * 3)),
    st.tuples(st.sampled_from(["go_on", "clear_fault", "roll_back"]), st.none()),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ticks, max_size=60))
def test_whatever_happens_the_commands_stay_within_the_limits(events):
    limits = SafetyLimits()
    controller = VelocityController(line_skill(speed_m_s=0.5), limits, DT)
    v = [np.zeros(3), np.zeros(3)]
    for number, (kind, value) in enumerate(events, start=1):
        if kind == "swap":
            controller.swap(translate(controller.base, value), number)
            continue
        if kind == "go_on":
            controller.reset(moving=True)
            continue
        if kind in ("clear_fault", "roll_back"):
            getattr(controller, kind)()
            continue
        tick = controller.tick(value) if kind == "tick" else controller.tick(state(), value)
        v.append(tick.twist[:3].copy())
    v = np.array(v)
    a = np.diff(v, axis=0) / DT
    assert np.isfinite(v).all()
    assert np.linalg.norm(v, axis=1).max() <= limits.max_speed_m_s + 1e-9
    assert np.linalg.norm(a, axis=1).max() <= limits.max_acceleration_m_s2 * (1 + 1e-6)
    assert np.linalg.norm(np.diff(a, axis=0) / DT, axis=1).max(initial=0) <= limits.max_jerk_m_s3 * (1 + 1e-6)
