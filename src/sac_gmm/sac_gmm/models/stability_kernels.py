"""What `stability` computes component by component, compiled and written out for small matrices."""

from __future__ import annotations

import numpy as np
from numba import types

from sac_gmm.compiling import compiled

_SWEEPS = 30
_ACCURACY = 1e-7  # of the nearest gains: what may be missing to the least misfit, relative to the mean square velocity
_INWARDS = 0.01  # how far within the bound the search for them starts, relative to the fastest rate
_NEWTON_STEPS = 30  # at most, for each weight of the barrier
_SHORTEST = 1e-10  # part of a Newton step
_a1, _a2, _a3 = (types.Array(types.float64, n, "C", readonly=True) for n in (1, 2, 3))
_w2, _w3 = (types.Array(types.float64, n, "C") for n in (2, 3))
_numbers = types.UniTuple(types.float64, 4)


@compiled()
def _cholesky(S, L):
    """Lower factor of S in L; false where S is not positive definite."""
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
                L[i, j] = total / L[j, j]
    return True


@compiled()
def _right_solve(R, L, A):
    """A (r, d) with A (L L') = R, row by row; R and A may be the same array."""
    d = L.shape[0]
    for r in range(R.shape[0]):
        for i in range(d):
            total = R[r, i]
            for m in range(i):
                total -= L[i, m] * A[r, m]
            A[r, i] = total / L[i, i]
        for i in range(d - 1, -1, -1):
            total = A[r, i]
            for m in range(i + 1, d):
                total -= L[m, i] * A[r, m]
            A[r, i] = total / L[i, i]


@compiled()
def _multiply(X, Y, Z):
    for i in range(X.shape[0]):
        for j in range(Y.shape[1]):
            total = 0.0
            for m in range(X.shape[1]):
                total += X[i, m] * Y[m, j]
            Z[i, j] = total


@compiled()
def _eigen(S, V):
    """Cyclic Jacobi: S becomes diagonal with the eigenvalues, V holds the eigenvectors in its columns."""
    d = S.shape[0]
    for i in range(d):
        for j in range(d):
            V[i, j] = 1.0 if i == j else 0.0
    for _ in range(_SWEEPS):
        off, on = 0.0, 0.0
        for i in range(d):
            on += S[i, i] * S[i, i]
            for j in range(i):
                off += S[i, j] * S[i, j]
        if off <= 1e-30 * on:
            return
        for p in range(d - 1):
            for q in range(p + 1, d):
                if S[p, q] == 0.0:
                    continue
                theta = (S[q, q] - S[p, p]) / (2.0 * S[p, q])
                t = 1.0 / (abs(theta) + np.sqrt(theta * theta + 1.0))
                if theta < 0.0:
                    t = -t
                c = 1.0 / np.sqrt(t * t + 1.0)
                s = t * c
                for m in range(d):
                    x, y = S[m, p], S[m, q]
                    S[m, p], S[m, q] = c * x - s * y, s * x + c * y
                for m in range(d):
                    x, y = S[p, m], S[q, m]
                    S[p, m], S[q, m] = c * x - s * y, s * x + c * y
                S[p, q] = S[q, p] = 0.0
                for m in range(d):
                    x, y = V[m, p], V[m, q]
                    V[m, p], V[m, q] = c * x - s * y, s * x + c * y


@compiled()
def _smallest(S, V):
    """Smallest eigenvalue of S; both arguments are destroyed."""
    _eigen(S, V)
    value = S[0, 0]
    for i in range(1, S.shape[0]):
        value = min(value, S[i, i])
    return value


@compiled()
def _invert(X, Y):
    """Y = X^-1 by Gauss-Jordan elimination with pivots; X is destroyed."""
    d = X.shape[0]
    for i in range(d):
        for j in range(d):
            Y[i, j] = 1.0 if i == j else 0.0
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


