import dataclasses
import time

import numpy as np
import pytest
import torch

from sac_gmm.rl import ObservationSpec, Replay, SacConfig, Transition
from sac_gmm.rl.sac import agent as sac
from sac_gmm.rl.sac.agent import SacAgent


@pytest.mark.parametrize("target", [-2.0, 0.3])
def test_temperature_drives_the_entropy_to_its_target(bandit, target):
    """On a bandit without reward the policy is free; from -0.2 nats the entropy goes down as well as up."""
    config = SacConfig(
        critic_hidden=(16,),
        target_entropy_per_action=target,
        temperature_learning_rate=0.02,
        initial_std=0.15,
        min_std=0.01,
        max_std=3.0,
    )
    spec, _, replay = bandit(lambda action: 1.0 - action**2)
    metrics = SacAgent(spec, 1, config).update_many(replay, 2500)
    assert metrics["entropy"] == pytest.approx(target, abs=0.35)


def value_of_standing_still(terminated, gamma=0.9, steps=1):
    """Learned value of a state that leads to itself with reward 0.1 a step and then ends, or is cut."""
    config = SacConfig(
        critic_hidden=(16,), gamma=gamma, polyak=0.05, critic_learning_rate=3e-3, return_bounds=None, value_weight=0.0
    )
    spec = ObservationSpec(1)
    agent, replay = SacAgent(spec, 1, config), Replay(spec, 1, 200)
    rng = np.random.default_rng(0)
    obs = {"vector": np.ones(1, np.float32)}
    for _ in range(100):
        action = rng.uniform(-1, 1, 1)
        replay.add(Transition(obs, action, 0.1, obs, terminated, not terminated, steps=steps, success=True))
    return agent.update_many(replay, 800)["value"]


def test_a_time_out_bootstraps_and_a_terminal_does_not():
    assert value_of_standing_still(terminated=True) == pytest.approx(0.1, abs=0.03)
    assert value_of_standing_still(terminated=False) == pytest.approx(0.1 / (1.0 - 0.9), abs=0.15)


def test_a_long_macro_step_discounts_more():
    assert value_of_standing_still(terminated=False, steps=10) == pytest.approx(0.1 / (1.0 - 0.9**10), abs=0.03)


def test_learning_is_the_same_whoever_chooses(monkeypatch, filled):
    monkeypatch.setattr(sac, "UPDATES_TO_CHOOSE", 3)
    spec = ObservationSpec(3)
    agents = [SacAgent(spec, 2, SacConfig(n_proposals=n), seed=4) for n in (0, 16)]
    for agent in agents:
        agent.update_many(filled(spec, 80), 8)
    actors = [torch.cat([p.reshape(-1) for p in agent.policy.actor.parameters()]) for agent in agents]
    torch.testing.assert_close(actors[0], actors[1], rtol=0.0, atol=0.0)


def test_latents_kept_for_a_fixed_encoder_are_those_of_the_images(image_spec, transitions, small_config):
    config = dataclasses.replace(small_config, encoder_interval=0)
    agent, replay = SacAgent(image_spec, 2, config), Replay(image_spec, 2, 25)
    for transition in transitions(image_spec, 40):  # wraps around
        replay.add(transition)
        agent.update_many(replay, 1)
    batch = replay.sample(64, np.random.default_rng(0))
    rows = (torch.from_numpy(batch[name]) for name in ("row", "next_row"))
    for latent, name in zip(agent._seen.get(*rows), ("image", "next_image"), strict=True):
        torch.testing.assert_close(latent, agent.policy.encoder(torch.from_numpy(batch[name])), rtol=1e-4, atol=1e-4)


def test_the_encoder_learns_where_a_blob_is():
    rng = np.random.default_rng(0)
    spec = ObservationSpec(0, (1, 64, 64))
    agent = SacAgent(spec, 2, SacConfig(latent_size=8))
    y, x = np.mgrid[0:64, 0:64]
    centre = rng.uniform(20, 44, (200, 2))
    blobs = np.exp(-((x - centre[:, :1, None]) ** 2 + (y - centre[:, 1:, None]) ** 2) / 30.0)
    images = (40 + 180 * blobs)[:, None].astype(np.uint8)
    agent.pretrain_encoder(images[:150], 300)
    with torch.no_grad():
        latent = agent.policy.encoder(torch.from_numpy(images)).numpy()
    inputs = np.c_[latent, np.ones(200)]
    weights = np.linalg.lstsq(inputs[:150], centre[:150], rcond=None)[0]
    error_px = (inputs[150:] @ weights - centre[150:]).std(axis=0)
    assert (error_px < 2.0).all(), error_px


