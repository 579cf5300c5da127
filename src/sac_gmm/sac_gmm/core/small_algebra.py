"""Small dense algebra and quaternions, compiled: what a controller needs many times a second on tiny arrays."""

from __future__ import annotations

import numpy as np
from numba import boolean, float64, int64, types

from sac_gmm.core.compiling import compiled

VECTOR, MATRIX = float64[::1], float64[:, ::1]


@compiled(boolean(VECTOR, VECTOR, VECTOR))
def clip_finite(v, low, high):
    """Clip the numbers of `v`, in place, to bounds; whether all of them were finite."""
    finite = True
    for i in range(v.shape[0]):
        finite &= np.isfinite(v[i])
        v[i] = max(min(v[i], high[i]), low[i])
    return finite


@compiled(types.void(MATRIX, int64))
def cholesky(A, n):
    """Lower Cholesky factor of the leading (n, n) block, in place; what is above the diagonal stays."""
    for j in range(n):
        for i in range(j, n):
            total = A[i, j]
            for k in range(j):
                total -= A[i, k] * A[j, k]
            A[i, j] = np.sqrt(total) if i == j else total / A[j, j]


@compiled(types.void(MATRIX, VECTOR, int64))
def solve_lower(L, b, n):
    """Solve L x = b in place, with the leading (n, n) block of a lower triangular L."""
    for i in range(n):
        total = b[i]
        for k in range(i):
            total -= L[i, k] * b[k]
        b[i] = total / L[i, i]


@compiled(types.void(MATRIX, VECTOR, int64))
def solve_lower_transposed(L, b, n):
    """Solve L' x = b in place, with the leading (n, n) block of a lower triangular L."""
    for i in range(n - 1, -1, -1):
        total = b[i]
        for k in range(i + 1, n):
            total -= L[k, i] * b[k]
        b[i] = total / L[i, i]


@compiled(types.void(MATRIX, MATRIX, MATRIX))
def square_root(S, U, T):
    """Square root of a symmetric positive (6, 6) matrix, in place, by Jacobi rotations.

    Args:
        S: The matrix, then its root.
        U: Orthogonal; its columns are guesses of the eigenvectors, then the eigenvectors.
        T: Room to work in, (6, 6).
    """
    n = S.shape[0]
    for i in range(n):
        for j in range(n):
            total = 0.0
            for k in range(n):
                total += S[i, k] * U[k, j]
            T[i, j] = total
    for i in range(n):
        for j in range(i, n):
            total = 0.0
            for k in range(n):
                total += U[k, i] * T[k, j]
            S[i, j] = total
            S[j, i] = total
    for _ in range(12):
        off = diagonal = 0.0
        for i in range(n):
            diagonal += S[i, i] * S[i, i]
            for j in range(i):
                off += S[i, j] * S[i, j]
        if off <= 1e-18 * diagonal:
            break
        for p in range(n - 1):
            for q in range(p + 1, n):
                if S[p, q] * S[p, q] < 1e-20 * S[p, p] * S[q, q]:
                    continue
                theta = (S[q, q] - S[p, p]) / (2.0 * S[p, q])
                t = (1.0 if theta >= 0.0 else -1.0) / (abs(theta) + np.sqrt(theta * theta + 1.0))
                c = 1.0 / np.sqrt(t * t + 1.0)
                s = t * c
                for k in range(n):
                    a, b = S[k, p], S[k, q]
                    S[k, p], S[k, q] = c * a - s * b, s * a + c * b
                for k in range(n):
                    a, b = S[p, k], S[q, k]
                    S[p, k], S[q, k] = c * a - s * b, s * a + c * b
                    a, b = U[k, p], U[k, q]
                    U[k, p], U[k, q] = c * a - s * b, s * a + c * b
    for k in range(n):
        root = np.sqrt(max(S[k, k], 0.0))
        for i in range(n):
            T[i, k] = U[i, k] * root
    for i in range(n):
        for j in range(i, n):
            total = 0.0
            for k in range(n):
                total += T[i, k] * U[j, k]
            S[i, j] = total
            S[j, i] = total


@compiled(types.void(VECTOR, VECTOR))
def to_quaternion(R, out):
    """Quaternion x, y, z, w, (4,), of a rotation matrix given row by row, (9,)."""
    trace = R[0] + R[4] + R[8]
    if trace > 0.0:
        s = 2.0 * np.sqrt(trace + 1.0)
        out[0], out[1], out[2], out[3] = (R[7] - R[5]) / s, (R[2] - R[6]) / s, (R[3] - R[1]) / s, 0.25 * s
    elif R[0] > R[4] and R[0] > R[8]:
        s = 2.0 * np.sqrt(1.0 + R[0] - R[4] - R[8])
        out[0], out[1], out[2], out[3] = 0.25 * s, (R[1] + R[3]) / s, (R[2] + R[6]) / s, (R[7] - R[5]) / s
    elif R[4] > R[8]:
        s = 2.0 * np.sqrt(1.0 + R[4] - R[0] - R[8])
        out[0], out[1], out[2], out[3] = (R[1] + R[3]) / s, 0.25 * s, (R[5] + R[7]) / s, (R[2] - R[6]) / s
    else:
        s = 2.0 * np.sqrt(1.0 + R[8] - R[0] - R[4])
        out[0], out[1], out[2], out[3] = (R[2] + R[6]) / s, (R[5] + R[7]) / s, 0.25 * s, (R[3] - R[1]) / s


@compiled(types.void(VECTOR, VECTOR, VECTOR))
def rotation_between(start_xyzw, end_xyzw, out):
    """Rotation vector (rad, base axes, (3,)) that turns one orientation into the other, the short way round."""
    x1, y1, z1, w1 = start_xyzw[0], start_xyzw[1], start_xyzw[2], start_xyzw[3]
    x2, y2, z2, w2 = end_xyzw[0], end_xyzw[1], end_xyzw[2], end_xyzw[3]
    # Vector and scalar part of end * conjugate(start).
    x = -w2 * x1 + x2 * w1 - y2 * z1 + z2 * y1
    y = -w2 * y1 + x2 * z1 + y2 * w1 - z2 * x1
    z = -w2 * z1 - x2 * y1 + y2 * x1 + z2 * w1
    w = w2 * w1 + x2 * x1 + y2 * y1 + z2 * z1
    if w < 0.0:
        x, y, z, w = -x, -y, -z, -w
    sine = np.sqrt(x * x + y * y + z * z)
    scale = 2.0 if sine < 1e-9 else 2.0 * np.arctan2(sine, w) / sine
    out[0], out[1], out[2] = scale * x, scale * y, scale * z


@compiled(types.void(VECTOR, VECTOR, float64))
def rotate(orientation_xyzw, velocity_rad_s, dt_s):
    """Turn an orientation, (4,), in place, for a while at an angular velocity, (3,), given in base axes."""
    x1, y1, z1 = velocity_rad_s[0] * dt_s, velocity_rad_s[1] * dt_s, velocity_rad_s[2] * dt_s
    angle = np.sqrt(x1 * x1 + y1 * y1 + z1 * z1)
    if angle < 1e-12:
        return
    scale = np.sin(0.5 * angle) / angle
    x1, y1, z1, w1 = scale * x1, scale * y1, scale * z1, np.cos(0.5 * angle)
    x2, y2, z2, w2 = orientation_xyzw[0], orientation_xyzw[1], orientation_xyzw[2], orientation_xyzw[3]
    orientation_xyzw[0] = w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2
    orientation_xyzw[1] = w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2
    orientation_xyzw[2] = w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2
    orientation_xyzw[3] = w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2
