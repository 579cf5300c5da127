"""What every decoder promises."""

import numpy as np
import pytest
from point_task import drive

from sac_gmm.methods.baselines import ResidualGmm, Sac
from sac_gmm.methods.sac_gmm import SacGmm


@pytest.mark.parametrize("make", [lambda m: SacGmm(m), lambda m: ResidualGmm(m), lambda m: Sac()])
def test_no_decoder_jumps(model, make):
    decoder = make(model)
    decoder.begin()
    rng = np.random.default_rng(0)
    last = np.zeros(6)
    for step in range(200):
        if step % 10 == 0:
            decoder.decide(rng.uniform(-1, 1, 3))
        twist = drive(decoder, 1, rng.normal(0, 0.05, 3))
        assert np.linalg.norm(twist[:3]) <= 0.25 + 1e-9
        assert np.linalg.norm(twist - last) <= 2.0 / 30 + 1e-9  # the acceleration limit
        last = twist
