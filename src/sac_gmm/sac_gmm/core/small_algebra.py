"""Compiled linear algebra and quaternions for tiny arrays, called many times a second.

Results are written into arguments. Names and methods follow Golub and Van Loan, Matrix Computations, 2013.
"""

from __future__ import annotations

import numpy as np
from numba import boolean, float64, int64, types

from sac_gmm.core.compiling import compiled

VECTOR, MATRIX = float64[::1], float64[:, ::1]
SWEEPS = 30  # largest number of Jacobi sweeps


@compiled(boolean(VECTOR, VECTOR, VECTOR))
def clip_finite(v, low, high):
    """Clip the numbers in `v` to bounds, in place; return whether all were finite."""
    finite = True
    for i in range(v.shape[0]):
        finite &= np.isfinite(v[i])
        v[i] = max(min(v[i], high[i]), low[i])
    return finite


@compiled(types.void(MATRIX, int64))
def cholesky(A, n):
    """Lower Cholesky factor of the leading (n, n) block, in place; entries above the diagonal stay unchanged."""
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


@compiled(forceinline=True)
def cholesky_factor(S, L):
    """Write the lower Cholesky factor of S into L; return false if S is not positive definite.

    Its reciprocals need not wait for the sums, which is faster than the division in `cholesky` and differs in the last
    bits. Both versions stay, because exact repetition of episodes and projected skills depends on these bits.
    """
    d = S.shape[0]
    for i in range(d):
        for j in range(i + 1):
            total = S[i, j]
            for m in range(j):
                total -= L[i, m] * L[j, m]
            if i == j:
                if not total > 0.0:
                    return False
                L[i, i] = np.sqrt(total)
            else:
                L[i, j] = total * (1.0 / L[j, j])
    return True


@compiled(forceinline=True)
def right_solve(R, L, A):
    """Solve A (L L') = R for A (r, d), row by row; R and A may be the same array."""
    d = L.shape[0]
    for r in range(R.shape[0]):
        for i in range(d):
            total = R[r, i]
            for m in range(i):
                total -= L[i, m] * A[r, m]
            A[r, i] = (1.0 / L[i, i]) * total
        for i in range(d - 1, -1, -1):
            total = A[r, i]
            for m in range(i + 1, d):
                total -= L[m, i] * A[r, m]
            A[r, i] = (1.0 / L[i, i]) * total


@compiled(forceinline=True)
def multiply(X, Y, Z):
    """Z = X Y."""
    for i in range(X.shape[0]):
        for j in range(Y.shape[1]):
            total = 0.0
            for m in range(X.shape[1]):
                total += X[i, m] * Y[m, j]
            Z[i, j] = total


@compiled()
def invert(X, Y):
    """Y = X^-1 by Gauss-Jordan elimination with pivoting; X is overwritten."""
    d = X.shape[0]
    identity(Y)
    for c in range(d):
        best = c
        for i in range(c + 1, d):
            if abs(X[i, c]) > abs(X[best, c]):
                best = i
        for j in range(d):
            X[c, j], X[best, j] = X[best, j], X[c, j]
            Y[c, j], Y[best, j] = Y[best, j], Y[c, j]
        scale = 1.0 / X[c, c]
        for j in range(d):
            X[c, j] *= scale
            Y[c, j] *= scale
        for i in range(d):
            if i != c:
                factor = X[i, c]
                for j in range(d):
                    X[i, j] -= factor * X[c, j]
                    Y[i, j] -= factor * Y[c, j]


@compiled(forceinline=True)
def invert_factored(L, Y):
    """Y = (L L')^-1 for a lower triangular L."""
    d = L.shape[0]
    for c in range(d):  # first L^-1
        for i in range(c, d):
            total = 1.0 if i == c else 0.0
            for m in range(c, i):
                total -= L[i, m] * Y[m, c]
            Y[i, c] = total / L[i, i]
    for i in range(d):
        for j in range(i + 1):
            total = 0.0
            for m in range(i, d):
                total += Y[m, i] * Y[m, j]
            Y[i, j] = Y[j, i] = total


@compiled(forceinline=True)
def identity(X):
    """Set X to the identity."""
    for i in range(X.shape[0]):
        for j in range(X.shape[0]):
            X[i, j] = 1.0 if i == j else 0.0


@compiled(forceinline=True)
def turn_columns(X, p, q, c, s):
    """Rotate columns p and q of X in their plane, with cosine c and sine s."""
    for m in range(X.shape[0]):
        x, y = X[m, p], X[m, q]
        X[m, p], X[m, q] = c * x - s * y, s * x + c * y


