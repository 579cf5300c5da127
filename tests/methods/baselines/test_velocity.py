"""Actions that are velocities."""

import numpy as np
from point_task import drive

from sac_gmm.methods.baselines import ResidualGmm, Sac
from sac_gmm.models import Regressor


def test_residual_gmm_adds_the_action(model):
    decoder = ResidualGmm(model, authority_m_s=0.05)
    decoder.decide(np.array([1.0, 0.0, -1.0]))
    expected = Regressor(model.mixture)(np.array([0.0, 0.0, 0.08])) + [0.05, 0.0, -0.05]
    np.testing.assert_allclose(drive(decoder, 60)[:3], expected, atol=1e-6)


def test_sac_is_its_action():
    decoder = Sac()
    decoder.decide(np.array([0.4, 0.0, 0.0]))
    np.testing.assert_allclose(drive(decoder, 60), [0.1, 0, 0, 0, 0, 0], atol=1e-6)
