"""Expectation maximisation: the objective never falls, units do not matter, K is found."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sac_gmm.core.errors import UserError
from sac_gmm.models import GaussianMixture, Regressor, fit_gmm
from sac_gmm.models.mixtures.em import fit_mixture
from sac_gmm.models.mixtures.selection import effective_samples, n_parameters, select_components


def blobs(seed: int, k: int, d: int, n: int = 300) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [rng.normal(size=d) * 4 + rng.normal(size=(n // k, d)) @ rng.normal(size=(d, d)) for _ in range(k)]
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 5), st.sampled_from(["full", "diagonal"]))
def test_the_objective_never_falls(seed, k, d, covariance):
    result = fit_mixture(
        blobs(seed, 3, d), k, covariance=covariance, tolerance=1e-9, max_iterations=60, n_init=2, seed=seed
    )
    steps = np.diff(result.objective)
    assert (steps >= -1e-7).all()  # nats; components of a few points are so thin that rounding shows at 1e-8


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-6, 1e6))
def test_units_do_not_matter(seed, unit):
    data = blobs(seed, 3, 3)
    one, other = fit_mixture(data, 3), fit_mixture(data * unit, 3)
    assert np.allclose(other.mixture.means, unit * one.mixture.means, rtol=1e-6, atol=1e-9 * unit)
    assert np.allclose(other.mixture.covariances, unit**2 * one.mixture.covariances, rtol=1e-5, atol=1e-9 * unit**2)
    assert np.isclose(other.log_likelihood, one.log_likelihood - 3 * np.log(unit), atol=1e-6)


def test_the_likelihood_is_that_of_the_mixture_and_not_below_the_peer():
    from sklearn.mixture import GaussianMixture as Peer

    data = blobs(1, 4, 3, 800)
    ours = fit_mixture(data, 4, n_init=5, tolerance=1e-6)
    assert np.isclose(ours.log_likelihood, ours.mixture.log_prob(data).mean())
    peer = Peer(4, n_init=5, tol=1e-6, random_state=0).fit(data)
    assert ours.log_likelihood >= peer.score(data) - 1e-3


def test_it_finds_the_mixture_it_was_drawn_from():
    truth = GaussianMixture(
        [0.5, 0.3, 0.2], [[0, 0], [6, 0], [0, 6]], [np.eye(2), 0.5 * np.eye(2), [[1, 0.5], [0.5, 1]]]
    )
    data = truth.sample(6000, np.random.default_rng(0))
    found = fit_mixture(data, 3, n_init=4, tolerance=1e-7).mixture
    order = [int(np.argmin(np.linalg.norm(found.means - mean, axis=1))) for mean in truth.means]
    assert np.allclose(found.means[order], truth.means, atol=0.15)
    assert np.allclose(found.priors[order], truth.priors, atol=0.03)
    assert np.allclose(found.covariances[order], truth.covariances, atol=0.15)


def test_a_flat_coordinate_does_not_break_the_fit():
    data = blobs(0, 2, 3)
    data[:, 2] = 0.7
    result = fit_mixture(data, 2)
    assert np.isfinite(result.mixture.log_prob(data)).all()
    assert np.allclose(result.mixture.means[:, 2], 0.7)
    assert np.isfinite(fit_mixture(np.zeros((50, 2)), 3).mixture.log_prob(np.zeros(2)))


def test_diagonal_covariances_are_diagonal():
    covariances = fit_mixture(blobs(0, 3, 3), 3, covariance="diagonal").mixture.covariances
    assert np.allclose(covariances, covariances * np.eye(3))


def test_too_few_or_bad_samples_are_refused():
    with pytest.raises(UserError, match="at least 8 samples"):
        fit_mixture(np.zeros((7, 2)), 4)
    data = np.zeros((20, 2))
    data[3, 1] = np.inf
    with pytest.raises(UserError, match="sample 3"):
        fit_mixture(data, 2)


def test_components_are_counted_by_their_parameters():
    assert n_parameters(3, 4) == 2 + 3 * 4 + 3 * 10
    assert n_parameters(3, 4, "diagonal") == 2 + 3 * 4 + 3 * 4


def test_slow_motions_are_worth_few_samples():
    rng = np.random.default_rng(0)
    smooth = np.sin(np.linspace(0, 6, 1000))[:, None]
    assert effective_samples(smooth, [1000]) < 20
    assert effective_samples(rng.normal(size=(1000, 1)), [1000]) > 500


def test_the_knee_finds_the_corners_of_a_path():
    s = np.linspace(0, 1, 100)[:, None]
    corners = np.array([[0, 0], [1, 0], [1, 1], [2, 1]]) * 0.1
    path = np.concatenate([a + s * (b - a) for a, b in pairwise(corners)])
    rng = np.random.default_rng(0)
    data = np.concatenate([path + 0.002 * rng.normal(size=path.shape) for _ in range(4)])
    k, fits = select_components(data, [300] * 4, n_init=2)
    assert k in (2, 3, 4) and set(fits) == set(range(1, 16))
    k, _ = select_components(data, [300] * 4, rule="bic")
    assert k in (2, 3, 4)


def test_a_fitted_skill_regresses_its_demonstrations():
    t = np.linspace(0, 1, 80)[:, None]
    x = np.concatenate([(1 - t) ** 2 * [0.2, 0.1, 0.3 + 0.02 * i] for i in range(3)])
    v = np.concatenate([-2 * (1 - t) * [0.2, 0.1, 0.3 + 0.02 * i] for i in range(3)])
    for selection in ("unseen", "knee", "bic"):
        model = fit_gmm(x, v, [80] * 3, selection=selection)
        error = Regressor(model.mixture).batch(x) - v
        assert np.sqrt(np.square(error).mean()) < 0.05 * np.abs(v).max()
        assert np.allclose(model.attractor, 0.0, atol=1e-12) and model.certificate is None
    assert fit_gmm(x, v, [80] * 3, 4, seed=3).model_id == fit_gmm(x, v, [80] * 3, 4, seed=3).model_id
