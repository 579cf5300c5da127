"""Draws a robot in the scene from its description."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import viser
import yourdfpy
from viser.transforms import SO3

from sac_gmm.core.errors import UserError
from sac_gmm.view.snapshot import Array

_STILL = 1e-4  # rad or m
_GHOST_OPACITY = 0.25
_NO_COLOUR = (0.7, 0.7, 0.72, 1.0)


class _Joint:
    """A movable joint, and the frame that moves with it."""

    def __init__(self, frame: viser.FrameHandle, number: int, pose: Array, axis: Array, prismatic: bool) -> None:
        self.number = number
        self._frame, self._prismatic, self._axis = frame, prismatic, np.asarray(axis, dtype=np.float64)
        self._position, self._rotation = pose[:3, 3], SO3.from_matrix(pose[:3, :3])
        self._at = 0.0

    def move(self, to: float) -> None:
        """Move it to a position, rad or m; invisibly small changes are skipped."""
        if abs(to - self._at) < _STILL:
            return
        self._at = to
        if self._prismatic:
            self._frame.position = self._position + self._rotation.apply(to * self._axis)
        else:
            self._frame.wxyz = (self._rotation @ SO3.exp(to * self._axis)).wxyz


class RobotModel:
    """The visuals of a URDF. Each link's frame is a child of the previous link's, so that only joints are moved.

    Args:
        scene: The scene; the robot is drawn below `/robot`.
        urdf: The description as text. Meshes are files; `package://` is resolved in `folder`.
        folder: The folder for meshes with relative names.

    Raises:
        UserError: The description, or a mesh in it, cannot be read.
    """

    def __init__(self, scene: viser.SceneApi, urdf: str, folder: Path = Path()) -> None:
        try:
            self._urdf = yourdfpy.URDF.load(
                io.BytesIO(_without_collisions(urdf)),
                mesh_dir=str(folder),
                build_scene_graph=False,
                load_meshes=False,
                build_collision_scene_graph=False,
            )
        except Exception as error:  # parser and mesh readers can raise anything
            raise UserError(f"the robot's description cannot be drawn: {error}") from error
        robot = self._urdf.robot
        self.joint_names: tuple[str, ...] = tuple(self._urdf.actuated_joint_names)
        self._colours = {material.name: material.color for material in robot.materials}
        joint_to = {joint.child: joint for joint in robot.joints}
        self._joints: list[_Joint] = []
        self._visuals: list[tuple[Any, float | None]] = []  # with their opacities
        for link in robot.links:
            path = _path(link.name, joint_to)
            joint = joint_to.get(link.name)
            pose = np.eye(4) if joint is None or joint.origin is None else joint.origin
            frame = scene.add_frame(path, show_axes=False, position=pose[:3, 3], wxyz=_wxyz(pose))
            if joint is not None and joint.name in self.joint_names:
                prismatic = joint.type == "prismatic"
                self._joints.append(_Joint(frame, self.joint_names.index(joint.name), pose, joint.axis, prismatic))
            for number, visual in enumerate(visual for visual in link.visuals if visual.geometry is not None):
                self._draw(scene, f"{path}/visual_{number}", visual)

    def show(self, joints_rad: Array) -> None:
        """Move it to joint positions (rad or m) in the order of `joint_names`; joints without a value stay."""
        for joint in self._joints:
            if joint.number < len(joints_rad):
                joint.move(float(joints_rad[joint.number]))

    def see_through(self, wanted: bool) -> None:
        """Make the robot translucent, or opaque again."""
        for handle, opacity in self._visuals:
            handle.opacity = _GHOST_OPACITY if wanted else opacity

    def _draw(self, scene: viser.SceneApi, name: str, visual: Any) -> None:
        geometry, pose = visual.geometry, np.eye(4) if visual.origin is None else visual.origin
        rgba = _NO_COLOUR
        if visual.material is not None:
            colour = visual.material.color or self._colours.get(visual.material.name)
            rgba = _NO_COLOUR if colour is None else tuple(colour.rgba)
        look: dict[str, Any] = {
            "color": tuple(round(255 * share) for share in rgba[:3]),
            "position": pose[:3, 3],
            "wxyz": _wxyz(pose),
            "opacity": rgba[3] if rgba[3] < 1.0 else None,
        }
        handle: Any
        if geometry.box is not None:
            handle = scene.add_box(name, dimensions=tuple(geometry.box.size), **look)
        elif geometry.cylinder is not None:
            handle = scene.add_cylinder(name, geometry.cylinder.radius, geometry.cylinder.length, **look)
        elif geometry.sphere is not None:
            handle = scene.add_icosphere(name, geometry.sphere.radius, **look)
        else:
            mesh = self._mesh(geometry.mesh)
            handle = scene.add_mesh_simple(name, mesh.vertices, mesh.faces, **look)
        self._visuals.append((handle, look["opacity"]))

    def _mesh(self, mesh: Any) -> Any:
        import trimesh

        path = self._urdf._filename_handler(mesh.filename)
        try:
            loaded = trimesh.load(path, force="mesh")
        except Exception as error:  # as above
            raise UserError(f"the robot's mesh {mesh.filename} cannot be read: {error}") from error
        if mesh.scale is not None:
            loaded.apply_scale(mesh.scale)
        return loaded


def _path(link: str, joint_to: dict[str, Any]) -> str:
    """The name of a link in the scene: below that of the previous link, with which it moves."""
    return f"{_path(joint_to[link].parent, joint_to)}/{link}" if link in joint_to else f"/robot/{link}"


def _wxyz(pose: Array) -> Array:
    return np.asarray(SO3.from_matrix(pose[:3, :3]).wxyz)


def _without_collisions(urdf: str) -> bytes:
    """Remove collision shapes, which are not drawn: PyBullet accepts capsules, but they are not part of URDF."""
    root = ElementTree.fromstring(urdf)
    for link in root.iter("link"):
        for collision in link.findall("collision"):
            link.remove(collision)
    return ElementTree.tostring(root)


def joint_names(urdf: str) -> list[str]:
    """The movable joints of a description in the order in which `RobotModel` takes them; none where it is no URDF."""
    try:
        joints = ElementTree.fromstring(urdf).findall("joint")
    except ElementTree.ParseError:
        return []
    return [joint.get("name", "") for joint in joints if joint.get("type") != "fixed" and joint.find("mimic") is None]


def iiwa_urdf(task: str = "door") -> str:
    """The simulated arm with meshes, and whatever its gripper carries in a task.

    Raises:
        UserError: There is no such task.
    """
    from sac_gmm.tasks import make_task
    from sac_gmm.tasks.arms.description import describe_iiwa

    with contextlib.closing(make_task(task)) as built:
        return describe_iiwa(built.arm.tool, mesh_visuals=True)
