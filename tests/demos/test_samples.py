import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sac_gmm.core.errors import UserError
from sac_gmm.demos import Demonstration, to_training_set


@pytest.mark.parametrize("rate_hz", [10.0, 30.0, 100.0])
@pytest.mark.parametrize("recorded_hz", [25.0, 60.0, 240.0])
def test_positions_and_velocities_agree_with_the_motion(make_demonstration, rate_hz, recorded_hz):
    demonstrations = [make_demonstration(seed, recorded_hz) for seed in range(3)]
    x, v, lengths = to_training_set(demonstrations, rate_hz)
    assert x.shape == v.shape == (lengths.sum(), 3)
    begin = 0
    for demonstration, n in zip(demonstrations, lengths, strict=True):
        part, speed = x[begin : begin + n], v[begin : begin + n]
        begin += n
        assert np.allclose(part[-1], demonstration.relative_m[-1], atol=1e-3), "the approach to the end is kept"
        assert np.allclose(part[0], demonstration.relative_m[0], atol=5e-3)
        assert np.abs(np.diff(part, axis=0) * rate_hz - (speed[1:] + speed[:-1]) / 2).max() < 0.01
        assert np.linalg.norm(speed[-1]) < 0.1 * np.linalg.norm(speed, axis=1).max()
        assert (
            np.abs(np.linalg.norm(speed, axis=1).max() - np.linalg.norm(demonstration.velocity_m_s, axis=1).max())
            < 0.01
        )


def test_standstill_at_both_ends_is_cut(make_demonstration):
    short = to_training_set([make_demonstration(still_s=0.2)], 30.0)[2]
    long = to_training_set([make_demonstration(still_s=2.0)], 30.0)[2]
    assert abs(int(short[0]) - int(long[0])) <= 3


def test_tremor_is_smoothed_out_of_the_velocity(make_demonstration):
    calm = make_demonstration()
    x, v, _ = to_training_set([make_demonstration(tremor_m=0.0005)], 30.0)
    raw = np.diff(make_demonstration(tremor_m=0.0005).position_m, axis=0) * 30.0
    assert np.linalg.norm(v, axis=1).max() < 1.25 * np.linalg.norm(calm.velocity_m_s, axis=1).max()
    assert np.abs(np.diff(v, axis=0)).max() < 0.5 * np.abs(np.diff(raw, axis=0)).max()
    assert np.isfinite(x).all()


def test_measured_twist_can_be_used(make_demonstration):
    x, v, _ = to_training_set([make_demonstration()], 30.0, velocity="twist")
    x2, v2, _ = to_training_set([make_demonstration()], 30.0)
    n = min(len(x), len(x2))
    assert np.abs(v[:n] - v2[:n]).max() < 0.02


@settings(max_examples=50, deadline=None)
@given(
    steps=st.lists(st.floats(0.005, 0.3), min_size=2, max_size=60),
    rate_hz=st.floats(1.0, 200.0),
    seed=st.integers(0, 1000),
)
def test_any_valid_demonstration_gives_finite_samples_or_a_clear_refusal(steps, rate_hz, seed):
    rng = np.random.default_rng(seed)
    time_s = np.concatenate(([0.0], np.cumsum(steps)))
    position = np.cumsum(rng.normal(0, 0.01, (time_s.size, 3)), axis=0)
    demonstration = Demonstration(time_s, position, np.zeros_like(position), np.zeros(3))
    try:
        x, v, lengths = to_training_set([demonstration], rate_hz)
    except UserError as error:
        assert "too short" in str(error)
        return
    assert np.isfinite(x).all() and np.isfinite(v).all()
    assert lengths.tolist() == [len(x)] and len(x) >= 3
    assert x.shape == v.shape


def still(make_demonstration):
    d = make_demonstration()
    return Demonstration(d.time_s, np.zeros_like(d.position_m), np.zeros_like(d.velocity_m_s), d.target_m)


def test_bad_input_is_named(make_demonstration):
    with pytest.raises(UserError, match="no demonstration"):
        to_training_set([], 30.0)
    with pytest.raises(UserError, match="rate is 0"):
        to_training_set([make_demonstration()], 0.0)
    with pytest.raises(UserError, match="never moves"):
        to_training_set([still(make_demonstration)], 30.0)
    with pytest.raises(UserError, match="different frames"):
        to_training_set([make_demonstration(), make_demonstration(frame_id="world")], 30.0)


@pytest.mark.parametrize("apart_s", [1e-9, 1e-7, 1e-5])
def test_stamps_in_bursts_make_no_more_samples_than_the_motion_has(make_demonstration, apart_s):
    d = make_demonstration(rate_hz=400.0)
    i = np.arange(d.n_samples)
    at_s = i // 8 * 8 / 400.0 + i % 8 * apart_s
    bursty = Demonstration(at_s, d.position_m, d.velocity_m_s, d.target_m)
    _, v, lengths = to_training_set([bursty], 30.0)
    assert abs(int(lengths[0]) - int(to_training_set([d], 30.0)[2][0])) <= 2
    assert np.linalg.norm(v, axis=1).max() < 1.2 * np.linalg.norm(d.velocity_m_s, axis=1).max()


def test_what_would_make_endless_samples_is_refused(make_demonstration):
    d = make_demonstration()
    with pytest.raises(UserError, match="up to 1000"):
        to_training_set([d], 1e6)
    late = np.append(d.time_s, d.time_s[-1] + 1e8)  # the last stamp is of another clock
    long = Demonstration(
        late, np.vstack((d.position_m, d.position_m[-1:])), np.vstack((d.velocity_m_s, np.zeros((1, 3)))), d.target_m
    )
    with pytest.raises(UserError, match="cut it to the motion"):
        to_training_set([long], 30.0)
