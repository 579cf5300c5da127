"""Searches that learn nothing."""

import numpy as np
import pytest

from sac_gmm.methods.baselines.search import RandomSearch, SpiralSearch


def seen_at(share):
    vector = np.zeros(16, np.float32)
    vector[15] = share
    return {"vector": vector}


def test_the_spiral_waits_then_winds_outwards_with_equal_pitch():
    search = SpiralSearch(time_limit_s=10.0, start_s=2.0, speed_m_s=0.03, pitch_m=0.008, radius_m=0.02)
    assert not search(seen_at(0.19)).any()
    path_m = 0.03 * np.array([search(seen_at(share))[:2] for share in np.linspace(0.2, 0.7, 400)])
    radius_m = np.linalg.norm(path_m, axis=1)
    assert 0.015 < radius_m.max() <= 0.0201
    steps_m = np.linalg.norm(np.diff(path_m, axis=0), axis=1)
    assert np.median(steps_m) == pytest.approx(0.03 * 5.0 / 399, rel=0.1)  # at the speed asked for
    nearest_m = np.linalg.norm(path_m[:, None] - path_m[None], axis=2)
    far_apart = np.abs(np.arange(400)[:, None] - np.arange(400)[None]) > 60
    assert nearest_m[far_apart & (radius_m > 0.004)[:, None] & (radius_m > 0.004)[None]].min() > 0.003


def test_random_search_depends_on_nothing_but_what_it_sees():
    search = RandomSearch(std=0.3)
    rng = np.random.default_rng(0)
    seen = [{"vector": rng.normal(size=16).astype(np.float32)} for _ in range(300)]
    actions = np.array([search(observation) for observation in seen])
    np.testing.assert_array_equal(actions, [search(observation) for observation in seen])
    np.testing.assert_allclose(actions.std(axis=0), 0.3, atol=0.05)
