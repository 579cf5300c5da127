"""Parametrisations: any numbers give a valid mixture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sac_gmm.core.errors import UserError
from sac_gmm.models import GaussianMixture
from sac_gmm.models.mixtures.edits import edit_covariances, edit_means, edit_priors, n_covariance_numbers


def mixture(k: int = 3, dim: int = 4) -> GaussianMixture:
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(k, dim, dim))
    return GaussianMixture(np.array([0.2, 0.0, 0.8]), rng.normal(size=(k, dim)), factors @ np.swapaxes(factors, 1, 2))


@pytest.mark.parametrize("form", ["log_cholesky", "eigen_scale"])
def test_an_edit_of_zeros_changes_nothing(form):
    base = mixture()
    same = edit_covariances(base, np.zeros((3, n_covariance_numbers(4, form))), form)
    assert np.allclose(same.covariances, base.covariances)
    assert np.allclose(edit_priors(base, np.zeros(3)).priors, base.priors)
    assert np.array_equal(edit_means(base, np.zeros((3, 4))).means, base.means)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.0, 1e3))
def test_any_edit_gives_a_mixture(seed, scale):
    rng = np.random.default_rng(seed)
    base = mixture()
    edited = edit_priors(base, scale * rng.normal(size=3))
    assert np.isclose(edited.priors.sum(), 1.0)
    for form in ("log_cholesky", "eigen_scale"):
        edit_covariances(base, scale * rng.normal(size=(3, n_covariance_numbers(4, form))), form)


def test_eigen_scale_stretches_the_axes():
    base = mixture()
    stretched = edit_covariances(base, np.full((3, 4), np.log(2.0)), "eigen_scale")
    assert np.allclose(stretched.covariances, 4.0 * base.covariances, rtol=1e-3)


def test_an_edit_of_the_wrong_shape_is_refused():
    with pytest.raises(UserError, match="shape"):
        edit_priors(mixture(), np.zeros(2))
    with pytest.raises(UserError, match="finite"):
        edit_means(mixture(), np.full((3, 4), np.nan))
