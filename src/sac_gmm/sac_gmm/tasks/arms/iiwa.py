"""The KUKA LBR iiwa 14 as a PyBullet body: its state, and a compliant twist controller."""

from __future__ import annotations

import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pybullet as pb
from numpy.typing import NDArray

from sac_gmm.core.errors import UserError
from sac_gmm.core.small_algebra import rotation_between, to_quaternion
from sac_gmm.tasks.arms import arm_kernels as kernels
from sac_gmm.tasks.arms.description import (
    HOME_RAD,
    JOINT_LIMITS_RAD,
    Tool,
    closed_finger,
    describe_for_others,
    describe_iiwa,
)
from sac_gmm.tasks.arms.inverse_kinematics import solve_inverse_kinematics

_PACK = struct.Struct("20d").pack_into


@dataclass(frozen=True)
class ImpedanceGains:
    """How the arm follows a twist. Lead times stiffness bounds the force with which the arm can press.

    Each stiffness is one number or three: along the base axes in translation, about the tip's own axes in rotation.
    """

    translation_stiffness_n_m: float | tuple[float, float, float] = 1200.0
    rotation_stiffness_nm_rad: float | tuple[float, float, float] = 30.0
    damping_ratio: float = 0.9
    posture_stiffness_nm_rad: float = 10.0
    posture_damping_nms_rad: float = 2.0  # the elbow's inertia is small: twice this, held for 1/60 s, overshoots
    lead_m: float = 0.012  # the reference may run this far ahead of the real tip
    lead_rad: float = 0.15

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            sizes = ((), (3,)) if name.startswith(("translation", "rotation")) else ((),)
            try:
                numbers = np.asarray(value, dtype=float)
            except (TypeError, ValueError):
                numbers = np.full(1, np.nan)
            if numbers.shape not in sizes or not np.all(np.isfinite(numbers) & (numbers > 0.0)):
                expected = "a positive number" + (" or three of them" if len(sizes) > 1 else "")
                raise UserError(f"gains: {name} is {value!r}; it must be {expected}")

    def as_array(self) -> NDArray[np.float64]:
        """The gains in the compiled controller's order, shape (11,)."""
        return np.concatenate(
            (
                np.broadcast_to(np.asarray(self.translation_stiffness_n_m, float), 3),
                np.broadcast_to(np.asarray(self.rotation_stiffness_nm_rad, float), 3),
                [self.damping_ratio, self.posture_stiffness_nm_rad, self.posture_damping_nms_rad],
                [self.lead_m, self.lead_rad],
            )
        )


