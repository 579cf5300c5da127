"""What the arm works at, door, lever or box, as RViz markers read from the physics engine."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pybullet as pb
from numpy.typing import NDArray
from rclpy.node import Node
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from sac_gmm.tasks import Task
from sac_gmm_nodes.common.qos import RELIABLE
from sac_gmm_nodes.watching import markers

_PERIOD_S = 0.1  # of wall time between two messages
_ROOM_M = 1.0  # what is longer is the room: floor and walls would hide the rest


class SceneMarkers:
    """Publishes the scene's bodies without the arm, a few times a second and only where somebody listens.

    They tell where the target really is, so the topic is below the bridge's own name, to be looked at.

    Args:
        node: The bridge.
        task: The simulated task.
    """

    def __init__(self, node: Node, task: Task) -> None:
        self._task = task
        self._topic = markers.MarkerTopic(node, "~/objects", RELIABLE)
        self._meshes: dict[str, NDArray[np.float64]] = {}
        self._shown_s = -np.inf

    def publish(self, head: Header) -> None:
        """Show the scene as it is now, unless it was shown a moment ago; the frame of `head` is the engine's."""
        now_s = time.monotonic()
        if now_s - self._shown_s >= _PERIOD_S and self._topic.is_heard:
            self._shown_s = now_s
            self._topic.show(self.look(head))

    def look(self, head: Header) -> list[Marker]:
        """One marker for each visible shape."""
        client, arm = self._task.client, self._task.arm.body
        bodies = (pb.getBodyUniqueId(i, client) for i in range(pb.getNumBodies(client)))
        return [marker for body in bodies if body != arm for marker in self._look_at(body, head)]

    def _look_at(self, body: int, head: Header) -> list[Marker]:
        client, made = self._task.client, []
        for number, shape in enumerate(pb.getVisualShapeData(body, physicsClientId=client)):
            _, link, kind, size, file, position, quaternion, colour, *_ = shape
            pose = pb.multiplyTransforms(*self._pose(body, link), position, quaternion)
            named = (f"body_{body}", number)
            if kind == pb.GEOM_MESH:
                mesh = self._mesh(file.decode(), np.array(size))
                if mesh.size:
                    made.append(markers.triangles(*named, mesh, colour, head, *pose))
                continue
            solid, edges = _solid(kind, size)
            if 0.0 < max(edges) <= _ROOM_M:
                made.append(markers.solid(*named, solid, edges, colour, head, *pose))
        return made

    def _pose(self, body: int, link: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Position and quaternion of a link's own axes."""
        client = self._task.client
        if link >= 0:
            return pb.getLinkState(body, link, 0, 0, client)[4:6]
        # The engine gives the pose of the centre of mass.
        to_centre = pb.getDynamicsInfo(body, -1, client)[3:5]
        centre = pb.getBasePositionAndOrientation(body, client)
        return pb.multiplyTransforms(*centre, *pb.invertTransform(*to_centre))

    def _mesh(self, file: str, scale: NDArray[np.float64]) -> NDArray[np.float64]:
        """The triangles of a mesh, shape (N, 3, 3); none where its file is gone."""
        if file not in self._meshes:
            path = Path(file)
            text = self._task.meshes.get(path.name)
            if text is None and path.suffix == ".obj" and path.is_file():
                text = path.read_text(encoding="utf-8")
            self._meshes[file] = _triangles(text or "") * scale
        return self._meshes[file]


def _solid(kind: int, size: tuple[float, ...]) -> tuple[int, tuple[float, float, float]]:
    """RViz's shape and its edges or diameters, of one of PyBullet's; a capsule loses its ends, a plane has none."""
    if kind == pb.GEOM_SPHERE:
        return Marker.SPHERE, (2 * size[0],) * 3
    if kind in (pb.GEOM_CYLINDER, pb.GEOM_CAPSULE):
        return Marker.CYLINDER, (2 * size[1], 2 * size[1], size[0])
    return Marker.CUBE, (size[0], size[1], size[2]) if kind == pb.GEOM_BOX else (0.0, 0.0, 0.0)


def _triangles(obj: str) -> NDArray[np.float64]:
    """The faces of an OBJ text, polygons cut into triangles, shape (N, 3, 3)."""
    lines = [line.split() for line in obj.splitlines()]
    vertices = np.array([line[1:4] for line in lines if line[:1] == ["v"]], dtype=float)
    faces = [[int(word.split("/")[0]) for word in line[1:]] for line in lines if line[:1] == ["f"]]
    cut = [(face[0], face[i], face[i + 1]) for face in faces for i in range(1, len(face) - 1)]
    if not cut:
        return np.zeros((0, 3, 3))
    index = np.array(cut)
    return vertices[np.where(index > 0, index - 1, index)]  # counted from 1, or backwards from the last
