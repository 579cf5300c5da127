"""SEDS: all parameters of a stable mixture system fitted at once, stability built into the parametrisation.

Khansari-Zadeh and Billard (T-RO 27(5), 2011) optimise under the constraints A_k + A_k' < 0. Here A_k is written as
-(B B' + margin I) + C - C' with B lower and C strictly lower triangular: every choice of numbers is stable, so
that unconstrained L-BFGS suffices and every iterate is a valid model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sac_gmm.models.fields.lmi import GainFit, GainProblem
from sac_gmm.models.fields.lpv_ds import (
    RELATIVE_MARGIN,
    conditional_noise,
    every_span_has_samples,
    pad_with_velocities,
    span_mixture,
)
from sac_gmm.models.fields.model import SkillModel
from sac_gmm.models.fields.stability import with_gains
from sac_gmm.models.fields.training_set import TrainingSet, training_set
from sac_gmm.models.fields.validation import best_candidate
from sac_gmm.models.mixtures.em import fit_mixture
from sac_gmm.models.mixtures.mixture import Array, GaussianMixture, log_sum_exp, softmax

ITERATIONS = (0, 10, 30)  # what "auto" chooses from
_MAX_SAMPLES = 1000
_MIN_PRIOR = 1e-9
_START_OFFSET = 1e-2  # moves the start off the constraint, where the gradient with respect to B would vanish


class SedsProblem:
    """The objective as a function of one flat vector, with its gradient, in units of unit reach and speed.

    Args:
        x: (N, d) states relative to the attractor.
        v: (N, d) velocities.
        n_components: K.
        objective: "mse": (1/2) mean |f(x_n) - v_n|^2; "likelihood": the mean negative log density of [x; v].
        margin: Decay rate that A_k keeps.
    """

    def __init__(self, x: Array, v: Array, n_components: int, objective: str, margin: float) -> None:
        self.x, self.v, self.k, self.objective, self.margin = x, v, n_components, objective, margin
        self.d = x.shape[1]
        self.lower, self.strict = np.tril_indices(self.d), np.tril_indices(self.d, -1)
        self.pairs = np.triu_indices(self.d)
        i, j = self.pairs
        self.features = np.concatenate([np.ones((len(x), 1)), x, x[:, i] * x[:, j]], axis=1)

    def pack(self, log_priors: Array, mu: Array, W: Array, A: Array, V: Array) -> Array:
        """The flat vector of log priors, means, factors W'W = S_xx^-1, gains, and V'V = (noise covariance)^-1."""
        eye = np.eye(self.d)
        symmetric = -0.5 * (A + np.swapaxes(A, 1, 2)) - self.margin * eye
        values, vectors = np.linalg.eigh(symmetric)
        symmetric = (vectors * np.maximum(values, _START_OFFSET)[:, None, :]) @ np.swapaxes(vectors, 1, 2)
        B = np.linalg.cholesky(symmetric)
        skew = 0.5 * (A - np.swapaxes(A, 1, 2))
        parts = [log_priors[:, None], mu, self._log_diagonal(W), B[:, *self.lower], skew[:, *self.strict]]
        if self.objective == "likelihood":
            parts.append(self._log_diagonal(V))
        return np.concatenate(parts, axis=1).ravel()

    def unpack(self, parameters: Array) -> tuple[Array, Array, Array, Array, Array, Array]:
        """Log priors (K,), mu (K, d), W, B, A, V (K, d, d) from the flat vector; V is zero for "mse"."""
        d, m = self.d, len(self.lower[0])
        sizes = [1, d, m, m, m - d, m]
        rows = np.split(parameters.reshape(self.k, -1), np.cumsum(sizes)[:-1], axis=1)
        W, B, skew, V = (np.zeros((self.k, d, d)) for _ in range(4))
        W[:, *self.lower], B[:, *self.lower], skew[:, *self.strict] = rows[2], rows[3], rows[4]
        W[:, range(d), range(d)] = np.exp(W[:, range(d), range(d)])
        if self.objective == "likelihood":
            V[:, *self.lower] = rows[5]
            V[:, range(d), range(d)] = np.exp(V[:, range(d), range(d)])
        A = -(B @ np.swapaxes(B, 1, 2)) - self.margin * np.eye(d) + skew - np.swapaxes(skew, 1, 2)
        return rows[0][:, 0], rows[1], W, B, A, V

    def __call__(self, parameters: Array) -> tuple[float, Array]:
        """Value and gradient."""
        n, d = self.x.shape
        raw, mu, W, B, A, V = self.unpack(parameters)
        priors = softmax(raw)
        S = np.swapaxes(W, 1, 2) @ W
        linear = np.einsum("kij,kj->ki", S, mu)
        log_volume = np.log(np.diagonal(W, axis1=1, axis2=2)).sum(axis=1)
        constants = np.log(priors) + log_volume - 0.5 * (linear * mu).sum(axis=1)
        i, j = self.pairs
        quadratic = np.where(i == j, -0.5, -1.0) * S[:, i, j]
        log_weights = self.features @ np.concatenate([constants[:, None], linear, quadratic], axis=1).T
        u = self.x @ A.reshape(-1, d).T  # (N, K d): every component's velocity
        u = u.reshape(n, self.k, d)
        if self.objective == "mse":
            gates = softmax(log_weights)
            f = np.einsum("nk,nki->ni", gates, u)
            error = f - self.v
            value = 0.5 * float(np.square(error).sum()) / n
            along = np.einsum("nki,ni->nk", u, error) - (f * error).sum(axis=1)[:, None]
            slope = gates * along / n
            grad_a = np.einsum("nk,ni,nj->kij", gates, error, self.x, optimize=True) / n
            grad_v = np.zeros_like(V)
        else:
            residual = self.v[:, None, :] - u
            r = np.einsum("kij,nkj->nki", V, residual)
            log_joint = log_weights - 0.5 * np.square(r).sum(axis=2)
            log_joint += np.log(np.diagonal(V, axis1=1, axis2=2)).sum(axis=1)
            total = log_sum_exp(log_joint)
            value = -float(total.mean()) + d * float(np.log(2 * np.pi))
            gates = np.exp(log_joint - total[:, None])
            slope = -gates / n
            weighted = np.einsum("nk,nki->nki", gates / n, residual)
            precision = np.swapaxes(V, 1, 2) @ V
            grad_a = -precision @ np.einsum("nki,nj->kij", weighted, self.x)
            spread = np.einsum("nki,nkj->kij", weighted, residual)
            inverse = np.linalg.inv(precision)
            grad_v = self._factor_gradient(V, -0.5 * (gates.sum(axis=0) / n)[:, None, None] * inverse + 0.5 * spread)
        # The gates' gradient needs only the moments of `slope` over [1, x, x x'].
        moments = slope.T @ self.features
        g0, g1 = moments[:, 0], moments[:, 1 : 1 + d]
        g2 = np.empty((self.k, d, d))
        g2[:, i, j] = g2[:, j, i] = moments[:, 1 + d :]
        grad_mu = np.einsum("kij,kj->ki", S, g1 - mu * g0[:, None])
        cross = g1[:, :, None] * mu[:, None, :]
        scatter = g2 - cross - np.swapaxes(cross, 1, 2) + mu[:, :, None] * mu[:, None, :] * g0[:, None, None]
        grad_w = self._factor_gradient(W, 0.5 * np.linalg.inv(S) * g0[:, None, None] - 0.5 * scatter)
        grad_raw = g0 - priors * g0.sum()
        symmetric = grad_a + np.swapaxes(grad_a, 1, 2)
        grad_b = -(symmetric @ B)
        grad_skew = grad_a - np.swapaxes(grad_a, 1, 2)
        parts = [grad_raw[:, None], grad_mu, grad_w, grad_b[:, *self.lower], grad_skew[:, *self.strict]]
        if self.objective == "likelihood":
            parts.append(grad_v)
        return value, np.concatenate(parts, axis=1).ravel()

    def _log_diagonal(self, factors: Array) -> Array:
        """The lower triangles (K, d (d + 1) / 2) with logarithms on the diagonal."""
        logs = factors.copy()
        logs[:, range(self.d), range(self.d)] = np.log(logs[:, range(self.d), range(self.d)])
        return logs[:, *self.lower]

    def _factor_gradient(self, factors: Array, gradient: Array) -> Array:
        """From the gradient with respect to F'F (symmetric) to F's lower triangle, its diagonal in logarithms."""
        result = 2.0 * factors @ gradient
        result[:, range(self.d), range(self.d)] *= factors[:, range(self.d), range(self.d)]
        return result[:, *self.lower]


def fit_seds(
    x: ArrayLike,
    v: ArrayLike,
    lengths: Sequence[int],
    n_components: int | Literal["auto"] = "auto",
    seed: int = 0,
    *,
    objective: Literal["mse", "likelihood"] = "mse",
    margin_1_s: float | None = None,
    max_iterations: int | Literal["auto"] = "auto",
    align_ends: bool = True,
) -> SkillModel:
    """Fit a globally stable mixture system whose Lyapunov function is the squared distance from the attractor.

    The fit starts from the optimum of the convex problem for fixed gates (equal spans of progress or position clusters,
    whichever fits better) and then optimises all parameters together, as long as that helps on unseen demonstrations.

    Args:
        x: (N, d) states, demonstration after demonstration.
        v: (N, d) velocities.
        lengths: Samples per demonstration.
        n_components: K; "auto" is 10, or less for short demonstrations.
        seed: Kept in the meta; the fit is deterministic.
        objective: "mse" fits velocities, "likelihood" the joint density.
        margin_1_s: Certified decay rate; by default a tenth of the ratio of typical speed to typical distance.
        max_iterations: Of L-BFGS; "auto": 0, 10 or 30, whichever best predicts each demonstration from the others. More
            iterations overfit: the error falls on the demonstrations and rises on unseen ones.
        align_ends: Shift the demonstrations to a common end.

    Raises:
        UserError: The samples do not fit together, are not finite, or do not move.
    """
    data = training_set(x, v, lengths, align_ends=align_ends)
    reach, speed = data.scales()
    margin = RELATIVE_MARGIN * speed / reach if margin_1_s is None else margin_1_s
    max_components = max(1, min(10, min(data.lengths) // 4))
    fitting = (k for k in range(max_components, 1, -1) if every_span_has_samples(data, k))
    k = next(fitting, 1) if n_components == "auto" else n_components

    def fit(part: TrainingSet, iterations: int) -> SkillModel:
        return _fit(part, k, objective, margin, iterations)

    if max_iterations != "auto":
        iterations = max_iterations
    elif len(data.lengths) > 1:
        iterations = best_candidate(data, ITERATIONS, fit)
    else:
        iterations = ITERATIONS[1]
    model = fit(data, iterations)
    model.meta["fit"] = {
        "n_components": n_components,
        "seed": seed,
        "objective": objective,
        "margin_1_s": margin,
        "max_iterations": iterations,
        "align_ends": align_ends,
        "n_samples": len(data.x),
        "n_demonstrations": len(data.lengths),
    }
    return model


def _fit(data: TrainingSet, k: int, objective: str, margin: float, iterations: int) -> SkillModel:
    from scipy.optimize import minimize

    reach, speed = data.scales()
    rate, d = margin * reach / speed, data.x.shape[1]
    y, u = (data.x - data.attractor) / reach, data.v / speed
    convex = [(gates, _solve_convex(gates, data, y, u, rate)) for gates in _start_mixtures(data, k)]
    positions, gain_fit = min(convex, key=lambda pair: pair[1].cost)
    A = gain_fit.A * speed / reach
    noise = conditional_noise(positions, data, A)
    if iterations > 0:
        keep = np.linspace(0, len(y) - 1, min(len(y), _MAX_SAMPLES)).astype(int)
        problem = SedsProblem(y[keep], u[keep], k, objective, rate)
        W = np.linalg.inv(positions.choleskys) * reach
        V = np.linalg.inv(np.linalg.cholesky(noise)) * speed
        logs = np.log(np.maximum(positions.priors, _MIN_PRIOR))
        first = problem.pack(logs, (positions.means - data.attractor) / reach, W, gain_fit.A, V)
        found = minimize(problem, first, jac=True, method="L-BFGS-B", options={"maxiter": iterations, "maxcor": 20})
        raw, mu, W, _, A, V = problem.unpack(found.x)
        lower = np.linalg.inv(W) * reach
        positions = GaussianMixture(softmax(raw), mu * reach + data.attractor, lower @ np.swapaxes(lower, 1, 2))
        A = A * speed / reach
        if objective == "mse":
            noise = conditional_noise(positions, data, A)
        else:
            factor = np.linalg.inv(V) * speed
            noise = factor @ np.swapaxes(factor, 1, 2)
    model = SkillModel("seds", pad_with_velocities(positions), data.attractor)
    return with_gains(model, A, noise, np.eye(d), margin)


def _start_mixtures(data: TrainingSet, k: int) -> list[GaussianMixture]:
    clusters = fit_mixture(data.x, k, lengths=data.lengths, tolerance=1e-2, regularisation=1e-3)
    return [span_mixture(data, k), clusters.mixture]


def _solve_convex(gates: GaussianMixture, data: TrainingSet, y: Array, u: Array, rate: float) -> GainFit:
    return GainProblem(gates.responsibilities(data.x), y, u, 1e-6).solve(np.eye(y.shape[1]), rate)
