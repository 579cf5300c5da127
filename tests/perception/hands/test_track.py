from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sac_gmm.core.errors import UserError
from sac_gmm.perception.hands import CleaningSettings, HandTrack, clean


def way(time_s, speed=1.0):
    return np.column_stack((0.15 * np.sin(speed * time_s), 0.1 * np.cos(speed * time_s), 0.5 + 0.05 * time_s))


def made_track(seconds=4.0, rate_hz=30.0, noise_m=0.0, seed=0):
    rng = np.random.default_rng(seed)
    time_s = np.arange(0.0, seconds, 1.0 / rate_hz)
    position = way(time_s) + noise_m * rng.standard_normal((time_s.size, 3))
    rotation = Rotation.from_euler("xyz", np.column_stack((0.4 * np.sin(time_s), 0.1 * time_s, 3.0 + 0 * time_s)))
    opening = np.where((time_s > 1.0) & (time_s < 2.5), 0.015, 0.08)
    return HandTrack(time_s, position, rotation.as_matrix(), opening, np.full(time_s.size, 0.9))


def lose(track, rows):
    track.position_m[rows] = np.nan
    track.rotation[rows] = np.nan
    track.opening_m[rows] = np.nan
    track.confidence[rows] = 0.0


@settings(deadline=None, max_examples=20)
@given(st.floats(15.0, 60.0), st.floats(0.3, 2.0))
def test_smoothing_comes_neither_early_nor_late(rate_hz, speed):
    track = made_track(rate_hz=rate_hz)
    track.position_m[:] = way(track.time_s, speed)
    motion = clean(track)
    late, early = (np.abs(motion.position_m - way(motion.time_s + dt, speed)).sum() for dt in (-0.02, 0.02))
    assert np.abs(motion.position_m - way(motion.time_s, speed)).max() < 1e-3
    assert np.abs(motion.position_m - way(motion.time_s, speed)).sum() < 0.1 * min(late, early)


def test_noise_becomes_less_and_is_measured():
    track = made_track(noise_m=0.004)
    motion = clean(track)
    error = np.linalg.norm(motion.position_m - way(motion.time_s), axis=1)
    assert np.sqrt(np.mean(error**2)) < 0.6 * 0.004 * np.sqrt(3)
    assert motion.quality.jitter_m == pytest.approx(0.004 * np.sqrt(3), rel=0.3)
    assert motion.quality.rejected == 0 and motion.quality.filled == 0


def test_outliers_flips_and_unsure_samples_are_left_out():
    track = made_track(noise_m=0.001)
    track.position_m[[20, 50]] += [0.2, 0.0, 0.1]
    track.rotation[80] = track.rotation[80] @ np.diag([-1.0, 1.0, -1.0])
    track.position_m[100] += 0.02
    track.confidence[100] = 0.1
    motion = clean(track)
    assert motion.quality.rejected == 4
    assert np.linalg.norm(motion.position_m - way(motion.time_s), axis=1).max() < 0.004
    turn = (Rotation.from_matrix(motion.rotation[80]) * Rotation.from_matrix(track.rotation[79]).inv()).magnitude()
    assert turn < 0.1


def test_a_short_gap_is_bridged_along_the_curve_and_a_long_one_is_not():
    track = made_track()
    lose(track, slice(40, 48))
    motion = clean(track)
    assert motion.quality.filled == 8
    assert motion.quality.longest_gap_s == pytest.approx(0.3)
    assert np.linalg.norm(motion.position_m - way(motion.time_s), axis=1).max() < 0.005
    assert motion.time_s.size == track.time_s.size

    lose(track, slice(40, 60))
    motion = clean(track)
    assert motion.time_s[0] == pytest.approx(track.time_s[60]), "the longer piece is kept"
    assert motion.quality.lost_s == pytest.approx(track.time_s[39])
    assert clean(track, CleaningSettings(max_gap_s=1.0)).time_s.size == track.time_s.size


