"""Kinematics, dynamics and impedance of a seven-joint arm as compiled functions of flat arrays.

One call per torque update replaces about twenty calls into the physics engine and numpy. Only the engine integrates
motion; this module computes what a real robot's controller would. Vectors are in the base frame, SI units.

A chain of links has one row of numbers per joint: origin of the joint in the previous link (3), its rotation (9), then
the link's mass (1), centre of mass (3) and inertia about it (9), all in the link's frame at joint position zero. The
last row is the pose of the tip in the last link (3 + 9).
"""

from __future__ import annotations

import numpy as np
from numba import boolean, float64, int64, types

from sac_gmm.core.compiling import compiled
from sac_gmm.core.small_algebra import (
    MATRIX,
    VECTOR,
    cholesky,
    rotate,
    rotation_between,
    solve_lower,
    solve_lower_transposed,
    square_root,
    to_quaternion,
)

N_JOINTS = 7
CHAIN_COLUMNS = 25


@compiled(types.void(MATRIX, VECTOR, MATRIX, MATRIX, VECTOR, MATRIX))
def forward_kinematics(chain, q, origins, axes, tip, rotations):
    """Compute the poses of all joints and the tip.

    Args:
        chain: (8, 25), see above.
        q: Joint positions, (7,).
        origins: Output: joint origins, (7, 3).
        axes: Output: joint axes, (7, 3).
        tip: Output: tip position, (3,).
        rotations: Output: rotation of each link and of the tip, row by row, (8, 9).
    """
    x = y = z = 0.0
    R = rotations[N_JOINTS]  # the base's rotation until overwritten with the tip's
    R[:] = 0.0
    R[0] = R[4] = R[8] = 1.0
    for i in range(N_JOINTS + 1):
        row, turned = chain[i], rotations[i]
        x += R[0] * row[0] + R[1] * row[1] + R[2] * row[2]
        y += R[3] * row[0] + R[4] * row[1] + R[5] * row[2]
        z += R[6] * row[0] + R[7] * row[1] + R[8] * row[2]
        for j in range(3):
            for k in range(3):
                turned[3 * j + k] = R[3 * j] * row[3 + k] + R[3 * j + 1] * row[6 + k] + R[3 * j + 2] * row[9 + k]
        if i == N_JOINTS:
            tip[0], tip[1], tip[2] = x, y, z
            return
        R = turned
        c, s = np.cos(q[i]), np.sin(q[i])
        for j in range(3):
            a, b = R[3 * j], R[3 * j + 1]
            R[3 * j] = c * a + s * b
            R[3 * j + 1] = c * b - s * a
            axes[i, j] = R[3 * j + 2]
        origins[i, 0], origins[i, 1], origins[i, 2] = x, y, z


@compiled(types.void(MATRIX, MATRIX, VECTOR, MATRIX))
def jacobian_of(origins, axes, tip, J):
    """Jacobian of the tip, (6, 7): linear rows, then angular rows."""
    for i in range(N_JOINTS):
        ax, ay, az = axes[i, 0], axes[i, 1], axes[i, 2]
        dx, dy, dz = tip[0] - origins[i, 0], tip[1] - origins[i, 1], tip[2] - origins[i, 2]
        J[0, i] = ay * dz - az * dy
        J[1, i] = az * dx - ax * dz
        J[2, i] = ax * dy - ay * dx
        J[3, i], J[4, i], J[5, i] = ax, ay, az


@compiled(float64(VECTOR, VECTOR, int64, int64))
def _turned_inertia(row, R, j, k):
    """Entry (j, k) of a link's inertia about its centre of mass, in base axes."""
    total = 0.0
    for a in range(3):
        for b in range(3):
            total += R[3 * j + a] * row[16 + 3 * a + b] * R[3 * k + b]
    return total


