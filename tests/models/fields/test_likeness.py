"""Ways are compared over their whole length, not by their ends."""

import numpy as np
import pytest

from sac_gmm.models import fit_skill
from sac_gmm.models.fields.likeness import compare_ways

DT_S = 1 / 30


def samples(ways):
    v = [np.gradient(way, DT_S, axis=0) for way in ways]
    return np.concatenate(ways), np.concatenate(v), [len(way) for way in ways]


def minimum_jerk(n=120):
    s = np.linspace(0, 1, n)[:, None]
    return 10 * s**3 - 15 * s**4 + 6 * s**5


def reach(k):
    return (1 - minimum_jerk()) * np.array([-0.2, 0.1 + 0.01 * k, 0.15])


def there_and_back(k):
    there = np.array([0.0, -0.3 - 0.01 * k, 0.1]) * minimum_jerk()
    return np.concatenate((there, there[::-1])) + np.linspace(1, 0, 240)[:, None] * [0.004, 0.003 * k, 0.0]


def test_a_reach_is_gone_as_it_was_shown():
    x, v, lengths = samples([reach(k) for k in range(3)])
    likeness = compare_ways(fit_skill("lpv_ds", x, v, lengths, 4), x, lengths, DT_S)
    assert likeness.way_share == pytest.approx(np.ones(3), abs=0.1)
    assert (likeness.off_m < 0.02).all() and (likeness.miss_m < 0.002).all()
    assert likeness.duration_s == pytest.approx(12.0)


def test_there_and_back_arrives_but_is_not_gone():
    x, v, lengths = samples([there_and_back(k) for k in range(3)])
    likeness = compare_ways(fit_skill("lpv_ds", x, v, lengths, 4), x, lengths, DT_S)
    assert (likeness.miss_m < 0.002).all(), "judged by its end alone it would be perfect"
    assert (likeness.way_share < 0.5).all() and (likeness.off_m > 0.1).all()


def test_a_way_that_runs_off_gives_numbers():
    x, _, lengths = samples([reach(k) for k in range(2)])
    away = fit_skill("gmm", x, x * 200.0, lengths, 1)  # e^200 within a second
    likeness = compare_ways(away, x, lengths, DT_S)
    assert np.isfinite(likeness.way_share).all() and np.isfinite(likeness.off_m).all()
