"""Following a way by where the arm is: within its limits, and to the end, however slow or late the arm is."""

from collections import deque

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tip_poses import POSES, moved, pose

from sac_gmm.control.reset_way import TipPose, Trail, straight_leg
from sac_gmm.control.way_follower import LegFollower, WaySettings

DT_S = 0.02
SETTINGS = WaySettings(reset_speed_m_s=0.1, reset_acceleration_m_s2=0.2, reset_turn_rad_s=0.3)


def follow(leg, share=1.0, late=0, most=40_000):
    """Twists asked for and poses, of an arm that does a share of what it is told, some ticks late."""
    follower, now = LegFollower(leg, SETTINGS, DT_S), TipPose(leg.positions_m[0], leg.xyzw[0])
    asked, poses, waiting = [], [now], deque([np.zeros(6)] * late)
    while not follower.reached(now):
        twist = follower.step(now)
        waiting.append(twist)
        now = moved(now, share * waiting.popleft(), DT_S)
        asked.append(twist)
        poses.append(now)
        assert len(asked) < most, f"it comes no nearer than {follower.left_m} m"
    return np.array(asked).reshape(-1, 6), poses


@settings(max_examples=12, deadline=None)
@given(start=POSES, goal=POSES, share=st.sampled_from([1.0, 0.6, 0.1]), late=st.integers(0, 5))
def test_it_comes_to_the_end_within_its_limits(start, goal, share, late):
    asked, poses = follow(straight_leg(start, goal), share, late)
    if not len(asked):
        return
    assert np.isfinite(asked).all()
    speeds, turns = np.linalg.norm(asked[:, :3], axis=1), np.linalg.norm(asked[:, 3:], axis=1)
    assert speeds.max() <= SETTINGS.reset_speed_m_s + 1e-9
    assert turns.max() <= SETTINGS.reset_turn_rad_s + 1e-9
    grows = np.diff(np.concatenate([[0.0], speeds]))
    assert grows.max() <= SETTINGS.reset_acceleration_m_s2 * DT_S + 1e-9, "the first command, too, is no jump"
    distance_m, angle_rad = poses[-1].apart(goal)
    assert distance_m <= SETTINGS.tolerance_m and angle_rad <= SETTINGS.tolerance_rad
    low, high = np.minimum(start.position_m, goal.position_m), np.maximum(start.position_m, goal.position_m)
    places = np.array([one.position_m for one in poses])
    assert (places >= low - 0.003).all() and (places <= high + 0.003).all(), "it stays on the straight way"


def test_round_a_corner_it_keeps_to_the_way():
    trail = Trail()
    for place in (
        *([0.5, 0.0, z] for z in np.linspace(0.4, 0.3, 200)),
        *([0.5, y, 0.3] for y in np.linspace(0, 0.1, 200)),
    ):
        trail.take(pose(*place))
    leg = trail.leg(pose(y=0.1), 1.0)
    _, poses = follow(leg)
    places = np.array([one.position_m for one in poses])
    off = np.array([np.linalg.norm(leg.positions_m - place, axis=1).min() for place in places])
    assert off.max() < 0.015


def test_an_arm_that_was_pushed_off_comes_back_to_the_way():
    follower = LegFollower(straight_leg(pose(), pose(y=0.2)), SETTINGS, DT_S)
    now = pose(y=0.1, z=0.33)
    for _ in range(10_000):
        if follower.reached(now):
            break
        now = moved(now, follower.step(now), DT_S)
    assert follower.reached(now)


def test_where_it_is_already_nothing_is_asked_for():
    follower = LegFollower(straight_leg(pose(), pose()), SETTINGS, DT_S)
    assert follower.reached(pose()) and not follower.step(pose()).any()