@compiled(types.void(MATRIX, MATRIX, MATRIX, MATRIX, MATRIX))
def mass_matrix_of(chain, origins, axes, rotations, M):
    """Mass matrix, (7, 7), by composite rigid bodies (Featherstone 2008, ch. 6), about the base's origin."""
    mass = hx = hy = hz = 0.0  # mass, first moment and inertia of all links from joint i to the tip
    xx = xy = xz = yy = yz = zz = 0.0
    for i in range(N_JOINTS - 1, -1, -1):
        row, R, p = chain[i], rotations[i], origins[i]
        m = row[12]
        cx = p[0] + R[0] * row[13] + R[1] * row[14] + R[2] * row[15]
        cy = p[1] + R[3] * row[13] + R[4] * row[14] + R[5] * row[15]
        cz = p[2] + R[6] * row[13] + R[7] * row[14] + R[8] * row[15]
        mass += m
        hx += m * cx
        hy += m * cy
        hz += m * cz
        xx += _turned_inertia(row, R, 0, 0) + m * (cy * cy + cz * cz)
        yy += _turned_inertia(row, R, 1, 1) + m * (cx * cx + cz * cz)
        zz += _turned_inertia(row, R, 2, 2) + m * (cx * cx + cy * cy)
        xy += _turned_inertia(row, R, 0, 1) - m * cx * cy
        xz += _turned_inertia(row, R, 0, 2) - m * cx * cz
        yz += _turned_inertia(row, R, 1, 2) - m * cy * cz
        # Momentum of these links when joint i turns at 1 rad/s; (vx, vy, vz) is the velocity at the base origin.
        wx, wy, wz = axes[i, 0], axes[i, 1], axes[i, 2]
        vx, vy, vz = p[1] * wz - p[2] * wy, p[2] * wx - p[0] * wz, p[0] * wy - p[1] * wx
        px = mass * vx + wy * hz - wz * hy
        py = mass * vy + wz * hx - wx * hz
        pz = mass * vz + wx * hy - wy * hx
        lx = xx * wx + xy * wy + xz * wz + hy * vz - hz * vy
        ly = xy * wx + yy * wy + yz * wz + hz * vx - hx * vz
        lz = xz * wx + yz * wy + zz * wz + hx * vy - hy * vx
        for j in range(i + 1):
            ax, ay, az = axes[j, 0], axes[j, 1], axes[j, 2]
            o = origins[j]
            ux, uy, uz = o[1] * az - o[2] * ay, o[2] * ax - o[0] * az, o[0] * ay - o[1] * ax
            value = ax * lx + ay * ly + az * lz + ux * px + uy * py + uz * pz
            M[i, j] = value
            M[j, i] = value


@compiled(types.void(VECTOR, MATRIX, VECTOR, MATRIX, MATRIX, MATRIX, MATRIX, VECTOR))
def _renew(gains, J, R, G, C, root, U, room):
    """Recompute the factors that depend on the inertia.

    Args:
        gains: See `impedance`.
        J: Jacobian, (6, 7).
        R: Rotation of the tip, (9,).
        G: Mass matrix, overwritten with its Cholesky factor, (7, 7).
        C: Output: Cholesky factor of the mobility J M^-1 J', (6, 6).
        root: Output: sqrt(C' K C), (6, 6).
        U: Initial guess of the eigenvectors of C' K C, overwritten with the result, (6, 6).
        room: Scratch space, (78,).
    """
    cholesky(G, 7)
    X, KC = room[:42].reshape((6, 7)), room[42:78].reshape((6, 6))  # rows of X: G^-1 times rows of J
    for i in range(6):
        for j in range(7):
            X[i, j] = J[i, j]
        solve_lower(G, X[i], 7)
    for i in range(6):
        for j in range(i + 1):
            total = 1e-6 if i == j else 0.0  # keeps a singular arm solvable
            for k in range(7):
                total += X[i, k] * X[j, k]
            C[i, j] = total
            C[j, i] = 0.0 if i != j else total
    cholesky(C, 6)
    for j in range(6):
        for i in range(3):
            KC[i, j] = gains[i] * C[i, j]
            KC[3 + i, j] = 0.0
        for k in range(3):
            about = gains[3 + k] * (R[k] * C[3, j] + R[3 + k] * C[4, j] + R[6 + k] * C[5, j])
            for i in range(3):
                KC[3 + i, j] += R[3 * i + k] * about
    for i in range(6):
        for j in range(6):
            total = 0.0
            for k in range(i, 6):
                total += C[k, i] * KC[k, j]
            root[i, j] = total
    square_root(root, U, KC)


MOST_HELD = 1.25  # at 2 the damper would send the joint back at the speed it came

# State kept from one torque update to the next: offset of each quantity in one flat array.
REFERENCE, REFERENCE_XYZW, POSTURE, TWIST = 0, 3, 7, 14
TORQUE, TIP, TIP_XYZW, TIP_VELOCITY, WRENCH = 20, 27, 30, 34, 40
_C, _ROOT, EIGENVECTORS, _G = 46, 82, 118, 154
# Scratch space: allocating it on every call would take as long as the arithmetic.
_ORIGINS, _AXES, _ROTATIONS, _J, _ERROR, _SLIP, _TURN, _HOLD, _MOVED, _PUSHED, _DAMPED, _ROOM, MEMORY_SIZE = (
    *(203, 224, 245, 317, 359, 365, 371, 374, 381, 388, 394, 400, 478),
)


