"""The compiled kinematics and inertia against Pinocchio's, which reads the same description.

Gravity is not part of them: these scenes have none, because the real arm compensates its own weight. The bounds are
what is lost between the two: PyBullet gives the frames that the chain is read from to about seven digits.
"""

import re

import numpy as np
import pinocchio
import pybullet as pb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sac_gmm.core.small_algebra import to_quaternion
from sac_gmm.tasks.arms import arm_kernels as kernels
from sac_gmm.tasks.arms.description import JOINT_LIMITS_RAD, describe_iiwa
from sac_gmm.tasks.arms.grippers import parallel_jaws
from sac_gmm.tasks.arms.iiwa import Iiwa
from sac_gmm.tasks.arms.inverse_kinematics import solve_inverse_kinematics
from sac_gmm.tasks.scenes.peg import held_peg

TOOLS = {"finger": lambda: None, "jaws": lambda: parallel_jaws(0.042), "peg": held_peg}
SHAPES = re.compile(r"<(visual|collision)>.*?</\1>", flags=re.DOTALL)
POSTURES = st.tuples(*(st.floats(-limit, limit) for limit in JOINT_LIMITS_RAD)).map(np.array)


class Oracle:
    """Pinocchio's arm, with the tool's own joints fixed at zero."""

    def __init__(self, urdf):
        model = pinocchio.buildModelFromXML(SHAPES.sub("", urdf))
        jaws = list(range(8, model.njoints))
        self.model = pinocchio.buildReducedModel(model, jaws, pinocchio.neutral(model)) if jaws else model
        self.data = self.model.createData()
        self.tip = self.model.getFrameId("tcp")

    def pose(self, q):
        pinocchio.framesForwardKinematics(self.model, self.data, q)
        placement = self.data.oMf[self.tip]
        return placement.translation, placement.rotation

    def jacobian(self, q):
        axes = pinocchio.ReferenceFrame.LOCAL_WORLD_ALIGNED
        return pinocchio.computeFrameJacobian(self.model, self.data, q, self.tip, axes)

    def mass_matrix(self, q):
        M = pinocchio.crba(self.model, self.data, q)
        return np.triu(M) + np.triu(M, 1).T


@pytest.fixture(scope="module", params=TOOLS)
def arm(request):
    """The chain of numbers that the kernels take, and the oracle."""
    tool = TOOLS[request.param]()
    client = pb.connect(pb.DIRECT)
    chain = Iiwa(client, tool=tool)._chain
    pb.disconnect(client)
    return chain, Oracle(describe_iiwa(tool))


def forward(chain, q):
    origins, axes, tip, rotations = np.empty((7, 3)), np.empty((7, 3)), np.empty(3), np.empty((8, 9))
    kernels.forward_kinematics(chain, q, origins, axes, tip, rotations)
    return origins, axes, tip, rotations


@settings(max_examples=60, deadline=None)
@given(q=POSTURES)
def test_the_tip_is_where_pinocchio_has_it(arm, q):
    chain, oracle = arm
    _, _, tip, rotations = forward(chain, q)
    position, rotation = oracle.pose(q)
    np.testing.assert_allclose(tip, position, atol=5e-7)
    np.testing.assert_allclose(rotations[7].reshape(3, 3), rotation, atol=5e-8)


@settings(max_examples=60, deadline=None)
@given(q=POSTURES)
def test_the_jacobian_is_pinocchios(arm, q):
    chain, oracle = arm
    origins, axes, tip, _ = forward(chain, q)
    J = np.empty((6, 7))
    kernels.jacobian_of(origins, axes, tip, J)
    np.testing.assert_allclose(J, oracle.jacobian(q), atol=5e-7)


@settings(max_examples=60, deadline=None)
@given(q=POSTURES)
def test_the_mass_matrix_is_pinocchios(arm, q):
    chain, oracle = arm
    origins, axes, _, rotations = forward(chain, q)
    M = np.empty((7, 7))
    kernels.mass_matrix_of(chain, origins, axes, rotations, M)
    np.testing.assert_allclose(M, oracle.mass_matrix(q), atol=2e-6)


@settings(max_examples=60, deadline=None)
@given(q=POSTURES)
def test_inverse_kinematics_end_at_the_pose_that_pinocchio_has(arm, q):
    """From half way there; where a solution is found, it is one."""
    chain, oracle = arm
    position, rotation = oracle.pose(q)
    xyzw = np.empty(4)
    to_quaternion(np.ascontiguousarray(rotation).ravel(), xyzw)
    found = 0.5 * q
    if solve_inverse_kinematics(chain, JOINT_LIMITS_RAD, position.copy(), xyzw, found):
        reached_position, reached_rotation = oracle.pose(found)
        np.testing.assert_allclose(reached_position, position, atol=1e-6)
        np.testing.assert_allclose(reached_rotation, rotation, atol=1e-6)
        assert np.all(np.abs(found) <= JOINT_LIMITS_RAD)
