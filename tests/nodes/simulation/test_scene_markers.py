"""The scene that RViz shows against the scene that is simulated."""

import contextlib
from types import SimpleNamespace

import numpy as np
import pybullet as pb
import pytest
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from sac_gmm.tasks import make_task
from sac_gmm.tasks.scenes.peg import HOLE_RADIUS_M
from sac_gmm_nodes.common.conversions import point_array
from sac_gmm_nodes.common.qos import RELIABLE
from sac_gmm_nodes.simulation.scene_markers import SceneMarkers

HEAD = Header(frame_id="lbr_link_0")
NOBODY = SimpleNamespace(create_publisher=lambda *_: None)
COLOURS = {"door": (0.45, 0.55, 0.62), "lever": (0.85, 0.12, 0.10), "peg": (0.36, 0.52, 0.66)}


@pytest.fixture(params=["door", "lever", "peg"])
def task(request):
    with contextlib.closing(make_task(request.param)) as made:
        made.reset(seed=3)
        yield made


def centres(markers):
    return np.array([point_array(marker.pose.position) for marker in markers])


def turn(marker):
    q = marker.pose.orientation
    return Rotation.from_quat([q.x, q.y, q.z, q.w])


def test_it_is_what_the_arm_works_at_and_not_the_room(task):
    seen = SceneMarkers(NOBODY, task).look(HEAD)
    assert seen and {marker.header.frame_id for marker in seen} == {"lbr_link_0"}
    assert len({(marker.ns, marker.id) for marker in seen}) == len(seen)
    assert max(max(point_array(marker.scale)) for marker in seen) <= 1.0, "no floor, no wall"
    near = np.linalg.norm(centres(seen) - task.true_target_m, axis=1)
    assert near.min() < 0.06 and near.max() < 0.4
    wanted = COLOURS[task.name]
    colours = np.array([(marker.color.r, marker.color.g, marker.color.b) for marker in seen])
    assert np.abs(colours - wanted).max(axis=1).min() < 1e-6, "the thing itself, in its colour"


def test_a_door_that_opens_is_seen_to_open():
    with contextlib.closing(make_task("door")) as task:
        task.reset(seed=1)
        scene = SceneMarkers(NOBODY, task)
        shut = scene.look(HEAD)
        pb.resetJointState(task.door, task.hinge, 0.5, 0.0, task.client)
        open_ = scene.look(HEAD)
    moved = [i for i, (a, b) in enumerate(zip(shut, open_, strict=True)) if a.pose != b.pose]
    assert 4 <= len(moved) < len(shut), "panel and handle move, the frame stays"
    for i in moved:
        assert np.linalg.norm((turn(open_[i]) * turn(shut[i]).inv()).as_rotvec()) == pytest.approx(0.5, abs=1e-6)


def test_one_can_see_into_the_hole():
    """The lid is drawn as it is: a ray down the middle of the hole meets no triangle, one beside it does."""
    with contextlib.closing(make_task("peg")) as task:
        task.reset(seed=1)
        hole = task.true_target_m
        [lid] = [marker for marker in SceneMarkers(NOBODY, task).look(HEAD) if marker.type == Marker.TRIANGLE_LIST]
    np.testing.assert_allclose(point_array(lid.pose.position), hole, atol=1e-9)
    corners = np.array([point_array(point) for point in lid.points]).reshape(-1, 3, 3)[:, :, :2]

    def covered(x, y):
        first, second, third = (corners[:, i] - [x, y] for i in range(3))
        pairs = ((first, second), (second, third), (third, first))
        signs = np.sign([a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] for a, b in pairs])
        return bool((np.abs(signs.sum(axis=0)) == 3).any())

    radius = HOLE_RADIUS_M["hard"]
    assert not covered(0.001, 0.002) and not covered(0.9 * radius, 0.0)
    assert covered(2.0 * radius, 0.003)