@compiled(types.void(MATRIX, VECTOR, VECTOR))
def sense(chain, joints, memory):
    """Write the pose and velocity of the tip and the wrench at the wrist into `memory`.

    Args:
        chain: (8, 25), see above.
        joints: Positions (7), velocities (7), force and torque in the last link's axes (6).
        memory: (MEMORY_SIZE,).
    """
    origins, axes = memory[_ORIGINS:_AXES].reshape((7, 3)), memory[_AXES:_ROTATIONS].reshape((7, 3))
    rotations, J = memory[_ROTATIONS:_J].reshape((8, 9)), memory[_J:_ERROR].reshape((6, 7))
    tip = memory[TIP:TIP_XYZW]
    forward_kinematics(chain, joints[:7], origins, axes, tip, rotations)
    jacobian_of(origins, axes, tip, J)
    to_quaternion(rotations[7], memory[TIP_XYZW:TIP_VELOCITY])
    for i in range(6):
        total = 0.0
        for j in range(7):
            total += J[i, j] * joints[7 + j]
        memory[TIP_VELOCITY + i] = total
    R = rotations[6]
    for i in range(3):
        memory[WRENCH + i] = R[3 * i] * joints[14] + R[3 * i + 1] * joints[15] + R[3 * i + 2] * joints[16]
        memory[WRENCH + 3 + i] = R[3 * i] * joints[17] + R[3 * i + 1] * joints[18] + R[3 * i + 2] * joints[19]


@compiled(float64(MATRIX, MATRIX, MATRIX, VECTOR, VECTOR, VECTOR, float64, VECTOR))
def _posture_share(G, J, C, hold, moved, pushed, held_damping, room):
    """Share of the posture torque that may act without its damper reversing the motion that it should slow down.

    When elbow and wrist are in line and the tip rests, little more than the forearm turns, and its inertia is small. A
    torque held for a whole update would then spin it back faster than before, and faster still in the next update.

    Args:
        G: Cholesky factor of the mass matrix, (7, 7).
        J: Jacobian, (6, 7).
        C: Cholesky factor of the mobility, (6, 6).
        hold: Posture torque, (7,).
        moved: M^-1 hold, (7,); overwritten with the joint acceleration that leaves the tip at rest.
        pushed: C^-1 J moved, (6,).
        held_damping: Damping times the hold time of a torque, kg m^2.
        room: Scratch space, at least (13,).
    """
    force, torque = room[:6], room[6:13]
    for i in range(6):
        force[i] = pushed[i]
    solve_lower_transposed(C, force, 6)
    for j in range(7):
        total = 0.0
        for i in range(6):
            total += J[i, j] * force[i]
        torque[j] = total
    solve_lower(G, torque, 7)
    solve_lower_transposed(G, torque, 7)
    work = square = before = 0.0
    for j in range(7):
        before += moved[j] * moved[j]
        moved[j] -= torque[j]
        work += moved[j] * hold[j]
        square += moved[j] * moved[j]
    # Nearly all of the posture torque would move the tip and is cancelled; the remainder is small and inexact.
    if square <= 0.01 * before:
        return 1.0
    # work / square is the inertia about the joint-space axis that the posture torque can turn.
    return min(1.0, MOST_HELD * max(work / square, 0.0) / held_damping)


