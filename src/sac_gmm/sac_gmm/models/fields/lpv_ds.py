"""LPV-DS: linear systems through one attractor, blended by a mixture over positions, stable in a learned metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sac_gmm.core.errors import UserError
from sac_gmm.models.fields.lmi import GainProblem
from sac_gmm.models.fields.lyapunov import minimise_metric
from sac_gmm.models.fields.model import SkillModel
from sac_gmm.models.fields.stability import with_gains
from sac_gmm.models.fields.training_set import TrainingSet, training_set
from sac_gmm.models.fields.validation import best_candidate
from sac_gmm.models.mixtures.em import fit_mixture
from sac_gmm.models.mixtures.mixture import Array, GaussianMixture

Clustering = Literal["spans", "positions", "directions"]
Metric = Literal["learned", "refined", "identity"]
RELATIVE_MARGIN = 0.1
AUTO_CLUSTERINGS: tuple[Clustering, ...] = ("spans", "positions")  # what "auto" compares; directions seldom win
COMPONENTS = (4, 6, 8, 10, 12, 16, 20)  # what "auto" chooses from
_GAIN_RIDGE = 1e-6
_COVARIANCE_RIDGE = 1e-4  # added to the position covariances, relative to the variance of the positions


def fit_lpv_ds(
    x: ArrayLike,
    v: ArrayLike,
    lengths: Sequence[int],
    n_components: int | Literal["auto"] = "auto",
    seed: int = 0,
    *,
    clustering: Clustering | Literal["auto"] = "auto",
    metric: Metric = "learned",
    margin_1_s: float | None = None,
    align_ends: bool = True,
) -> SkillModel:
    """Fit f(x) = sum_k h_k(x) A_k (x - attractor) with a certificate (Figueroa and Billard, CoRL 2018).

    Three steps: a mixture whose position part gives the gates; the metric P of the Lyapunov function; the gains A_k by
    least squares under A_k' P + P A_k <= -2 margin P.

    Args:
        x: (N, d) states, demonstration after demonstration.
        v: (N, d) velocities.
        lengths: Samples per demonstration.
        n_components: K, or "auto": K and clustering that best predict each demonstration from the others.
        seed: Kept in the meta; the fit is deterministic.
        clustering: Where the gates come from. "spans": component k is the k-th of K equal spans of every
            demonstration's progress, half time and half path length; "positions": expectation maximisation over
            position; "directions": over position and direction of motion; "auto": one of the first two, chosen like K.
        metric: "learned" from the directions of motion; "refined": then improved together with the gains; "identity".
        margin_1_s: Certified decay rate; by default a tenth of the ratio of typical speed to typical distance.
        align_ends: Shift the demonstrations to a common end.

    Raises:
        UserError: The samples do not fit together, are not finite, or do not move.
    """
    data = training_set(x, v, lengths, align_ends=align_ends)
    reach, speed = data.scales()
    margin = RELATIVE_MARGIN * speed / reach if margin_1_s is None else margin_1_s

    def fit(part: TrainingSet, choice: tuple[Clustering, int]) -> SkillModel:
        return _fit(part, choice[1], choice[0], metric, margin)

    fitting = [k for k in COMPONENTS if 4 * k <= min(data.lengths) and every_span_has_samples(data, k)] or [1]
    counts = fitting if n_components == "auto" else [n_components]
    clusterings = AUTO_CLUSTERINGS if clustering == "auto" else (clustering,)
    choices = [(way, k) for way in clusterings for k in counts]
    if len(data.lengths) > 1 and len(choices) > 1:
        chosen = best_candidate(data, choices, fit)
    else:  # one demonstration cannot be predicted from the others
        chosen = clusterings[0], counts[len(counts) // 2]
    model = fit(data, chosen)
    model.meta["fit"] = {
        "n_components": n_components,
        "seed": seed,
        "clustering": chosen[0],
        "metric": metric,
        "margin_1_s": margin,
        "align_ends": align_ends,
        "n_samples": len(data.x),
        "n_demonstrations": len(data.lengths),
    }
    return model


def _fit(data: TrainingSet, k: int, clustering: Clustering, metric: Metric, margin: float) -> SkillModel:
    d = data.x.shape[1]
    y = data.x - data.attractor
    reach, speed = data.scales()
    rate = margin * reach / speed  # the problem is solved in units of the typical distance and speed
    positions = span_mixture(data, k) if clustering == "spans" else em_mixture(data, k, clustering)
    problem = GainProblem(positions.responsibilities(data.x), y / reach, data.v / speed, _GAIN_RIDGE)
    P = np.eye(d) if metric == "identity" else data.metric
    if metric == "refined":
        P = refine_metric(problem, P, rate)
    A = problem.solve(P, rate).A * (speed / reach)
    model = SkillModel("lpv_ds", pad_with_velocities(positions), data.attractor)
    return with_gains(model, A, conditional_noise(positions, data, A), P, margin)


def progress(x: Array) -> Array:
    """Progress of each sample of one demonstration (N, d), 0 to 1: the mean of its shares of time and of path."""
    path = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(x, axis=0), axis=1))])
    time = np.linspace(0.0, 1.0, len(x))
    return 0.5 * (time + path / path[-1]) if path[-1] > 0.0 else time


def _span_of(x: Array, n_components: int) -> Array:
    """(N,) which of `n_components` equal spans of progress each sample of one demonstration (N, d) is in."""
    return np.minimum((progress(x) * n_components).astype(int), n_components - 1)


def every_span_has_samples(data: TrainingSet, n_components: int) -> bool:
    """Whether each span of progress holds at least two samples, whichever demonstration is left out."""
    counts = np.array(
        [np.bincount(_span_of(demo.x, n_components), minlength=n_components) for demo in data.demonstrations()]
    )
    remaining = counts.sum(axis=0) - counts if len(counts) > 1 else counts
    return bool(remaining.min() >= 2)


def span_mixture(data: TrainingSet, n_components: int) -> GaussianMixture:
    """The mixture over x whose component k holds the k-th of K equal spans of every demonstration's progress.

    Unlike a mixture fitted to positions it follows the order of the motion, so that two passages through the same place
    do not share a component.
    """
    labels = np.concatenate([_span_of(demo.x, n_components) for demo in data.demonstrations()])
    groups = [data.x[labels == k] for k in range(n_components)]
    if min(map(len, groups)) < 2:
        raise UserError(f"{n_components} components are too many for {len(data.x)} samples: choose fewer")
    width = _COVARIANCE_RIDGE * np.square(data.x - data.attractor).mean() * np.eye(data.x.shape[1])
    covariances = [np.cov(group.T, bias=True).reshape(width.shape) + width for group in groups]
    counts = np.array([len(group) for group in groups])
    return GaussianMixture(counts / counts.sum(), np.array([g.mean(axis=0) for g in groups]), np.array(covariances))


def em_mixture(data: TrainingSet, n_components: int, clustering: Clustering) -> GaussianMixture:
    """The position part of a mixture that expectation maximisation fits to x, or to [x; direction of motion]."""
    samples, groups = data.x, [0] * data.x.shape[1]
    if clustering == "directions":
        speed = np.linalg.norm(data.v, axis=1, keepdims=True)
        samples, groups = np.concatenate([data.x, data.v / np.maximum(speed, 1e-6 * speed.max())], axis=1), data.groups
    result = fit_mixture(
        samples, n_components, lengths=data.lengths, groups=groups, tolerance=1e-2, regularisation=1e-3
    )
    return result.mixture.marginal(slice(0, data.x.shape[1]))


def refine_metric(problem: GainProblem, P: Array, rate: float, max_evaluations: int = 25) -> Array:
    """Improve P together with the gains: descend the optimal cost, whose gradient the solver's dual variables give."""

    def objective(metric: Array) -> tuple[float, Array]:
        fit = problem.solve(metric, rate)
        return fit.cost, fit.metric_gradient

    return minimise_metric(objective, np.linalg.cholesky(P), max_evaluations)[1]


def pad_with_velocities(positions: GaussianMixture) -> GaussianMixture:
    """A joint mixture over [x; v] with these positions; the velocities are zero, uncorrelated, with unit covariance."""
    k, d = positions.means.shape
    covariances = np.tile(np.eye(2 * d), (k, 1, 1))
    covariances[:, :d, :d] = positions.covariances
    return GaussianMixture(positions.priors, np.concatenate([positions.means, np.zeros((k, d))], axis=1), covariances)


def conditional_noise(positions: GaussianMixture, data: TrainingSet, A: Array) -> Array:
    """(K, d, d) covariance of the velocities around each component's linear field, weighted by its gate."""
    gates = positions.responsibilities(data.x)
    error = data.v[:, None, :] - np.einsum("kij,nj->nki", A, data.x - data.attractor)
    total = gates.sum(axis=0)
    noise = np.einsum("nk,nki,nkj->kij", gates, error, error) / np.maximum(total, 1e-9)[:, None, None]
    return noise + 1e-6 * np.square(data.v).mean() * np.eye(data.x.shape[1])
