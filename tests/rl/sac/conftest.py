import numpy as np
import pytest

from sac_gmm.rl import ObservationSpec, Replay, Transition


@pytest.fixture
def bandit():
    """Observation and replay of 400 random actions, each paid at once."""

    def make(reward):
        spec = ObservationSpec(1)
        replay = Replay(spec, 1, 500)
        rng = np.random.default_rng(0)
        obs = {"vector": np.zeros(1, np.float32)}
        for _ in range(400):
            action = rng.uniform(-1, 1, 1)
            paid = float(reward(action[0]))
            replay.add(Transition(obs, action, paid, obs, terminated=True, success=paid > 0.0))
        return spec, obs, replay

    return make
