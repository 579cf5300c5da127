"""What every decoder promises."""

import numpy as np
import pytest
from point_task import TARGET_M, drive

from sac_gmm.control import SafetyLimits, SafetyPipeline
from sac_gmm.methods.baselines import ResidualGmm, Sac
from sac_gmm.methods.sac_gmm import SacGmm


@pytest.mark.parametrize("make", [lambda m: SacGmm(m), lambda m: ResidualGmm(m), lambda m: Sac()])
def test_no_decoder_jumps(model, make):
    decoder = make(model)
    decoder.begin()
    rng = np.random.default_rng(0)
    last = np.zeros(6)
    for step in range(200):
        if step % 10 == 0:
            decoder.decide(rng.uniform(-1, 1, 3))
        twist = drive(decoder, 1, rng.normal(0, 0.05, 3))
        assert np.linalg.norm(twist[:3]) <= 0.25 + 1e-9
        assert np.linalg.norm(twist - last) <= 2.0 / 30 + 1e-9  # the acceleration limit
        last = twist


def states(n):
    """Places around the target, some beyond the workspace box."""
    rng = np.random.default_rng(1)
    return [{"ee_position_m": TARGET_M + rng.normal(0, 0.3, 3), "target_m": TARGET_M} for _ in range(n)]


@pytest.mark.parametrize("make", [lambda m: ResidualGmm(m), lambda m: Sac()])
def test_what_a_velocity_decoder_desires_is_its_command_without_the_limits(model, make):
    alone, behind_a_guard = make(model), make(model)
    guard = SafetyPipeline(SafetyLimits(), 1 / 30)
    rng = np.random.default_rng(0)
    for state in states(100):
        action = rng.uniform(-2, 2, 3)
        alone.decide(action)
        behind_a_guard.decide(action)
        expected = alone.command(state)
        desired = behind_a_guard.desired(state)
        assert desired.shape == (6,)
        np.testing.assert_array_equal(guard.step(desired[:3].copy(), state["ee_position_m"])[0], expected[:3])
        np.testing.assert_array_equal(behind_a_guard.desired(state), desired, "saying it changes nothing")


def test_other_decoders_desire_what_they_command(model):
    once, again = SacGmm(model), SacGmm(model)
    for decoder in (once, again):
        decoder.begin()
        decoder.decide(np.full(3, 0.5))
    for state in states(20):
        np.testing.assert_array_equal(once.desired(state), again.command(state))
