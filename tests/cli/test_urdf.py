"""`sac-gmm urdf`: what robot_state_publisher and RViz are given."""

import shutil
import subprocess
from xml.etree import ElementTree

import numpy as np
import pinocchio
import pytest

from sac_gmm.cli.main import main
from sac_gmm.tasks import make_task
from sac_gmm.tasks.arms.description import JOINT_NAMES


@pytest.mark.parametrize("name", ["door", "lever", "peg"])
def test_it_is_the_arm_that_the_task_simulates(capfd, name):
    """Another reader of descriptions finds the tip where the simulator has it, from the arm's joints alone."""
    assert main(["urdf", name]) == 0
    model = pinocchio.buildModelFromXML(capfd.readouterr().out)
    assert list(model.names)[1:] == list(JOINT_NAMES), "only what joint_states has may move"
    task = make_task(name)
    observation, _ = task.reset(seed=1)
    data = model.createData()
    pinocchio.framesForwardKinematics(model, data, observation["joint_position_rad"])
    tip = data.oMf[model.getFrameId("tcp")].translation
    task.close()
    np.testing.assert_allclose(tip, observation["ee_position_m"], atol=1e-4)


TASKS = ("door", "lever", "peg", "peg_medium", "peg_easy")


def described(capfd, name):
    assert main(["urdf", name]) == 0
    return capfd.readouterr().out


@pytest.mark.parametrize("name", TASKS)
def test_it_is_urdf_as_the_specification_has_it(capfd, name):
    """Elements and shapes of URDF alone, one tree of links, no inertia on its root, which KDL would warn of."""
    robot = ElementTree.fromstring(described(capfd, name))
    assert {part.tag for part in robot} <= {"link", "joint", "material"}
    links = [link.get("name") for link in robot.findall("link")]
    parents = {joint.find("child").get("link"): joint.find("parent").get("link") for joint in robot.findall("joint")}
    assert len(set(links)) == len(links) == len(robot.findall("joint")) + 1 == len(parents) + 1
    [root] = set(links) - set(parents)
    assert root == "lbr_link_0" and set(parents.values()) <= set(links)
    for link in robot.findall("link"):
        assert {part.tag for part in link} <= {"inertial", "visual", "collision"}
        assert (link.find("inertial") is None) == (link.get("name") == root)
        for inertial in link.findall("inertial"):
            assert float(inertial.find("mass").get("value")) > 0
    shapes = [shape.tag for geometry in robot.iter("geometry") for shape in geometry]
    assert len(shapes) == len(list(robot.iter("geometry"))) and set(shapes) <= {"box", "cylinder", "sphere", "mesh"}
    for joint in robot.findall("joint"):
        moves = joint.get("name") in JOINT_NAMES
        assert joint.get("type") == ("revolute" if moves else "fixed")
        assert (joint.find("limit") is not None) == moves


@pytest.mark.skipif(shutil.which("check_urdf") is None, reason="liburdfdom-tools is not installed")
@pytest.mark.parametrize("name", TASKS)
def test_the_parser_of_ros_has_nothing_to_say(capfd, tmp_path, name):
    path = tmp_path / "arm.urdf"
    path.write_text(described(capfd, name))
    done = subprocess.run(["check_urdf", path], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    assert "Error" not in done.stdout and "Successfully Parsed XML" in done.stdout


def test_an_unknown_task_names_those_there_are(capsys):
    assert main(["urdf", "window"]) == 2
    said = capsys.readouterr().err
    assert "window" in said and "door" in said