def test_a_jump_to_another_hand_and_back_is_left_out():
    track = made_track(seconds=6.0)
    track.position_m[90:95] += [0.4, 0.1, 0.0]  # longer than the outlier filter sees through
    motion = clean(track)
    assert motion.quality.kept_s == pytest.approx(track.time_s[-1])
    assert np.linalg.norm(motion.position_m - way(motion.time_s), axis=1).max() < 0.005


def test_an_uneven_rate_becomes_even():
    rng = np.random.default_rng(1)
    track = made_track()
    time_s = np.cumsum(rng.uniform(0.02, 0.05, track.time_s.size))
    track = HandTrack(time_s, way(time_s), track.rotation, track.opening_m, track.confidence)
    motion = clean(track)
    assert np.ptp(np.diff(motion.time_s)) < 1e-9
    assert np.linalg.norm(motion.position_m - way(motion.time_s), axis=1).max() < 0.002


def test_a_slow_camera_is_no_gap():
    assert clean(made_track(seconds=20.0, rate_hz=2.0)).time_s.size == 40


def test_the_pinch_closes_and_opens_once_though_it_trembles():
    track = made_track()
    rng = np.random.default_rng(2)
    track.opening_m[:] += 0.004 * rng.standard_normal(track.time_s.size)
    track.opening_m[[10, 100]] = [0.0, 0.0]
    motion = clean(track)
    changes = np.flatnonzero(np.diff(motion.closed.astype(int)))
    assert motion.time_s[changes] == pytest.approx([1.0, 2.47], abs=0.07)
    track.opening_m[:] = np.nan
    assert not clean(track).closed.any(), "a marker shows no fingers"


def test_what_cannot_be_used_is_refused_in_words():
    track = made_track()
    lose(track, slice(None))
    with pytest.raises(UserError, match="no hand was seen in any of 120 pictures"):
        clean(track)
    track = made_track()
    lose(track, np.arange(120) % 40 > 3)
    with pytest.raises(UserError, match="nowhere for"):
        clean(track)
    track = made_track()
    track.position_m[:] *= 100.0  # a marker's size in centimetres
    with pytest.raises(
        UserError, match=r"it is 59.9 m away and moves at .* m/s, faster than 4: is the size .* in metres"
    ):
        clean(track)
    with pytest.raises(UserError, match=r"1 of 1 pictures, .* a motion needs 5 pictures or more; is it a film"):
        clean(made_track(seconds=1 / 60))
    with pytest.raises(UserError, match="max_gap_s is -1"):
        CleaningSettings(max_gap_s=-1)
    with pytest.raises(UserError, match="must open above"):
        CleaningSettings(close_m=0.1)


@pytest.mark.parametrize("apart_s", [1e-9, 1e-6, 1e-4])
def test_pictures_stamped_in_bursts_make_no_more_samples_than_there_were(apart_s):
    track = made_track(seconds=4.0, rate_hz=60.0)
    i = np.arange(track.time_s.size)
    bursty = HandTrack(i // 3 * 3 / 60.0 + i % 3 * apart_s, *list(vars(track).values())[1:])
    motion = clean(bursty)
    assert motion.time_s.size == pytest.approx(80, abs=1)
    assert motion.quality.dropped == 0 and motion.quality.top_speed_m_s < 0.4


@pytest.mark.parametrize("mistaken", [slice(60, 80), slice(0, 40), slice(None, None, 3)])
def test_a_side_that_the_model_mistakes_turns_no_axes(mistaken):
    """However long it does so, and however sure it is: a hand stays the hand that it is."""
    truth = made_track(noise_m=0.001)
    rotation, right = truth.rotation.copy(), np.ones(truth.time_s.size)
    rotation[mistaken] = rotation[mistaken] @ np.diag([1.0, -1.0, -1.0])
    right[mistaken] = 0.0
    motion = clean(replace(truth, rotation=rotation, right=right))
    assert np.allclose(motion.rotation, clean(truth).rotation)
    assert (motion.quality.side, motion.quality.other_side) == ("right", int((right == 0.0).sum()))
    assert motion.quality.rejected == 0
    assert motion.quality.summary().startswith("right hand in 120 of 120 frames (100.0 %) (taken for the other one in")
    assert clean(truth).quality.summary().startswith("hand in 120 of 120 frames (100.0 %), 0 rejected")
