import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sac_gmm_nodes.control.wrench_input import turned

pytestmark = pytest.mark.ros


def test_force_and_torque_are_turned_alike():
    turn = Rotation.from_rotvec([0.3, -1.2, 0.7])
    wrench = np.array([1.0, 2.0, 3.0, -0.1, 0.2, 0.3])
    expected = np.concatenate((turn.apply(wrench[:3]), turn.apply(wrench[3:])))
    np.testing.assert_allclose(turned(turn.as_quat(), wrench), expected, atol=1e-12)
