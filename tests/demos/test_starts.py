"""Where demonstrations begin, on average."""

import numpy as np
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.demos import Demonstration
from sac_gmm.demos.starts import mean_start


def demonstration(start_m, frame_id="base"):
    positions = np.array(start_m) + np.outer(np.arange(4), [0.1, 0.0, 0.0])
    return Demonstration(np.arange(4.0), positions, np.zeros((4, 3)), np.zeros(3), frame_id)


def test_it_is_the_mean_of_the_first_positions():
    frame, mean, spread_m = mean_start([demonstration([0.5, 0.0, 0.3]), demonstration([0.5, 0.04, 0.3])])
    assert frame == "base" and spread_m == pytest.approx(0.02)
    np.testing.assert_allclose(mean, [0.5, 0.02, 0.3])


def test_frames_must_agree_and_there_must_be_one():
    with pytest.raises(UserError, match="different frames"):
        mean_start([demonstration([0.5, 0.0, 0.3]), demonstration([0.5, 0.0, 0.3], "other")])
    with pytest.raises(UserError, match="there is no demonstration"):
        mean_start([])
