import numpy as np
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.demos import Demonstration


def arrays(T=5):
    return {
        "time_s": np.arange(T) * 0.1,
        "position_m": np.ones((T, 3)),
        "velocity_m_s": np.zeros((T, 3)),
        "target_m": np.zeros(3),
    }


def test_relative_position_is_position_minus_target():
    demonstration = Demonstration(**arrays() | {"target_m": [0.25, 0.5, 1.0]})
    assert np.allclose(demonstration.relative_m, [0.75, 0.5, 0.0])
    assert demonstration.duration_s == pytest.approx(0.4)
    with pytest.raises(ValueError, match="read-only"):
        demonstration.position_m[0, 0] = 1.0


def broken(name, index, value):
    values = arrays()
    values[name][index] = value
    return values


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (arrays(2), "has 2 samples, expected at least 3"),
        (arrays(1), "has 1 sample, expected"),
        (broken("position_m", (3, 1), np.nan), "position_m.*not finite in sample 3"),
        (broken("velocity_m_s", (0, 2), np.inf), "velocity_m_s.*not finite in sample 0"),
        (broken("target_m", 1, np.nan), "target_m.*not finite:"),
        (broken("time_s", 2, 0.1), "time does not increase from sample 1"),
        (arrays() | {"position_m": np.ones((4, 3))}, r"position_m has shape \(4, 3\), expected \(5, 3\)"),
        (arrays() | {"target_m": np.ones(2)}, r"target_m has shape \(2,\)"),
    ],
)
def test_what_is_wrong_is_said_with_the_sample(values, words):
    with pytest.raises(UserError, match=words):
        Demonstration(**values, meta={"name": "door_03"})
