"""What `stability` computes component by component, compiled and written out for small matrices."""

from __future__ import annotations

import numpy as np
from numba import types

from sac_gmm.core.compiling import compiled
from sac_gmm.core.small_algebra import (
    cholesky_factor,
    eigen,
    invert,
    invert_factored,
    multiply,
    right_solve,
    singular,
    smallest_eigenvalue,
)

_ACCURACY = 1e-7  # of the nearest gains: what may be missing to the least misfit, relative to the mean square velocity
_SLOW = 1e-3  # of the bound: what gains slower than this are made to is as exact as for gains of this rate
_START = 1.2  # of what Gershgorin's theorem asks for, that the search for them starts within both cones
_ITERATIONS = 40  # of it, at most; nine are usual
_TO_THE_EDGE = 0.98  # part of the way to the edge of the cones that a step goes
_SHORTER = 0.9  # the edge is found by shortening the step by this factor
_SHORTEST = 1e-6  # part of a step
_a1, _a2, _a3 = (types.Array(types.float64, n, "C", readonly=True) for n in (1, 2, 3))
_w2, _w3 = (types.Array(types.float64, n, "C") for n in (2, 3))
_numbers = types.UniTuple(types.float64, 4)


@compiled()
def _coordinates(P):
    """R and R^-1 with R'R = P: in z = R (x - attractor) the Lyapunov function is z'z."""
    d = P.shape[0]
    L, inverse = np.zeros((d, d)), np.empty((d, d))
    cholesky_factor(P, L)
    root = L.T.copy()
    invert(L.T.copy(), inverse)
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
        cholesky_factor(covariances[k, :d, :d], L)
        right_solve(covariances[k, d:, :d], L, A)
        for i in range(d):
            total = 0.0
            for j in range(d):
                total += A[i, j] * (means[k, j] - attractor[j])
            error = max(error, abs(means[k, d + i] - total))
            fastest = max(fastest, abs(total))
        multiply(root, A, S)
        multiply(S, inverse, M)
        for i in range(d):
            for j in range(d):
                S[i, j] = -0.5 * (M[i, j] + M[j, i])
        rate = min(rate, smallest_eigenvalue(S, V))
        if rate > 0.0:
            invert(M, V)
            for i in range(d):
                for j in range(d):
                    S[i, j] = -(V[i, j] + V[j, i])
            step = min(step, smallest_eigenvalue(S, V))
        else:
            step = 0.0
    return rate, error, step, fastest


@compiled(forceinline=True)
def _inside(X, step, length, Y, L):
    """Whether X + length * step is positive definite; Y and L are for working."""
    for i in range(X.shape[0]):
        for j in range(i + 1):
            Y[i, j] = X[i, j] + length * step[i, j]
    return cholesky_factor(Y, L)


