"""Joint states that cannot be those of one arm: in two places in turn, jumping, or unmoved by commands."""

import numpy as np
import pytest

from sac_gmm.control.state_plausibility import SETTLE_S, JointResponse, StateContinuity

NAMES = ("a", "b")
HOME, ZERO = np.array([-0.5, 1.2]), np.zeros(2)
PERIOD_S = 0.01


def fed(states, period_s=PERIOD_S, continuity=None, at_s=100.0):
    """A continuity that was fed with states, and whether each was trusted."""
    continuity = continuity or StateContinuity(NAMES, np.array([1.5, 0.0]))
    trusted = []
    for k, state in enumerate(states):
        continuity.take(np.asarray(state, float), at_s + k * period_s)
        trusted.append(continuity.trusted)
    return continuity, trusted


def moving(n, speed_rad_s=1.5):
    return [HOME + speed_rad_s * PERIOD_S * k for k in range(n)]


def test_an_arm_that_moves_as_fast_as_it_can_is_trusted_once_it_was_seen_for_a_while():
    continuity, trusted = fed(moving(100))
    assert not any(trusted[: round(SETTLE_S / PERIOD_S)]) and all(trusted[round(SETTLE_S / PERIOD_S) + 1 :])
    assert not continuity.twofold and continuity.jump == ""


@pytest.mark.parametrize("every", [2, 3, 10])
@pytest.mark.parametrize("first", [0, 1])
def test_no_state_is_trusted_where_another_publishes_zeros_in_between(every, first):
    """Also where the other one is heard first, or much more seldom than the driver."""
    states = [ZERO if k % every == first else HOME for k in range(200)]
    continuity, trusted = fed(states)
    assert not any(trusted) and continuity.twofold
    assert "b is at " in continuity.jump and "1.200 rad" in continuity.jump and "0.000 rad" in continuity.jump


def test_zeros_that_begin_while_the_arm_moves_are_never_trusted_and_latch():
    continuity, _ = fed(moving(100))
    states = [ZERO if k % 10 == 0 else moving(100)[-1] for k in range(100)]
    _, trusted = fed(states, continuity=continuity, at_s=101.0)
    assert not any(trusted) and continuity.twofold
    _, trusted = fed([ZERO] * 100, continuity=continuity, at_s=102.0)
    assert not any(trusted), "the driver has died, and nobody knows which of the two it was"
    continuity.clear()
    _, trusted = fed([HOME] * 100, continuity=continuity, at_s=105.0)
    assert trusted[-1]


def test_a_single_jump_as_by_a_reset_is_trusted_after_a_while_without_anybody():
    continuity, _ = fed(moving(100))
    _, trusted = fed([ZERO] * 100, continuity=continuity, at_s=101.0)
    assert not any(trusted[: round(SETTLE_S / PERIOD_S)]) and trusted[-1] and not continuity.twofold


def test_a_gap_a_burst_and_noise_are_no_jumps():
    way = moving(300)
    continuity, _ = fed(way[:100])
    _, trusted = fed([way[150]], continuity=continuity, at_s=101.5)
    assert trusted == [True], "half a second in which the arm moved on"
    _, trusted = fed(way[151:154], period_s=0.0, continuity=continuity, at_s=101.51)
    assert all(trusted), "three at once"
    rng = np.random.default_rng(0)
    _, trusted = fed(way[154] + 1e-3 * rng.standard_normal((50, 2)), continuity=continuity, at_s=101.55)
    assert all(trusted)


def test_what_is_no_number_is_left_to_whoever_takes_it():
    continuity, trusted = fed([[np.nan, 0.0]])
    assert trusted == [True] and not continuity.twofold
    _, trusted = fed([HOME] * 100, continuity=continuity, at_s=101.0)
    assert not trusted[0] and trusted[-1]


def command(response, states, speed_m_s=0.1, period_s=PERIOD_S):
    for state in states:
        response.measure(np.asarray(state, float))
        response.command(speed_m_s, period_s)


def test_joints_that_stand_to_the_bit_while_the_tip_is_commanded_are_noticed():
    response = JointResponse()
    command(response, [HOME] * 29)
    assert not response.stands
    command(response, [HOME] * 2)
    assert response.stands.startswith("0.3 s, in which the tip was commanded 3")
    command(response, moving(10))
    assert response.stands, "it is said until somebody says go on"
    response.clear()
    command(response, moving(100))
    assert not response.stands


@pytest.mark.parametrize(
    ("states", "speed_m_s"),
    [
        ([HOME] * 1000, 0.0),  # at rest
        ([HOME] * 90, 0.01),  # so slowly that it may not be measured yet
        ([HOME + 1e-7 * (-1) ** k for k in range(1000)], 0.1),  # held, but measured
        (np.repeat(moving(50), 20, axis=0), 0.1),  # measured five times a second
    ],
)
def test_joints_that_respond_or_need_not_are_no_objection(states, speed_m_s):
    response = JointResponse()
    command(response, states, speed_m_s)
    assert not response.stands
