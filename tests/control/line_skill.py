"""A small hand-made skill: three components along a line to the target."""

import numpy as np

from sac_gmm.models import GaussianMixture, SkillModel


def line_skill(speed_m_s=0.1, n_components=3):
    """Moves along -x to the target from 0.3 m away."""
    means = np.zeros((n_components, 6))
    means[:, 0] = np.linspace(0.3, 0.0, n_components)
    means[:-1, 3] = -speed_m_s
    covariance = np.diag([0.01, 0.01, 0.01, 0.002, 0.002, 0.002])
    covariance[[0, 1, 2], [3, 4, 5]] = covariance[[3, 4, 5], [0, 1, 2]] = -0.002
    mixture = GaussianMixture(np.full(n_components, 1 / n_components), means, np.tile(covariance, (n_components, 1, 1)))
    return SkillModel("gmm", mixture, np.zeros(3))
