"""LPV-DS: linear systems through one attractor, blended by a mixture over positions, stable in a learned metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from sac_gmm.errors import SacGmmError
from sac_gmm.models.em import fit_mixture
from sac_gmm.models.lmi import GainProblem
from sac_gmm.models.lyapunov import learn_metric, minimise_metric
from sac_gmm.models.mixture import Array, GaussianMixture
from sac_gmm.models.model import SkillModel
from sac_gmm.models.selection import select_components
from sac_gmm.models.stability import with_gains
from sac_gmm.models.training import TrainingSet, training_set

RELATIVE_MARGIN = 0.01


def fit_lpv_ds(
    x: ArrayLike,
    v: ArrayLike,
    lengths: Sequence[int],
    n_components: int | Literal["auto"] = "auto",
    seed: int = 0,
    *,
    directional: bool = True,
    metric: Literal["refined", "learned", "identity"] = "refined",
    margin_1_s: float | None = None,
    n_init: int = 1,
    align_ends: bool = True,
) -> SkillModel:
    """Fit f(x) = sum_k h_k(x) A_k (x - attractor) with a certificate (Figueroa and Billard, CoRL 2018).

    Three steps: a mixture over position and direction of motion, whose position part gives the gates; the metric P of
    the Lyapunov function; the gains A_k by least squares under A_k' P + P A_k <= -2 margin P.

    Args:
        x: (N, d) states, demonstration after demonstration.
        v: (N, d) velocities.
        lengths: Samples per demonstration.
        n_components: K, or "auto" for the knee of the BIC.
        seed: For random starts.
        directional: Cluster by position and direction of motion, so that branches which cross or return do not share a
            component; by position alone otherwise.
        metric: "learned" from the directions of motion; "refined": then improved together with the gains; "identity".
        margin_1_s: Certified decay rate; a hundredth of the ratio of typical speed to typical distance if left out.
        n_init: Starts of the clustering.
        align_ends: Shift the demonstrations to a common end.

    Raises:
        SacGmmError: The samples do not fit together or are not finite.
    """
    data = training_set(x, v, lengths, align_ends=align_ends)
    d = data.x.shape[1]
    y = data.x - data.attractor
    reach, speed = np.sqrt(np.square(y).mean()), np.sqrt(np.square(data.v).mean())
    if not (reach > 0 and speed > 0):
        raise SacGmmError("the demonstrations do not move: a dynamical system needs motion")
    margin = RELATIVE_MARGIN * float(speed / reach) if margin_1_s is None else margin_1_s
    clusters = cluster(data, n_components, directional, n_init, seed)
    positions = clusters.marginal(slice(0, d))
    problem = GainProblem(positions.responsibilities(data.x), y / reach, data.v / speed)
    rate = margin * float(reach / speed)  # the problem is solved in units of the typical distance and speed
    P = np.eye(d) if metric == "identity" else learn_metric(y, data.v, seed)
    if metric == "refined":
        P = refine_metric(problem, P, rate)
    A = problem.solve(P, rate).A * (speed / reach)
    model = SkillModel(
        "lpv_ds",
        _with_velocities(positions),
        data.attractor,
        meta={
            "fit": {
                "n_components": n_components,
                "seed": seed,
                "directional": directional,
                "metric": metric,
                "margin_1_s": margin,
                "n_init": n_init,
                "align_ends": align_ends,
                "n_samples": len(data.x),
                "n_demonstrations": len(data.lengths),
            }
        },
    )
    return with_gains(model, A, _noise(positions, data, A), P, margin)


def cluster(
    data: TrainingSet, n_components: int | Literal["auto"], directional: bool, n_init: int, seed: int
) -> GaussianMixture:
    """The mixture over x, or over [x; direction of motion], whose position part gives the gates."""
    samples, groups = data.x, [0] * data.x.shape[1]
    if directional:
        speed = np.linalg.norm(data.v, axis=1, keepdims=True)
        samples = np.concatenate([data.x, data.v / np.maximum(speed, 1e-6 * speed.max())], axis=1)
        groups = data.groups
    options: dict[str, Any] = {"groups": groups, "n_init": n_init, "seed": seed, "tolerance": 1e-4}
    if n_components == "auto":
        k, fits = select_components(samples, data.lengths, **options)
        return fits[k].mixture
    return fit_mixture(samples, n_components, lengths=data.lengths, **options).mixture


def refine_metric(problem: GainProblem, P: Array, rate: float, max_evaluations: int = 25) -> Array:
    """Improve P together with the gains: descend the optimal cost, whose gradient the solver's dual variables give."""

    def objective(metric: Array) -> tuple[float, Array]:
        fit = problem.solve(metric, rate)
        return fit.cost, fit.metric_gradient

    return minimise_metric(objective, np.linalg.cholesky(P), max_evaluations)[1]


def _with_velocities(positions: GaussianMixture) -> GaussianMixture:
    """The joint mixture with room for velocities, still without any."""
    k, d = positions.means.shape
    covariances = np.tile(np.eye(2 * d), (k, 1, 1))
    covariances[:, :d, :d] = positions.covariances
    return GaussianMixture(positions.priors, np.concatenate([positions.means, np.zeros((k, d))], axis=1), covariances)


def _noise(positions: GaussianMixture, data: TrainingSet, A: Array) -> Array:
    """(K, d, d) covariance of the velocities around each component's linear field, weighted by its gate."""
    gates = positions.responsibilities(data.x)
    error = data.v[:, None, :] - np.einsum("kij,nj->nki", A, data.x - data.attractor)
    total = gates.sum(axis=0)
    noise = np.einsum("nk,nki,nkj->kij", gates, error, error) / np.maximum(total, 1e-9)[:, None, None]
    return noise + 1e-6 * np.square(data.v).mean() * np.eye(data.x.shape[1])
