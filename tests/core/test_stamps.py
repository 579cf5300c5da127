import numpy as np
import pytest

from sac_gmm.core.stamps import is_uneven, last_of_bursts, typical_period_s, usual_period_s


def bursty(n_bursts=40, burst=4, every_s=0.02, apart_s=2e-6):
    at = np.arange(n_bursts)[:, None] * every_s + np.arange(burst) * apart_s
    return np.rint(1e9 * at.ravel()).astype(np.int64)


def periods(stamps_ns):
    return np.diff(stamps_ns) * 1e-9


@pytest.mark.parametrize("apart_s", [1e-9, 1e-6, 1e-4, 1e-3])
@pytest.mark.parametrize("burst", [2, 3, 10])
def test_of_each_burst_the_last_sample_is_kept(apart_s, burst):
    stamps = bursty(burst=burst, apart_s=apart_s)
    kept = last_of_bursts(stamps)
    assert kept.reshape(-1, burst)[:, :-1].sum() == 0 and kept.reshape(-1, burst)[:, -1].all()
    assert usual_period_s(periods(stamps[kept])) == pytest.approx(0.02)


@pytest.mark.parametrize("rate_hz", [1.0, 3.0, 30.0, 500.0])
def test_an_even_stream_keeps_all_its_samples_and_its_median_period(rate_hz):
    stamps = np.rint(np.arange(200) / rate_hz * 1e9).astype(np.int64)
    assert last_of_bursts(stamps).all() and not is_uneven(periods(stamps))
    assert usual_period_s(periods(stamps)) == float(np.median(periods(stamps)))


def test_lost_samples_jitter_and_a_long_pause_are_no_bursts():
    rng = np.random.default_rng(0)
    stamps = np.arange(600) * 10_000_000 + rng.integers(-2_000_000, 2_000_000, 600)
    stamps = np.delete(stamps, rng.choice(600, 200, replace=False))
    stamps[200:] += 300 * 10**9
    assert last_of_bursts(stamps).all() and not is_uneven(periods(stamps))


def test_the_typical_period_is_that_of_the_bursts():
    assert typical_period_s(periods(bursty())) == pytest.approx(0.02, rel=1e-3)
    assert is_uneven(periods(bursty()))
