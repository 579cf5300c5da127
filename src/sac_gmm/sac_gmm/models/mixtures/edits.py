"""Edits of a mixture by unbounded numbers: any vector gives a simplex and positive definite covariances.

An agent outputs unbounded numbers, and zero must mean "leave the skill as it is". Each function takes a mixture and an
edit and returns the edited mixture; `project` of the result restores the certificate.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sac_gmm.core.errors import UserError
from sac_gmm.models.mixtures.mixture import Array, GaussianMixture, log_priors, softmax

_MAX_EDIT = 3.0
_BLEND_SHARE = 1e-4

CovarianceForm = Literal["log_cholesky", "eigen_scale"]


def edit_priors(mixture: GaussianMixture, logits: ArrayLike) -> GaussianMixture:
    """Priors softmax(log prior + logits): a simplex for any (K,) `logits`."""
    edit = _edit(logits, (mixture.n_components,), "logits")
    return GaussianMixture(softmax(log_priors(mixture.priors) + edit), mixture.means, mixture.covariances)


def edit_means(mixture: GaussianMixture, shifts: ArrayLike) -> GaussianMixture:
    """Means moved by `shifts` (K, D), in the units of the coordinates."""
    edit = _edit(shifts, mixture.means.shape, "shifts")
    return GaussianMixture(mixture.priors, mixture.means + edit, mixture.covariances)


def n_covariance_numbers(dim: int, form: CovarianceForm) -> int:
    """How many numbers one covariance takes: D (D + 1) / 2 for the Cholesky form, D for the eigenvalue form."""
    return dim * (dim + 1) // 2 if form == "log_cholesky" else dim


def edit_covariances(mixture: GaussianMixture, edits: ArrayLike, form: CovarianceForm) -> GaussianMixture:
    """Covariances changed by unbounded numbers that keep them positive definite.

    Args:
        mixture: What to edit.
        edits: (K, n_covariance_numbers(D, form)), clipped to +-3, a factor of 20 in width.
        form: "log_cholesky": (L T)(L T)', where L L' is the covariance before the edit and T is lower triangular: the
            edit row by row, with logarithms on the diagonal. "eigen_scale": each half axis is multiplied by exp(edit),
            beginning with the shortest; directions stay. A ten-thousandth of the covariance before the edit is added,
            so that no edit gives a matrix that is singular in double precision.
    """
    count = n_covariance_numbers(mixture.dim, form)
    edit = np.clip(_edit(edits, (mixture.n_components, count), "edits"), -_MAX_EDIT, _MAX_EDIT)
    if form == "log_cholesky":
        factor = mixture.choleskys @ _lower_triangles(edit, mixture.dim)
    else:
        values, vectors = np.linalg.eigh(mixture.covariances)
        factor = vectors * (np.sqrt(values) * np.exp(edit))[:, None, :]
    covariances = (factor @ np.swapaxes(factor, 1, 2) + _BLEND_SHARE * mixture.covariances) / (1.0 + _BLEND_SHARE)
    return GaussianMixture(mixture.priors, mixture.means, 0.5 * (covariances + np.swapaxes(covariances, 1, 2)))


def _lower_triangles(edit: Array, dim: int) -> Array:
    T = np.zeros((len(edit), dim, dim))
    rows, columns = np.tril_indices(dim)
    T[:, rows, columns] = np.where(rows == columns, np.exp(edit), edit)
    return T


def _edit(value: ArrayLike, shape: tuple[int, ...], name: str) -> Array:
    edit = np.asarray(value, dtype=np.float64)
    if edit.shape != shape or not np.isfinite(edit).all():
        raise UserError(f"{name} must be finite numbers of shape {shape}, not of shape {edit.shape}")
    return edit
