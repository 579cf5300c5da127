"""The stability certificate: computing it, and finding the nearest parameters that have one.

In the coordinates z = P^(1/2) (x - attractor) the condition A' P + P A <= -2 a P reads: the symmetric part of
M = P^(1/2) A P^(-1/2) has no eigenvalue above -a. Both functions below work there.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from sac_gmm.core.errors import UserError
from sac_gmm.models.fields.model import Certificate, SkillModel
from sac_gmm.models.mixtures.mixture import Array, GaussianMixture

DEFAULT_MARGIN_1_S = 0.01
_RELATIVE_ERROR = 1e-6  # velocity that rounding may leave at the attractor, relative to the fastest component mean
_SLACK = 1e-6  # relative: how far below the margin rounding may put a rate
_RESERVE = 1e-3  # relative: rates below the margin are lifted this far above it, so that rounding does not break it
_MAX_CONDITION = 1e8  # condition number of the covariances that `project_parameters` makes


def certify(model: SkillModel, *, P: ArrayLike | None = None, margin_1_s: float | None = None) -> Certificate:
    """Compute the certificate of a model from its parameters alone.

    Args:
        model: Of any kind; a plain mixture has a certificate too, which seldom holds.
        P: (d, d) metric of the Lyapunov function; by default the model's own, or the identity if it has none.
        margin_1_s: Required decay rate; by default the model's own, or 0.01 1/s.

    Returns:
        The certificate. Check `.holds`: nothing is raised for an unstable model.
    """
    P, margin = _metric_and_margin(model, P, margin_1_s)
    return _certificate(model.mixture, model.attractor, P, margin)


def project(model: SkillModel, *, P: ArrayLike | None = None, margin_1_s: float | None = None) -> SkillModel:
    """The nearest model that has a certificate; a model that has one already keeps its field.

    First every component gets the gain A_k whose field through the attractor is closest to the field it has, in mean
    square over its own Gaussian: A_k = (S_vx + mu_v g') (S_xx + g g')^-1 with g = mu_x - attractor, so that an edited
    velocity mean bends the gain. Where that gain breaks the margin, the certified gain nearest to it in the same mean
    square takes its place. It is not enough to clip the eigenvalues of P^(1/2) A_k P^(-1/2), which is nearest in the
    Frobenius norm (Higham 1988): for an elongated P that may be a hundred times further in velocity. Priors, position
    means, position covariances and the noise around the regression stay.

    Args:
        model: What to project.
        P: As for `certify`.
        margin_1_s: As for `certify`.

    Returns:
        A model with mu_v = A_k (mu_x - attractor), Sigma_vx = A_k Sigma_xx and a certificate that holds.

    Raises:
        UserError: A covariance is so nearly singular that rounding spoils the result; see `project_parameters`.
    """
    from sac_gmm.models.fields import stability_kernels as kernels

    P, margin = _metric_and_margin(model, P, margin_1_s)
    old = model.mixture
    # For extreme parameters the nearest gains may be so large that rounding spoils them; clipped gains are smaller.
    for nearest in (True, False):
        means, covariances = np.empty_like(old.means), np.empty_like(old.covariances)
        if kernels.project(
            old.means, old.covariances, model.attractor, P, margin, _RESERVE, nearest, means, covariances
        ):
            mixture = GaussianMixture.trusted(old.priors, means, covariances)
            certificate = _certificate(mixture, model.attractor, P, margin)
            if certificate.holds or not nearest:
                return _certified(model, mixture, certificate)
    raise UserError("the projected covariances are not positive definite: the edit is too extreme to be certified")


def project_parameters(base: SkillModel, priors: ArrayLike, means: ArrayLike, covariances: ArrayLike) -> SkillModel:
    """Turn any finite numbers into the nearest certified parameters of the skill `base`.

    Priors go to the nearest point of the simplex, covariances to the nearest symmetric matrix with eigenvalues of at
    least a millionth of the base's smallest and 1e-8 of their own largest; then `project`.

    Raises:
        UserError: A number is not finite or a shape differs from the base's.
    """
    reference = base.mixture
    arrays = []
    for name, value in (("priors", priors), ("means", means), ("covariances", covariances)):
        array, shape = np.asarray(value, dtype=np.float64), getattr(reference, name).shape
        if array.shape != shape or not np.isfinite(array).all():
            raise UserError(f"{name} of an edit must be finite numbers of shape {shape}")
        arrays.append(array)
    floor = 1e-6 * np.linalg.eigvalsh(reference.covariances)[:, 0]
    values, vectors = np.linalg.eigh(0.5 * (arrays[2] + np.swapaxes(arrays[2], 1, 2)))
    values = np.maximum(values, np.maximum(floor[:, None], values[:, -1:] / _MAX_CONDITION))
    repaired = (vectors * values[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    mixture = GaussianMixture(nearest_simplex(arrays[0]), arrays[1], 0.5 * (repaired + np.swapaxes(repaired, 1, 2)))
    return project(dataclasses.replace(base, mixture=mixture))


def nearest_simplex(weights: Array) -> Array:
    """The Euclidean projection of (K,) numbers on the simplex (Held, Wolfe and Crowder 1974)."""
    descending = np.sort(weights)[::-1]
    excess = np.cumsum(descending) - 1.0
    count = int(np.flatnonzero(descending * np.arange(1, len(weights) + 1) > excess)[-1]) + 1
    clipped = np.maximum(weights - excess[count - 1] / count, 0.0)
    return clipped / clipped.sum()


def clip_gains(A: Array, P: Array, margin_1_s: float) -> Array:
    """The gains (K, d, d) with the symmetric part of P^(1/2) A P^(-1/2) clipped to at most -margin."""
    root, inverse = _square_roots(P)
    M = root @ A @ inverse
    values, vectors = np.linalg.eigh(0.5 * (M + np.swapaxes(M, 1, 2)))
    excess = np.where(values > -margin_1_s, values + (1.0 + _RESERVE) * margin_1_s, 0.0)
    M = M - (vectors * excess[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    return inverse @ M @ root


def with_gains(model: SkillModel, A: Array, noise: Array, P: Array, margin_1_s: float) -> SkillModel:
    """The model whose components have the gains `A` through the attractor and the conditional covariances `noise`.

    The margin is enforced once more, because a solver meets its constraints up to a tolerance only.
    """
    P, margin = _metric_and_margin(model, P, margin_1_s)
    return _assemble(model, clip_gains(A, P, margin), noise, P, margin)


def _assemble(model: SkillModel, A: Array, noise: Array, P: Array, margin: float) -> SkillModel:
    d = model.state_dim
    mixture = model.mixture
    means, covariances = mixture.means.copy(), mixture.covariances.copy()
    s_xx = covariances[:, :d, :d]
    means[:, d:] = np.einsum("kij,kj->ki", A, means[:, :d] - model.attractor)
    s_vx = A @ s_xx
    s_vv = noise + s_vx @ np.swapaxes(A, 1, 2)
    covariances[:, d:, :d] = s_vx
    covariances[:, :d, d:] = np.swapaxes(s_vx, 1, 2)
    covariances[:, d:, d:] = 0.5 * (s_vv + np.swapaxes(s_vv, 1, 2))
    moved = GaussianMixture(mixture.priors, means, covariances)
    return _certified(model, moved, _certificate(moved, model.attractor, P, margin))


def _certified(model: SkillModel, mixture: GaussianMixture, certificate: Certificate) -> SkillModel:
    if not certificate.holds:
        raise UserError(
            f"no certificate in double precision: the covariances are too nearly singular "
            f"(decay rate {certificate.decay_rate_1_s:.3g} of {certificate.margin_1_s:.3g} 1/s); widen them"
        )
    return SkillModel(model.kind, mixture, model.attractor, certificate, model.meta)


def _certificate(mixture: GaussianMixture, attractor: Array, P: Array, margin: float) -> Certificate:
    from sac_gmm.models.fields import stability_kernels as kernels

    rate, error, max_step, fastest = kernels.certificate(mixture.means, mixture.covariances, attractor, P)
    holds = bool(rate >= margin * (1.0 - _SLACK) and error <= _RELATIVE_ERROR * fastest)
    return Certificate(P, rate, margin, error, max_step, holds)


def _metric_and_margin(model: SkillModel, P: ArrayLike | None, margin: float | None) -> tuple[Array, float]:
    own = model.certificate
    if P is None:
        metric = np.eye(model.state_dim) if own is None else own.P
    else:
        metric = np.array(P, dtype=np.float64)
        if metric.shape != (model.state_dim, model.state_dim) or not np.allclose(metric, metric.T):
            raise UserError(f"P must be a symmetric ({model.state_dim}, {model.state_dim}) matrix")
        if not np.linalg.eigvalsh(metric)[0] > 0:
            raise UserError("P must be positive definite")
        metric = metric * (model.state_dim / np.trace(metric))
    if margin is None:
        margin = DEFAULT_MARGIN_1_S if own is None else own.margin_1_s
    if not 0.0 < margin < np.inf:
        raise UserError(f"margin_1_s must be a positive rate, not {margin}")
    return metric, margin


def _square_roots(P: Array) -> tuple[Array, Array]:
    """P^(1/2) and P^(-1/2), symmetric."""
    values, vectors = np.linalg.eigh(P)
    return (vectors * np.sqrt(values)) @ vectors.T, (vectors / np.sqrt(values)) @ vectors.T
