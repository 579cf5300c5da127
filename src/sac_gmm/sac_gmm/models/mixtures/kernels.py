"""The compiled inner loops. Imported only by those who call them, because loading numba takes a quarter of a second.

A prepared mixture is one flat float64 block, so that a call passes few arrays:
`[K, d_in, d_out]` then, for every component, `[c, W (d_in x d_in), w (d_in), A (d_out x d_in), b (d_out)]` with
W = L_xx^-1 / sqrt(2), w = -W mu_x, A = S_vx S_xx^-1, b = mu_v - A mu_x and c the log of the prior times the normaliser.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types

from sac_gmm.core.compiling import compiled

HEADER = 3
LIMIT = 1e100  # states are clipped here: their squares stay far from overflow
_QUADRATIC_CAP = 1e300
_LOWEST = -1e308  # below every weight but that of a component with prior zero, which must not meet its equal
_SQRT_HALF = math.sqrt(0.5)
_BLOCK = 256  # states that the batch form works on at a time: its buffers stay in the first-level cache
_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_EXP_FLOOR = -700.0  # exp of less is taken for exp(-700) = 1e-304

_vector = types.Array(types.float64, 1, "C")
_any_vector = types.Array(types.float64, 1, "A", readonly=True)
_rows = types.Array(types.float64, 2, "C")
_priors, _means, _covariances = (types.Array(types.float64, n, "C", readonly=True) for n in (1, 2, 3))
_CONTRACT = {"contract"}  # products and sums may be fused, nothing else is reordered


@compiled(fastmath=_CONTRACT)
def _field(x, block, out):
    d_in, d_out = x.shape[0], out.shape[0]
    for i in range(d_out):
        out[i] = 0.0
    top = _LOWEST
    total = 0.0
    at = HEADER
    for _ in range(int(block[0])):
        row = at + 1
        w = row + d_in * d_in
        quadratic = 0.0
        for i in range(d_in):
            z = block[w + i]
            for j in range(i + 1):
                z += block[row + j] * x[j]
            quadratic += z * z
            row += d_in
        log_weight = block[at] - min(quadratic, _QUADRATIC_CAP)
        # A running maximum: what was summed so far is scaled down when a larger weight turns up.
        weight = 1.0
        if log_weight <= top:
            weight = math.exp(log_weight - top)
        else:
            shrink = math.exp(top - log_weight)
            total *= shrink
            for i in range(d_out):
                out[i] *= shrink
            top = log_weight
        row = w + d_in
        b = row + d_out * d_in
        for i in range(d_out):
            y = block[b + i]
            for j in range(d_in):
                y += block[row + j] * x[j]
            out[i] += weight * y
            row += d_in
        total += weight
        at = b + d_out
    for i in range(d_out):
        y = out[i] / total
        out[i] = y if abs(y) <= 1e308 else 0.0


@compiled(fastmath=_CONTRACT)
def _field_3(x, block, out):
    """`_field` for three inputs and three outputs, written out: nearly twice as fast."""
    x0, x1, x2 = x[0], x[1], x[2]
    y0 = y1 = y2 = total = 0.0
    top = _LOWEST
    for k in range(int(block[0])):
        p = block[HEADER + 25 * k : HEADER + 25 * k + 25]
        z0 = p[10] + p[1] * x0
        z1 = p[11] + p[4] * x0 + p[5] * x1
        z2 = p[12] + p[7] * x0 + p[8] * x1 + p[9] * x2
        log_weight = p[0] - min(z0 * z0 + z1 * z1 + z2 * z2, _QUADRATIC_CAP)
        weight = 1.0
        if log_weight <= top:
            weight = math.exp(log_weight - top)
        else:
            shrink = math.exp(top - log_weight)
            total *= shrink
            y0 *= shrink
            y1 *= shrink
            y2 *= shrink
            top = log_weight
        y0 += weight * (p[22] + p[13] * x0 + p[14] * x1 + p[15] * x2)
        y1 += weight * (p[23] + p[16] * x0 + p[17] * x1 + p[18] * x2)
        y2 += weight * (p[24] + p[19] * x0 + p[20] * x1 + p[21] * x2)
        total += weight
    for i, y in enumerate((y0 / total, y1 / total, y2 / total)):
        out[i] = y if abs(y) <= 1e308 else 0.0


@compiled([types.void(_vector, _vector, _vector), types.void(_any_vector, _vector, _vector)], fastmath=_CONTRACT)
def field(x, block, out):
    """Write the regressed output at the state `x` (d_in,) into `out` (d_out,); a state that is no number gives zeros.

    Raises:
        ValueError: `x` has another length than the mixture's input.
    """
    if x.shape[0] != int(block[1]):
        raise ValueError("the state has the wrong length")
    for i in range(x.shape[0]):
        if not abs(x[i]) <= LIMIT:
            if np.isnan(x).any():
                out[:] = 0.0
            else:
                _field(np.clip(x, -LIMIT, LIMIT), block, out)
            return
    if x.shape[0] == 3 and out.shape[0] == 3:
        _field_3(x, block, out)
    else:
        _field(x, block, out)


@compiled(fastmath=_CONTRACT, inline="always")
def _affine(row, offset, states, n, out):
    """Out = offset + row . states over the first n states, with the lengths of one to three written out for speed."""
    if row.shape[0] == 1:
        for j in range(n):
            out[j] = offset + row[0] * states[0, j]
    elif row.shape[0] == 2:
        for j in range(n):
            out[j] = offset + row[0] * states[0, j] + row[1] * states[1, j]
    else:
        for j in range(n):
            out[j] = offset + row[0] * states[0, j] + row[1] * states[1, j] + row[2] * states[2, j]
        for i in range(3, row.shape[0]):
            for j in range(n):
                out[j] += row[i] * states[i, j]


@compiled(types.void(_rows, _vector, _rows), fastmath=_CONTRACT)
def field_batch(x, block, out):
    """Write the regressed outputs at the states `x` (N, d_in) into `out` (N, d_out), many states abreast."""
    n_components, d_in, d_out = int(block[0]), int(block[1]), int(block[2])
    if x.shape[1] != d_in:
        raise ValueError("the states have the wrong length")
    states = np.empty((d_in, _BLOCK))
    bad = np.empty(_BLOCK, dtype=np.bool_)
    log_weights = np.empty((n_components, _BLOCK))
    top = np.empty(_BLOCK)
    total = np.empty(_BLOCK)
    z = np.empty(_BLOCK)
    sums = np.empty((d_out, _BLOCK))
    bits = np.empty(_BLOCK, dtype=np.int64)
    power = bits.view(np.float64)
    stride = 1 + d_in * d_in + d_in + d_out * d_in + d_out
    for start in range(0, x.shape[0], _BLOCK):
        n = min(_BLOCK, x.shape[0] - start)
        for j in range(n):
            bad[j] = False
        for i in range(d_in):
            for j in range(n):
                value = x[start + j, i]
                bad[j] |= value != value
                states[i, j] = min(max(value, -LIMIT), LIMIT) if value == value else 0.0
        for j in range(n):
            top[j] = -np.inf
            total[j] = 0.0
        for k in range(n_components):
            at = HEADER + k * stride
            log_weight = log_weights[k]
            for j in range(n):
                log_weight[j] = 0.0
            w = at + 1 + d_in * d_in
            for i in range(d_in):
                _affine(block[at + 1 + i * d_in : at + 2 + i * d_in + i], block[w + i], states, n, z)
                for j in range(n):
                    log_weight[j] += z[j] * z[j]
            for j in range(n):
                value = block[at] - min(log_weight[j], _QUADRATIC_CAP)
                log_weight[j] = value
                top[j] = max(top[j], value)
        for i in range(d_out):
            for j in range(n):
                sums[i, j] = 0.0
        for k in range(n_components):
            at = HEADER + k * stride
            weight = log_weights[k]
            # exp(v) = 2^m exp(r) with |r| <= ln(2) / 2 (Cody and Waite), exp(r) by its Taylor polynomial of degree 12.
            for j in range(n):
                value = max(weight[j] - top[j], _EXP_FLOOR)
                m = math.floor(value * _LOG2_E + 0.5)
                r = (value - m * _LN2_HIGH) - m * _LN2_LOW
                bits[j] = (np.int64(m) + 1023) << 52
                p = 1.0 / 479001600.0
                p = p * r + 1.0 / 39916800.0
                p = p * r + 1.0 / 3628800.0
                p = p * r + 1.0 / 362880.0
                p = p * r + 1.0 / 40320.0
                p = p * r + 1.0 / 5040.0
                p = p * r + 1.0 / 720.0
                p = p * r + 1.0 / 120.0
                p = p * r + 1.0 / 24.0
                p = p * r + 1.0 / 6.0
                p = p * r + 0.5
                p = p * r + 1.0
                weight[j] = p * r + 1.0
            for j in range(n):
                weight[j] *= power[j]
                total[j] += weight[j]
            a = at + 1 + d_in * d_in + d_in
            b = a + d_out * d_in
            for i in range(d_out):
                _affine(block[a + i * d_in : a + (i + 1) * d_in], block[b + i], states, n, z)
                for j in range(n):
                    sums[i, j] += weight[j] * z[j]
        for i in range(d_out):
            for j in range(n):
                y = sums[i, j] / total[j]
                out[start + j, i] = 0.0 if bad[j] or not abs(y) <= 1e308 else y


@compiled(types.boolean(_priors, _means, _covariances, _vector), fastmath=_CONTRACT)
def prepare(priors, means, covariances, block):
    """Fill `block`, whose header says K, d_in and d_out; false where a position covariance is not positive definite."""
    n_components, d_in, d_out = int(block[0]), int(block[1]), int(block[2])
    L = np.empty((d_in, d_in))
    at = HEADER
    for k in range(n_components):
        constant = math.log(priors[k]) if priors[k] > 0.0 else -np.inf
        for i in range(d_in):
            for j in range(i + 1):
                total = covariances[k, i, j]
                for m in range(j):
                    total -= L[i, m] * L[j, m]
                if i > j:
                    L[i, j] = total / L[j, j]
                elif total > 0.0:
                    L[i, i] = math.sqrt(total)
                    constant -= math.log(L[i, i])
                else:
                    return False
        block[at] = constant
        W = block[at + 1 : at + 1 + d_in * d_in].reshape(d_in, d_in)
        at += 1 + d_in * d_in
        w = block[at : at + d_in]
        A = block[at + d_in : at + d_in + d_out * d_in].reshape(d_out, d_in)
        at += d_in + d_out * d_in
        b = block[at : at + d_out]
        at += d_out
        for c in range(d_in):  # column c of L^-1
            for i in range(d_in):
                total = 1.0 if i == c else 0.0
                for m in range(c, i):
                    total -= L[i, m] * W[m, c]
                W[i, c] = total / L[i, i] if i >= c else 0.0
        for r in range(d_out):  # A = S_vx L^-T L^-1, row by row
            for i in range(d_in):
                total = 0.0
                for m in range(i + 1):
                    total += W[i, m] * covariances[k, d_in + r, m]
                w[i] = total
            b[r] = means[k, d_in + r]
            for j in range(d_in):
                total = 0.0
                for i in range(j, d_in):
                    total += w[i] * W[i, j]
                A[r, j] = total
                b[r] -= total * means[k, j]
        for i in range(d_in):
            w[i] = 0.0
            for j in range(i + 1):
                W[i, j] *= _SQRT_HALF
                w[i] -= W[i, j] * means[k, j]
    return True
