"""What the simulated driver says of the arm, against another reader of its description."""

import contextlib
from xml.etree import ElementTree

import numpy as np
import pinocchio
import pytest
from std_msgs.msg import Header

from sac_gmm.control.kinematics import FrameTree
from sac_gmm.tasks import make_task
from sac_gmm.tasks.arms.description import JOINT_NAMES
from sac_gmm_nodes.common.conversions import point_array
from sac_gmm_nodes.simulation.simulated_lbr import ArmFrames

HEAD = Header(frame_id="lbr_link_0")


@pytest.fixture(params=["door", "lever", "peg"])
def task(request):
    with contextlib.closing(make_task(request.param)) as made:
        made.reset(seed=2)
        yield made


def test_no_frame_has_two_parents_whoever_publishes_frames(task):
    """robot_state_publisher takes the tree from the description; the bridge's must be the same, finger and all."""
    robot = ElementTree.fromstring(task.arm.description)
    described = {j.find("child").get("link"): j.find("parent").get("link") for j in robot.findall("joint")}
    transforms = ArmFrames(task.arm, task.client).transforms(HEAD)
    said = [(transform.child_frame_id, transform.header.frame_id) for transform in transforms]
    assert dict(said) == described and len(said) == len(described)
    assert {"gripper", "tcp"} <= described.keys()


def test_every_frame_is_where_the_description_has_it(task):
    rng = np.random.default_rng(0)
    frames = ArmFrames(task.arm, task.client)
    model = pinocchio.buildModelFromXML(task.arm.description)
    assert list(model.names)[1:] == list(JOINT_NAMES)
    data = model.createData()
    for _ in range(5):
        joints = rng.uniform(-1.5, 1.5, 7)
        task.arm.place_joints(joints)
        pinocchio.framesForwardKinematics(model, data, joints)
        tree = FrameTree()
        for transform in frames.transforms(HEAD):
            origin, turn = transform.transform.translation, transform.transform.rotation
            xyzw = np.array([turn.x, turn.y, turn.z, turn.w])
            tree.set(transform.header.frame_id, transform.child_frame_id, point_array(origin), xyzw, 0)
        for transform in frames.transforms(HEAD):
            name = transform.child_frame_id
            place = data.oMf[model.getFrameId(name)]
            position, xyzw, _ = tree.pose("lbr_link_0", name)
            np.testing.assert_allclose(position, place.translation, atol=1e-5, err_msg=name)
            R = pinocchio.Quaternion(xyzw).toRotationMatrix()
            np.testing.assert_allclose(R, place.rotation, atol=1e-5, err_msg=name)
