import numpy as np

from sac_gmm.control.at_rest import AtRest

HERE = np.array([0.5, 0.0, 0.3])


def test_it_is_at_rest_once_it_has_stood_for_long_enough():
    rest = AtRest(0.001, 0.3)
    assert not rest.holds_at(10.0) and not rest.known_at(10.0, 1.0)
    for step in range(5):
        rest.take(HERE + [0.0008 * (step % 2), 0.0, 0.0], 10.0 + 0.1 * step)  # it trembles
        assert rest.holds_at(10.0 + 0.1 * step) == (step >= 3)
    rest.take(HERE + [0.002, 0.0, 0.0], 10.5)
    assert not rest.holds_at(10.7) and rest.holds_at(10.81)
    assert rest.known_at(11.4, 1.0) and not rest.known_at(11.6, 1.0)


def test_a_slow_arm_moves_too():
    rest = AtRest(0.001, 0.3)
    for step in range(300):
        rest.take(HERE + [5e-5 * step, 0.0, 0.0], 0.01 * step)  # 5 mm/s
        assert not rest.holds_at(0.01 * step)


def test_a_clock_that_was_set_back_and_a_number_that_is_none_begin_anew():
    rest = AtRest(0.001, 0.3)
    rest.take(HERE, 100.0)
    rest.take(HERE, 5.0)
    assert not rest.holds_at(5.1) and rest.holds_at(5.4)
    rest.take(np.full(3, np.nan), 5.5)
    rest.take(HERE, 5.6)
    assert not rest.holds_at(5.7) and rest.holds_at(5.95)
