from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sac_gmm_nodes.common.conversions import header, stamp_of, wrench_message
from sac_gmm_nodes.control import wrench_input
from sac_gmm_nodes.control.wrench_input import WrenchInput, turned

pytestmark = pytest.mark.ros


def test_force_and_torque_are_turned_alike():
    turn = Rotation.from_rotvec([0.3, -1.2, 0.7])
    wrench = np.array([1.0, 2.0, 3.0, -0.1, 0.2, 0.3])
    expected = np.concatenate((turn.apply(wrench[:3]), turn.apply(wrench[3:])))
    np.testing.assert_allclose(turned(turn.as_quat(), wrench), expected, atol=1e-12)


def test_a_wrench_in_known_axes_is_taken_whoever_publishes_after_it(graph, monkeypatch):
    felt = np.arange(6.0)
    come = [(wrench_message(felt * k, header(stamp_of(k), frame)), 1e9) for k, frame in enumerate(("base", "rail"), 1)]
    monkeypatch.setattr(wrench_input, "take", lambda _subscription: come)
    monkeypatch.setattr(wrench_input, "time", SimpleNamespace(monotonic=lambda: 1e9))
    found = WrenchInput(graph.node, "wrench", "base", "tip", None).latest(np.array([0.0, 0.0, 0.0, 1.0]), 0.1)
    np.testing.assert_array_equal(found, felt)
