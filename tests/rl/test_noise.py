import numpy as np
import pytest

from sac_gmm.rl import Ar1Noise


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_unit_variance_from_the_first_sample_and_lag_one_correlation(correlation):
    noise = Ar1Noise(1, correlation, np.random.default_rng(0))
    episodes = []
    for _ in range(4000):
        noise.reset()
        episodes.append([noise.sample()[0] for _ in range(6)])
    samples = np.array(episodes)
    np.testing.assert_allclose(samples.var(axis=0), 1.0, atol=0.08)
    lag_one = (samples[:, 1:] * samples[:, :-1]).mean(axis=0)
    np.testing.assert_allclose(lag_one, correlation, atol=0.06)


def test_full_correlation_holds_one_offset_for_the_episode():
    noise = Ar1Noise(3, 1.0, np.random.default_rng(0))
    first = noise.sample()
    assert all((noise.sample() == first).all() for _ in range(5))
    noise.reset()
    assert (noise.sample() != first).all()


def test_state_continues_the_sequence():
    noise = Ar1Noise(2, 0.8, np.random.default_rng(3))
    noise.sample()
    state = noise.state_dict()
    expected = [noise.sample() for _ in range(4)]
    other = Ar1Noise(2, 0.8, np.random.default_rng(99))
    other.load_state_dict(state)
    np.testing.assert_array_equal([other.sample() for _ in range(4)], expected)


def test_a_correlation_above_one_is_refused():
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        Ar1Noise(2, 1.1, np.random.default_rng(0))
