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


def swept_error_area(path: ArrayLike, reference: ArrayLike) -> float:
    """SEA of two plane paths: the areas of the quadrilaterals between their steps (CLF-DM 2014, eq. 14).

    Args:
        path: (N, 2), resampled to the reference's length at equal spans of its index.
        reference: (M, 2).
    """
    b = np.asarray(reference, dtype=np.float64)
    a = resample(np.asarray(path, dtype=np.float64), len(b))
    if b.ndim != 2 or b.shape[1] != 2:
        raise UserError(f"the swept error area is defined in the plane: paths of shape (N, 2), not {b.shape}")
    # Each quadrilateral (a_t, a_t+1, b_t+1, b_t) is cut along a diagonal into two triangles.
    first, second = _triangle(a[:-1], a[1:], b[1:]), _triangle(a[:-1], b[1:], b[:-1])
    return float((np.abs(first) + np.abs(second)).sum())


def end_point_error(path: ArrayLike, attractor: ArrayLike) -> float:
    """Distance of the last point of `path` (N, d) from `attractor` (d,)."""
    return float(np.linalg.norm(np.asarray(path, dtype=np.float64)[-1] - np.asarray(attractor, dtype=np.float64)))


def resample(path: Array, n: int) -> Array:
    """`path` (N, d) at `n` equal spans of its index, linearly between samples."""
    at = np.linspace(0.0, len(path) - 1.0, n)
    return np.stack([np.interp(at, np.arange(len(path)), column) for column in path.T], axis=1)


def _difference(predicted: ArrayLike, measured: ArrayLike) -> Array:
    f, v = np.asarray(predicted, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    if f.shape != v.shape or f.ndim != 2:
        raise UserError(f"predicted and measured velocities must both have shape (N, d), not {f.shape} and {v.shape}")
    return f - v


def _triangle(a: Array, b: Array, c: Array) -> Array:
    u, w = b - a, c - a
    return 0.5 * (u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0])
