import dataclasses

import numpy as np
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.rl import ObservationSpec, SacConfig
from sac_gmm.rl.sac import agent as sac
from sac_gmm.rl.sac.agent import SacAgent
from sac_gmm.rl.sac.policy import SacPolicy


@pytest.mark.parametrize("hidden", [(), (32, 32)])
def test_the_first_deterministic_action_is_exactly_zero(image_spec, observe, hidden):
    agent = SacAgent(image_spec, 3, SacConfig(actor_hidden=hidden), seed=5)
    rng = np.random.default_rng(0)
    for _ in range(5):
        assert (agent.policy.act(observe(image_spec, rng), deterministic=True) == 0.0).all()


def test_initial_exploration_has_the_configured_spread_and_takes_given_noise():
    agent = SacAgent(ObservationSpec(1), 2, SacConfig(initial_std=0.2))
    obs = {"vector": np.zeros(1, np.float32)}
    actions = np.array([agent.policy.act(obs) for _ in range(3000)])
    np.testing.assert_allclose(np.arctanh(actions).std(axis=0), 0.2, rtol=0.05)
    np.testing.assert_allclose(agent.policy.act(obs, noise=np.array([1.0, -2.0])), np.tanh([0.2, -0.4]), rtol=1e-5)


@pytest.mark.parametrize("n_proposals", [0, 8])
def test_snapshot_carries_the_policy(monkeypatch, image_spec, small_config, filled, observe, n_proposals):
    monkeypatch.setattr(sac, "UPDATES_TO_CHOOSE", 10)
    config = dataclasses.replace(small_config, n_proposals=n_proposals)
    agent = SacAgent(image_spec, 2, config, seed=1)
    agent.update_many(filled(image_spec, 60), 10)
    actor = SacPolicy(image_spec, 2, config, seed=9)
    actor.load_snapshot(agent.policy.snapshot())
    obs = observe(image_spec, np.random.default_rng(3))
    np.testing.assert_array_equal(actor.act(obs, True), agent.policy.act(obs, True))
    assert actor.version == agent.policy.version == 10
    with pytest.raises(UserError, match="numbers"):
        SacAgent(ObservationSpec(3), 2, config).policy.load_snapshot(agent.policy.snapshot())


def test_the_critics_choose_among_what_the_actor_proposes(bandit):
    """A bandit that pays between 0.2 and 0.6, and an actor that learns nothing."""
    config = SacConfig(
        actor_hidden=(), critic_hidden=(32,), actor_learning_rate=0.0, initial_std=0.5, shift_std=0.0, n_proposals=64
    )
    spec, obs, replay = bandit(lambda action: 0.2 < action < 0.6)
    agent = SacAgent(spec, 1, config)
    agent.update_many(replay, sac.UPDATES_TO_CHOOSE - 1)
    assert agent.policy.act(obs, deterministic=True) == 0.0
    agent.update_many(replay, 1)
    assert 0.25 < agent.policy.act(obs, deterministic=True)[0] < 0.55
    assert agent.policy.act(obs, deterministic=True) == agent.policy.act(obs, deterministic=True)
    explored = np.array([agent.policy.act(obs) for _ in range(500)])
    assert abs(np.arctanh(explored).mean()) < 0.1  # that is the actor's alone
