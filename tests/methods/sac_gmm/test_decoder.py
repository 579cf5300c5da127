"""The field as fitted and the field that the agent changes."""

import numpy as np
from point_task import drive

from sac_gmm.methods.sac_gmm import Gmm, SacGmm, Translation
from sac_gmm.models import Regressor


def test_no_action_leaves_the_base_model_itself(model):
    assert Translation(model).apply(np.zeros(3)) is model


def test_an_action_moves_the_whole_skill(model):
    moved = Translation(model, reach_m=0.03).apply([1.0, -0.5, 5.0])
    shift = np.array([0.03, -0.015, 0.03])  # what is beyond 1 is cut
    np.testing.assert_allclose(moved.attractor - model.attractor, shift)
    x = np.array([0.01, 0.02, 0.05])
    np.testing.assert_allclose(Regressor(moved.mixture)(x + shift), Regressor(model.mixture)(x), atol=1e-12)


def test_gmm_follows_the_field(model):
    expected = Regressor(model.mixture)(np.array([0.0, 0.0, 0.08]))
    decoder = Gmm(model)
    decoder.begin()
    np.testing.assert_allclose(drive(decoder, 60)[:3], expected, atol=1e-6)


def test_sac_gmm_follows_the_moved_field(model):
    decoder = SacGmm(model)
    decoder.begin()
    decoder.decide(np.array([0.0, 1.0, 0.0]))
    expected = Regressor(decoder.adaptation.apply([0.0, 1.0, 0.0]).mixture)(np.array([0.0, 0.0, 0.08]))
    np.testing.assert_allclose(drive(decoder, 60)[:3], expected, atol=1e-6)


def test_a_new_episode_begins_with_the_base_model(model):
    decoder = SacGmm(model)
    decoder.begin()
    decoder.decide(np.ones(3))
    drive(decoder, 30)
    decoder.begin()
    expected = Regressor(model.mixture)(np.array([0.0, 0.0, 0.08]))
    np.testing.assert_allclose(drive(decoder, 60)[:3], expected, atol=1e-6)
