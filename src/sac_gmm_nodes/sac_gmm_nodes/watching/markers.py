"""Turns a skill, its target and its motion into RViz markers.

Every function creates new messages and keeps nothing. A marker is identified by its namespace and id, which stay the
same as long as it is shown; `MarkerTopic` removes what is no longer shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from numpy.typing import ArrayLike, NDArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from sac_gmm.models import GaussianMixture
from sac_gmm.models.fields.ellipsoids import position_ellipsoids

Array = NDArray[np.float64]
Colour = tuple[float, float, float, float]  # red, green, blue, opacity, 0 to 1

_NO_TURN = (0.0, 0.0, 0.0, 1.0)
_FAINTEST = 0.35  # share of a colour's opacity for a component of weight zero
_SPACE = 0.3  # width of a space per height of a letter


class MarkerTopic:
    """A topic on which every message holds all markers, so that late listeners see them too.

    Args:
        node: The publishing node.
        name: Name of the topic.
        qos: QoS of the topic.
    """

    def __init__(self, node: Node, name: str, qos: QoSProfile) -> None:
        self._publisher = node.create_publisher(MarkerArray, name, qos)
        self._shown: set[tuple[str, int]] = set()

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens."""
        return self._publisher.get_subscription_count() > 0

    def show(self, markers: Sequence[Marker]) -> None:
        """Show these markers only: if one of the previous message is missing, all are removed first."""
        wanted = {(marker.ns, marker.id) for marker in markers}
        away = [] if self._shown <= wanted else [Marker(action=Marker.DELETEALL)]
        self._publisher.publish(MarkerArray(markers=[*away, *markers]))
        self._shown = wanted


def ellipsoids(
    namespace: str, mixture: GaussianMixture, origin_m: Array, n_sigma: float, colour: Colour, head: Header
) -> list[Marker]:
    """One sphere per component, stretched to `n_sigma` standard deviations of its position.

    Args:
        namespace: Namespace of the markers; their ids count from 0.
        mixture: Mixture over [x; v], relative to the target.
        origin_m: The target, shape (3,), in the frame of `head`.
        n_sigma: Standard deviations from the centre to the surface.
        colour: Colour of the component with the largest prior; the others are fainter.
        head: Frame and stamp.
    """
    seen = position_ellipsoids(mixture, n_sigma)
    weights = seen.priors / seen.priors.max()
    made = []
    for k, (centre, half_axes, quaternion) in enumerate(
        zip(seen.centres_m + origin_m, seen.half_axes_m, seen.quaternions, strict=True)
    ):
        opacity = colour[3] * (_FAINTEST + (1.0 - _FAINTEST) * weights[k])
        marker = _marker(namespace, k, Marker.SPHERE, (*colour[:3], opacity), head, centre, quaternion)
        marker.scale = _vector(2.0 * half_axes)
        made.append(marker)
    return made


def priors(namespace: str, mixture: GaussianMixture, origin_m: Array, colour: Colour, head: Header) -> list[Marker]:
    """The prior of each component in percent, written at its centre."""
    centres = mixture.means[:, :3] + origin_m
    texts = [f"{100 * prior:.0f} %" for prior in mixture.priors]
    return [
        text(namespace, k, centre, written, 0.012, colour, head)
        for k, (centre, written) in enumerate(zip(centres, texts, strict=True))
    ]


def ball(namespace: str, centre_m: ArrayLike, diameter_m: float, colour: Colour, head: Header) -> Marker:
    """A ball that marks a point."""
    marker = _marker(namespace, 0, Marker.SPHERE, colour, head, centre_m)
    marker.scale = _vector([diameter_m] * 3)
    return marker


def line(namespace: str, number: int, points_m: Array, width_m: float, colour: Colour, head: Header) -> Marker:
    """A line through points, shape (N, 3)."""
    marker = _marker(namespace, number, Marker.LINE_STRIP, colour, head)
    marker.scale.x = width_m
    marker.points = [_point(point) for point in np.asarray(points_m)]
    return marker


