"""Environments for other learners: the ids, the checkers of Gymnasium and stable-baselines3, and the same episodes."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import sac_gmm.gym
from sac_gmm.core.errors import UserError
from sac_gmm.core.speeds import MAX_SPEED_M_S
from sac_gmm.methods.episodes import still
from sac_gmm.methods.skill import make_env, open_skill
from sac_gmm.tasks import TASKS, make_task

SEED = 3


@pytest.fixture
def made():
    """Builds environments and closes them."""
    open_ones = []

    def make(*args, **options):
        open_ones.append(gymnasium.make(*args, **options))
        return open_ones[-1]

    yield make
    for env in open_ones:
        env.close()


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_both_environments(task):
    name = sac_gmm.gym.environment_name(task)
    for known_as in (f"sac_gmm/{name}-v0", f"sac_gmm/{name}Skill-v0"):
        assert gymnasium.spec(known_as).kwargs == {"task": task}


@pytest.mark.parametrize("known_as", ["sac_gmm/Door-v0", "sac_gmm/DoorSkill-v0"])
def test_the_checkers_find_nothing(made, known_as, recwarn):
    env = made(known_as).unwrapped
    check_env(env, skip_render_check=True)
    sb3_check_env(env)
    assert [str(warning.message) for warning in recwarn if "float" in str(warning.message)] == []


def test_observations_and_actions_are_float32_and_actions_are_shares_of_the_largest_command(made):
    env = made("sac_gmm/Door-v0")
    assert env.action_space == gymnasium.spaces.Box(-1.0, 1.0, (6,), np.float32)
    observation, _ = env.reset(seed=SEED)
    assert {value.dtype for value in observation.values()} == {np.dtype(np.float32)}
    task = make_task("door")
    task.reset(seed=SEED)
    action = np.array([0.5, -0.25, 0.0, 0.0, 0.0, 0.0], np.float32)
    for _ in range(5):
        observation, _, _, _, info = env.step(action)
        state, *_ = task.step(action * MAX_SPEED_M_S)
        for name, value in state.items():
            np.testing.assert_array_equal(observation[name], value.astype(np.float32))
    assert info["is_success"] is False
    task.close()


@pytest.mark.parametrize("known_as", ["sac_gmm/Door-v0", "sac_gmm/DoorSkill-v0"])
def test_it_is_drawn_where_that_is_asked_for(made, known_as):
    env = made(known_as, render_mode="rgb_array")
    env.reset(seed=SEED)
    assert env.render().dtype == np.uint8 and env.render().ndim == 3


def test_a_sensor_can_be_observed(made):
    env = made("sac_gmm/Door-v0", groups=("proprio", "rgb"))
    observation, _ = env.reset(seed=SEED)
    assert env.observation_space["rgb"].dtype == np.uint8
    assert observation in env.observation_space


def test_zero_decisions_are_the_skill_as_fitted(made):
    env = made("sac_gmm/DoorSkill-v0")
    env.reset(seed=SEED)
    steps, done = 0, False
    while not done:
        _, _, terminated, truncated, info = env.step(np.zeros(env.action_space.shape, np.float32))
        steps, done = steps + info["control_steps"], terminated or truncated
    fitted = open_skill("gmm", "door")
    plain = make_env("door", fitted.method, fitted.settings, fitted.prior)
    act, observation, expected = still(plain.decoder.action_dim), plain.reset(SEED), 0
    while True:
        step = plain.step(act(observation))
        observation, expected = step.observation, expected + step.steps
        if step.terminated or step.truncated:
            break
    plain.task.close()
    assert (steps, info["is_success"]) == (expected, step.success)


def test_settings_can_be_changed_and_wrong_ones_are_refused(made):
    assert made("sac_gmm/DoorSkill-v0", settings={"interval": 8}).unwrapped.interval == 8
    with pytest.raises(UserError, match="intervall"):
        made("sac_gmm/DoorSkill-v0", settings={"intervall": 8})
    with pytest.raises(UserError, match="no task 'window'"):
        made("sac_gmm/Door-v0", task="window")
