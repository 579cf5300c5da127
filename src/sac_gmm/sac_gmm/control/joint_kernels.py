"""The compiled loops of `sac_gmm.control.joint_limits`. Importing them compiles them, once per machine."""

from __future__ import annotations

import math

import numpy as np
from numba import types

from sac_gmm.core.compiling import compiled

NO_WALL, JOINT_WALL, SINGULAR_WALL = 0, 1, 2

_vector = types.Array(types.float64, 1, "C")
_rows = types.Array(types.float64, 2, "C")
_real = types.float64


@compiled()
def _cross(a, b):
    return np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


@compiled()
def _braked(distance_m, band_m, acceleration, top_m_s, dt_s):
    """Speed from which the tip stops within a distance: v^2 / (2 a) + v dt = distance; linear within the band."""
    if distance_m <= 0.0:
        return 0.0
    allowed = acceleration * (math.sqrt(dt_s * dt_s + 2 * distance_m / acceleration) - dt_s)
    if distance_m < band_m:
        allowed = min(allowed, top_m_s * distance_m / band_m)
    return allowed


@compiled(_real(_rows, _real, _real, _rows, _vector))
def posture(jacobian, length_m, damping, inverse, gradient):
    """Compute the singularity measure s, its gradient, and the damped inverse Jacobian for a tip that does not rotate.

    Args:
        jacobian: Shape (6, n), base axes.
        length_m: Weight of the angular rows.
        damping: Damping of the inverse, in the unit of s.
        inverse: Out, joint speeds per speed of the tip, shape (n, 3).
        gradient: Out, ds/dq, shape (n,).
    """
    n = jacobian.shape[1]
    J = jacobian.copy()
    J[3:] *= length_m
    squares, U = np.linalg.eigh(J @ J.T)
    s = math.sqrt(max(squares[0], 0.0))
    for k in range(n):
        for i in range(3):
            inverse[k, i] = 0.0
    for m in range(6):
        factor = 1.0 / (max(squares[m], 0.0) + max(damping * damping, 1e-12))
        for k in range(n):
            along = 0.0
            for i in range(6):
                along += J[i, k] * U[i, m]
            for i in range(3):
                inverse[k, i] += along * factor * U[i, m]

    a = U[:3, 0]
    b = U[3:, 0] * length_m
    v = J.T @ U[:, 0] / max(s, 1e-9)
    # For axes z_k and lever arms p_k (the columns): dJ_j/dq_k = (z_k x p_j, z_k x z_j) if j >= k, else (z_j x p_k, 0).
    before = np.zeros(3)
    after = np.zeros(3)
    for j in range(n):
        z, p = J[3:, j] / length_m, J[:3, j]
        after += v[j] * (_cross(p, a) + _cross(z, b))
    for k in range(n):
        z, p = J[3:, k] / length_m, J[:3, k]
        way = _cross(p, a)
        gradient[k] = 0.0
        for i in range(3):
            gradient[k] += z[i] * after[i] + before[i] * way[i]
        after -= v[k] * (way + _cross(z, b))
        before += v[k] * z
    return s


@compiled(
    types.Tuple((_real, types.int64))(
        *(_vector, _vector, _vector, _vector, _vector, _rows, _vector),
        *(_real, _real, _real, _real, _real, _real, _real),
    )
)
def allowed_speed(
    velocity, committed, joints, lower, upper, inverse, gradient, s, band, s_stop, s_slow, acceleration, top_m_s, dt_s
):
    """Compute the speed allowed in a direction, and which kind of wall limits it.

    Args:
        velocity: Velocity of the tip, shape (3,).
        committed: Displacement that the tip will still cover, shape (3,).
        joints: Joint positions, shape (n,).
        lower: Lower joint limits, margin included, shape (n,).
        upper: Upper joint limits, margin included, shape (n,).
        inverse: As computed by `posture`.
        gradient: As computed by `posture`.
        s: The singularity measure.
        band: Width of the slow-down band of the joints, rad.
        s_stop: Measure at which the arm stops.
        s_slow: Measure at which it begins to slow down.
        acceleration: Acceleration available for braking, m/s^2.
        top_m_s: Speed allowed at the edge of a band.
        dt_s: The control period.
    """
    speed = math.sqrt(velocity[0] ** 2 + velocity[1] ** 2 + velocity[2] ** 2)
    allowed, wall = math.inf, NO_WALL
    if speed < 1e-9:
        return allowed, wall
    slope = 0.0
    for k in range(joints.shape[0]):
        rate = (inverse[k, 0] * velocity[0] + inverse[k, 1] * velocity[1] + inverse[k, 2] * velocity[2]) / speed
        ahead = inverse[k, 0] * committed[0] + inverse[k, 1] * committed[1] + inverse[k, 2] * committed[2]
        s += gradient[k] * ahead
        slope -= gradient[k] * rate
        if rate != 0.0:
            room = ((upper[k] if rate > 0.0 else lower[k]) - joints[k] - ahead) / rate
            cap = _braked(room, band / abs(rate), acceleration, top_m_s, dt_s)
            if cap < allowed:
                allowed, wall = cap, JOINT_WALL
    if slope > 1e-6:
        cap = _braked((s - s_stop) / slope, (s_slow - s_stop) / slope, acceleration, top_m_s, dt_s)
        if cap < allowed:
            allowed, wall = cap, SINGULAR_WALL
    return allowed, wall
