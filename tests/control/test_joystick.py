import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sac_gmm.control.joystick import (
    GRIPPER_CLOSED,
    GRIPPER_OPEN,
    LAYOUTS,
    Joystick,
    JoystickLayout,
    JoystickScales,
    asked_twist,
    deflection,
)
from sac_gmm.core.errors import UserError

GAMEPAD, SPACEMOUSE = LAYOUTS["gamepad"], LAYOUTS["spacemouse"]
HELD, A, B = 5, 0, 1  # buttons of the gamepad
EPS = 1e-12
shares = st.floats(-1.0, 1.0)
dead_zones = st.floats(0.0, 0.9)
scale_sets = st.builds(
    JoystickScales, max_speed_m_s=st.floats(0.0, 1.0), max_turn_rad_s=st.floats(0.0, 3.0), dead_zone=dead_zones
)
numbers = st.floats(allow_nan=True, allow_infinity=True)
# What a driver may send: of any length, with anything in it.
readings = st.tuples(st.lists(numbers, max_size=8), st.lists(st.integers(-1, 2), max_size=12))
good_readings = st.tuples(
    st.lists(shares, min_size=8, max_size=8), st.lists(st.integers(0, 1), min_size=11, max_size=11)
)


def buttons(*down):
    return [int(button in down) for button in range(11)]


def axes(**values):
    """Of the gamepad, by index: axes(a1=0.5)."""
    return [values.get(f"a{index}", 0.0) for index in range(8)]


def gamepad(**scales):
    joystick = Joystick(GAMEPAD, JoystickScales(**scales))
    joystick.read(axes(), buttons())
    return joystick


@settings(max_examples=300, deadline=None)
@given(shares, shares, dead_zones)
def test_a_deflection_is_odd_rises_steadily_and_reaches_its_ends(one, other, dead_zone):
    assert deflection(-one, dead_zone) == -deflection(one, dead_zone)
    assert one > other or deflection(one, dead_zone) <= deflection(other, dead_zone)
    assert deflection(1.0, dead_zone) == 1.0
    assert deflection(1.7, dead_zone) == 1.0, "a driver may say more than a full deflection"
    if abs(one) <= dead_zone:
        assert deflection(one, dead_zone) == 0.0
    # No jump at the edge of the dead zone, nor anywhere else: the slope is that of a straight line.
    slope = 1.0 / (1.0 - dead_zone)
    assert abs(deflection(one, dead_zone) - deflection(other, dead_zone)) <= slope * abs(one - other) + EPS


@settings(max_examples=300, deadline=None)
@given(scale_sets, st.lists(shares, min_size=8, max_size=8))
def test_speed_and_turn_never_exceed_their_scales(scales, values):
    twist = asked_twist(GAMEPAD, scales, values)
    assert np.linalg.norm(twist[:3]) <= scales.max_speed_m_s + EPS
    assert np.linalg.norm(twist[3:]) <= scales.max_turn_rad_s + EPS


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_each_axis_moves_its_own_component_alone(layout):
    scales = JoystickScales(max_speed_m_s=0.2, max_turn_rad_s=0.5)
    for component, axis in enumerate(layout.twist_axes):
        if axis < 0:
            continue
        values = [0.0] * 8
        values[axis] = 1.0
        expected = np.zeros(6)
        expected[component] = 0.2 if component < 3 else 0.5
        np.testing.assert_allclose(asked_twist(layout, scales, values), expected)
        turned = JoystickLayout(layout.twist_axes, layout.deadman_button, reversed_axes=(axis,))
        np.testing.assert_allclose(asked_twist(turned, scales, values), -expected)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(readings, good_readings), max_size=12))
def test_whatever_comes_only_a_held_deadman_moves_the_arm(stream):
    joystick = Joystick(GAMEPAD, JoystickScales())
    seen_up = False
    for values, pressed in stream:
        gripper = joystick.gripper
        joystick.read(values, pressed)
        usable = len(values) >= 5 and len(pressed) > HELD and all(math.isfinite(values[i]) for i in (0, 1, 3, 4))
        seen_up = usable and (seen_up or not pressed[HELD])
        assert joystick.held == (usable and seen_up and bool(pressed[HELD]))
        assert np.isfinite(joystick.twist).all() and np.linalg.norm(joystick.twist[:3]) <= 0.1 + EPS
        assert joystick.held != bool(joystick.because), "a sentence says why it counts as released"
        if not joystick.held:
            assert not joystick.twist.any() and joystick.gripper == gripper


def test_full_deflection_is_the_speed_that_was_set():
    joystick = gamepad(max_speed_m_s=0.25)
    joystick.read(axes(a1=1.0, a0=-1.0), buttons(HELD))
    np.testing.assert_allclose(joystick.twist, [0.25 / math.sqrt(2), -0.25 / math.sqrt(2), 0, 0, 0, 0])
    joystick.read(axes(a1=1.0), buttons())
    assert not joystick.twist.any() and joystick.because == "button 5 is up"


def test_a_button_held_from_the_beginning_does_not_count():
    joystick = Joystick(GAMEPAD, JoystickScales())
    for _ in range(3):
        joystick.read(axes(a1=1.0), buttons(HELD))
        assert not joystick.held and "release it once" in joystick.because
    joystick.read(axes(a1=1.0), buttons())
    joystick.read(axes(a1=1.0), buttons(HELD))
    assert joystick.held and joystick.twist[0] > 0


