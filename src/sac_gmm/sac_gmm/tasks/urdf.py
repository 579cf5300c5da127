"""Writing URDF: the text of links, joints and shapes.

Numbers are written so that they read back to the last bit. Shapes, links and joints are on separate lines, because
PyBullet reads lines of at most 8 KiB. Lengths are in metres, angles in radians, masses in kg, inertias in kg m^2; an
origin is in the axes of the link (shapes, inertia) or of the parent link (joints).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from scipy.spatial.transform import Rotation

Vector = Sequence[float]
ZERO = (0.0, 0.0, 0.0)


class Colour(NamedTuple):
    """A material: its name, unique within a robot, and red, green, blue, alpha from 0 to 1."""

    name: str
    rgba: str


class Limit(NamedTuple):
    """How far and how fast a joint may move, and its largest force (N) or torque (Nm)."""

    lower: float
    upper: float
    effort: float
    velocity: float


def rounded(values: Vector) -> tuple[float, ...]:
    """The values to nine significant digits, so that computed numbers stay readable."""
    return tuple(float(f"{value:.9g}") for value in values)


# Geometry ---------------------------------------------------------------------------------------------------------


def box(size: Vector) -> str:
    """A box with these edges."""
    return f'<box size="{_text(size)}"/>'


def cylinder(radius: float, length: float) -> str:
    """A cylinder along z."""
    return f'<cylinder radius="{radius}" length="{length}"/>'


def capsule(radius: float, length: float) -> str:
    """A capsule along z; `length` is that of its cylinder. PyBullet accepts it; URDF has none: see `standard`."""
    return f'<capsule radius="{radius}" length="{length}"/>'


def sphere(radius: float) -> str:
    """A sphere."""
    return f'<sphere radius="{radius}"/>'


def mesh(file: object) -> str:
    """The mesh in a file; a relative path is resolved against the URDF's folder."""
    return f'<mesh filename="{file}"/>'


# Parts of a link --------------------------------------------------------------------------------------------------


def visual(geometry: str, colour: Colour, xyz: Vector = ZERO, rpy: Vector = ZERO) -> str:
    """A visual shape."""
    material = f'<material name="{colour.name}"><color rgba="{colour.rgba}"/></material>'
    return f"<visual>{_origin(xyz, rpy)}<geometry>{geometry}</geometry>{material}</visual>\n"


def collision(geometry: str, xyz: Vector = ZERO, rpy: Vector = ZERO) -> str:
    """A collision shape."""
    return f"<collision>{_origin(xyz, rpy)}<geometry>{geometry}</geometry></collision>\n"


def solid(geometry: str, colour: Colour, xyz: Vector = ZERO) -> str:
    """A shape that is both visual and collision."""
    return visual(geometry, colour, xyz) + collision(geometry, xyz)


def inertial(mass_kg: float, diagonal: float | Vector, xyz: Vector = ZERO) -> str:
    """Mass, and inertia about the centre of mass: one number for all axes, or one per axis."""
    x, y, z = (diagonal,) * 3 if isinstance(diagonal, float | int) else diagonal
    return (
        f'<inertial>{_origin(xyz)}<mass value="{mass_kg}"/>'
        f'<inertia ixx="{x}" iyy="{y}" izz="{z}" ixy="0" ixz="0" iyz="0"/></inertial>\n'
    )


# Links, joints, robots --------------------------------------------------------------------------------------------


def link(name: str, *parts: str) -> str:
    """A link with its inertia and shapes."""
    return f'<link name="{name}">\n{"".join(parts)}</link>\n'


def fixed_joint(parent: str, child: str, xyz: Vector) -> str:
    """A joint called `<child>_joint` that does not move."""
    return _joint(f"{child}_joint", "fixed", parent, child, _origin(xyz))


def moving_joint(
    name: str, kind: str, parent: str, child: str, *, axis: Vector, limit: Limit, xyz: Vector = ZERO, rpy: Vector = ZERO
) -> str:
    """A joint of kind `revolute` or `prismatic` about or along `axis`."""
    limits = " ".join(f'{name}="{value}"' for name, value in limit._asdict().items())
    return _joint(name, kind, parent, child, f'{_origin(xyz, rpy)}<axis xyz="{_text(axis)}"/><limit {limits}/>')


def robot(name: str, *parts: str) -> str:
    """The whole description."""
    return f'<robot name="{name}">\n{"".join(parts)}</robot>\n'


# For other programs -----------------------------------------------------------------------------------------------


def standard(description: str, moving: Collection[str]) -> str:
    """A description for PyBullet as other readers of URDF want it.

    URDF has no capsule: one becomes a cylinder and two spheres. The root link gets no inertia, which KDL ignores with a
    warning. All joints but those in `moving` are fixed, because nobody publishes their state.
    """
    robot = ElementTree.fromstring(description)
    for joint in robot.findall("joint"):
        if joint.get("name") not in moving:
            joint.set("type", "fixed")
            for part in (*joint.findall("axis"), *joint.findall("limit")):
                joint.remove(part)
    children = {child.get("link") for child in robot.findall("joint/child")}
    for link in robot.findall("link"):
        if link.get("name") not in children:
            for inertia in link.findall("inertial"):
                link.remove(inertia)
        for place, shape in reversed(list(enumerate(link))):
            geometry = shape.find("geometry/capsule")
            if geometry is not None:
                link[place : place + 1] = _without_capsule(shape, geometry)
    return ElementTree.tostring(robot, encoding="unicode")


def _without_capsule(shape: ElementTree.Element, capsule: ElementTree.Element) -> list[ElementTree.Element]:
    """A visual or collision shape that is a capsule, as its cylinder and the spheres at its ends."""
    radius, length = float(capsule.get("radius", 0)), float(capsule.get("length", 0))
    origin = shape.find("origin")
    xyz, rpy = (
        np.array((("0 0 0" if origin is None else origin.get(name)) or "0 0 0").split(), dtype=float)
        for name in ("xyz", "rpy")
    )
    to_end = Rotation.from_euler("xyz", rpy).apply([0.0, 0.0, 0.5 * length])
    parts = []
    for geometry, centre in (
        (cylinder(radius, length), xyz),
        (sphere(radius), xyz - to_end),
        (sphere(radius), xyz + to_end),
    ):
        origin_text = _origin(rounded(centre.tolist()), rounded(rpy.tolist()))
        part = ElementTree.fromstring(f"<{shape.tag}>{origin_text}<geometry>{geometry}</geometry></{shape.tag}>")
        part.tail = shape.tail
        part.extend(shape.findall("material"))
        parts.append(part)
    return parts


def _joint(name: str, kind: str, parent: str, child: str, rest: str) -> str:
    return f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>{rest}</joint>\n'


def _origin(xyz: Vector, rpy: Vector = ZERO) -> str:
    return f'<origin xyz="{_text(xyz)}" rpy="{_text(rpy)}"/>'


def _text(values: Vector) -> str:
    return " ".join(str(float(value)) for value in values)
