"""Unit quaternions as arrays, [x, y, z, w] as in ROS, for code in which SciPy's rotations are too slow or unsafe."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def from_matrix(rotation: ArrayLike) -> Array:
    """Quaternions (..., 4) of rotation matrices (..., 3, 3), with w >= 0 (Bar-Itzhack, J. Guidance 2000).

    SciPy's own function fails in one thread while another imports torch, because it looks for tensors in the partly
    loaded module. This happens whenever the live page opens.
    """
    r = np.asarray(rotation, dtype=np.float64)
    trace = np.trace(r, axis1=-2, axis2=-1)
    k = np.empty((*r.shape[:-2], 4, 4))
    k[..., :3, :3] = r + np.swapaxes(r, -1, -2) - trace[..., None, None] * np.eye(3)
    k[..., 3, 0] = r[..., 2, 1] - r[..., 1, 2]
    k[..., 3, 1] = r[..., 0, 2] - r[..., 2, 0]
    k[..., 3, 2] = r[..., 1, 0] - r[..., 0, 1]
    k[..., :3, 3] = k[..., 3, :3]
    k[..., 3, 3] = trace
    q = np.linalg.eigh(k)[1][..., -1]  # eigenvector of the largest eigenvalue
    return np.where(q[..., 3:] < 0.0, -q, q)


def multiply(p: Array, q: Array) -> Array:
    """Hamilton product p q, (..., 4)."""
    a, s = p[..., :3], p[..., 3:]
    b, t = q[..., :3], q[..., 3:]
    vector = s * b + t * a + np.cross(a, b)
    return np.concatenate([vector, s * t - (a * b).sum(axis=-1, keepdims=True)], axis=-1)


def conjugate(q: Array) -> Array:
    """The inverse of a unit quaternion, (..., 4)."""
    return q * np.array([-1.0, -1.0, -1.0, 1.0])
