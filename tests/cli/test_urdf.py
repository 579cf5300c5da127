"""`sac-gmm urdf`: what robot_state_publisher and RViz are given."""

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


def test_an_unknown_task_names_those_there_are(capsys):
    assert main(["urdf", "window"]) == 2
    said = capsys.readouterr().err
    assert "window" in said and "door" in said
