"""What is kept of all that is heard, and how it is averaged."""

import numpy as np

from sac_gmm.view.collector import Collector
from sac_gmm.view.panel import _curve
from sac_gmm.view.snapshot import EpisodeRow


def test_what_has_not_changed_stays_the_same_object():
    collector = Collector()
    collector.tip(np.array([0.1, 0.0, 0.0]))
    first = collector.snapshot()
    collector.change(time_s=1.0)
    collector.tip(np.array([0.1002, 0.0, 0.0]))  # less than a millimetre: it has not moved
    second = collector.snapshot()
    assert second.path_m is first.path_m and second.episodes is first.episodes
    assert second.time_s == 1.0


def test_an_hour_takes_no_more_room_than_a_minute():
    collector = Collector(target_m=np.zeros(3))
    for episode in range(30):
        collector.begin_episode()
        for step in range(3000):
            collector.tip(np.array([0.002 * step, 0.0, 0.0]))
            collector.tick(0.01 * step, 1e-4, 0.0)
        collector.end_episode(success=episode % 2 == 0)
    now = collector.snapshot()
    path = now.rollouts[-1].path_m
    assert len(path) <= 600 and len(now.ticks.time_s) <= 600 and len(now.rollouts) <= 10
    assert path[0][0] == 0.0 and path[-1][0] > 5.9  # thinned out, not cut off


def test_the_curve_averages_each_kind_of_episode_on_its_own():
    rows = [EpisodeRow(i, "base", i, False) for i in range(20)]
    rows += [EpisodeRow(20 + i, "train", i, i >= 20) for i in range(60)]
    number, base, train, evaluate = _curve(tuple(rows))
    assert number[0] == 1.0 and number[-1] == 80.0
    assert np.isnan(evaluate).all()
    assert np.isnan(train[:24]).all() and np.isnan(base[20:]).all()  # from the fifth of its kind on
    np.testing.assert_allclose(base[4:20], 0.0)
    assert train[39] == 0.0 and train[49] == 50.0 and train[59] == 100.0 and train[-1] == 100.0