@compiled(forceinline=True)
def _least(B, H, enough, L, d):
    """Leave in L the L >= 0 that makes tr(L (H o L)) / 2 + tr(B L) least; false where that is not found.

    A convex quadratic programme over the positive semidefinite matrices, solved by a primal-dual interior-point method.
    With F = B + H o L, its gradient, L is optimal where F >= 0 and L F = 0, and as long as F >= 0 at most tr(L F) is
    missing to the optimum (Boyd and Vandenberghe 2004, sections 5.5.3 and 5.9.2). Newton's method goes to L F = mu I
    for a falling mu in the direction of Helmberg, Rendl, Vanderbei and Wolkowicz 1996,
    dF + (F dL L^-1 + L^-1 dL F) / 2 = mu L^-1 - F with dF = H o dL. A first step in each iteration, to mu = 0, says
    which mu is within reach and what linearising neglects (Mehrotra 1992; Nocedal and Wright 2006, algorithm 16.4).
    L and F stay positive definite.

    Args:
        B: (d, d), symmetric.
        H: (d, d), symmetric and positive; o is the product entry by entry.
        enough: What may be missing to the optimum.
        L: (d, d), written.
        d: The size once more: where it is a constant all loops are unrolled, which takes half the time.
    """
    n = d * (d + 1) // 2
    F, dL, dF, inverse = np.empty((d, d)), np.empty((d, d)), np.empty((d, d)), np.empty((d, d))
    X, Y, factor = np.empty((d, d)), np.empty((d, d)), np.empty((d, d))
    equations, root, step = np.empty((n, n)), np.empty((n, n)), np.empty((1, n))
    largest = 0.0
    for i in range(d):
        for j in range(d):
            L[i, j], F[i, j] = 0.0, B[i, j]
            largest = max(largest, abs(B[i, j]))
    for i in range(d):
        below = max(0.0, -B[i, i])
        for j in range(d):
            below += abs(B[i, j]) if j != i else 0.0
        L[i, i] = _START * below + 1e-3 * largest  # so much that F is positive definite, by Gershgorin's theorem
        F[i, i] += H[i, i] * L[i, i]
    for _ in range(_ITERATIONS):
        gap = 0.0
        for i in range(d):
            for j in range(d):
                gap += L[i, j] * F[i, j]
        if gap <= enough:
            return True
        if not cholesky_factor(L, factor):
            return False
        invert_factored(factor, inverse)
        # Unknown are the entries of dL up to the diagonal. Those below it are there twice; so their rows count twice.
        row = 0
        for i in range(d):
            for j in range(i + 1):
                column = 0
                for k in range(i + 1):
                    for m in range(k + 1):
                        if column <= row:
                            twice = F[i, k] * inverse[j, m] + F[i, m] * inverse[j, k]
                            twice += F[j, k] * inverse[i, m] + F[j, m] * inverse[i, k]
                            equations[row, column] = (0.5 if i == j else 1.0) * (0.5 if k == m else 1.0) * twice
                        column += 1
                equations[row, row] += (1.0 if i == j else 2.0) * H[i, j]
                step[0, row] = (1.0 if i == j else 2.0) * -F[i, j]
                row += 1
        if not cholesky_factor(equations, root):
            return False
        for corrected in (False, True):
            right_solve(step, root, step)
            row = 0
            for i in range(d):
                for j in range(i + 1):
                    dL[i, j] = dL[j, i] = step[0, row]
                    dF[i, j] = dF[j, i] = H[i, j] * step[0, row]
                    row += 1
            length = 1.0 / _TO_THE_EDGE if corrected else 1.0
            while not (_inside(L, dL, length, X, factor) and _inside(F, dF, length, X, factor)):
                length *= _SHORTER
                if not length > _SHORTEST:
                    return False
            if not corrected:
                within_reach = 0.0
                for i in range(d):
                    for j in range(d):
                        within_reach += (L[i, j] + length * dL[i, j]) * (F[i, j] + length * dF[i, j])
                mu = (within_reach / gap) ** 3 * gap / d
                multiply(dF, dL, X)
                multiply(X, inverse, Y)
                row = 0
                for i in range(d):
                    for j in range(i + 1):
                        wanted = mu * inverse[i, j] - F[i, j] - 0.5 * (Y[i, j] + Y[j, i])
                        step[0, row] = (1.0 if i == j else 2.0) * wanted
                        row += 1
        length = min(1.0, _TO_THE_EDGE * length)
        for i in range(d):
            for j in range(d):
                L[i, j] += length * dL[i, j]
                F[i, j] = B[i, j] + H[i, j] * L[i, j]
    return False


@compiled()
def _approach(M, A, moment, P, root, inverse, bound):
    """Move M = R A R^-1 within (M + M')/2 <= -bound I, with A moved the least; where that is not found, not at all.

    The least is the trace of D S D' / 2, where D is how A moves and S the second moment of the positions. Let
    Lambda >= 0 be the multiplier of F = -(M + M')/2 - bound I >= 0. Stationary (Boyd and Vandenberghe 2004, section
    5.9.2) is D = -R' Lambda R'^-1 S^-1, so M moves by -R R' Lambda T^-1 with T = R S R', and what is left is the dual
    problem, of Lambda alone. Two symmetric matrices can be made diagonal at once (Golub and Van Loan 2013, section
    8.7): with the eigenvectors O of P S P, its eigenvalues 1/r^2 and K = R'^-1 O r^(-1/2), K' R R' K is diag(1/r) and
    K' T^-1 K is diag(r). Hence Lambda = K L K' makes K' F K = B + H o L, with B what K' F K is without a move and
    H_ij = (r_i/r_j + r_j/r_i) / 2.

    Args:
        M: (d, d), overwritten.
        A: (d, d), the gain.
        moment: (d, d), S.
        P: (d, d), the metric.
        root: R with R'R = P.
        inverse: R^-1.
        bound: Positive rate.
    """
    d = P.shape[0]
    axes, K, X, Y = np.empty((d, d)), np.empty((d, d)), np.empty((d, d)), np.empty((d, d))
    B, H, L, r = np.empty((d, d)), np.empty((d, d)), np.empty((d, d)), np.empty(d)
    multiply(A, moment, X)
    enough = 0.0
    for i in range(d):
        enough += 0.5 * _ACCURACY * (_SLOW * bound) ** 2 * moment[i, i]
        for j in range(d):
            enough += 0.5 * _ACCURACY * A[i, j] * X[i, j]
    if not cholesky_factor(moment, B):
        return
    for i in range(d):
        for j in range(d):
            total = 0.0
            for m in range(i, d):
                total += B[m, i] * P[m, j]
            Y[i, j] = total
    singular(Y, axes)  # of a root of P S P, because squaring would leave half the digits to its small eigenvalues
    for j in range(d):
        total = 0.0
        for i in range(d):
            total += Y[i, j] * Y[i, j]
        r[j] = 1.0 / np.sqrt(total)
    multiply(inverse.T, axes, K)
    for i in range(d):
        for j in range(d):
            K[i, j] /= np.sqrt(r[j])
            H[i, j] = 0.5 * (r[i] / r[j] + r[j] / r[i])
            Y[i, j] = -0.5 * (M[i, j] + M[j, i]) - (bound if i == j else 0.0)
    multiply(Y, K, X)
    multiply(K.T, X, B)
    for i in range(d):
        for j in range(i):
            B[i, j] = B[j, i] = 0.5 * (B[i, j] + B[j, i])
    if not (_least(B, H, enough, L, 3) if d == 3 else _least(B, H, enough, L, d)):
        return
    multiply(root, axes, K)  # R R' Lambda T^-1 is (R O r^(-1/2)) L (R O r^(3/2))'
    for i in range(d):
        for j in range(d):
            K[i, j] /= np.sqrt(r[j])
    multiply(K, L, X)
    for i in range(d):
        for j in range(d):
            for m in range(d):
                M[i, j] -= X[i, m] * r[m] * r[m] * K[j, m]


