"""How well a field or a motion follows a demonstration: the definitions of the LPV-DS evaluation (reference: ds-opt).

Units follow the input; the published numbers are in millimetres and seconds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sac_gmm.core.errors import UserError
from sac_gmm.models.mixtures.mixture import Array


def velocity_rmse(predicted: ArrayLike, measured: ArrayLike) -> float:
    """mean_n sqrt(mean_d (f(x_n)_d - v_nd)^2): the root per point, then the mean."""
    error = _difference(predicted, measured)
    return float(np.sqrt(np.square(error).mean(axis=1)).mean())


def direction_error(predicted: ArrayLike, measured: ArrayLike) -> float:
    """e_dot = mean_n |1 - cos(f(x_n), v_n)| in 0..2; a point at rest on either side counts as zero."""
    f, v = np.asarray(predicted, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    _difference(f, v)
    length = np.linalg.norm(f, axis=1) * np.linalg.norm(v, axis=1)
    cosine = np.divide((f * v).sum(axis=1), length, out=np.ones(len(f)), where=length > 0.0)
    return float(np.abs(1.0 - cosine).mean())


def dtw_distance(path: ArrayLike, reference: ArrayLike) -> float:
    """DTWD: the sum of Euclidean distances along the cheapest alignment, no window, not normalised.

    Args:
        path: (N, d).
        reference: (M, d).
    """
    from sac_gmm.models.fields.dtw import dtw

    a, b = np.ascontiguousarray(path, dtype=np.float64), np.ascontiguousarray(reference, dtype=np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or not len(a) or not len(b):
        raise UserError(f"DTWD needs paths of shapes (N, d) and (M, d), not {a.shape} and {b.shape}")
    return float(dtw(a, b))


def _difference(predicted: ArrayLike, measured: ArrayLike) -> Array:
    f, v = np.asarray(predicted, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    if f.shape != v.shape or f.ndim != 2:
        raise UserError(f"predicted and measured velocities must both have shape (N, d), not {f.shape} and {v.shape}")
    return f - v