def test_links_shapes_and_meshes_stand_where_the_description_puts_them(tmp_path):
    """A body of one's own: turned, with a centre of mass off its origin, and a mesh on a link that was moved."""
    (tmp_path / "wedge.obj").write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1/1/1 2/2/1 3/3/1 4/4/1\n")
    (tmp_path / "thing.urdf").write_text(
        """<robot name="thing"><link name="base">
        <inertial><origin xyz="0.3 0 0"/><mass value="1"/>
        <inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial>
        <visual><origin xyz="0.1 0.2 0.3" rpy="0 0 0.7"/><geometry><cylinder radius="0.05" length="0.4"/></geometry>
        <material name="m"><color rgba="0.2 0.4 0.6 1"/></material></visual>
        <visual><geometry><box size="3 1 1"/></geometry></visual></link>
        <link name="arm"><inertial><mass value="1"/>
        <inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial>
        <visual><geometry><mesh filename="wedge.obj" scale="0.1 0.2 1"/></geometry></visual>
        <visual><origin xyz="0 0 0.1"/><geometry><sphere radius="0.03"/></geometry></visual></link>
        <joint name="slide" type="prismatic"><parent link="base"/><child link="arm"/><origin xyz="0 0 0.5"/>
        <axis xyz="1 0 0"/><limit lower="-1" upper="1" effort="1" velocity="1"/></joint></robot>"""
    )
    client = pb.connect(pb.DIRECT)
    try:
        R, at = Rotation.from_euler("xyz", [0.2, -0.3, 0.9]), np.array([0.5, -0.1, 0.2])
        options = {"useFixedBase": True, "flags": pb.URDF_USE_INERTIA_FROM_FILE, "physicsClientId": client}
        body = pb.loadURDF(str(tmp_path / "thing.urdf"), at.tolist(), R.as_quat().tolist(), **options)
        pb.resetJointState(body, 0, 0.25, 0.0, client)
        task = SimpleNamespace(client=client, arm=SimpleNamespace(body=-1), meshes={})
        rod, wedge, ball = SceneMarkers(NOBODY, task).look(HEAD)
    finally:
        pb.disconnect(client)
    assert (rod.type, wedge.type, ball.type) == (Marker.CYLINDER, Marker.TRIANGLE_LIST, Marker.SPHERE)
    np.testing.assert_allclose(point_array(rod.pose.position), at + R.apply([0.1, 0.2, 0.3]), atol=1e-6)
    np.testing.assert_allclose((R.inv() * turn(rod)).as_euler("xyz"), [0, 0, 0.7], atol=1e-6)
    np.testing.assert_allclose(point_array(rod.scale), [0.1, 0.1, 0.4], atol=1e-6)
    np.testing.assert_allclose([rod.color.r, rod.color.g, rod.color.b], [0.2, 0.4, 0.6], atol=1e-6)
    np.testing.assert_allclose(point_array(ball.pose.position), at + R.apply([0.25, 0, 0.6]), atol=1e-6)
    np.testing.assert_allclose(point_array(wedge.pose.position), at + R.apply([0.25, 0, 0.5]), atol=1e-6)
    corners = {tuple(np.round(point_array(point), 6)) for point in wedge.points}
    assert len(wedge.points) == 6 and corners == {(0, 0, 0), (0.1, 0, 0), (0.1, 0.2, 0), (0, 0.2, 0)}


@pytest.mark.ros
def test_it_is_published_where_somebody_listens(graph):
    with contextlib.closing(make_task("lever")) as task:
        task.reset(seed=0)
        scene = SceneMarkers(graph.node, task)
        heard = graph.listen(f"{graph.node.get_name()}/objects", MarkerArray, RELIABLE)

        def shown():
            scene.publish(HEAD)
            return heard

        graph.wait(shown, "the scene")
        assert {marker.type for marker in heard[-1].markers} >= {Marker.CUBE, Marker.SPHERE}
