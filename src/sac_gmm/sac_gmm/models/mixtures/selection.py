"""How many components: the knee of the Bayesian information criterion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from sac_gmm.models.mixtures.em import EmResult, fit_mixture
from sac_gmm.models.mixtures.mixture import Array

MAX_COMPONENTS = 15


def n_parameters(n_components: int, dim: int, covariance: str = "full") -> int:
    """Free numbers of a mixture: K - 1 priors, K D means and K D (D + 1) / 2 (or K D) covariances."""
    per_covariance = dim * (dim + 1) // 2 if covariance == "full" else dim
    return n_components * (1 + dim + per_covariance) - 1


def effective_samples(data: Array, lengths: Sequence[int]) -> float:
    """The number of independent samples in the trajectories.

    Neighbouring samples of a motion are correlated. Each demonstration counts for its length divided by the lag at
    which its autocorrelation (worst coordinate) first falls below 1/e, but for at least two samples.
    """
    total = 0.0
    for demo in np.split(data, np.cumsum(lengths)[:-1]):
        centred = demo - demo.mean(axis=0)
        power = np.abs(np.fft.rfft(centred, 2 * len(demo), axis=0)) ** 2
        correlation = np.fft.irfft(power, axis=0)[: len(demo)]
        moving = correlation[0] > 1e-12 * max(correlation[0].max(), 1e-300)
        correlation = correlation[:, moving] / correlation[0, moving]
        lag = max((int(np.argmax(c < np.exp(-1.0))) or len(demo) for c in correlation.T), default=len(demo))
        total += max(len(demo) / lag, 2.0)
    return total


def select_components(
    data: Array,
    lengths: Sequence[int],
    *,
    rule: Literal["knee", "bic"] = "knee",
    max_components: int = MAX_COMPONENTS,
    **options: Any,
) -> tuple[int, dict[int, EmResult]]:
    """Choose K.

    Args:
        data: (N, D).
        lengths: Samples per demonstration.
        rule: "knee": the K farthest below the chord of the BIC curve from K = 1 to its minimum; "bic": the minimum of
            the BIC in which both the likelihood and the penalty count effective samples only.
        max_components: Largest K tried; less if the demonstrations are short.
        **options: For `fit_mixture`.

    Returns:
        K, and every fit made.
    """
    cap = max(1, min(max_components, min(lengths) // 4))
    fits = {k: fit_mixture(data, k, lengths=lengths, **options) for k in range(1, cap + 1)}
    n = len(data) if rule == "knee" else effective_samples(data, lengths)
    d, covariance = data.shape[1], options.get("covariance", "full")
    bic = np.array([-2.0 * n * fits[k].log_likelihood + n_parameters(k, d, covariance) * np.log(n) for k in fits])
    best = int(np.argmin(bic))
    if rule == "knee" and best > 1:
        chord = np.linspace(bic[0], bic[best], best + 1)
        best = int(np.argmax(chord - bic[: best + 1]))
    return best + 1, fits
