"""Kinds of action: their spaces and units, and what becomes of a command."""

import numpy as np
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.tasks import JointVelocities, Movement, Twist, TwistAndGripper

KINDS = [
    Twist(),
    TwistAndGripper(),
    JointVelocities(9, max_rad_s=2.0),
    JointVelocities(2, max_rad_s=(1.0, 3.0)),
    Movement(waypoints=4, low=(0.3, -0.4), high=(0.8, 0.4), unit="m"),
]


@pytest.fixture(params=KINDS, ids=lambda kind: f"{type(kind).__name__}-{kind.space.shape[0]}")
def kind(request):
    return request.param


def test_each_number_has_a_unit(kind):
    assert kind.space.shape == (len(kind.units),)


def test_a_command_within_the_bounds_stays_and_is_a_copy(kind):
    command = kind.space.sample()
    taken = kind.checked(command)
    np.testing.assert_array_equal(taken, command)
    assert not np.shares_memory(taken, command)


def test_a_command_beyond_the_bounds_is_clipped(kind):
    np.testing.assert_array_equal(kind.checked(kind.space.high + 1.0), kind.space.high)
    np.testing.assert_array_equal(kind.checked(kind.space.low - 1.0), kind.space.low)


def test_a_bad_command_is_refused(kind):
    n = kind.space.shape[0]
    for bad in (np.zeros(n + 1), np.full(n, np.nan), np.full(n, np.inf), "left", None, [0.0, [0.0]]):
        with pytest.raises(UserError, match="finite numbers"):
            kind.checked(bad)


def test_equal_kinds_are_equal():
    assert Twist(0.1) == Twist(0.1) != Twist(0.2)
    assert Twist() != TwistAndGripper()


def test_a_twist_is_limited_in_translation_and_rotation():
    space = Twist(max_speed_m_s=0.1, max_turn_rad_s=0.5).space
    np.testing.assert_array_equal(space.high, [0.1, 0.1, 0.1, 0.5, 0.5, 0.5])
    np.testing.assert_array_equal(TwistAndGripper().space.high[6:], [1.0])


def test_a_movement_is_its_duration_and_its_waypoints():
    kind = Movement(waypoints=2, low=(0.0, -1.0), high=(1.0, 1.0), shortest_s=0.5, longest_s=2.0)
    duration_s, waypoints = kind.split(kind.checked([9.0, 0.1, 0.2, 0.3, 0.4]))
    assert duration_s == 2.0
    np.testing.assert_array_equal(waypoints, [[0.1, 0.2], [0.3, 0.4]])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Twist(max_speed_m_s=0.0), "max_speed_m_s"),
        (lambda: JointVelocities(0), "n is 0"),
        (lambda: JointVelocities(3, max_rad_s=(1.0, 1.0)), "one per joint"),
        (lambda: Movement(0, (0.0,), (1.0,)), "waypoints"),
        (lambda: Movement(1, (0.0,), (1.0, 1.0)), "every coordinate"),
        (lambda: Movement(1, (0.0,), (1.0,), shortest_s=2.0, longest_s=1.0), "longest_s"),
    ],
)
def test_bad_bounds_are_named(make, words):
    with pytest.raises(UserError, match=words):
        make()
