"""The KUKA LBR iiwa 14 as a PyBullet body: its description, its state, and a compliant twist controller.

The description is written here from the arm's published kinematics rather than read from a mesh file, because the
small software renderer draws boxes and capsules ten times faster than meshes and the wrist camera is drawn often.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pybullet as pb
from numpy.typing import NDArray

JOINT_NAMES = tuple(f"lbr_A{i}" for i in range(1, 8))
JOINT_LIMITS_RAD = np.deg2rad([170.0, 120.0, 170.0, 120.0, 170.0, 120.0, 175.0])
HOME_RAD = np.deg2rad([0.0, 25.0, 0.0, -85.0, 0.0, 70.0, 0.0])

# Per joint: origin xyz and rpy, link mass (kg), centre of mass, diagonal inertia (kg m^2), way to the next joint.
_H = np.pi / 2
_LINKS = (
    ((0, 0, 0.1575), (0, 0, 0), 4.0, (0, -0.03, 0.12), (0.1, 0.09, 0.02), (0, 0, 0.2025)),
    ((0, 0, 0.2025), (_H, 0, np.pi), 4.0, (0.0003, 0.059, 0.042), (0.05, 0.018, 0.044), (0, 0.2045, 0)),
    ((0, 0.2045, 0), (_H, 0, np.pi), 3.0, (0, 0.03, 0.13), (0.08, 0.075, 0.01), (0, 0, 0.2155)),
    ((0, 0, 0.2155), (_H, 0, 0), 2.7, (0, 0.067, 0.034), (0.03, 0.01, 0.029), (0, 0.1845, 0)),
    ((0, 0.1845, 0), (-_H, np.pi, 0), 1.7, (0.0001, 0.021, 0.076), (0.02, 0.018, 0.005), (0, 0, 0.2155)),
    ((0, 0, 0.2155), (_H, 0, 0), 1.8, (0, 0.0006, 0.0004), (0.005, 0.0036, 0.0047), (0, 0.081, 0)),
    ((0, 0.081, 0), (-_H, np.pi, 0), 0.3, (0, 0, 0.02), (0.001, 0.001, 0.001), (0, 0, 0.045)),
)
FLANGE_M = 0.045
FINGER_RADIUS_M = 0.006
FINGER_LENGTH_M = 0.085
GRIPPER_LENGTH_M = 0.06
FINGER_FRICTION = 0.8  # a rubber tip: it sticks to what it presses on rather than slide into place


@dataclass(frozen=True)
class Tool:
    """What hangs below the gripper's body.

    Attributes:
        description: URDF of links and joints, the first joint a child of link `gripper`, whose origin is the flange's
            face and whose z axis points out of it. One link, of a gram, is called `tcp`: the point that twists move.
            It may have movable joints, such as jaws: whoever gives the tool moves them.
        friction: Lateral friction of each link that touches something.
    """

    description: str
    friction: dict[str, float]


def describe_iiwa(tool: Tool | None = None) -> str:
    """URDF of the arm with a parallel gripper and a tool; a closed gripper's round fingertip where none is given.

    Links `lbr_link_0` … `lbr_link_7` carry boxes and capsules to be seen, no collision shapes; `gripper` and the links
    of the tool hang below the flange. Only the tool collides.
    """
    tool = tool or closed_finger()
    parts = ['<robot name="lbr"><link name="lbr_link_0"><inertial><mass value="0"/>', _inertia((0.05, 0.06, 0.03))]
    parts.append("</inertial>" + _visual_cylinder(0.09, 0.15, (0, 0, 0.075), "grey") + "</link>")
    for index, (xyz, rpy, mass, com, inertia, towards) in enumerate(_LINKS, start=1):
        limit = JOINT_LIMITS_RAD[index - 1]
        parts.append(
            f'<joint name="{JOINT_NAMES[index - 1]}" type="revolute"><parent link="lbr_link_{index - 1}"/>'
            f'<child link="lbr_link_{index}"/><origin xyz="{_text(xyz)}" rpy="{_text(rpy)}"/><axis xyz="0 0 1"/>'
            f'<limit lower="{-limit}" upper="{limit}" effort="300" velocity="2"/></joint>'
        )
        length = float(np.linalg.norm(towards))
        centre = tuple(0.5 * value for value in towards)
        lie_down = (-_H, 0, 0) if abs(towards[1]) > 0 else (0, 0, 0)
        colour = "orange" if index % 2 else "silver"
        parts.append(
            f'<link name="lbr_link_{index}"><inertial><origin xyz="{_text(com)}"/><mass value="{mass}"/>'
            f"{_inertia(inertia)}</inertial>{_visual_cylinder(0.055, length, centre, colour, lie_down)}</link>"
        )
    gripper_centre = (0, 0, 0.5 * GRIPPER_LENGTH_M)
    parts.append(_fixed_joint("lbr_link_7", "gripper", FLANGE_M))
    parts.append(
        f'<link name="gripper"><inertial><origin xyz="{_text(gripper_centre)}"/><mass value="0.4"/>'
        f"{_inertia((4e-4, 4e-4, 3e-4))}</inertial>"
        f'<visual><origin xyz="{_text(gripper_centre)}"/><geometry>'
        f'<box size="0.04 0.09 {GRIPPER_LENGTH_M}"/></geometry>'
        f"{_material('dark')}</visual></link>"
    )
    return "".join(parts) + tool.description + "</robot>"


def closed_finger() -> Tool:
    """A closed gripper whose fingertips form one round finger; `tcp` is the centre of the round tip."""
    centre = (0, 0, 0.5 * FINGER_LENGTH_M)
    shaft = FINGER_LENGTH_M - FINGER_RADIUS_M
    capsule = f'<capsule radius="{FINGER_RADIUS_M}" length="{shaft - FINGER_RADIUS_M}"/>'
    parts = [_fixed_joint("gripper", "finger", GRIPPER_LENGTH_M)]
    parts.append(
        f'<link name="finger"><inertial><origin xyz="{_text(centre)}"/><mass value="0.1"/>'
        f"{_inertia((8e-5, 8e-5, 2e-5))}</inertial>"
        f'<visual><origin xyz="{_text(centre)}"/><geometry>'
        f'<box size="{1.4 * FINGER_RADIUS_M} {1.4 * FINGER_RADIUS_M} {FINGER_LENGTH_M}"/></geometry>'
        f"{_material('steel')}</visual>"
        f'<collision><origin xyz="{_text(centre)}"/><geometry>{capsule}</geometry></collision></link>'
    )
    parts.append(_fixed_joint("finger", "tcp", FINGER_LENGTH_M - FINGER_RADIUS_M))
    parts.append(f'<link name="tcp"><inertial><mass value="0.001"/>{_inertia((1e-6, 1e-6, 1e-6))}</inertial></link>')
    return Tool("".join(parts), {"finger": FINGER_FRICTION})


_COLOURS = {
    "grey": "0.35 0.35 0.37 1",
    "orange": "0.93 0.55 0.18 1",
    "silver": "0.80 0.80 0.82 1",
    "dark": "0.15 0.15 0.17 1",
    "steel": "0.62 0.64 0.68 1",
}


def _text(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.9g}" for value in values)


def _inertia(diagonal: tuple[float, float, float]) -> str:
    x, y, z = diagonal
    return f'<inertia ixx="{x}" iyy="{y}" izz="{z}" ixy="0" ixz="0" iyz="0"/>'


def _material(name: str) -> str:
    return f'<material name="{name}"><color rgba="{_COLOURS[name]}"/></material>'


def _visual_cylinder(
    radius: float,
    length: float,
    centre: tuple[float, ...],
    colour: str,
    rpy: tuple[float, ...] = (0, 0, 0),
) -> str:
    return (
        f'<visual><origin xyz="{_text(centre)}" rpy="{_text(rpy)}"/><geometry>'
        f'<cylinder radius="{radius}" length="{length}"/></geometry>{_material(colour)}</visual>'
    )


def _fixed_joint(parent: str, child: str, z_m: float) -> str:
    return (
        f'<joint name="{child}_joint" type="fixed"><parent link="{parent}"/><child link="{child}"/>'
        f'<origin xyz="0 0 {z_m}"/></joint>'
    )


@dataclass(frozen=True)
class ImpedanceGains:
    """How the arm follows a twist. The lead times the stiffness bounds the force the arm can press with."""

    translation_stiffness_n_m: float = 1200.0
    rotation_stiffness_nm_rad: float = 60.0
    damping_ratio: float = 0.9
    posture_stiffness_nm_rad: float = 10.0
    posture_damping_nms_rad: float = 4.0
    lead_m: float = 0.012  # the reference may run this far ahead of the real tip
    lead_rad: float = 0.15


class Iiwa:
    """The arm in one physics client, driven by a twist of its fingertip through a Cartesian impedance.

    Operational-space impedance after Khatib (1987), with the joint motors switched off: the reference pose
    integrates the commanded twist, and a spring and a damper pull the tip to it. All poses are in the base frame.
    """

    def __init__(self, client: int, gains: ImpedanceGains | None = None, tool: Tool | None = None):
        self._client = client
        tool = tool or closed_finger()
        self.gains = gains or ImpedanceGains()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "iiwa.urdf"
            path.write_text(describe_iiwa(tool), encoding="utf-8")
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
        # The sensor sits between flange and gripper, so it feels all that touches gripper and finger.
        pb.enableJointForceTorqueSensor(self.body, self.gripper_link, True, client)
        self._zeros = [0.0] * 7
        # Joints of the tool, such as jaws, come after the arm's seven. They are the tool's own to move; to the arm's
        # dynamics their links are part of the hand, at joint position zero.
        is_movable = [pb.getJointInfo(self.body, i, client)[2] != pb.JOINT_FIXED for i in self.links.values()]
        self._tool_zeros = [0.0] * (sum(is_movable) - 7)
        self._twist = np.zeros(6)
        self._mass_age = 0
        g = self.gains
        self._stiffness = np.array([g.translation_stiffness_n_m] * 3 + [g.rotation_stiffness_nm_rad] * 3)
        self.refresh()

    def refresh(self) -> None:
        """Read joints and fingertip from the physics engine."""
        states = pb.getJointStates(self.body, self.joints, self._client)
        self.joint_position_rad = np.array([state[0] for state in states])
        self.joint_velocity_rad_s = np.array([state[1] for state in states])
        link = pb.getLinkState(self.body, self.tcp_link, 1, 1, self._client)
        self.position_m = np.array(link[4])
        self.orientation_xyzw = np.array(link[5])
        self.velocity_m_s = np.array(link[6])
        self.angular_velocity_rad_s = np.array(link[7])

    def jacobian(self) -> NDArray[np.float64]:
        """Jacobian of the fingertip, shape (6, 7): linear rows in m, angular rows in rad, base frame."""
        linear, angular = pb.calculateJacobian(
            self.body,
            self.tcp_link,
            (0.0, 0.0, 0.0),
            self.joint_position_rad.tolist() + self._tool_zeros,
            self._zeros + self._tool_zeros,
            self._zeros + self._tool_zeros,
            self._client,
        )
        return np.array(linear + angular)[:, :7]

    def place(self, position_m: NDArray[np.float64], orientation_xyzw: NDArray[np.float64]) -> None:
        """Put the arm at rest with its fingertip at a pose, by damped least squares from the home posture.

        Args:
            position_m: Fingertip position, shape (3,), base frame.
            orientation_xyzw: Fingertip orientation as a quaternion, shape (4,).

        Raises:
            ValueError: The pose is out of reach.
        """
        q = HOME_RAD.copy()
        error = np.zeros(6)
        for _ in range(100):
            for joint, angle in zip(self.joints, q, strict=True):
                pb.resetJointState(self.body, joint, angle, 0.0, self._client)
            self.refresh()
            error[:3] = position_m - self.position_m
            error[3:] = rotation_between(self.orientation_xyzw, orientation_xyzw)
            if np.abs(error).max() < 1e-7:
                break
            J = self.jacobian()
            change = J.T @ np.linalg.solve(J @ J.T + 1e-4 * np.eye(6), error)
            q = q + change * min(1.0, 0.3 / np.abs(change).max())
            q = np.clip(q, -JOINT_LIMITS_RAD, JOINT_LIMITS_RAD)
        else:
            raise ValueError(f"the fingertip cannot reach {np.round(position_m, 3)} m")
        self.posture_rad = q
        self.reference_m = np.array(position_m, dtype=float)
        self.reference_xyzw = np.array(orientation_xyzw, dtype=float)
        self._twist[:] = 0.0
        self._mass_age = 0
        self.refresh()

    def command(self, twist: NDArray[np.float64]) -> None:
        """Follow `twist`, shape (6,): linear m/s, angular rad/s, base frame, until the next command."""
        self._twist[:] = twist

    def apply_torques(self, dt_s: float) -> None:
        """Set the joint torques of one physics step of length `dt_s`; call it before each step."""
        g = self.gains
        self.refresh()
        J = self.jacobian()
        if self._mass_age == 0:  # the inertia changes slowly; a quarter of the physics rate is plenty
            self._update_inertia(J)
        self._mass_age = (self._mass_age + 1) % 4

        self.reference_m += self._twist[:3] * dt_s
        lead = self.reference_m - self.position_m
        distance = float(np.sqrt(lead @ lead))
        blocked = distance > g.lead_m
        if blocked:
            lead *= g.lead_m / distance
            self.reference_m = self.position_m + lead
        self.reference_xyzw = rotate(self.reference_xyzw, self._twist[3:] * dt_s)
        turn = rotation_between(self.orientation_xyzw, self.reference_xyzw)
        angle = float(np.sqrt(turn @ turn))
        if angle > g.lead_rad:
            turn *= g.lead_rad / angle

        slip = self._twist - J @ self.joint_velocity_rad_s
        if blocked:
            # The damper must not press on what the spring already presses on with all it may.
            towards = lead / g.lead_m
            slip[:3] -= max(0.0, float(slip[:3] @ towards)) * towards
        wrench = self._stiffness * np.concatenate((lead, turn)) + self._damping @ slip
        posture = (
            g.posture_stiffness_nm_rad * (self.posture_rad - self.joint_position_rad)
            - g.posture_damping_nms_rad * self.joint_velocity_rad_s
        )
        # The posture torque acts only in the null space: it may move the elbow, never the fingertip.
        torque = J.T @ (wrench - self._dynamic_inverse @ posture) + posture
        pb.setJointMotorControlArray(
            self.body, self.joints, pb.TORQUE_CONTROL, forces=torque.tolist(), physicsClientId=self._client
        )

    def _update_inertia(self, J: NDArray[np.float64]) -> None:
        """Refresh all that depends on the inertia: the null-space projection and the damping matrix.

        The damping makes every mode of (inertia, stiffness) equally damped: with the inertia L L' and
        L^-1 K L^-T = U diag(s) U', D = 2 zeta L U diag(sqrt(s)) U' L' (Albu-Schaeffer et al. 2003, double
        diagonalisation). A diagonal damping matrix is unstable here, because the wrist is light and coupled.
        """
        q = self.joint_position_rad.tolist() + self._tool_zeros
        M = np.array(pb.calculateMassMatrix(self.body, q, 0, self._client))
        MinvJT = np.linalg.solve(M[:7, :7], J.T)
        operational_mass = np.linalg.inv(J @ MinvJT + 1e-6 * np.eye(6))
        self._dynamic_inverse = operational_mass @ MinvJT.T
        L = np.linalg.cholesky(0.5 * (operational_mass + operational_mass.T))
        half = np.linalg.solve(L, np.diag(np.sqrt(self._stiffness)))
        squares, U = np.linalg.eigh(half @ half.T)
        LU = L @ U
        self._damping = (2.0 * self.gains.damping_ratio * np.sqrt(np.maximum(squares, 0.0)) * LU) @ LU.T

    def wrench(self) -> NDArray[np.float64]:
        """Force (N) and torque (Nm) on the gripper as the wrist sensor feels it, base axes, shape (6,)."""
        reaction = np.array(pb.getJointState(self.body, self.gripper_link, self._client)[2])
        frame = pb.getLinkState(self.body, self.gripper_link, 0, 1, self._client)[5]
        R = np.array(pb.getMatrixFromQuaternion(frame)).reshape(3, 3)
        return np.concatenate((R @ reaction[:3], R @ reaction[3:]))


def rotation_between(start_xyzw: NDArray[np.float64], end_xyzw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation vector (rad, base axes, shape (3,)) that turns one orientation into the other, the short way round."""
    x1, y1, z1, w1 = start_xyzw
    x2, y2, z2, w2 = end_xyzw
    # Vector and scalar part of end * conjugate(start).
    v = np.array(
        [
            -w2 * x1 + x2 * w1 - y2 * z1 + z2 * y1,
            -w2 * y1 + x2 * z1 + y2 * w1 - z2 * x1,
            -w2 * z1 - x2 * y1 + y2 * x1 + z2 * w1,
        ]
    )
    w = w2 * w1 + x2 * x1 + y2 * y1 + z2 * z1
    if w < 0.0:
        v, w = -v, -w
    sine = float(np.sqrt(v @ v))
    return 2.0 * v if sine < 1e-9 else v * (2.0 * np.arctan2(sine, w) / sine)


def rotate(orientation_xyzw: NDArray[np.float64], turn_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn an orientation by a rotation vector given in base axes; both in, result out: (4,), (3,), (4,)."""
    angle = float(np.sqrt(turn_rad @ turn_rad))
    if angle < 1e-12:
        return orientation_xyzw
    x1, y1, z1 = turn_rad * (np.sin(0.5 * angle) / angle)
    w1 = np.cos(0.5 * angle)
    x2, y2, z2, w2 = orientation_xyzw
    return np.array(
        [
            w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
            w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
            w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
            w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
        ]
    )
