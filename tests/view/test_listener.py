"""What the listener makes of messages that several nodes publish."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import yourdfpy

from sac_gmm.view.collector import Collector
from sac_gmm.view.listener import Listener
from sac_gmm.view.robot import iiwa_urdf, joint_names

NAMES = ["shoulder", "elbow", "jaw"]


def joints(**positions):
    return SimpleNamespace(name=list(positions), position=list(positions.values()))


@pytest.fixture
def collector():
    return Collector()


def test_arm_and_gripper_on_one_topic_each_move_their_own_joints(collector):
    listener = Listener(collector, NAMES)
    listener.take_in("joint_states", joints(elbow=0.5, shoulder=-0.2))
    listener.take_in("joint_states", joints(jaw=0.01))
    np.testing.assert_allclose(collector.snapshot().joints_rad, [-0.2, 0.5, 0.01])
    listener.take_in("joint_states", joints(rail=3.0, shoulder=0.1))
    listener.take_in("joint_states", joints(a=1.0, b=2.0, c=3.0, d=4.0))
    np.testing.assert_allclose(collector.snapshot().joints_rad, [0.1, 0.5, 0.01])


def test_an_arm_whose_joints_have_other_names_is_shown_by_their_order(collector):
    listener = Listener(collector, NAMES)
    listener.take_in("joint_states", joints(finger=9.0))
    assert collector.snapshot().joints_rad is None
    listener.take_in("joint_states", joints(a=0.1, b=0.2, c=0.3))
    np.testing.assert_allclose(collector.snapshot().joints_rad, [0.1, 0.2, 0.3])


def test_the_joints_are_those_that_are_drawn(tmp_path):
    (tmp_path / "arm.urdf").write_text(iiwa_urdf("lever"))
    drawn = yourdfpy.URDF.load(str(tmp_path / "arm.urdf"), load_meshes=False, build_scene_graph=False)
    assert joint_names(iiwa_urdf("lever")) == list(drawn.actuated_joint_names)
    assert joint_names("no description") == []
