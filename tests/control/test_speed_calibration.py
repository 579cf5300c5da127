"""The gain and the delay of an arm's answer, found again in motions where both are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sac_gmm.control.speed_calibration import calibrate, draw
from sac_gmm.core.errors import UserError


def motion(gain, delay_s, noise_m=0.0, rate_hz=100.0, seed=0):
    """Strokes out and back at three speeds, with pauses; the arm's true answer to them."""
    v = np.concatenate([np.repeat([s, 0.0, -s, 0.0], [150, 30, 150, 30]) for s in (0.01, 0.02, 0.04)])
    t = 5.0 + np.arange(len(v)) / rate_hz
    way = np.concatenate(([0.0], np.cumsum(v[:-1] / rate_hz)))
    p = 0.4 + gain * np.interp(t - delay_s, t, way)
    return t, way, p + noise_m * np.random.default_rng(seed).standard_normal(len(p))


@settings(max_examples=25, deadline=None)
@given(gain=st.floats(0.2, 2.0), delay_s=st.floats(0.0, 0.3))
def test_gain_and_delay_are_found_again(gain, delay_s):
    result = calibrate(*motion(gain, delay_s))
    assert result.gain == pytest.approx(gain, rel=0.01)
    assert result.delay_s == pytest.approx(delay_s, abs=0.003)
    assert result.residual_m < 2e-4
    assert len(result.strokes) == 6
    for stroke in result.strokes:
        assert stroke.executed_m_s == pytest.approx(gain * stroke.commanded_m_s, rel=0.02)


def test_noise_of_the_measurement_does_not_spoil_it():
    result = calibrate(*motion(0.7, 0.08, noise_m=2e-4))
    assert result.gain == pytest.approx(0.7, abs=0.01)
    assert result.delay_s == pytest.approx(0.08, abs=0.02)
    assert result.residual_m == pytest.approx(2e-4, rel=0.2)


def test_it_is_drawn(tmp_path):
    data = motion(0.7, 0.08)
    draw(tmp_path / "speed.png", calibrate(*data), *data)
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda t, v, p: (t[:10], v[:10], p[:10]), "10 samples"),
        (lambda t, v, p: (t[::-1], v, p), "order of time"),
        (lambda t, v, p: (t, v, np.where(t > 6, np.nan, p)), "finite"),
        (lambda t, v, p: (t, 0 * v, p), "less than a millimetre"),
    ],
)
def test_what_cannot_be_used_is_refused(change, words):
    with pytest.raises(UserError, match=words):
        calibrate(*change(*motion(1.0, 0.0)))