@compiled()
def _coordinates(P):
    """R and R^-1 with R'R = P: in z = R (x - attractor) the Lyapunov function is z'z."""
    d = P.shape[0]
    L, inverse = np.zeros((d, d)), np.empty((d, d))
    _cholesky(P, L)
    root = L.T.copy()
    _invert(L.T.copy(), inverse)
    return root, inverse


@compiled(_numbers(_a2, _a3, _a1, _a2))
def certificate(means, covariances, attractor, P):
    """(decay rate, error at the attractor, largest step, fastest component mean): see `stability._certificate`."""
    d = attractor.shape[0]
    root, inverse = _coordinates(P)
    L, A, M, S, V = np.empty((d, d)), np.empty((d, d)), np.empty((d, d)), np.empty((d, d)), np.empty((d, d))
    rate, step = np.inf, np.inf
    error, fastest = 0.0, 0.0
    for k in range(means.shape[0]):
        _cholesky(covariances[k, :d, :d], L)
        _right_solve(covariances[k, d:, :d], L, A)
        for i in range(d):
            total = 0.0
            for j in range(d):
                total += A[i, j] * (means[k, j] - attractor[j])
            error = max(error, abs(means[k, d + i] - total))
            fastest = max(fastest, abs(total))
        _multiply(root, A, S)
        _multiply(S, inverse, M)
        for i in range(d):
            for j in range(d):
                S[i, j] = -0.5 * (M[i, j] + M[j, i])
        rate = min(rate, _smallest(S, V))
        if rate > 0.0:
            _invert(M, V)
            for i in range(d):
                for j in range(d):
                    S[i, j] = -(V[i, j] + V[j, i])
            step = min(step, _smallest(S, V))
        else:
            step = 0.0
    return rate, error, step, fastest


@compiled()
def _misfit(D, W, T, X, gradient):
    """Half the trace of W D T D'; its gradient by D is left in `gradient`."""
    _multiply(W, D, X)
    _multiply(X, T, gradient)
    return 0.5 * np.sum(gradient * D)


@compiled()
def _slack(M, bound, F, L):
    """Log det of F = -(M + M')/2 - bound I, with its Cholesky factor in L; -inf where M is not within the bound."""
    d = M.shape[0]
    for i in range(d):
        for j in range(d):
            F[i, j] = -0.5 * (M[i, j] + M[j, i]) - (bound if i == j else 0.0)
    if not _cholesky(F, L):
        return -np.inf
    total = 0.0
    for i in range(d):
        total += 2.0 * np.log(L[i, i])
    return total


@compiled()
def _nearest(start, M0, W, T, bound):
    """The matrix M with (M + M')/2 <= -bound I that makes the trace of W (M - M0) T (M - M0)' least.

    Newton's method on that trace less a falling weight times log det of what is left to the bound (the barrier method,
    Boyd and Vandenberghe 2004, section 11.3, and 11.6 for the determinant).

    Args:
        start: (d, d) strictly within the bound.
        M0: (d, d) that is to be come close to.
        W: (d, d), of the velocities.
        T: (d, d), of the positions.
        bound: Positive rate.
    """
    d = M0.shape[0]
    n = d * d
    M, F, L, inverse = start.copy(), np.empty((d, d)), np.zeros((d, d)), np.empty((d, d))
    X, G, new_M, step = np.empty((d, d)), np.empty((d, d)), np.empty((d, d)), np.empty((1, n))
    H, factor = np.empty((n, n)), np.zeros((n, n))
    enough = _ACCURACY * _misfit(M0, W, T, X, G)
    weight = _misfit(M - M0, W, T, X, G) / d
    while weight * d > enough:
        left = _slack(M, bound, F, L)
        misfit = _misfit(M - M0, W, T, X, G)
        for _ in range(_NEWTON_STEPS):
            _invert(F, inverse)
            for i in range(d):
                for j in range(d):
                    step[0, i * d + j] = -G[i, j] - weight * inverse[i, j]
                    for k in range(d):
                        for m in range(d):
                            of_barrier = inverse[i, k] * inverse[j, m] + inverse[i, m] * inverse[j, k]
                            H[i * d + j, k * d + m] = W[i, k] * T[j, m] + 0.5 * weight * of_barrier
            if not _cholesky(H, factor):
                return M
            slope = step.copy()
            _right_solve(step, factor, step)
            decrement = np.sum(slope * step)
            length = 1.0
            while length > _SHORTEST:
                new_M[:, :] = M + length * step.reshape(d, d)
                new_left = _slack(new_M, bound, F, L)
                new_misfit = _misfit(new_M - M0, W, T, X, G)
                change = new_misfit - misfit - weight * (new_left - left)
                if change <= -0.1 * length * decrement:
                    M[:, :], left, misfit = new_M, new_left, new_misfit  # F and G are of it by now
                    break
                length *= 0.5
            if decrement < 0.01 * weight or length <= _SHORTEST:
                break
        weight *= 0.1
    return M


