"""The plain skill: a mixture over [x; v] without a guarantee of stability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from numpy.typing import ArrayLike

from sac_gmm.models.fields.model import SkillModel
from sac_gmm.models.fields.training_set import TrainingSet, training_set
from sac_gmm.models.fields.validation import best_candidate
from sac_gmm.models.mixtures.em import EmResult, fit_mixture
from sac_gmm.models.mixtures.selection import select_components

COMPONENTS = (3, 5, 7, 9, 12)  # the choices of "auto"


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
    selection: Literal["unseen", "knee", "bic"] = "unseen",
    align_ends: bool = False,
) -> SkillModel:
    """Fit a mixture over [x; v] by expectation maximisation.

    Args:
        x: (N, d) states, demonstration after demonstration.
        v: (N, d) velocities.
        lengths: Samples per demonstration.
        n_components: K, or "auto": chosen by `selection`.
        seed: For all starts but the first, which is deterministic.
        covariance: "full" or "diagonal" (which regresses to piecewise constant velocities).
        n_init: Number of starts, of which the best is kept.
        tolerance: Of the mean log-likelihood.
        regularisation: Relative to the variance of the data.
        selection: How "auto" finds K. "unseen": the K that best predicts each demonstration from the others; "knee" and
            "bic": see `selection.select_components`. The knee is also taken for a single demonstration.
        align_ends: Whether to shift the demonstrations to a common end first.

    Raises:
        UserError: The samples do not fit together or are not finite.
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

    def fit_k(part: TrainingSet, k: int) -> EmResult:
        return fit_mixture(part.joint, k, lengths=part.lengths, **options)

    if n_components != "auto":
        result = fit_k(data, n_components)
    elif selection == "unseen" and len(data.lengths) > 1:
        choices = [k for k in COMPONENTS if 4 * k <= min(data.lengths)] or [1]
        best = best_candidate(data, choices, lambda part, k: SkillModel("gmm", fit_k(part, k).mixture, part.attractor))
        result = fit_k(data, best)
    else:
        k, fits = select_components(data.joint, data.lengths, rule="bic" if selection == "bic" else "knee", **options)
        result = fits[k]
    fit = {
        "n_components": n_components,
        "seed": seed,
        "covariance": covariance,
        "n_init": n_init,
        "selection": selection,
        "align_ends": align_ends,
        "n_samples": len(data.x),
        "n_demonstrations": len(data.lengths),
        "log_likelihood": result.log_likelihood,
    }
    return SkillModel("gmm", result.mixture, data.attractor, meta={"fit": fit})