def box(namespace: str, low_m: Array, high_m: Array, width_m: float, colour: Colour, head: Header) -> Marker:
    """The twelve edges of a box from its lower to its upper corner, both (3,): faces would hide its content."""
    corners = [np.where(upper, high_m, low_m) for upper in product((False, True), repeat=3)]
    edges = [(i, i | bit) for i in range(8) for bit in (1, 2, 4) if not i & bit]
    marker = _marker(namespace, 0, Marker.LINE_LIST, colour, head)
    marker.scale.x = width_m
    marker.points = [_point(corners[end]) for edge in edges for end in edge]
    return marker


def arrow(namespace: str, from_m: Array, to_m: Array, width_m: float, colour: Colour, head: Header) -> Marker:
    """An arrow between two points, both (3,)."""
    marker = _marker(namespace, 0, Marker.ARROW, colour, head)
    marker.scale = _vector([width_m, 2.0 * width_m, 3.0 * width_m])  # shaft diameter, head diameter, head length
    marker.points = [_point(from_m), _point(to_m)]
    return marker


def axes(namespace: str, position_m: Array, rotation: Array, length_m: float, head: Header) -> Marker:
    """A frame at `position_m` (3,), rotated by `rotation` (3, 3): x red, y green, z blue."""
    marker = _marker(namespace, 0, Marker.LINE_LIST, (1.0, 1.0, 1.0, 1.0), head)
    marker.scale.x = 0.05 * length_m
    for axis, colour in enumerate(np.eye(3)):
        marker.points += [_point(position_m), _point(position_m + length_m * rotation[:, axis])]
        marker.colors += [_colour((*colour.tolist(), 1.0))] * 2
    return marker


def solid(
    namespace: str,
    number: int,
    kind: int,
    size_m: ArrayLike,
    colour: Colour,
    head: Header,
    position_m: ArrayLike,
    quaternion: ArrayLike = _NO_TURN,
) -> Marker:
    """A `Marker.CUBE`, `CYLINDER` (along z) or `SPHERE` with these edges or diameters (3,) at a pose, x y z w."""
    marker = _marker(namespace, number, kind, colour, head, position_m, quaternion)
    marker.scale = _vector(size_m)
    return marker


def triangles(
    namespace: str,
    number: int,
    corners_m: Array,
    colour: Colour,
    head: Header,
    position_m: ArrayLike,
    quaternion: ArrayLike = _NO_TURN,
) -> Marker:
    """A surface of triangles with these corners, shape (N, 3, 3), in the axes of the pose."""
    marker = _marker(namespace, number, Marker.TRIANGLE_LIST, colour, head, position_m, quaternion)
    marker.scale = _vector([1.0] * 3)
    marker.points = [_point(corner) for corner in np.asarray(corners_m).reshape(-1, 3)]
    return marker


def text(
    namespace: str, number: int, position_m: ArrayLike, written: str, height_m: float, colour: Colour, head: Header
) -> Marker:
    """Text that faces the viewer, its capital letters `height_m` high."""
    marker = _marker(namespace, number, Marker.TEXT_VIEW_FACING, colour, head, position_m)
    marker.scale.z = height_m
    marker.scale.x = _SPACE * height_m  # RViz spreads words and letters apart unless it is told how wide a space is
    marker.text = written
    return marker


def _marker(
    namespace: str,
    number: int,
    kind: int,
    colour: Colour,
    head: Header,
    position_m: ArrayLike = (0.0, 0.0, 0.0),
    quaternion: ArrayLike = _NO_TURN,
) -> Marker:
    x, y, z, w = np.asarray(quaternion, dtype=float).tolist()
    return Marker(
        header=head,
        ns=namespace,
        id=number,
        type=kind,
        action=Marker.ADD,
        pose=Pose(position=_point(position_m), orientation=Quaternion(x=x, y=y, z=z, w=w)),
        color=_colour(colour),
    )


def _point(values: ArrayLike) -> Point:
    x, y, z = np.asarray(values, dtype=float).tolist()
    return Point(x=x, y=y, z=z)


def _vector(values: ArrayLike) -> Vector3:
    x, y, z = np.asarray(values, dtype=float).tolist()
    return Vector3(x=x, y=y, z=z)


def _colour(colour: Colour) -> ColorRGBA:
    r, g, b, a = (float(value) for value in colour)
    return ColorRGBA(r=r, g=g, b=b, a=a)
