"""URDF of the KUKA LBR iiwa 14, its gripper and its tool.

It is built from the arm's published kinematics, with boxes and cylinders instead of meshes: the software renderer draws
them ten times faster, and the wrist camera renders often.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sac_gmm.tasks import urdf
from sac_gmm.tasks.urdf import Colour, rounded

JOINT_NAMES = tuple(f"lbr_A{i}" for i in range(1, 8))
JOINT_LIMITS_RAD = np.deg2rad([170.0, 120.0, 170.0, 120.0, 170.0, 120.0, 175.0])
HOME_RAD = np.deg2rad([0.0, 25.0, 0.0, -85.0, 0.0, 70.0, 0.0])

# Per joint: origin xyz and rpy, link mass (kg), centre of mass, diagonal inertia (kg m^2), offset to the next joint.
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
# Each motor's rotor, reflected through its gear, adds inertia about its joint. On the real arm this is tenths of a kg
# m^2, most of it hidden by the joint torque control. It steadies the light wrist, so torques can be updated less often.
ROTOR_INERTIA_KG_M2 = (0.0, 0.0, 0.0, 0.0, 0.03, 0.03, 0.03)
FLANGE_M = 0.045
FINGER_RADIUS_M = 0.006
FINGER_LENGTH_M = 0.085
GRIPPER_LENGTH_M = 0.06
FINGER_FRICTION = 0.8  # a rubber tip: it sticks where it presses instead of sliding into place

_GREY = Colour("grey", "0.35 0.35 0.37 1")
_ORANGE = Colour("orange", "0.93 0.55 0.18 1")
_SILVER = Colour("silver", "0.80 0.80 0.82 1")
_DARK = Colour("dark", "0.15 0.15 0.17 1")
_STEEL = Colour("steel", "0.62 0.64 0.68 1")


@dataclass(frozen=True)
class Tool:
    """Links attached below the gripper's body.

    Attributes:
        description: URDF of links and joints. The first joint is a child of link `gripper`, whose origin is the face of
            the flange and whose z axis points out of it. One link with a mass of one gram is called `tcp`: the point
            that twists move. Movable joints, such as jaws, are allowed; the task that provides the tool drives them.
        friction: Lateral friction of each link that touches something.
    """

    description: str
    friction: dict[str, float]


def describe_iiwa(tool: Tool | None = None, *, mesh_visuals: bool = False) -> str:
    """URDF of the arm with a parallel gripper and a tool; by default a closed gripper with a round fingertip.

    Links `lbr_link_0` … `lbr_link_7` have visual boxes and cylinders but no collision shapes; `gripper` and the tool
    links hang below the flange. Only the tool collides.

    Args:
        tool: What the gripper carries.
        mesh_visuals: Draw the arm with PyBullet's meshes.
    """
    base = _mesh(0, _GREY) if mesh_visuals else urdf.visual(urdf.cylinder(0.09, 0.15), _GREY, (0, 0, 0.075))
    parts = [urdf.link("lbr_link_0", urdf.inertial(0, (0.05, 0.06, 0.03)), base)]
    for index in range(1, 8):
        parts += [_arm_joint(index), _arm_link(index, mesh_visuals)]
    centre = (0, 0, 0.5 * GRIPPER_LENGTH_M)
    parts.append(urdf.fixed_joint("lbr_link_7", "gripper", (0, 0, FLANGE_M)))
    parts.append(
        urdf.link(
            "gripper",
            urdf.inertial(0.4, (4e-4, 4e-4, 3e-4), centre),
            urdf.visual(urdf.box((0.04, 0.09, GRIPPER_LENGTH_M)), _DARK, centre),
        )
    )
    return urdf.robot("lbr", *parts, (tool or closed_finger()).description)


def describe_for_others(tool: Tool | None = None, *, mesh_visuals: bool = False) -> str:
    """URDF of the arm and its tool as a real arm's driver publishes it: standard, and only the arm's joints move.

    The arguments are those of `describe_iiwa`.
    """
    return urdf.standard(describe_iiwa(tool, mesh_visuals=mesh_visuals), JOINT_NAMES)


def _arm_joint(index: int) -> str:
    xyz, rpy, *_ = _LINKS[index - 1]
    limit = JOINT_LIMITS_RAD[index - 1]
    return urdf.moving_joint(
        JOINT_NAMES[index - 1],
        "revolute",
        f"lbr_link_{index - 1}",
        f"lbr_link_{index}",
        axis=(0, 0, 1),
        limit=urdf.Limit(-limit, limit, 300, 2),
        xyz=xyz,
        rpy=rounded(rpy),
    )


def _arm_link(index: int, mesh_visuals: bool) -> str:
    _, _, mass, com, inertia, towards = _LINKS[index - 1]
    rotor = ROTOR_INERTIA_KG_M2[index - 1]
    inertia = (inertia[0] + 0.5 * rotor, inertia[1] + 0.5 * rotor, inertia[2] + rotor)  # rotor: a flat disc
    colour = _ORANGE if index % 2 else _SILVER
    if mesh_visuals:
        seen = _mesh(index, colour)
    else:
        cylinder = urdf.cylinder(0.055, float(np.linalg.norm(towards)))
        lie_down = (-_H, 0, 0) if abs(towards[1]) > 0 else urdf.ZERO
        seen = urdf.visual(cylinder, colour, rounded([0.5 * value for value in towards]), rounded(lie_down))
    return urdf.link(f"lbr_link_{index}", urdf.inertial(mass, inertia, com), seen)


def _mesh(index: int, colour: Colour) -> str:
    import pybullet_data

    return urdf.visual(
        urdf.mesh(Path(pybullet_data.getDataPath()) / "kuka_iiwa" / "meshes" / f"link_{index}.obj"), colour
    )


def closed_finger() -> Tool:
    """A closed gripper whose fingertips form one round finger; `tcp` is the centre of the round tip."""
    centre = (0, 0, 0.5 * FINGER_LENGTH_M)
    shaft = FINGER_LENGTH_M - FINGER_RADIUS_M
    finger = urdf.link(
        "finger",
        urdf.inertial(0.1, (8e-5, 8e-5, 2e-5), centre),
        urdf.visual(urdf.box((1.4 * FINGER_RADIUS_M, 1.4 * FINGER_RADIUS_M, FINGER_LENGTH_M)), _STEEL, centre),
        urdf.collision(urdf.capsule(FINGER_RADIUS_M, shaft - FINGER_RADIUS_M), centre),
    )
    return Tool(
        urdf.fixed_joint("gripper", "finger", (0, 0, GRIPPER_LENGTH_M))
        + finger
        + tool_centre_point("finger", (0, 0, FINGER_LENGTH_M - FINGER_RADIUS_M)),
        {"finger": FINGER_FRICTION},
    )


def tool_centre_point(parent: str, xyz: urdf.Vector) -> str:
    """URDF of link `tcp`, one gram at a point of another link: the point that a twist moves."""
    return urdf.fixed_joint(parent, "tcp", xyz) + urdf.link("tcp", urdf.inertial(0.001, 1e-6))
