"""Adaptations of the mixture: zero is the base, the result is certified, equal shifts are a translation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sac_gmm.core.errors import UserError
from sac_gmm.methods.sac_gmm import ADAPTATIONS, ComponentAdaptation, Translation, make_adaptation
from sac_gmm.models import Regressor, fit_lpv_ds


@pytest.fixture(scope="module")
def stable():
    """A certified skill that curves down to the target."""
    rng = np.random.default_rng(0)
    x, v, lengths = [], [], []
    for _ in range(3):
        s = np.linspace(0.0, 1.0, 60)[:, None]
        start = np.array([0.05, 0.0, 0.1]) + 0.005 * rng.standard_normal(3)
        path = start * (1.0 - s) + np.array([0.0, 0.02, 0.0]) * np.sin(np.pi * s)
        x.append(path)
        v.append(np.gradient(path, 1 / 30, axis=0))
        lengths.append(60)
    return fit_lpv_ds(np.vstack(x), np.vstack(v), lengths, 3, seed=0)


@pytest.mark.parametrize("name", ADAPTATIONS)
def test_no_action_leaves_the_base_model_itself(stable, name):
    adaptation = make_adaptation(name, stable)
    assert adaptation.apply(np.zeros(adaptation.action_dim)) is stable


@pytest.mark.parametrize("name", ADAPTATIONS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_whatever_the_action_the_skill_stays_certified(stable, name, seed):
    adaptation = make_adaptation(name, stable)
    action = np.random.default_rng(seed).uniform(-1.5, 1.5, adaptation.action_dim)
    changed = adaptation.apply(action)
    assert changed.certificate is not None and changed.certificate.holds
    assert np.isclose(changed.mixture.priors.sum(), 1.0)
    assert np.isfinite(Regressor(changed.mixture)(np.array([0.02, 0.01, 0.05]))).all()


def test_the_full_adaptation_has_seven_numbers_per_component(stable):
    assert make_adaptation("full", stable).action_dim == 7 * 3


def test_equal_shifts_of_all_means_are_the_translation(stable):
    shift = np.array([0.5, -0.2, 0.1])
    each = ComponentAdaptation(stable, ("positions",)).apply(np.tile(shift, 3))
    whole = Translation(stable).apply(shift)
    x = np.array([0.03, 0.01, 0.06])
    np.testing.assert_allclose(each.attractor, whole.attractor, atol=1e-12)
    np.testing.assert_allclose(Regressor(each.mixture)(x), Regressor(whole.mixture)(x), atol=1e-6)


@pytest.mark.parametrize("name", ["translation", "positions", "full"])
def test_the_symmetry_moves_the_motion_with_the_frame(stable, name):
    """What is detected 1 cm away and shifted by as much does the same."""
    adaptation = make_adaptation(name, stable)
    by_m = np.array([0.01, -0.005, 0.0])
    action = 0.3 * np.random.default_rng(1).uniform(-1, 1, adaptation.action_dim)
    before, after = adaptation.apply(action), adaptation.apply(action + adaptation.action_shift @ by_m)
    x = np.array([0.02, 0.0, 0.05])
    np.testing.assert_allclose(Regressor(after.mixture)(x + by_m), Regressor(before.mixture)(x), atol=1e-6)


def test_what_does_not_move_in_space_has_no_symmetry(stable):
    assert not make_adaptation("priors", stable).action_shift.any()


def test_an_unknown_name_is_told(stable):
    with pytest.raises(UserError, match="rotation"):
        make_adaptation("rotation", stable)
    with pytest.raises(UserError, match="colours"):
        ComponentAdaptation(stable, ("colours",))
