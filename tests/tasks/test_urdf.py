"""The text of a URDF: what is written is read back to the last bit."""

from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sac_gmm.tasks import urdf
from sac_gmm.tasks.arms.description import describe_iiwa
from sac_gmm.tasks.arms.grippers import parallel_jaws
from sac_gmm.tasks.scenes.door import describe_door
from sac_gmm.tasks.scenes.lever import describe_lever
from sac_gmm.tasks.scenes.peg import describe_box, held_peg

RED = urdf.Colour("red", "1 0 0 1")


def numbers(text):
    return np.array([float(word) for word in text.split()])


def test_numbers_keep_their_last_bit():
    xyz = (0.1 + 0.2, np.pi / 2, -1e-17)
    element = ElementTree.fromstring(urdf.visual(urdf.sphere(1 / 3), RED, xyz))
    assert numbers(element.find("origin").get("xyz")).tobytes() == np.array(xyz).tobytes()
    assert float(element.find("geometry/sphere").get("radius")) == 1 / 3
    assert urdf.rounded(xyz) == (0.3, 1.57079633, -1e-17)


def test_a_solid_is_seen_and_touched_in_one_place():
    link = ElementTree.fromstring(urdf.link("a", urdf.inertial(2.0, 0.5), urdf.solid(urdf.box((1, 2, 3)), RED)))
    seen, felt = link.find("visual"), link.find("collision")
    assert seen.find("geometry/box").get("size") == felt.find("geometry/box").get("size") == "1.0 2.0 3.0"
    assert seen.find("material").get("name") == "red" and felt.find("material") is None
    assert {link.find("inertial/inertia").get(axis) for axis in ("ixx", "iyy", "izz")} == {"0.5"}


def test_a_joint_names_both_links_and_its_limits():
    limit = urdf.Limit(-1, 1, 5, 2)
    text = urdf.moving_joint("turn", "revolute", "a", "b", axis=(0, 0, 1), limit=limit, xyz=(0, 0, 0.5))
    joint = ElementTree.fromstring(text)
    assert (joint.find("parent").get("link"), joint.find("child").get("link")) == ("a", "b")
    assert joint.find("limit").attrib == {"lower": "-1", "upper": "1", "effort": "5", "velocity": "2"}
    assert ElementTree.fromstring(urdf.fixed_joint("a", "c", (0, 0, 1))).get("name") == "c_joint"


@pytest.mark.parametrize(
    "text",
    [
        describe_door(latch=True),
        describe_lever(),
        describe_box(),
        *(describe_iiwa(tool) for tool in (None, parallel_jaws(0.04), held_peg())),
    ],
    ids=["door", "lever", "box", "finger", "jaws", "peg"],
)
def test_every_description_is_a_tree_of_links_that_pybullet_can_read(text):
    robot = ElementTree.fromstring(text)
    links = [link.get("name") for link in robot.findall("link")]
    children = [joint.find("child").get("link") for joint in robot.findall("joint")]
    assert len(set(links)) == len(links) and sorted(children) == sorted(links[1:])
    assert max(map(len, text.splitlines())) < 4096  # PyBullet reads lines of at most 8 KiB


def test_a_capsule_becomes_shapes_that_urdf_has():
    """Its ends lie where its axis points, whichever way it is turned; other shapes stay as they are."""
    rpy, xyz = (0.4, -0.7, 1.1), (0.1, 0.2, 0.3)
    turned = urdf.collision(urdf.capsule(0.02, 0.3), xyz, rpy)
    seen = urdf.visual(urdf.capsule(0.01, 0.1), RED)
    text = urdf.robot("r", urdf.link("a", urdf.solid(urdf.box((1, 2, 3)), RED), turned, seen))
    [link] = ElementTree.fromstring(urdf.standard(text, ())).findall("link")
    kinds = [(shape.tag, shape.find("geometry")[0].tag) for shape in link]
    assert kinds == [
        *(("visual", "box"), ("collision", "box")),
        *(("collision", "cylinder"), ("collision", "sphere"), ("collision", "sphere")),
        *(("visual", "cylinder"), ("visual", "sphere"), ("visual", "sphere")),
    ]
    body, low, high = link.findall("collision")[1:]
    assert body.find("geometry/cylinder").attrib == {"radius": "0.02", "length": "0.3"}
    assert {end.find("geometry/sphere").get("radius") for end in (low, high)} == {"0.02"}
    np.testing.assert_allclose(numbers(body.find("origin").get("rpy")), rpy)
    np.testing.assert_allclose(numbers(body.find("origin").get("xyz")), xyz)
    axis = Rotation.from_euler("xyz", rpy).apply([0, 0, 1])
    for end, sign in ((low, -1), (high, 1)):
        np.testing.assert_allclose(numbers(end.find("origin").get("xyz")), xyz + sign * 0.15 * axis, atol=1e-8)
    assert {shape.find("material").get("name") for shape in link.findall("visual")} == {"red"}


def test_only_the_joints_named_move_for_others_and_the_root_weighs_nothing():
    limit = urdf.Limit(-1, 1, 5, 2)
    text = urdf.robot(
        "r",
        *(urdf.link(name, urdf.inertial(1.0, 0.1)) for name in "abc"),
        urdf.moving_joint("turn", "revolute", "a", "b", axis=(0, 0, 1), limit=limit),
        urdf.moving_joint("slide", "prismatic", "b", "c", axis=(0, 1, 0), limit=limit, xyz=(0, 0, 0.5)),
    )
    robot = ElementTree.fromstring(urdf.standard(text, ["turn"]))
    turn, slide = robot.findall("joint")
    assert (turn.get("type"), slide.get("type")) == ("revolute", "fixed")
    assert {part.tag for part in turn} == {"origin", "parent", "child", "axis", "limit"}
    assert {part.tag for part in slide} == {"origin", "parent", "child"}
    assert slide.find("origin").get("xyz") == "0.0 0.0 0.5"
    assert [link.get("name") for link in robot.findall("link") if link.find("inertial") is None] == ["a"]