class Iiwa:
    """The arm in one physics client; a Cartesian impedance makes its fingertip follow a twist.

    The engine's joint motors are off; torques come from `arm_kernels.impedance`. All poses are in the base frame.
    """

    def __init__(
        self,
        client: int,
        gains: ImpedanceGains | None = None,
        tool: Tool | None = None,
        *,
        mesh_visuals: bool = False,
    ):
        self._client = client
        self.tool = tool = tool or closed_finger()
        self.gains = gains or ImpedanceGains()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "iiwa.urdf"
            path.write_text(describe_iiwa(tool, mesh_visuals=mesh_visuals), encoding="utf-8")
            self.body = pb.loadURDF(
                str(path), useFixedBase=True, flags=pb.URDF_USE_INERTIA_FROM_FILE, physicsClientId=client
            )
        self.links = {
            pb.getJointInfo(self.body, i, client)[12].decode(): i for i in range(pb.getNumJoints(self.body, client))
        }
        self.tcp_link = self.links["tcp"]
        self.gripper_link = self.links["gripper"]
        self.joints = list(range(7))
        for joint in self.joints:
            pb.setJointMotorControl2(
                self.body, joint, pb.VELOCITY_CONTROL, targetVelocity=0.0, force=0.0, physicsClientId=client
            )
            pb.changeDynamics(self.body, joint, linearDamping=0, angularDamping=0, physicsClientId=client)
        for name, friction in tool.friction.items():
            pb.changeDynamics(self.body, self.links[name], lateralFriction=friction, physicsClientId=client)
        # The sensor sits between flange and gripper, so it feels every contact of gripper and finger.
        pb.enableJointForceTorqueSensor(self.body, self.gripper_link, True, client)
        self._read = [*self.joints, self.gripper_link]
        self._gains = self.gains.as_array()
        self._joint_state = np.zeros(20)  # positions, velocities, reading of the wrist sensor
        self._joint_buffer = self._joint_state.data
        self._memory = np.zeros(kernels.MEMORY_SIZE)
        self._sensed = False  # whether `refresh_tip` has run since the joints were last read
        self.refresh_dynamics()
        self.place_joints(HOME_RAD)

    @property
    def description(self) -> str:
        """URDF, as a real arm's driver publishes it."""
        return describe_for_others(self.tool)

    def refresh_dynamics(self) -> None:
        """Read masses and geometry of the links from the engine; call this after changing a mass.

        Links of the tool count as part of the hand; movable ones at joint position zero.
        """
        movable = [i for i in self.links.values() if pb.getJointInfo(self.body, i, self._client)[2] != pb.JOINT_FIXED]
        before = [state[0] for state in pb.getJointStates(self.body, movable, self._client)]
        for joint in movable:
            pb.resetJointState(self.body, joint, 0.0, 0.0, self._client)
        self._chain = _read_chain(self._client, self.body, self.tcp_link)
        for joint, angle in zip(movable, before, strict=True):
            pb.resetJointState(self.body, joint, angle, 0.0, self._client)

    def refresh(self) -> None:
        """Read the whole state from the physics engine."""
        self.read_joints()
        self.refresh_tip()

    def read_joints(self) -> None:
        """Read joints and wrist sensor from the physics engine; the tip is not updated yet."""
        states = pb.getJointStates(self.body, self._read, self._client)
        a, b, c, d, e, f, g, wrist = states
        _PACK(
            *(self._joint_buffer, 0),
            *(a[0], b[0], c[0], d[0], e[0], f[0], g[0]),
            *(a[1], b[1], c[1], d[1], e[1], f[1], g[1]),
            *wrist[2],
        )
        self._sensed = False

    def refresh_tip(self) -> None:
        """Compute pose and velocity of the tip, and the wrench in base axes, from the last reading."""
        kernels.sense(self._chain, self._joint_state, self._memory)
        self._sensed = True

    @property
    def joint_position_rad(self) -> NDArray[np.float64]:
        """Joint positions, shape (7,)."""
        return self._joint_state[:7].copy()

    @property
    def position_m(self) -> NDArray[np.float64]:
        """Fingertip position, base frame, shape (3,)."""
        return self._memory[kernels.TIP : kernels.TIP + 3].copy()

    @property
    def orientation_xyzw(self) -> NDArray[np.float64]:
        """Fingertip orientation as a quaternion, base frame, shape (4,)."""
        return self._memory[kernels.TIP_XYZW : kernels.TIP_XYZW + 4].copy()

    @property
    def velocity_m_s(self) -> NDArray[np.float64]:
        """Fingertip velocity, base axes, shape (3,)."""
        return self._memory[kernels.TIP_VELOCITY : kernels.TIP_VELOCITY + 3].copy()

    @property
    def angular_velocity_rad_s(self) -> NDArray[np.float64]:
        """Angular velocity of the fingertip, base axes, shape (3,)."""
        return self._memory[kernels.TIP_VELOCITY + 3 : kernels.TIP_VELOCITY + 6].copy()

    def sensed(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Fingertip position (m) and velocity (m/s), shape (3,), and `wrench`, for the cost of one of them."""
        first = kernels.TIP
        values = self._memory[first : kernels.WRENCH + 6].copy()
        velocity = kernels.TIP_VELOCITY - first
        return values[:3], values[velocity : velocity + 3], values[kernels.WRENCH - first :]

    @property
    def torque_nm(self) -> NDArray[np.float64]:
        """Joint torques from the last update, shape (7,)."""
        return self._memory[kernels.TORQUE : kernels.TORQUE + 7].copy()

    def jacobian(self) -> NDArray[np.float64]:
        """Jacobian of the fingertip, shape (6, 7): linear rows in m, angular rows in rad, base frame."""
        J = np.empty((6, 7))
        origins, axes, _ = self._kinematics()
        kernels.jacobian_of(origins, axes, self.position_m, J)
        return J

    def mass_matrix(self) -> NDArray[np.float64]:
        """Joint-space inertia with the tool's own joints at zero, shape (7, 7), kg m^2."""
        M = np.empty((7, 7))
        kernels.mass_matrix_of(self._chain, *self._kinematics(), M)
        return M

    def _kinematics(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        origins, axes, rotations = np.empty((7, 3)), np.empty((7, 3)), np.empty((8, 9))
        kernels.forward_kinematics(self._chain, self.joint_position_rad, origins, axes, np.empty(3), rotations)
        return origins, axes, rotations

    def place(self, position_m: NDArray[np.float64], orientation_xyzw: NDArray[np.float64]) -> None:
        """Place the arm at rest with its fingertip at a pose, by damped least squares from the home posture.

        Args:
            position_m: Fingertip position, shape (3,), base frame.
            orientation_xyzw: Fingertip orientation as a quaternion, shape (4,).

        Raises:
            UserError: The pose is out of reach.
        """
        q = HOME_RAD.copy()
        goal, goal_xyzw = np.array(position_m, dtype=float), np.array(orientation_xyzw, dtype=float)
        if not solve_inverse_kinematics(self._chain, JOINT_LIMITS_RAD, goal, goal_xyzw, q):
            raise UserError(f"the arm cannot reach {np.round(goal, 3)} m: bring the scene closer, or lower its noise")
        self.place_joints(q)
        self._memory[kernels.REFERENCE : kernels.REFERENCE + 7] = (*goal, *goal_xyzw)

    def place_joints(self, q_rad: NDArray[np.float64]) -> None:
        """Place the arm at rest at joint positions, shape (7,), which become its posture; clear the twist."""
        for joint, angle in zip(self.joints, q_rad.tolist(), strict=True):
            pb.resetJointState(self.body, joint, angle, 0.0, self._client)
        self._memory[:] = 0.0
        self._memory[kernels.EIGENVECTORS : kernels.EIGENVECTORS + 36 : 7] = 1.0
        self._memory[kernels.POSTURE : kernels.POSTURE + 7] = q_rad
        self.refresh()
        self._memory[kernels.WRENCH : kernels.WRENCH + 6] = 0.0  # the last reading belongs to the old pose
        self._memory[kernels.REFERENCE : kernels.REFERENCE + 7] = self._memory[kernels.TIP : kernels.TIP + 7]

    def command(self, twist: NDArray[np.float64]) -> None:
        """Follow `twist`, shape (6,): linear m/s, angular rad/s, base frame, until the next command."""
        self._memory[kernels.TWIST : kernels.TWIST + 6] = twist

    def twist_to_joints(self, q_rad: NDArray[np.float64], dt_s: float) -> NDArray[np.float64]:
        """Make joint positions, shape (7,), the posture to hold, like a driver in position mode.

        Returns:
            The twist, shape (6,), that moves the fingertip's reference there within `dt_s`.
        """
        tip, rotations, xyzw = np.empty(3), np.empty((8, 9)), np.empty(4)
        kernels.forward_kinematics(self._chain, q_rad, np.empty((7, 3)), np.empty((7, 3)), tip, rotations)
        to_quaternion(rotations[7], xyzw)
        self._memory[kernels.POSTURE : kernels.POSTURE + 7] = q_rad
        reference = self._memory[kernels.REFERENCE : kernels.REFERENCE + 7]
        turn = np.empty(3)
        rotation_between(reference[3:], xyzw, turn)
        return np.concatenate((tip - reference[:3], turn)) / dt_s

    def apply_torques(self, dt_s: float, renew_inertia: bool = True) -> None:
        """Set the joint torques for the next `dt_s` and refresh the tip; read the joints first.

        Args:
            dt_s: Time until the next call.
            renew_inertia: Recompute the terms that depend on the arm's inertia; they change slowly.
        """
        kernels.impedance(self._chain, self._gains, self._joint_state, self._memory, dt_s, renew_inertia, self._sensed)
        pb.setJointMotorControlArray(
            self.body,
            self.joints,
            pb.TORQUE_CONTROL,
            forces=self._memory[kernels.TORQUE : kernels.TORQUE + 7].tolist(),
            physicsClientId=self._client,
        )

    def memory(self) -> dict[str, Any]:
        """State of the controller and the last reading from the engine, for `recall`."""
        return {"controller": self._memory, "joints": self._joint_state, "sensed": self._sensed}

    def recall(self, memory: dict[str, Any]) -> None:
        """Restore what `memory` returned; the engine's state is already restored."""
        self._memory[:], self._joint_state[:] = memory["controller"], memory["joints"]
        self._sensed = memory["sensed"]

    def wrench(self) -> NDArray[np.float64]:
        """Force (N) and torque (Nm) on the gripper as the wrist sensor feels it, base axes, shape (6,)."""
        return self._memory[kernels.WRENCH : kernels.WRENCH + 6].copy()


def _read_chain(client: int, body: int, tcp_link: int) -> NDArray[np.float64]:
    """Geometry and inertia of an arm with all joints at zero, shape (8, 25); see `arm_kernels`."""

    def frame(state: tuple[Any, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.array(state[4]), np.array(pb.getMatrixFromQuaternion(state[5])).reshape(3, 3)

    states = pb.getLinkStates(body, list(range(pb.getNumJoints(body, client))), 0, 1, client)
    chain = np.zeros((8, kernels.CHAIN_COLUMNS))
    place_m, R = np.zeros(3), np.eye(3)
    for row, link in zip(chain, [*range(7), tcp_link], strict=True):
        next_m, R_next = frame(states[link])
        row[:3] = R.T @ (next_m - place_m)
        row[3:12] = (R.T @ R_next).ravel()
        place_m, R = next_m, R_next
    for index, state in enumerate(states):
        info = pb.getDynamicsInfo(body, index, client)
        link = min(index, 6)
        origin_m, R = frame(states[link])
        R_inertial = R.T @ np.array(pb.getMatrixFromQuaternion(state[1])).reshape(3, 3)
        inertia = R_inertial @ np.diag(info[2]) @ R_inertial.T
        _add_mass(chain[link, 12:], info[0], R.T @ (np.array(state[0]) - origin_m), inertia)
    return chain


def _add_mass(
    link: NDArray[np.float64], mass_kg: float, centre_m: NDArray[np.float64], inertia: NDArray[np.float64]
) -> None:
    """Add a body to a link given as mass, centre of mass (3) and inertia about it (9), in place."""
    total = link[0] + mass_kg
    if total == 0.0:
        return
    centre = (link[0] * link[1:4] + mass_kg * centre_m) / total
    sum_inertia = link[4:].reshape(3, 3) + inertia
    for mass, at in ((link[0], link[1:4]), (mass_kg, centre_m)):
        off = at - centre
        sum_inertia = sum_inertia + mass * (off @ off * np.eye(3) - np.outer(off, off))
    link[0], link[1:4], link[4:] = total, centre, sum_inertia.ravel()
