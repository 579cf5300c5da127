"""Metrics by their definitions."""

import numpy as np
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.models.fields import metrics


def test_rmse_takes_the_root_per_point():
    predicted, measured = np.array([[3.0, 4.0], [0.0, 0.0]]), np.zeros((2, 2))
    assert np.isclose(metrics.velocity_rmse(predicted, measured), 0.5 * np.sqrt(12.5))
    with pytest.raises(UserError, match="shape"):
        metrics.velocity_rmse(predicted, measured[:1])


def test_direction_error_counts_rest_as_zero():
    f = np.array([[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0], [0.0, 0.0]])
    v = np.array([[2.0, 0.0], [1.0, 0.0], [3.0, 0.0], [1.0, 1.0]])
    assert np.isclose(metrics.direction_error(f, v), (0 + 1 + 2 + 0) / 4)


def test_dtw_is_the_cheapest_alignment():
    a, b = np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [0.0], [1.0], [2.0], [2.5]])
    assert np.isclose(metrics.dtw_distance(a, b), 0.5)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(7, 2)), rng.normal(size=(5, 2))
    cost = np.linalg.norm(a[:, None] - b, axis=2)
    total = np.full((8, 6), np.inf)
    total[0, 0] = 0
    for i in range(7):
        for j in range(5):
            total[i + 1, j + 1] = cost[i, j] + min(total[i, j], total[i, j + 1], total[i + 1, j])
    assert np.isclose(metrics.dtw_distance(a, b), total[-1, -1])
    with pytest.raises(UserError, match="DTWD"):
        metrics.dtw_distance(a, b[:, :1])