def test_after_it_was_lost_the_deadman_must_be_pressed_again():
    joystick = gamepad()
    joystick.read(axes(a1=1.0), buttons(HELD))
    joystick.let_go("joy is silent")
    assert not joystick.held and not joystick.twist.any() and joystick.because == "joy is silent"
    joystick.read(axes(a1=1.0), buttons(HELD))
    assert not joystick.held
    joystick.read(axes(), buttons())
    joystick.read(axes(), buttons(HELD))
    assert joystick.held


@pytest.mark.parametrize(
    ("values", "pressed", "words"),
    [
        ([0.0] * 4, buttons(HELD), "4 axes, and 5 are needed"),
        ([], [], "0 axes"),
        ([0.0] * 8, [0, 0], "2 buttons, and button 5"),
        (axes(a4=math.nan), buttons(HELD), "axis 4 is nan"),
        (axes(a0=-math.inf), buttons(HELD), "axis 0 is -inf"),
    ],
)
def test_a_reading_that_cannot_be_used_counts_as_released_and_says_why(values, pressed, words):
    joystick = gamepad()
    joystick.read(axes(a1=1.0), buttons(HELD))
    assert joystick.held
    joystick.read(values, pressed)
    assert not joystick.held and not joystick.twist.any() and words in joystick.because


def test_an_axis_that_is_not_used_may_say_anything():
    joystick = gamepad()
    joystick.read(axes(a2=math.nan, a1=1.0), buttons(HELD))
    assert joystick.held and joystick.twist[0] > 0


def test_the_gripper_follows_presses_and_only_under_the_deadman():
    joystick = gamepad()
    assert joystick.gripper is None
    joystick.read(axes(), buttons(A))
    assert joystick.gripper is None, "nobody holds the deadman"
    joystick.read(axes(), buttons(A, HELD))
    assert joystick.gripper is None, "it was pressed before"
    joystick.read(axes(), buttons(HELD))
    assert joystick.read(axes(), buttons(A, HELD)) == {A}
    assert joystick.gripper == GRIPPER_CLOSED
    joystick.read(axes(), buttons(B, HELD))
    assert joystick.gripper == GRIPPER_OPEN
    joystick.let_go("joy is silent")
    assert joystick.gripper == GRIPPER_OPEN, "what it holds it does not drop"


def test_one_button_closes_and_opens_in_turn():
    joystick = Joystick(SPACEMOUSE, JoystickScales())
    said = []
    joystick.read([0.0] * 6, [0, 0])
    for pressed in ([1, 0], [1, 1], [1, 0], [1, 1], [1, 1]):
        joystick.read([0.0] * 6, pressed)
        said.append(joystick.gripper)
    assert said == [None, GRIPPER_CLOSED, GRIPPER_CLOSED, GRIPPER_OPEN, GRIPPER_OPEN]


@pytest.mark.parametrize(
    ("given_", "words"), [({"twist_axes": (0, 1)}, "six axes"), ({"deadman_button": -1}, "only while a button is held")]
)
def test_a_layout_that_could_not_be_used_is_refused(given_, words):
    with pytest.raises(UserError, match=words):
        JoystickLayout(**({"twist_axes": (0, 1, 2, 3, 4, 5), "deadman_button": 0} | given_))


def test_a_reading_that_repeats_itself_for_too_long_counts_as_released():
    joystick = Joystick(GAMEPAD, JoystickScales(), unchanged_limit_s=5.0)
    joystick.read(axes(), buttons(), 0.0)
    joystick.read(axes(a1=0.5), buttons(HELD), 1.0)
    joystick.read(axes(a1=0.5), buttons(HELD), 6.0)
    assert joystick.held
    joystick.read(axes(a1=0.5), buttons(HELD), 6.1)
    assert not joystick.held and "nothing has changed for 5 s" in joystick.because
    np.testing.assert_array_equal(joystick.twist, np.zeros(6))
    joystick.read(axes(a1=0.6), buttons(HELD), 7.0)
    assert not joystick.held, "it must be released once"
    joystick.read(axes(), buttons(), 8.0)
    joystick.read(axes(), buttons(HELD), 8.1)
    assert joystick.held


def test_nothing_held_may_stay_the_same_for_ever():
    joystick = Joystick(GAMEPAD, JoystickScales(), unchanged_limit_s=5.0)
    for now_s in (0.0, 100.0, 200.0):
        joystick.read(axes(), buttons(), now_s)
    joystick.read(axes(), buttons(HELD), 200.1)
    assert joystick.held


def test_after_an_episode_the_deadman_is_pressed_anew():
    joystick = gamepad()
    joystick.read(axes(), buttons(HELD))
    joystick.ask_anew("the episode has ended")
    assert not joystick.held
    joystick.read(axes(a1=1.0), buttons(HELD))
    assert (joystick.held, joystick.because) == (False, "the episode has ended")
    joystick.read(axes(), buttons())
    joystick.read(axes(), buttons(HELD))
    assert joystick.held and not joystick.because
