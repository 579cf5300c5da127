"""A robot in the scene, drawn from its description."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import viser
import yourdfpy
from scipy.spatial.transform import Rotation

from sac_gmm.errors import SacGmmError
from sac_gmm.view.snapshot import Array

_NO_COLOUR = (0.7, 0.7, 0.72, 1.0)


class RobotModel:
    """The visuals of a URDF, each link a frame that is moved.

    Args:
        scene: Where it is drawn, below `/robot`.
        urdf: The description as text. Meshes are files; `package://` is looked for in `folder`.
        folder: Where meshes with relative names are.

    Raises:
        SacGmmError: The description, or a mesh in it, cannot be read.
    """

    def __init__(self, scene: viser.SceneApi, urdf: str, folder: Path = Path()) -> None:
        try:
            self._urdf = yourdfpy.URDF.load(
                io.BytesIO(_without_collisions(urdf)),
                mesh_dir=str(folder),
                build_scene_graph=True,
                load_meshes=True,
                build_collision_scene_graph=False,
            )
        except Exception as error:  # parser and mesh readers raise what they like
            raise SacGmmError(f"the robot's description cannot be drawn: {error}") from error
        self.joint_names: tuple[str, ...] = tuple(self._urdf.actuated_joint_names)
        self._frames: dict[str, viser.FrameHandle] = {}
        self._colours = {material.name: material.color for material in self._urdf.robot.materials}
        for link in self._urdf.robot.links:
            drawn = [visual for visual in link.visuals if visual.geometry is not None]
            if drawn:
                self._frames[link.name] = scene.add_frame(f"/robot/{link.name}", show_axes=False)
            for number, visual in enumerate(drawn):
                self._draw(scene, f"/robot/{link.name}/{number}", visual)
        self.show(np.zeros(len(self.joint_names)))

    def show(self, joints_rad: Array) -> None:
        """Move it to joint positions in the order of `joint_names`; what is missing at the end counts as zero."""
        given = np.zeros(len(self.joint_names))
        n = min(len(given), len(joints_rad))
        given[:n] = joints_rad[:n]
        self._urdf.update_cfg(given)
        for name, frame in self._frames.items():
            pose = self._urdf.get_transform(name)
            frame.position = pose[:3, 3]
            frame.wxyz = Rotation.from_matrix(pose[:3, :3]).as_quat(scalar_first=True)

    def _draw(self, scene: viser.SceneApi, name: str, visual: Any) -> None:
        geometry, pose = visual.geometry, np.eye(4) if visual.origin is None else visual.origin
        rgba = _NO_COLOUR
        if visual.material is not None:
            colour = visual.material.color or self._colours.get(visual.material.name)
            rgba = _NO_COLOUR if colour is None else tuple(colour.rgba)
        look: dict[str, Any] = {
            "color": tuple(round(255 * share) for share in rgba[:3]),
            "position": pose[:3, 3],
            "wxyz": Rotation.from_matrix(pose[:3, :3]).as_quat(scalar_first=True),
            "opacity": rgba[3] if rgba[3] < 1.0 else None,
        }
        if geometry.box is not None:
            scene.add_box(name, dimensions=tuple(geometry.box.size), **look)
        elif geometry.cylinder is not None:
            scene.add_cylinder(name, geometry.cylinder.radius, geometry.cylinder.length, **look)
        elif geometry.sphere is not None:
            scene.add_icosphere(name, geometry.sphere.radius, **look)
        elif geometry.mesh is not None:
            mesh = self._mesh(geometry.mesh)
            scene.add_mesh_simple(name, mesh.vertices, mesh.faces, **look)

    def _mesh(self, mesh: Any) -> Any:
        import trimesh

        path = self._urdf._filename_handler(mesh.filename)
        try:
            loaded = trimesh.load(path, force="mesh")
        except Exception as error:  # as above
            raise SacGmmError(f"the robot's mesh {mesh.filename} cannot be read: {error}") from error
        if mesh.scale is not None:
            loaded.apply_scale(mesh.scale)
        return loaded


def _without_collisions(urdf: str) -> bytes:
    """What is not drawn need not be understood: capsules are not part of URDF, though PyBullet takes them."""
    root = ElementTree.fromstring(urdf)
    for link in root.iter("link"):
        for collision in link.findall("collision"):
            link.remove(collision)
    return ElementTree.tostring(root)


def iiwa_urdf(task: str = "door") -> str:
    """The simulated arm, shown by meshes, with what its gripper carries in a task."""
    from sac_gmm.tasks.grippers import parallel_jaws
    from sac_gmm.tasks.iiwa import describe_iiwa
    from sac_gmm.tasks.lever import OPENING_M
    from sac_gmm.tasks.peg import held_peg

    kind = task.split("_")[0]
    tool = held_peg() if kind == "peg" else parallel_jaws(OPENING_M) if kind == "lever" else None
    return describe_iiwa(tool, mesh_visuals=True)
