"""Unit quaternions by three-dimensional tangent vectors, so that orientation skills are ordinary mixtures.

Quaternions are [x, y, z, w] as in ROS. The tangent vector of q at the base r is the rotation vector u of r^-1 q: the
turn in radians, in the axes of the frame r. With r the target orientation, u is a state like a position relative to the
target: fit on u and its rate, three coordinates and no constraint (Zeestraten et al., RA-L 2017; the four-dimensional
tangents of other libraries make singular covariances).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sac_gmm.core.errors import UserError

Array = NDArray[np.float64]

_SMALL = 1e-6  # below this angle the series is exact to rounding


def normalised(q: ArrayLike) -> Array:
    """Quaternions (..., 4) scaled to unit length.

    Raises:
        UserError: One is zero or not finite.
    """
    quaternion = np.asarray(q, dtype=np.float64)
    length = np.linalg.norm(quaternion, axis=-1, keepdims=True)
    if quaternion.shape[-1:] != (4,) or not (np.isfinite(length) & (length > 1e-9)).all():
        raise UserError("a quaternion [x, y, z, w] must be four finite numbers that are not all zero")
    return quaternion / length


def from_matrix(rotation: ArrayLike) -> Array:
    """Quaternions (..., 4) of rotation matrices (..., 3, 3), with w >= 0 (Bar-Itzhack, J. Guidance 2000).

    Here because scipy's fails in a thread while another loads torch (it asks a half-loaded module for its tensors),
    which is what happens while the live page opens.
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
    q = np.linalg.eigh(k)[1][..., -1]  # of the largest eigenvalue
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


def log_map(q: ArrayLike, base: ArrayLike) -> Array:
    """Tangent vectors u (..., 3) of `q` at `base`, in radians, |u| <= pi; q and -q give the same."""
    relative = multiply(conjugate(normalised(base)), normalised(q))
    relative = np.where(relative[..., 3:] < 0.0, -relative, relative)
    sine = np.linalg.norm(relative[..., :3], axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(sine, relative[..., 3:])
    return relative[..., :3] * np.where(sine > _SMALL, angle / np.maximum(sine, _SMALL), 2.0)


def exp_map(u: ArrayLike, base: ArrayLike) -> Array:
    """Unit quaternions (..., 4) at the tangent vectors `u` (..., 3) of `base`."""
    vector = np.asarray(u, dtype=np.float64)
    half = 0.5 * np.linalg.norm(vector, axis=-1, keepdims=True)
    turn = np.concatenate([0.5 * vector * np.sinc(half / np.pi), np.cos(half)], axis=-1)
    return multiply(normalised(base), turn)


def continuous(u: ArrayLike) -> Array:
    """A path of tangent vectors (T, 3) without jumps by a full turn: where it passes |u| = pi it goes on beyond."""
    path = np.array(u, dtype=np.float64)
    for t in range(1, len(path)):
        angle = np.linalg.norm(path[t])
        if angle > _SMALL:
            axis = path[t] / angle
            path[t] -= axis * 2.0 * np.pi * np.round(axis @ (path[t] - path[t - 1]) / (2.0 * np.pi))
    return path


def angular_velocity(u: ArrayLike, u_rate: ArrayLike) -> Array:
    """Angular velocity (..., 3) in the axes of the base, rad/s, of a turn whose tangent vector `u` changes at `u_rate`.

    omega = u' + (1 - cos a)/a^2 u x u' + (a - sin a)/a^3 u x (u x u') with a = |u| (left Jacobian of SO(3)).
    """
    vector, rate = np.asarray(u, dtype=np.float64), np.asarray(u_rate, dtype=np.float64)
    first, second = _jacobian_terms(vector)
    once = np.cross(vector, rate)
    return rate + first * once + second * np.cross(vector, once)


def tangent_rate(u: ArrayLike, omega: ArrayLike) -> Array:
    """The rate u' (..., 3) that goes with the angular velocity `omega` in the base's axes: undoes `angular_velocity`.

    u' = omega - u x omega / 2 + (1/a^2 - (1 + cos a)/(2 a sin a)) u x (u x omega), |u| < 2 pi.
    """
    vector, turn = np.asarray(u, dtype=np.float64), np.asarray(omega, dtype=np.float64)
    a = np.linalg.norm(vector, axis=-1, keepdims=True)
    safe = np.maximum(a, 1e-3)
    factor = np.where(a > 1e-3, 1.0 / safe**2 - 0.5 / (safe * np.tan(0.5 * safe)), 1.0 / 12.0)
    once = np.cross(vector, turn)
    return turn - 0.5 * once + factor * np.cross(vector, once)


def mean_orientation(q: ArrayLike) -> Array:
    """The mean (4,) of quaternions (N, 4) on the sphere (Karcher): where their tangent vectors sum to zero."""
    quaternions = normalised(q)
    mean = quaternions[0]
    for _ in range(50):
        step = log_map(quaternions, mean).mean(axis=0)
        mean = normalised(exp_map(step, mean))
        if np.linalg.norm(step) < 1e-12:
            break
    return mean


def _jacobian_terms(vector: Array) -> tuple[Array, Array]:
    a = np.linalg.norm(vector, axis=-1, keepdims=True)
    safe = np.maximum(a, 1e-3)
    first = np.where(a > 1e-3, 2.0 * np.sin(0.5 * safe) ** 2 / safe**2, 0.5 - a**2 / 24.0)
    second = np.where(a > 1e-3, (safe - np.sin(safe)) / safe**3, 1.0 / 6.0 - a**2 / 120.0)
    return first, second
