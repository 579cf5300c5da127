"""Compiled inverse kinematics of a seven-joint arm."""

from __future__ import annotations

import numpy as np
from numba import boolean

from sac_gmm.core.compiling import compiled
from sac_gmm.core.small_algebra import (
    MATRIX,
    VECTOR,
    cholesky,
    rotation_between,
    solve_lower,
    solve_lower_transposed,
    to_quaternion,
)
from sac_gmm.tasks.arms.arm_kernels import forward_kinematics, jacobian_of


@compiled(boolean(MATRIX, VECTOR, VECTOR, VECTOR, VECTOR))
def solve_inverse_kinematics(chain, limits, position, orientation_xyzw, q):
    """Solve for joint positions that put the tip at a pose, by damped least squares; return whether it succeeded.

    Args:
        chain: (8, 25), see `arm_kernels`.
        limits: Largest joint positions in either direction, (7,).
        position: Tip position, (3,).
        orientation_xyzw: Tip orientation, (4,).
        q: Initial guess, overwritten with the solution, (7,).
    """
    origins, axes, rotations = np.empty((7, 3)), np.empty((7, 3)), np.empty((8, 9))
    J, A = np.empty((6, 7)), np.empty((6, 6))
    tip, tip_xyzw, turn = np.empty(3), np.empty(4), np.empty(3)
    error, change = np.empty(6), np.empty(7)
    for _ in range(100):
        forward_kinematics(chain, q, origins, axes, tip, rotations)
        to_quaternion(rotations[7], tip_xyzw)
        rotation_between(tip_xyzw, orientation_xyzw, turn)
        largest = 0.0
        for i in range(3):
            error[i], error[3 + i] = position[i] - tip[i], turn[i]
            largest = max(largest, abs(error[i]), abs(turn[i]))
        if largest < 1e-9:
            return True
        jacobian_of(origins, axes, tip, J)
        for i in range(6):
            for j in range(i + 1):
                total = 1e-4 if i == j else 0.0
                for k in range(7):
                    total += J[i, k] * J[j, k]
                A[i, j] = total
        cholesky(A, 6)
        solve_lower(A, error, 6)
        solve_lower_transposed(A, error, 6)
        largest = 0.0
        for j in range(7):
            total = 0.0
            for i in range(6):
                total += J[i, j] * error[i]
            change[j] = total
            largest = max(largest, abs(total))
        scale = min(1.0, 0.3 / largest)
        for j in range(7):
            q[j] = min(max(q[j] + scale * change[j], -limits[j]), limits[j])
    return False
