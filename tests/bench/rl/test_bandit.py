import numpy as np
import pytest

from sac_gmm.bench.rl.bandit import ONE_DECISION, HiddenOffset, learn
from sac_gmm.rl import SacConfig


@pytest.mark.slow
def test_learns_to_undo_a_hidden_offset_seen_in_the_picture():
    """Sparse reward, about 15 % at the start, 150 episodes of one decision."""
    result = learn(SacConfig(**ONE_DECISION), seed=1, episodes=150, evaluate_at=(150,))
    assert result["base"] < 0.25
    assert result["success"][150] >= 0.8
    assert result["wall_s"] > 0.0


@pytest.mark.slow
def test_learns_over_episodes_of_ten_decisions():
    result = learn(SacConfig(), seed=1, n_decisions=10, evaluate_at=(100,), evaluation_episodes=60)
    assert result["success"][100] >= 0.7
    assert result["worst_window_of_25"] >= result["base"] - 0.1  # no regret


def test_the_right_correction_is_paid_late_and_ends_the_episode():
    task = HiddenOffset(0, 10)
    task.reset()
    action = -task.offset_cm / 3.0
    outcomes = [task.step(action) for _ in range(6)]
    assert [reward for _, reward, _, _ in outcomes] == [0, 0, 0, 0, 0, 1]
    assert outcomes[-1][2]
    assert np.all(np.abs(outcomes[-1][0]["vector"][:2] - action) < 0.02)
