import numpy as np
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.demos import Demonstration, check_demonstration, check_set, check_stream


def test_a_healthy_demonstration_has_no_problems(make_demonstration):
    report = check_demonstration(make_demonstration())
    assert report.problems == ()
    assert report.rate_hz == pytest.approx(30.0, rel=1e-3)
    assert report.dropped == 0
    assert report.path_m == pytest.approx(0.27, abs=0.03)
    assert report.end_m == pytest.approx((0, 0, 0), abs=1e-9)


def thinned(demonstration, keep):
    return Demonstration(
        demonstration.time_s[keep],
        demonstration.position_m[keep],
        demonstration.velocity_m_s[keep],
        demonstration.target_m,
    )


def test_gaps_drops_and_jumps_are_found(make_demonstration):
    whole = make_demonstration()
    keep = np.ones(whole.n_samples, bool)
    keep[30:40] = False
    report = check_demonstration(thinned(whole, keep))
    assert report.dropped == 10
    assert any("gap of 0.37 s after sample 29" in text for text in report.problems)

    position = whole.position_m.copy()
    position[50:] += 0.1
    jumped = Demonstration(whole.time_s, position, whole.velocity_m_s, whole.target_m)
    assert any("after sample 49" in text and "jumps" in text for text in check_demonstration(jumped).problems)


def test_a_short_slow_still_recording_is_reported():
    report = check_demonstration(Demonstration([0.0, 0.15, 0.3], np.zeros((3, 3)), np.zeros((3, 3)), np.zeros(3)))
    assert len(report.problems) == 3  # duration, rate, path


def test_sets_that_do_not_belong_together_are_reported(make_demonstration):
    assert check_set([make_demonstration(s) for s in range(5)]).all_problems == []
    one = make_demonstration(0)
    elsewhere = make_demonstration(1, target_m=one.target_m + [0.3, 0, 0], frame_id="world", task="peg")
    problems = check_set([one, elsewhere]).problems
    assert len(problems) == 3
    with pytest.raises(UserError, match="no demonstration"):
        check_set([])


def test_streams_count_what_is_missing():
    stamps = np.delete(np.arange(100) * 10_000_000, [5, 50, 51])
    report = check_stream(stamps)
    assert (report.count, report.dropped) == (97, 3)
    assert report.rate_hz == pytest.approx(100.0)
    assert report.longest_gap_s == pytest.approx(0.03)
    assert check_stream(np.array([], np.int64)).count == 0
    assert check_stream(np.array([5])).rate_hz == 0.0


def test_the_rate_of_a_bursty_stream_is_count_over_duration():
    at = np.arange(400) // 4 * 8_000_000 + np.arange(400) % 4 * 700
    report = check_stream(at)
    assert report.rate_hz == pytest.approx(500.0, rel=0.02) and report.dropped == 0


def test_bursts_are_named(make_demonstration):
    whole = make_demonstration()
    assert check_demonstration(whole).problems == ()
    report = check_demonstration(
        Demonstration(whole.time_s, whole.position_m, whole.velocity_m_s, whole.target_m, meta={"in_bursts": 300})
    )
    assert any("came in bursts: 300 of" in text for text in report.problems)
