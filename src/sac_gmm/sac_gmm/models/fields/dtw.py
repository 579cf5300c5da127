"""Dynamic time warping, compiled."""

from __future__ import annotations

import numpy as np

from sac_gmm.core.compiling import compiled


@compiled("float64(float64[:, ::1], float64[:, ::1])")
def dtw(a, b):
    """The cheapest monotone alignment of `a` (N, d) with `b` (M, d), both ends tied: the sum of Euclidean distances."""
    n, m, d = a.shape[0], b.shape[0], a.shape[1]
    above = np.full(m + 1, np.inf)
    here = np.full(m + 1, np.inf)
    above[0] = 0.0
    for i in range(n):
        here[0] = np.inf
        for j in range(m):
            square = 0.0
            for c in range(d):
                square += (a[i, c] - b[j, c]) ** 2
            here[j + 1] = np.sqrt(square) + min(above[j], above[j + 1], here[j])
        above, here = here, above
    return above[m]
