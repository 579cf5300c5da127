"""Linear gains under Lyapunov constraints: least squares with small matrix inequalities, solved by Clarabel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sac_gmm.core.errors import UserError
from sac_gmm.models.mixtures.mixture import Array


@dataclass(frozen=True)
class GainFit:
    """The solution.

    Attributes:
        A: (K, d, d).
        cost: Mean squared velocity error, ridge included.
        metric_gradient: (d, d) derivative of the cost with respect to P, from the dual variables (envelope theorem).
    """

    A: Array
    cost: float
    metric_gradient: Array


class GainProblem:
    """min_A (1/N) sum_n |sum_k h_nk A_k y_n - v_n|^2  subject to  A_k' P + P A_k <= -2 a P for all k.

    The samples are compressed once into the second moments of [h_n1 y_n', ..., h_nK y_n'] and v_n; from then on nothing
    depends on how many there were (problem O3 of Figueroa and Billard 2018).

    Args:
        gates: (N, K) rows that sum to one.
        y: (N, d) states relative to the attractor.
        v: (N, d) velocities.
        ridge: Added to the Gram matrix, relative to its mean diagonal.
    """

    def __init__(self, gates: Array, y: Array, v: Array, ridge: float = 1e-8) -> None:
        n, self.d = y.shape
        self.k = gates.shape[1]
        features = (gates[:, :, None] * y[:, None, :]).reshape(n, -1)
        self.gram = features.T @ features / n
        self.gram[np.diag_indices_from(self.gram)] += ridge * np.trace(self.gram) / len(self.gram)
        self.moment = features.T @ v / n
        self.power = float(np.square(v).sum() / n)

    def solve(self, P: Array, decay_rate: float) -> GainFit:
        """Solve for a given metric P (d, d) and rate a.

        Raises:
            UserError: The solver did not find the optimum, which happens for data with extreme units only.
        """
        import clarabel
        from scipy import sparse

        k, d = self.k, self.d
        rows, columns = _upper_triangle(d)
        scale = np.where(rows == columns, 1.0, np.sqrt(2.0))
        m = len(rows)
        # Entry (p, q) of P A + A' P is linear in A: P[p, i] goes with A[i, q] and P[q, i] with A[i, p].
        unit = np.eye(d)
        block = P[rows][:, :, None] * unit[columns][:, None, :] + P[columns][:, :, None] * unit[rows][:, None, :]
        block *= scale[:, None, None]
        # The variables are ordered output first: A_k[i, j] is number i (K d) + k d + j.
        constraint = np.zeros((k, m, d, k, d))
        for c in range(k):
            constraint[c, :, :, c, :] = block
        bound = np.tile(-2.0 * decay_rate * scale * P[rows, columns], k)
        settings = clarabel.DefaultSettings()
        settings.verbose = False
        settings.max_threads = 1
        solution = clarabel.DefaultSolver(
            sparse.csc_matrix(np.triu(np.kron(np.eye(d), 2.0 * self.gram))),
            -2.0 * self.moment.T.ravel(),
            sparse.csc_matrix(constraint.reshape(k * m, d * k * d)),
            bound,
            [clarabel.PSDTriangleConeT(d)] * k,
            settings,
        ).solve()
        if "Solved" not in str(solution.status):
            raise UserError(f"the solver for the stability constraints gave up ({solution.status}): check the units")
        theta = np.array(solution.x).reshape(d, k, d)
        A = np.swapaxes(theta, 0, 1)
        dual = np.zeros((k, d, d))
        dual[:, rows, columns] = np.array(solution.z).reshape(k, m) / scale
        dual[:, columns, rows] = dual[:, rows, columns]
        lagrangian = A @ dual + decay_rate * dual
        gradient = (lagrangian + np.swapaxes(lagrangian, 1, 2)).sum(axis=0)
        return GainFit(A, self.cost(A), gradient)

    def cost(self, A: Array) -> float:
        """The objective at the gains `A` (K, d, d)."""
        theta = np.swapaxes(A, 1, 2).reshape(self.k * self.d, self.d)
        return float(self.power + np.sum(theta * (self.gram @ theta - 2.0 * self.moment)))


def _upper_triangle(d: int) -> tuple[Array, Array]:
    """Row and column numbers of the upper triangle, column by column, as Clarabel orders it."""
    columns, rows = np.tril_indices(d)
    return rows, columns