def test_running_statistics_normalise_the_vector(filled):
    spec = ObservationSpec(3)
    agent = SacAgent(spec, 2, SacConfig(running_vector_statistics=True, critic_hidden=(8,)))
    replay = filled(spec, 100)
    agent.update_many(replay, 1)
    seen = agent.policy.normalise(torch.from_numpy(replay._vector[:100])).numpy()
    np.testing.assert_allclose(seen.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(seen.std(axis=0), 1.0, atol=1e-4)


def test_an_update_of_several_critics_costs_less_than_two_of_one(filled):
    """Processor time, in turns and by the median, because other programs share the machine."""
    spec = ObservationSpec(17)
    replay = filled(spec, 300)
    agents = {n: SacAgent(spec, 2, SacConfig(n_critics=n, target_subset=1)) for n in (1, 2, 4)}
    times: dict[int, list[float]] = {n: [] for n in agents}
    for _ in range(200):
        for n, agent in agents.items():
            start = time.thread_time()
            agent.update_many(replay, 1)
            times[n].append(time.thread_time() - start)
    cost = {n: np.median(values) for n, values in times.items()}
    assert cost[2] < 1.5 * cost[1], cost
    assert cost[4] < 2.0 * cost[1], cost


def test_a_shift_of_the_frame_changes_the_mean_action_by_as_much_once_it_has_learned():
    """The right action is the position that is seen: with shifts, a few samples at one place teach it everywhere."""

    def slope(shift_std):
        spec = ObservationSpec(1, vector_shift=((1.0,),), action_shift=((1.0,),))
        config = SacConfig(critic_hidden=(32, 32), actor_hidden=(), shift_std=shift_std, initial_std=0.3)
        agent, replay = SacAgent(spec, 1, config, seed=1), Replay(spec, 1, 500)
        rng = np.random.default_rng(0)
        for _ in range(300):
            obs = {"vector": rng.normal(0.0, 0.01, 1).astype(np.float32)}
            action = rng.uniform(-1, 1, 1)
            right = bool(abs(action[0] - obs["vector"][0]) < 0.3)
            replay.add(Transition(obs, action, float(right), obs, True, success=right))
        agent.update_many(replay, 600)
        actions = [agent.policy.act({"vector": np.full(1, x, np.float32)}, deterministic=True)[0] for x in (-0.4, 0.4)]
        return (actions[1] - actions[0]) / 0.8

    assert slope(0.3) > 0.6
    assert slope(0.0) < 0.4


def test_a_shift_stays_within_the_range_of_actions_and_on_the_symmetry():
    spec = ObservationSpec(3, vector_shift=((1.0, 0.0), (0.0, 1.0), (0.0, 0.0)), action_shift=((2.0, 0.0), (0.0, 2.0)))
    agent = SacAgent(spec, 2, SacConfig(shift_std=1.0))
    rng = np.random.default_rng(0)
    before = {
        "vector": torch.from_numpy(rng.normal(size=(200, 3)).astype(np.float32)),
        "next_vector": torch.from_numpy(rng.normal(size=(200, 3)).astype(np.float32)),
        "action": torch.from_numpy(rng.uniform(-1, 1, (200, 2)).astype(np.float32)),
    }
    after = dict(before)
    agent._shift(after)
    moved = {name: (after[name] - before[name]).numpy() for name in before}
    assert np.abs(after["action"].numpy()).max() <= 1.0
    np.testing.assert_allclose(moved["vector"], moved["next_vector"], atol=1e-6)
    np.testing.assert_allclose(moved["action"], 2.0 * moved["vector"][:, :2], atol=1e-5)
    assert np.abs(moved["vector"][:, 2]).max() == 0.0
    assert np.abs(moved["vector"][:, :2]).mean() > 0.1
