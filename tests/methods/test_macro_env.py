"""A task at the pace of decisions."""

import numpy as np
import pytest
from point_task import PointTask

from sac_gmm.core.errors import UserError
from sac_gmm.methods import MacroEnv
from sac_gmm.methods.baselines import Sac
from sac_gmm.methods.sac_gmm import Gmm, WindowObserver


def at_pace(decoder, interval):
    decoder.interval = interval
    return decoder


def test_a_macro_step_sums_and_counts(model):
    env = MacroEnv(PointTask(), Gmm(model, interval=20), WindowObserver(0))
    env.reset(seed=0)
    outcomes = []
    while not outcomes or not (outcomes[-1].terminated or outcomes[-1].truncated):
        outcomes.append(env.step(np.zeros(0)))
    assert [o.steps for o in outcomes[:-1]] == [20] * (len(outcomes) - 1)
    assert sum(o.steps for o in outcomes) == env.task.steps
    assert sum(o.reward for o in outcomes) == float(outcomes[-1].terminated)


def test_the_reward_is_discounted_within_a_step_and_success_is_told_apart():
    class Dense(PointTask):
        def step(self, action):
            state, _, terminated, truncated, _ = super().step(action)
            return state, -1.0, terminated, truncated, {"success": self.steps == 2}

    env = MacroEnv(Dense(), at_pace(Sac(), 4), WindowObserver(3), discount=0.5, reward=lambda paid, info: 2.0 * paid)
    env.reset(seed=0)
    first, second = env.step(np.zeros(3)), env.step(np.zeros(3))
    assert first.reward == second.reward == -2.0 * (1.0 + 0.5 + 0.25 + 0.125)
    assert (first.success, second.success) == (True, False)
    assert not first.terminated and not first.truncated


def test_a_window_onto_the_truth_is_refused():
    window = WindowObserver(3)
    window.groups = ("proprio", "privileged")
    with pytest.raises(UserError, match="privileged"):
        MacroEnv(PointTask(), Sac(), window)


def test_a_time_out_is_told_apart_from_an_end():
    env = MacroEnv(PointTask(), Sac(), WindowObserver(3))
    env.reset(seed=0)
    for _ in range(49):
        result = env.step(np.zeros(3))
        assert not result.terminated and not result.truncated
    result = env.step(np.zeros(3))
    assert (result.terminated, result.truncated) == (False, True)