@compiled(types.void(MATRIX, VECTOR, VECTOR, VECTOR, float64, boolean, boolean))
def impedance(chain, gains, joints, memory, dt_s, renew, sensed):
    """Advance the reference by one update and write the torques into `memory`.

    The law is operational-space impedance (Khatib 1987) towards a reference pose that integrates the twist and is
    held near the tip. The damping makes every mode of (inertia, stiffness) equally damped: with the operational
    inertia L L' and S = L^-1 K L^-T, D = 2 zeta L sqrt(S) L' (Albu-Schaeffer et al. 2003, double diagonalisation). A
    diagonal damping matrix is unstable here, because the wrist is light and coupled. The posture's torque acts in the
    null space only: it may move the elbow, never the tip.

    Args:
        chain: (8, 25), see above.
        gains: Stiffness along the base's axes (3) and about the tip's axes (3), damping ratio, stiffness and damping of
            the posture, largest lead in m and in rad; (11,).
        joints: Positions (7), velocities (7), force and torque as in `sense` (6); (20,).
        memory: (MEMORY_SIZE,).
        dt_s: Time until the next update.
        renew: Whether to recompute the terms that depend on the inertia; they change slowly.
        sensed: Whether `sense` has been called for these joints, so that the kinematics are known.
    """
    origins, axes = memory[_ORIGINS:_AXES].reshape((7, 3)), memory[_AXES:_ROTATIONS].reshape((7, 3))
    rotations, J = memory[_ROTATIONS:_J].reshape((8, 9)), memory[_J:_ERROR].reshape((6, 7))
    q, dq = joints[:7], joints[7:14]
    tip, R = memory[TIP:TIP_XYZW], rotations[7]
    if not sensed:
        forward_kinematics(chain, q, origins, axes, tip, rotations)
        jacobian_of(origins, axes, tip, J)
        to_quaternion(R, memory[TIP_XYZW:TIP_VELOCITY])
    C, root = memory[_C:_ROOT].reshape((6, 6)), memory[_ROOT:EIGENVECTORS].reshape((6, 6))
    G = memory[_G:_ORIGINS].reshape((7, 7))
    if renew:
        mass_matrix_of(chain, origins, axes, rotations, G)
        U = memory[EIGENVECTORS:_G].reshape((6, 6))
        _renew(gains, J, R, G, C, root, U, memory[_ROOM:MEMORY_SIZE])

    reference, reference_xyzw = memory[REFERENCE:REFERENCE_XYZW], memory[REFERENCE_XYZW:POSTURE]
    twist, posture = memory[TWIST:TORQUE], memory[POSTURE:TWIST]
    error, slip, turn = memory[_ERROR:_SLIP], memory[_SLIP:_TURN], memory[_TURN:_HOLD]
    for i in range(3):
        reference[i] += twist[i] * dt_s
        error[i] = reference[i] - tip[i]
    distance = np.sqrt(error[0] * error[0] + error[1] * error[1] + error[2] * error[2])
    blocked = distance > gains[9]
    if blocked:
        for i in range(3):
            error[i] *= gains[9] / distance
            reference[i] = tip[i] + error[i]
    rotate(reference_xyzw, twist[3:], dt_s)
    rotation_between(memory[TIP_XYZW:TIP_VELOCITY], reference_xyzw, turn)
    angle = np.sqrt(turn[0] * turn[0] + turn[1] * turn[1] + turn[2] * turn[2])
    if angle > gains[10]:
        for i in range(3):
            turn[i] *= gains[10] / angle

    for i in range(6):
        total = 0.0
        for j in range(7):
            total += J[i, j] * dq[j]
        memory[TIP_VELOCITY + i] = total
        slip[i] = twist[i] - total
    if blocked:
        # The spring already presses with its full force: the damper must not add to it.
        towards = (slip[0] * error[0] + slip[1] * error[1] + slip[2] * error[2]) / gains[9]
        if towards > 0.0:
            for i in range(3):
                slip[i] -= towards * error[i] / gains[9]

    # Spring.
    for i in range(3):
        error[i] *= gains[i]
        total = 0.0
        for k in range(3):
            about = gains[3 + k] * (R[k] * turn[0] + R[3 + k] * turn[1] + R[6 + k] * turn[2])
            total += R[3 * i + k] * about
        error[3 + i] = total
    # Damper, minus the effect of the posture torque on the tip: L^T = C^-1, with the mobility factored as C C'.
    hold, moved = memory[_HOLD:_MOVED], memory[_MOVED:_PUSHED]
    for j in range(7):
        hold[j] = gains[7] * (posture[j] - q[j]) - gains[8] * dq[j]
        moved[j] = hold[j]
    solve_lower(G, moved, 7)
    solve_lower_transposed(G, moved, 7)
    pushed, damped = memory[_PUSHED:_DAMPED], memory[_DAMPED:_ROOM]
    for i in range(6):
        total = 0.0
        for j in range(7):
            total += J[i, j] * moved[j]
        pushed[i] = total
    solve_lower(C, pushed, 6)
    share = _posture_share(G, J, C, hold, moved, pushed, gains[8] * dt_s, memory[_ROOM:MEMORY_SIZE])
    if share < 1.0:
        for j in range(7):
            hold[j] *= share
        for i in range(6):
            pushed[i] *= share
    solve_lower(C, slip, 6)
    for i in range(6):
        total = 0.0
        for k in range(6):
            total += root[i, k] * slip[k]
        damped[i] = 2.0 * gains[6] * total - pushed[i]
    solve_lower_transposed(C, damped, 6)
    for j in range(7):
        total = hold[j]
        for i in range(6):
            total += J[i, j] * (error[i] + damped[i])
        memory[TORQUE + j] = total
