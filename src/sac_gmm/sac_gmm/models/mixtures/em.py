"""Expectation maximisation for mixtures with full or diagonal covariances, independent of the units of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sac_gmm.core.errors import UserError
from sac_gmm.models.mixtures.mixture import Array, GaussianMixture, log_priors

_MIN_RELATIVE_SPREAD = (
    1e-2  # a coordinate that hardly varies is scaled by at least this share of its group's largest spread
)
_PRIOR_WEIGHT = 1e-2  # of the prior on a covariance, in samples, as a share of N / K
_MIN_SHARE = 1e-8  # a component that explains less than this share of the data is not moved


@dataclass(frozen=True)
class EmResult:
    """The result of a fit.

    Attributes:
        mixture: In the units of the data.
        responsibilities: (N, K).
        objective: Mean log-likelihood plus log prior of the covariances after each iteration, in standardised units; it
            never falls.
        log_likelihood: Mean log-likelihood of the data under the mixture, in the units of the data.
        converged: Whether the last improvement was below the tolerance.
    """

    mixture: GaussianMixture
    responsibilities: Array
    objective: list[float]
    log_likelihood: float
    converged: bool


def fit_mixture(
    data: Array,
    n_components: int,
    *,
    lengths: Sequence[int] | None = None,
    groups: Sequence[int] | None = None,
    covariance: Literal["full", "diagonal"] = "full",
    n_init: int = 1,
    tolerance: float = 1e-3,
    max_iterations: int = 300,
    regularisation: float = 1e-6,
    seed: int = 0,
) -> EmResult:
    """Fit a Gaussian mixture.

    The data are centred and scaled to unit spread first, so that metres and millimetres give the same fit. Log
    densities are linear in the features [1, x, x x'], which makes an iteration two matrix products. An inverse Wishart
    prior keeps every covariance positive definite, even that of a component which loses its samples, and makes the
    objective rise in every iteration: S = (scatter + r (N / K) I) / (n + 0.01 N / K) with r the regularisation.

    Args:
        data: (N, D).
        n_components: K.
        lengths: Samples per demonstration, summing to N. The first start cuts every demonstration into K equal spans
            of time; without lengths the data are treated as one demonstration.
        groups: (D,) a number per coordinate; coordinates of one group share a unit. A coordinate that hardly varies is
            not scaled up beyond its group.
        covariance: "full" or "diagonal".
        n_init: Number of starts: the time bins, then k-means++ draws. The best objective wins.
        tolerance: Stop when the objective improves by less than this.
        max_iterations: Maximum number of iterations.
        regularisation: Relative to the variance of the data.
        seed: For the k-means++ draws; 0 or greater.

    Raises:
        UserError: Too few samples, numbers that are not finite, or a negative seed.
    """
    data = np.asarray(data, dtype=np.float64)
    n = len(data)
    if n_components < 1 or n < n_components * 2:
        raise UserError(f"{n_components} components need at least {2 * max(n_components, 1)} samples, there are {n}")
    if not np.isfinite(data).all():
        raise UserError(f"sample {int(np.argwhere(~np.isfinite(data))[0][0])} of the data is not finite")
    if seed < 0:
        raise UserError(f"the seed is {seed}: give a whole number from 0 up")
    centre, scale = data.mean(axis=0), spread(data, groups)
    x = (data - centre) / scale
    features = _features(x)
    rng = np.random.default_rng(seed)
    best: tuple[Array, Array, Array, Array, list[float], bool] | None = None
    for start in range(n_init):
        labels = _time_bins(lengths or [n], n_components) if start == 0 else _kmeans_plus_plus(x, n_components, rng)
        found = _run_em(x, features, labels, n_components, covariance, tolerance, max_iterations, regularisation)
        if best is None or found[4][-1] > best[4][-1]:
            best = found
    assert best is not None
    priors, means, covariances, responsibilities, objective, converged = best
    mixture = GaussianMixture(priors, means * scale + centre, covariances * np.outer(scale, scale))
    log_likelihood = (
        objective[-1]
        + _negative_log_prior(covariances, np.linalg.inv(covariances), regularisation)
        - np.log(scale).sum()
    )
    return EmResult(mixture, responsibilities, objective, float(log_likelihood), converged)


def spread(data: Array, groups: Sequence[int] | None = None) -> Array:
    """(D,) the standard deviation of each coordinate, at least a hundredth of the largest in its group, never zero."""
    deviation = data.std(axis=0)
    labels = np.zeros(data.shape[1], dtype=int) if groups is None else np.asarray(groups)
    for label in np.unique(labels):
        own = labels == label
        deviation[own] = np.maximum(deviation[own], _MIN_RELATIVE_SPREAD * deviation[own].max() or 1.0)
    return deviation


def _features(x: Array) -> Array:
    """[1, x_i, x_i x_j for i <= j], one column per sample: (1 + D + D (D + 1) / 2, N)."""
    columns = np.ascontiguousarray(x.T)
    i, j = np.triu_indices(len(columns))
    return np.concatenate([np.ones((1, len(x))), columns, columns[i] * columns[j]])


def _run_em(x, features, labels, n_components, covariance, tolerance, max_iterations, regularisation):
    """Run EM from hard labels; everything in standardised units."""
    n, d = x.shape
    i, j = np.triu_indices(d)
    # Components are rows: reductions over them then run along contiguous samples.
    responsibilities = np.zeros((n_components, n))
    responsibilities[labels, np.arange(n)] = 1.0
    means = np.zeros((n_components, d))
    covariances = np.tile(np.eye(d), (n_components, 1, 1))
    strength, weight = regularisation * n / n_components, _PRIOR_WEIGHT * n / n_components
    objective: list[float] = []
    converged = False
    coefficients = np.empty((n_components, len(features)))
    while True:
        # M-step from the moments.
        moments = responsibilities @ features.T
        weights = moments[:, 0]
        alive = weights > _MIN_SHARE * n
        counts = weights[alive, None]
        means[alive] = moments[alive, 1 : 1 + d] / counts
        scatter = np.empty((int(alive.sum()), d, d))
        scatter[:, i, j] = scatter[:, j, i] = moments[alive, 1 + d :]
        scatter -= counts[:, :, None] * means[alive, :, None] * means[alive, None, :]
        if covariance == "diagonal":
            scatter *= np.eye(d)
        scatter[:, range(d), range(d)] += strength
        covariances[alive] = scatter / (counts[:, :, None] + weight)
        priors = weights / n
        # E-step.
        precisions = np.linalg.inv(covariances)
        linear = np.einsum("kij,kj->ki", precisions, means)
        log_determinants = np.linalg.slogdet(covariances)[1]
        constants = -0.5 * (d * np.log(2 * np.pi) + log_determinants + np.einsum("ki,ki->k", linear, means))
        coefficients[:, 0] = constants + log_priors(priors)
        coefficients[:, 1 : 1 + d] = linear
        coefficients[:, 1 + d :] = np.where(i == j, -0.5, -1.0) * precisions[:, i, j]
        log_joint = coefficients @ features
        top = log_joint.max(axis=0)
        np.subtract(log_joint, top, out=log_joint)
        responsibilities = np.exp(log_joint, out=log_joint)
        sums = responsibilities.sum(axis=0)
        responsibilities /= sums
        objective.append(
            float((top + np.log(sums)).mean()) - _negative_log_prior(covariances, precisions, regularisation)
        )
        if len(objective) > 1:
            converged = objective[-1] - objective[-2] < tolerance
        if converged or len(objective) >= max_iterations:
            return priors, means, covariances, responsibilities.T, objective, converged


def _negative_log_prior(covariances: Array, precisions: Array, regularisation: float) -> float:
    """Minus the log density of the covariances under their prior, per sample, up to a constant."""
    log_determinants = np.linalg.slogdet(covariances)[1].sum()
    traces = np.trace(precisions, axis1=1, axis2=2).sum()
    return float(0.5 * (_PRIOR_WEIGHT * log_determinants + regularisation * traces) / len(covariances))


def _time_bins(lengths: Sequence[int], n_components: int) -> Array:
    """Component k takes the k-th of K equal spans of time of every demonstration."""
    return np.concatenate([np.arange(length) * n_components // length for length in lengths])


def _kmeans_plus_plus(x: Array, n_components: int, rng: np.random.Generator) -> Array:
    """Nearest of K centres drawn far from each other (Arthur and Vassilvitskii 2007)."""
    centres = [x[rng.integers(len(x))]]
    distance = np.square(x - centres[0]).sum(axis=1)
    for _ in range(n_components - 1):
        weights = distance if distance.sum() > 0 else np.ones(len(x))
        centres.append(x[rng.choice(len(x), p=weights / weights.sum())])
        distance = np.minimum(distance, np.square(x - centres[-1]).sum(axis=1))
    return np.square(x[:, None] - np.array(centres)).sum(axis=2).argmin(axis=1)