@compiled()
def _clip(M, bound, S, V):
    """Move the eigenvalues of (M + M')/2 that are above -bound to it; S and V are for working."""
    d = M.shape[0]
    for i in range(d):
        for j in range(d):
            S[i, j] = 0.5 * (M[i, j] + M[j, i])
    eigen(S, V)
    for m in range(d):
        excess = S[m, m] + bound
        if excess > 0.0:
            for i in range(d):
                for j in range(d):
                    M[i, j] -= excess * V[i, m] * V[j, m]


@compiled()
def _kept(M, bound, S, L):
    """Whether (M + M')/2 is below -bound I; S and L are for working."""
    d = M.shape[0]
    for i in range(d):
        for j in range(i + 1):
            S[i, j] = -0.5 * (M[i, j] + M[j, i]) - (bound if i == j else 0.0)
    return cholesky_factor(S, L)


@compiled(types.boolean(_a2, _a3, _a1, _a2, types.float64, types.float64, types.boolean, _w2, _w3))
def project(means, covariances, attractor, P, margin, reserve, nearest, new_means, new_covariances):
    """Write the projected parameters, see `stability.project`; false where the result is not positive definite."""
    d = attractor.shape[0]
    root, inverse = _coordinates(P)
    L, A, M, S, V = np.empty((d, d)), np.empty((d, d)), np.empty((d, d)), np.empty((d, d)), np.empty((d, d))
    noise, full = np.empty((d, d)), np.empty((2 * d, 2 * d))
    moment = np.empty((d, d))
    bound = (1.0 + reserve) * margin
    for k in range(means.shape[0]):
        s_xx, s_vx = covariances[k, :d, :d], covariances[k, d:, :d]
        cholesky_factor(s_xx, L)
        right_solve(s_vx, L, A)
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
        cholesky_factor(S, L)
        right_solve(M, L, A)
        multiply(root, A, S)
        multiply(S, inverse, M)
        if not _kept(M, margin, S, L):
            if nearest:
                _approach(M, A, moment, P, root, inverse, bound)
            if not _kept(M, bound, S, L):  # not found, not asked for, or out by rounding
                _clip(M, bound, S, V)
            multiply(inverse, M, S)
            multiply(S, root, A)
        new_covariances[k, :d, :d] = s_xx
        for i in range(d):
            new_means[k, i] = means[k, i]
            total = 0.0
            for j in range(d):
                total += A[i, j] * (means[k, j] - attractor[j])
            new_means[k, d + i] = total
        multiply(A, s_xx, S)
        for i in range(d):
            for j in range(d):
                new_covariances[k, d + i, j] = new_covariances[k, j, d + i] = S[i, j]
        for i in range(d):
            for j in range(i + 1):
                total = 0.5 * (noise[i, j] + noise[j, i])
                for m in range(d):
                    total += S[i, m] * A[j, m]
                new_covariances[k, d + i, d + j] = new_covariances[k, d + j, d + i] = total
        if not cholesky_factor(new_covariances[k], full):
            return False
    return True
