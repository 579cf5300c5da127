import numpy as np
import pytest

from sac_gmm.perception.hands.live import LiveQuality

PERIOD_NS = 33_333_333


def test_what_is_told_while_a_hand_moves():
    rng = np.random.default_rng(0)
    live = LiveQuality()
    assert live.report().rate_hz == 0.0
    step = 0
    for i in range(60):
        step += 3 if i == 40 else 1  # two pictures never came
        position = np.array([0.2 * step * PERIOD_NS * 1e-9, 0.0, 0.5]) + 0.002 * rng.standard_normal(3)
        live.update(step * PERIOD_NS, None if i in (20, 21, 22) else position, 0.006)
    report = live.report()
    assert (report.frames, report.lost, report.dropped) == (60, 3, 2)
    assert report.rate_hz == pytest.approx(30.0, rel=1e-3)
    assert report.seen_share == pytest.approx(0.95)
    assert report.speed_m_s == pytest.approx(0.2, abs=0.06)
    assert report.jitter_m == pytest.approx(0.002 * np.sqrt(3), rel=0.3)
    assert report.track_ms == pytest.approx(6.0)
    live.update(step * PERIOD_NS, None, 0.006)
    assert live.report().frames == 60, "the same picture again"
    live.update((step * PERIOD_NS) - 1_000_000, None, 0.006)
    assert live.report().frames == 60 and live.report().rate_hz > 0, "one that was overtaken forgets nothing"
    live.reset()
    assert live.report().frames == 0 and live.report().rate_hz > 0
    live.update(5, None, 0.006)
    assert live.report().dropped == 0, "a clock that is set back is no gap"


def test_pictures_stamped_in_bursts_are_not_missed():
    live = LiveQuality()
    for i in range(60):
        live.update(i // 3 * 3 * PERIOD_NS + i % 3 * 1000, np.array([0.0, 0.0, 0.5]), 0.006)
    assert live.report().dropped == 0 and live.report().rate_hz < 31.0
