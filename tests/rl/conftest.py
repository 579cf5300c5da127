import time

import numpy as np
import pytest
import torch

from sac_gmm.rl import AlgorithmSpec, ObservationSpec, Replay, Sac, SacConfig, Transition


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def image_spec():
    return ObservationSpec(3, (3, 64, 64))


@pytest.fixture
def small_config():
    return SacConfig(critic_hidden=(16, 16), batch_size=16, latent_size=8, updates_per_decision=2, encoder_interval=2)


@pytest.fixture
def observe():
    """Random observation of a specification."""

    def make(spec, rng):
        obs = {"vector": rng.normal(size=spec.vector_size).astype(np.float32)}
        if spec.image_shape is not None:
            obs["image"] = rng.integers(0, 256, spec.image_shape, dtype=np.uint8)
        return obs

    return make


@pytest.fixture
def transitions(observe):
    """Random episodes of ten decisions, one in three of which succeeds at its end."""

    def make(spec, n, seed=0, action_dim=2):
        rng = np.random.default_rng(seed)
        obs = observe(spec, rng)
        made = []
        for i in range(n):
            last = i % 10 == 9
            after = observe(spec, rng)
            success = last and rng.random() < 1 / 3
            action = rng.uniform(-1, 1, action_dim).astype(np.float32)
            time_out = last and not success
            made.append(Transition(obs, action, float(success), after, success, time_out, steps=30, success=success))
            obs = observe(spec, rng) if last else after
        return made

    return make


@pytest.fixture
def filled(transitions):
    def make(spec, n, capacity=1000, seed=0):
        replay = Replay(spec, 2, capacity)
        for transition in transitions(spec, n, seed):
            replay.add(transition)
        return replay

    return make


@pytest.fixture
def make_sac():
    """Soft actor-critic of two action entries."""

    def make(spec, config=None, seed=0):
        return Sac(AlgorithmSpec(Sac, spec, 2, config or SacConfig(), seed))

    return make


def wait_for(condition, timeout_s=120.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
