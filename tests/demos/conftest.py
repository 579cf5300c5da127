import sys
from pathlib import Path

import numpy as np
import pytest

from sac_gmm.demos import Demonstration

sys.path.insert(0, str(Path(__file__).parent))  # for what the tests of this folder share


@pytest.fixture
def make_demonstration():
    """A reach along a curve with a bell-shaped speed, still at both ends."""

    def make(seed=0, rate_hz=30.0, moving_s=3.0, still_s=0.5, tremor_m=0.0, **fields):
        rng = np.random.default_rng(seed)
        time_s = np.arange(0.0, moving_s + 2 * still_s, 1.0 / rate_hz)
        s = np.clip((time_s - still_s) / moving_s, 0.0, 1.0)
        way = 10 * s**3 - 15 * s**4 + 6 * s**5  # minimum jerk
        slope = (30 * s**2 - 60 * s**3 + 30 * s**4) / moving_s
        start, end = np.array([-0.2, 0.1, 0.15]) + 0.01 * rng.standard_normal(3), np.zeros(3)
        target = np.array([0.5, 0.0, 0.3]) + 0.01 * rng.standard_normal(3)
        position = target + start + way[:, None] * (end - start)
        position += tremor_m * rng.standard_normal(position.shape)
        values = dict(
            time_s=time_s + 12.25,
            position_m=position,
            velocity_m_s=slope[:, None] * (end - start),
            target_m=target,
            frame_id="base",
            task="door",
            meta={"name": f"demo_{seed}", "operator": "tester"},
        )
        return Demonstration(**(values | fields))

    return make