@compiled(forceinline=True)
def plane_rotation(of_p, of_q, of_both):
    """Cosine and sine of the plane rotation that makes [[of_p, of_both], [of_both, of_q]] diagonal."""
    theta = (of_q - of_p) / (2.0 * of_both)
    t = 1.0 / (abs(theta) + np.sqrt(theta * theta + 1.0))
    if theta < 0.0:
        t = -t
    c = 1.0 / np.sqrt(t * t + 1.0)
    return c, t * c


@compiled()
def diagonalise(S, V, sweeps, done, negligible, clear):
    """Cyclic Jacobi: make S diagonal, with the eigenvalues; rotate V along, so that V S V' is unchanged.

    Args:
        S: Symmetric, (n, n).
        V: Orthogonal, (n, n).
        sweeps: Largest number of sweeps.
        done: S counts as diagonal at this ratio of the squares off the diagonal to those on it.
        negligible: Entries are left alone if their square is below this times the product of their diagonal entries.
        clear: Write exact zeros where a rotation produces them. Otherwise rounding leaves about 1e-17, which affects
            the last bits of the arm's torques. The arm's square root does not clear, so that recorded episodes still
            repeat.
    """
    n = S.shape[0]
    for _ in range(sweeps):
        off, on = 0.0, 0.0
        for i in range(n):
            on += S[i, i] * S[i, i]
            for j in range(i):
                off += S[i, j] * S[i, j]
        if off <= done * on:
            return
        for p in range(n - 1):
            for q in range(p + 1, n):
                if S[p, q] == 0.0 or S[p, q] * S[p, q] < negligible * S[p, p] * S[q, q]:
                    continue
                c, s = plane_rotation(S[p, p], S[q, q], S[p, q])
                turn_columns(S, p, q, c, s)
                for k in range(n):
                    x, y = S[p, k], S[q, k]
                    S[p, k], S[q, k] = c * x - s * y, s * x + c * y
                if clear:
                    S[p, q] = S[q, p] = 0.0
                turn_columns(V, p, q, c, s)


@compiled()
def eigen(S, V):
    """Replace S by the diagonal matrix of its eigenvalues, and the columns of V by the eigenvectors."""
    identity(V)
    diagonalise(S, V, SWEEPS, 1e-30, 0.0, True)


@compiled()
def smallest_eigenvalue(S, V):
    """Smallest eigenvalue of S; both arguments are overwritten."""
    eigen(S, V)
    value = S[0, 0]
    for i in range(1, S.shape[0]):
        value = min(value, S[i, i])
    return value


@compiled()
def singular(G, V):
    """One-sided Jacobi: replace G by G V with orthogonal V; its columns become orthogonal.

    Their lengths are the singular values.

    After Golub and Van Loan 2013, section 8.6.3.
    """
    d = G.shape[0]
    identity(V)
    for _ in range(SWEEPS):
        done = True
        for p in range(d - 1):
            for q in range(p + 1, d):
                of_p, of_q, of_both = 0.0, 0.0, 0.0
                for m in range(d):
                    of_p += G[m, p] * G[m, p]
                    of_q += G[m, q] * G[m, q]
                    of_both += G[m, p] * G[m, q]
                if of_both * of_both <= 1e-30 * of_p * of_q:
                    continue
                done = False
                c, s = plane_rotation(of_p, of_q, of_both)
                turn_columns(G, p, q, c, s)
                turn_columns(V, p, q, c, s)
        if done:
            return


@compiled(types.void(MATRIX, MATRIX, MATRIX))
def square_root(S, U, T):
    """Square root of a symmetric positive (6, 6) matrix, in place, by Jacobi rotations.

    Args:
        S: The matrix, overwritten with its root.
        U: Orthogonal; its columns are initial guesses of the eigenvectors, overwritten with the result.
        T: Scratch space, (6, 6).
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
    diagonalise(S, U, 12, 1e-18, 1e-20, False)
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
    """Rotation vector (rad, base axes, (3,)) from one orientation to the other, by the shorter way."""
    x1, y1, z1, w1 = start_xyzw[0], start_xyzw[1], start_xyzw[2], start_xyzw[3]
    x2, y2, z2, w2 = end_xyzw[0], end_xyzw[1], end_xyzw[2], end_xyzw[3]
    # Vector and scalar parts of end * conjugate(start).
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
    """Rotate an orientation, (4,), in place, for `dt_s` at an angular velocity, (3,), in base axes."""
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