@compiled(types.boolean(_a2, _a3, _a1, _a2, types.float64, types.float64, types.boolean, _w2, _w3))
def project(means, covariances, attractor, P, margin, reserve, nearest, new_means, new_covariances):
    """Write the projected parameters, see `stability.project`; false where the result is not positive definite."""
    d = attractor.shape[0]
    root, inverse = _coordinates(P)
    L, A, M, S, V = np.empty((d, d)), np.empty((d, d)), np.empty((d, d)), np.empty((d, d)), np.empty((d, d))
    noise, full = np.empty((d, d)), np.empty((2 * d, 2 * d))
    moment, W, T = np.empty((d, d)), np.empty((d, d)), np.empty((d, d))
    _multiply(inverse.T, inverse, W)
    bound = (1.0 + reserve) * margin
    for k in range(means.shape[0]):
        s_xx, s_vx = covariances[k, :d, :d], covariances[k, d:, :d]
        _cholesky(s_xx, L)
        _right_solve(s_vx, L, A)
        for i in range(d):
            for j in range(d):
                total = covariances[k, d + i, d + j]
                for m in range(d):
                    total -= A[i, m] * s_vx[j, m]
                noise[i, j] = total
                gap = means[k, j] - attractor[j]
                S[i, j] = s_xx[i, j] + (means[k, i] - attractor[i]) * gap
                M[i, j] = s_vx[i, j] + means[k, d + i] * gap
        moment[:, :] = S
        _cholesky(S, L)
        _right_solve(M, L, A)
        _multiply(root, A, S)
        _multiply(S, inverse, M)
        for i in range(d):
            for j in range(d):
                S[i, j] = 0.5 * (M[i, j] + M[j, i])
        _eigen(S, V)
        fastest, highest = 0.0, -np.inf
        for m in range(d):
            fastest, highest = max(fastest, abs(S[m, m])), max(highest, S[m, m])
        if highest > -margin:
            start = M.copy()
            for m in range(d):
                excess = S[m, m] + bound + (_INWARDS * fastest if nearest else 0.0)
                if excess > 0.0:
                    for i in range(d):
                        for j in range(d):
                            start[i, j] -= excess * V[i, m] * V[j, m]
            if nearest:
                _multiply(root, moment, S)
                _multiply(S, root.T, T)
                start = _nearest(start, M, W, T, bound)
            _multiply(inverse, start, S)
            _multiply(S, root, A)
        new_covariances[k, :d, :d] = s_xx
        for i in range(d):
            new_means[k, i] = means[k, i]
            total = 0.0
            for j in range(d):
                total += A[i, j] * (means[k, j] - attractor[j])
            new_means[k, d + i] = total
        _multiply(A, s_xx, S)
        for i in range(d):
            for j in range(d):
                new_covariances[k, d + i, j] = new_covariances[k, j, d + i] = S[i, j]
        for i in range(d):
            for j in range(i + 1):
                total = 0.5 * (noise[i, j] + noise[j, i])
                for m in range(d):
                    total += S[i, m] * A[j, m]
                new_covariances[k, d + i, d + j] = new_covariances[k, d + j, d + i] = total
        if not _cholesky(new_covariances[k], full):
            return False
    return True
