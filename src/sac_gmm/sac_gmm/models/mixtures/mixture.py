"""Gaussian mixtures as values: checked when they are made, read-only afterwards, evaluated in the log domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sac_gmm.core.errors import UserError

Array = NDArray[Any]  # of float64; the stubs of numpy cannot follow it through linear algebra
_LOG_2PI = float(np.log(2.0 * np.pi))
_MAX_SQUARES = 1e300  # squared sigmas
_PRIOR_SUM_TOLERANCE = 1e-6  # a softmax in float32 is still a simplex
_SYMMETRY_TOLERANCE = 1e-9  # relative to the largest entry of the covariance


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """A mixture of K Gaussians in D dimensions.

    Args:
        priors: (K,) weights, a simplex.
        means: (K, D).
        covariances: (K, D, D), symmetric positive definite.

    Raises:
        UserError: A shape does not fit, a number is not finite, the priors are no simplex, or a covariance is not
            positive definite; the sentence names the field and the component.
    """

    priors: Array
    means: Array
    covariances: Array

    def __post_init__(self) -> None:
        for name in ("priors", "means", "covariances"):
            object.__setattr__(self, name, _frozen(getattr(self, name)))
        self.__dict__["choleskys"] = _check(self.priors, self.means, self.covariances)

    @classmethod
    def trusted(cls, priors: Array, means: Array, covariances: Array) -> GaussianMixture:
        """Wrap float64 arrays that the caller has just checked, without copying or checking them again."""
        mixture = object.__new__(cls)
        for name, value in (("priors", priors), ("means", means), ("covariances", covariances)):
            value.flags.writeable = False
            object.__setattr__(mixture, name, value)
        return mixture

    @property
    def n_components(self) -> int:
        """K."""
        return self.priors.shape[0]

    @property
    def dim(self) -> int:
        """D."""
        return self.means.shape[1]

    @cached_property
    def choleskys(self) -> Array:
        """(K, D, D) lower factors L with L L' = covariance."""
        return np.linalg.cholesky(self.covariances)

    @cached_property
    def _whiteners(self) -> Array:
        return np.linalg.inv(self.choleskys)

    @cached_property
    def _log_constants(self) -> Array:
        log_determinants = 2.0 * np.log(np.diagonal(self.choleskys, axis1=1, axis2=2)).sum(axis=1)
        return -0.5 * (self.dim * _LOG_2PI + log_determinants)

    def component_log_prob(self, x: ArrayLike) -> Array:
        """Log N(x_n; mean_k, covariance_k).

        Args:
            x: (N, D) points, or one point (D,).

        Returns:
            (N, K), or (K,) for one point. Always finite: squared distances are capped at 1e300 squared sigmas, and a
            point that is not a number counts as that far from everything.
        """
        points = np.asarray(x, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            z = np.einsum("kij,...kj->...ki", self._whiteners, points[..., None, :] - self.means)
            quadratic = np.nan_to_num(np.square(z).sum(axis=-1), nan=_MAX_SQUARES, posinf=_MAX_SQUARES)
        return self._log_constants - 0.5 * np.minimum(quadratic, _MAX_SQUARES)

    def log_prob(self, x: ArrayLike) -> Array:
        """Log sum_k prior_k N(x_n; mean_k, covariance_k): (N,) for (N, D), a scalar array for (D,)."""
        return log_sum_exp(self.component_log_prob(x) + log_priors(self.priors))

    def responsibilities(self, x: ArrayLike) -> Array:
        """p(k | x_n): (N, K) rows that sum to one, or (K,) for one point. Far away the nearest component has all."""
        return softmax(self.component_log_prob(x) + log_priors(self.priors))

    def marginal(self, dims: Sequence[int] | slice | NDArray[np.intp]) -> GaussianMixture:
        """The mixture of the coordinates `dims` alone."""
        index = np.arange(self.dim)[dims]
        return GaussianMixture(self.priors, self.means[:, index], self.covariances[:, index[:, None], index])

    def condition(self, x: ArrayLike, given: Sequence[int] | slice | None = None) -> GaussianMixture:
        """The mixture of the other coordinates once the coordinates `given` are known to be `x`.

        Args:
            x: (len(given),) values.
            given: Which coordinates are known; by default the first `len(x)`.

        Returns:
            A mixture over the remaining coordinates in their order: priors p(k | x), means
            m_v + S_vx S_xx^-1 (x - m_x), covariances S_vv - S_vx S_xx^-1 S_xv (Bishop, Pattern Recognition and Machine
            Learning, 2.81-2.82).
        """
        value = np.asarray(x, dtype=np.float64)
        known = np.arange(self.dim)[slice(0, value.shape[0]) if given is None else given]
        if value.shape != known.shape:
            raise UserError(f"condition: {known.size} coordinates are given but x has shape {value.shape}")
        unknown = np.setdiff1d(np.arange(self.dim), known)
        known_part = self.marginal(known)
        # With L L' = S_xx and Y = L^-1 S_xv the covariance is S_vv - Y' Y: symmetric by construction.
        y = known_part._whiteners @ self.covariances[:, known[:, None], unknown]
        z = np.einsum("kij,kj->ki", known_part._whiteners, value - known_part.means)
        means = self.means[:, unknown] + np.einsum("kiu,ki->ku", y, z)
        covariances = self.covariances[:, unknown[:, None], unknown] - np.swapaxes(y, 1, 2) @ y
        return GaussianMixture(known_part.responsibilities(value), means, covariances)

    def moments(self) -> tuple[Array, Array]:
        """Mean (D,) and covariance (D, D) of the whole mixture."""
        mean = self.priors @ self.means
        spread = self.means - mean
        within = np.einsum("k,kij->ij", self.priors, self.covariances)
        return mean, within + np.einsum("k,ki,kj->ij", self.priors, spread, spread)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw (n, D) points."""
        components = rng.choice(self.n_components, size=n, p=self.priors / self.priors.sum())
        noise = rng.standard_normal((n, self.dim))
        return self.means[components] + np.einsum("nij,nj->ni", self.choleskys[components], noise)

    def component_kl(self, other: GaussianMixture) -> Array:
        """KL divergence of each component from its counterpart in `other`, in nats, closed form: (K,).

        KL(N0 | N1) = (tr(S1^-1 S0) + (m1-m0)' S1^-1 (m1-m0) - D + ln det S1 - ln det S0) / 2.
        """
        if other.means.shape != self.means.shape:
            raise UserError(f"component_kl: shapes differ, {self.means.shape} and {other.means.shape}")
        trace = np.square(other._whiteners @ self.choleskys).sum(axis=(1, 2))
        shift = np.einsum("kij,kj->ki", other._whiteners, other.means - self.means)
        return 0.5 * (trace + np.square(shift).sum(axis=1) - self.dim) + self._log_constants - other._log_constants

    def ellipsoids(self, dims: Sequence[int] | slice = slice(None), n_sigma: float = 1.0) -> tuple[Array, Array, Array]:
        """The components as ellipsoids in the coordinates `dims`, for drawing.

        Returns:
            centres (K, m), half axes (K, m) in the units of the coordinates and ascending, and rotations (K, m, m)
            that are proper (det = +1) and whose columns are the axes.
        """
        part = self.marginal(dims)
        values, vectors = np.linalg.eigh(part.covariances)
        vectors[:, :, 0] *= np.sign(np.linalg.det(vectors))[:, None]
        return part.means, n_sigma * np.sqrt(values), vectors

    def outlines(self, dims: Sequence[int], n_sigma: float = 1.0, n_points: int = 60) -> Array:
        """The components as closed curves in the two coordinates `dims`, for drawing: (K, n_points, 2)."""
        centres, halves, turns = self.ellipsoids(dims, n_sigma)
        angle = np.linspace(0.0, 2.0 * np.pi, n_points)
        circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        return centres[:, None] + np.einsum("kij,knj->kni", turns, halves[:, None] * circle)


def log_priors(priors: Array) -> Array:
    """Elementwise log in which a prior of zero is minus infinity, without a warning."""
    with np.errstate(divide="ignore"):
        return np.log(priors)


def log_sum_exp(log_weights: Array) -> Array:
    """Log sum exp along the last axis; never overflows."""
    top = log_weights.max(axis=-1, keepdims=True)
    return np.log(np.exp(log_weights - top).sum(axis=-1)) + top[..., 0]


def softmax(log_weights: Array) -> Array:
    """exp(w) / sum exp(w) along the last axis; never overflows."""
    weights = np.exp(log_weights - log_weights.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def _frozen(value: ArrayLike) -> Array:
    array = np.array(value, dtype=np.float64, order="C")
    array.flags.writeable = False
    return array


def _check(priors: Array, means: Array, covariances: Array) -> Array:
    """Raise unless the numbers make a mixture; return the Cholesky factors that the check needs."""
    if means.ndim != 2 or 0 in means.shape:
        raise UserError(f"means must have shape (K, D) with K, D >= 1, not {means.shape}")
    k, d = means.shape
    if priors.shape != (k,):
        raise UserError(f"priors must have shape ({k},) to fit means {means.shape}, not {priors.shape}")
    if covariances.shape != (k, d, d):
        raise UserError(f"covariances must have shape ({k}, {d}, {d}) to fit the means, not {covariances.shape}")
    total = priors.sum()
    if not np.isfinite(total + means.sum() + covariances.sum()):  # one number instead of three masks
        for name, array in (("priors", priors), ("means", means), ("covariances", covariances)):
            if not np.isfinite(array).all():
                raise UserError(f"{name} of component {_first_bad(array)} must be finite numbers")
        raise UserError("means and covariances must be small enough to be summed")
    if priors.min() < 0.0 or abs(total - 1.0) > _PRIOR_SUM_TOLERANCE:
        raise UserError(f"priors must be a simplex (not negative, sum 1): minimum {priors.min()}, sum {total}")
    transposed = np.swapaxes(covariances, 1, 2)
    if not (covariances == transposed).all():
        asymmetry = np.abs(covariances - transposed).max(axis=(1, 2))
        skewed = asymmetry > _SYMMETRY_TOLERANCE * np.abs(covariances).max(axis=(1, 2))
        if skewed.any():
            raise UserError(f"the covariance of component {int(np.argmax(skewed))} must be symmetric")
    try:
        return np.linalg.cholesky(covariances)
    except np.linalg.LinAlgError:
        smallest = np.linalg.eigvalsh(covariances)[:, 0]
        raise UserError(
            f"the covariance of component {int(np.argmin(smallest))} must be positive definite: "
            f"its smallest eigenvalue is {smallest.min():.3g}"
        ) from None


def _first_bad(array: Array) -> int:
    return int(np.argwhere(~np.isfinite(array))[0][0])
