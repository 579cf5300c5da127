"""The plain skill: a mixture over [x; v], no stability promised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from numpy.typing import ArrayLike

from sac_gmm.models.em import fit_mixture
from sac_gmm.models.model import SkillModel
from sac_gmm.models.selection import select_components
from sac_gmm.models.training import training_set


def fit_gmm(
    x: ArrayLike,
    v: ArrayLike,
    lengths: Sequence[int],
    n_components: int | Literal["auto"] = "auto",
    seed: int = 0,
    *,
    covariance: Literal["full", "diagonal"] = "full",
    n_init: int = 3,
    tolerance: float = 1e-4,
    regularisation: float = 1e-6,
    align_ends: bool = False,
) -> SkillModel:
    """Fit a mixture over [x; v] by expectation maximisation.

    Args:
        x: (N, d) states, demonstration after demonstration.
        v: (N, d) velocities.
        lengths: Samples per demonstration.
        n_components: K, or "auto" for the knee of the BIC.
        seed: For all starts but the first, which is deterministic.
        covariance: "full" or "diagonal" (which regresses to piecewise constant velocities).
        n_init: Starts, of which the best is kept.
        tolerance: Of the mean log-likelihood.
        regularisation: Relative to the variance of the data.
        align_ends: Whether to shift the demonstrations to a common end first.

    Raises:
        SacGmmError: The samples do not fit together or are not finite.
    """
    data = training_set(x, v, lengths, align_ends=align_ends)
    options: dict[str, Any] = {
        "groups": data.groups,
        "covariance": covariance,
        "n_init": n_init,
        "tolerance": tolerance,
        "regularisation": regularisation,
        "seed": seed,
    }
    if n_components == "auto":
        k, fits = select_components(data.joint, data.lengths, **options)
        result = fits[k]
    else:
        result = fit_mixture(data.joint, n_components, lengths=data.lengths, **options)
    fit = {
        "n_components": n_components,
        "seed": seed,
        "covariance": covariance,
        "n_init": n_init,
        "align_ends": align_ends,
        "n_samples": len(data.x),
        "n_demonstrations": len(data.lengths),
        "log_likelihood": result.log_likelihood,
    }
    return SkillModel("gmm", result.mixture, data.attractor, meta={"fit": fit})
