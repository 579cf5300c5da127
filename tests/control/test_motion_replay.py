import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sac_gmm.control import SafetyLimits
from sac_gmm.control.motion_replay import MotionReplay, ReplaySettings, ReplayState
from sac_gmm.core.errors import UserError

DT_S = 0.01
TIME_S = np.linspace(0.0, 4.0, 121)
WAY = np.column_stack([0.4 + 0.05 * TIME_S, 0.1 * np.sin(TIME_S), np.full(121, 0.3)])
LIMITS = SafetyLimits(max_speed_m_s=0.1, max_acceleration_m_s2=0.5, max_jerk_m_s3=10.0)


def replay(**changes):
    return MotionReplay(TIME_S, WAY, LIMITS, DT_S, ReplaySettings(**({"speed_scale": 1.0, "ramp_s": 1.0} | changes)))


def drive(player, position, ticks=5000, disturb=None, blocked=False):
    """An arm that goes as it is told; returns where it was and what it was told, tick by tick."""
    positions, twists = [], []
    for i in range(ticks):
        tick = player.tick(position)
        if not tick.publish and tick.state in (ReplayState.DONE, ReplayState.ABORTED):
            break
        position = position + (0.0 if blocked else DT_S) * tick.twist[:3]
        if disturb is not None:
            position = disturb(i, position)
        positions.append(position)
        twists.append(tick.twist.copy())
    return np.array(positions), np.array(twists), tick


@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_the_arm_goes_the_recorded_way_at_the_share_of_its_speed(scale):
    player = replay(speed_scale=scale)
    player.start(WAY[0] + [0.01, 0.0, -0.01])
    positions, twists, last = drive(player, WAY[0] + [0.01, 0.0, -0.01])
    assert last.state is ReplayState.DONE and last.share == 1.0
    assert np.linalg.norm(positions[-1] - WAY[-1]) < 0.01
    distance = np.linalg.norm(positions[:, None] - WAY[None], axis=2).min(axis=1)
    assert distance[200:].max() < 0.01, "on the way, once the first error has been made good"
    assert len(positions) * DT_S == pytest.approx(4.0 / scale, rel=0.35)
    assert not twists[-1].any()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.05, 1.0))
def test_whatever_the_arm_does_the_command_keeps_its_limits(seed, scale):
    rng = np.random.default_rng(seed)
    player = replay(speed_scale=scale, ramp_s=0.1)
    player.start(WAY[0])
    jump = lambda i, position: position + (rng.normal(0, 0.02, 3) if i % 37 == 0 else 0.0)  # noqa: E731
    _, twists, last = drive(player, WAY[0], disturb=jump)
    assert last.state in (ReplayState.DONE, ReplayState.ABORTED)
    velocity = np.vstack([np.zeros(3), twists[:, :3]])
    acceleration = np.diff(velocity, axis=0) / DT_S
    assert np.linalg.norm(velocity, axis=1).max() <= 0.1 + 1e-9
    assert np.linalg.norm(acceleration, axis=1).max() <= 0.5 + 1e-9
    assert np.linalg.norm(np.diff(acceleration, axis=0), axis=1).max() / DT_S <= 10.0 + 1e-6


def test_the_first_command_is_nearly_zero_and_grows():
    player = replay(ramp_s=2.0)
    player.start(WAY[0])
    speeds = np.linalg.norm(drive(player, WAY[0], ticks=150)[1], axis=1)
    assert speeds[0] < 0.001
    assert speeds[50] < speeds[100] < speeds[149]


def test_far_from_the_start_it_refuses_and_says_how_far():
    player = replay(start_tolerance_m=0.02)
    with pytest.raises(UserError, match=r"the arm is 50 mm from where the recording begins.*at most 20 mm"):
        player.start(WAY[0] + [0.05, 0, 0])
    assert player.state is ReplayState.WAITING
    assert not player.tick(WAY[0]).publish, "and says nothing"
    for unknown in (None, np.full(3, np.nan)):
        with pytest.raises(UserError, match="no state of the arm has come yet"):
            player.start(unknown)


@pytest.mark.parametrize(
    ("position", "age_s", "words"),
    [(None, 0.0, "not a number"), (np.full(3, np.nan), 0.0, "not a number"), (WAY[0], 0.5, "0.50 s old")],
)
def test_a_lost_arm_is_ramped_to_zero(position, age_s, words):
    player = replay()
    player.start(WAY[0])
    where, *_ = drive(player, WAY[0], ticks=100)
    first = player.tick(position, age_s)
    assert first.state is ReplayState.STOPPING and np.linalg.norm(first.twist) > 0.01, "not at once: ramped"
    _, twists, last = drive(player, where[-1])
    assert last.state is ReplayState.ABORTED and words in last.text
    assert not twists[-1].any() and len(twists) < 100


def test_an_arm_that_is_held_ends_the_replay():
    player = replay(max_deviation_m=0.03)
    player.start(WAY[0])
    *_, last = drive(player, WAY[0], blocked=True)
    assert last.state is ReplayState.ABORTED and "off the recorded path" in last.text


def test_stop_ramps_down():
    player = replay()
    player.start(WAY[0])
    where, *_ = drive(player, WAY[0], ticks=200)
    player.stop()
    _, twists, last = drive(player, where[-1])
    assert last.state is ReplayState.ABORTED and last.text == "stopped on request"
    assert not twists[-LIMITS.zero_commands :].any()


def test_stopped_before_it_began_it_commands_nothing():
    player = replay()
    assert not player.tick(WAY[0]).publish
    player.stop()
    tick = player.tick(WAY[0])
    assert tick.state is ReplayState.ABORTED and not tick.publish and not player.commands


def test_a_way_out_of_the_box_is_refused_before_anything_moves():
    with pytest.raises(UserError, match=r"leaves the workspace box after .* s, at \(0.5"):
        MotionReplay(TIME_S, WAY, SafetyLimits(workspace_max_m=(0.5, 0.9, 1.2)), DT_S)
    with pytest.raises(UserError, match="holds a number that is not finite"):
        MotionReplay(TIME_S, np.where(WAY[5] == WAY, np.nan, WAY), LIMITS, DT_S)
