"""What every scene promises: states to go back to, a verdict, rewards and stages of its own, a context."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

from sac_gmm.core.errors import UserError
from sac_gmm.tasks import Randomisation, ScriptedTeleoperator, make_task
from sac_gmm.tasks.saved_state import pack, unpack
from sac_gmm.tasks.scenes.door import DoorTask

# In mid-air, in contact, and (lever) with the jaws closing and closed.
MOMENTS = [("door", 5), ("door", 90), ("lever", 5), ("lever", 75), ("peg", 30), ("peg_easy", 70)]


def play_to(task, moment, seed=3):
    observation, _ = task.reset(seed=seed, options={"target_noise_std_m": 0.001})
    operator = ScriptedTeleoperator(task.name, seed)
    for _ in range(moment):
        twist = operator.twist(observation["ee_position_m"] - observation["target_m"], task.control_dt_s)
        observation, _, terminated, truncated, _ = task.step(twist)
        assert not (terminated or truncated)


def go_on(task, steps=40):
    """All that can be seen of the task now and after each of some random steps."""
    rng = np.random.default_rng(0)
    seen = [task.read(group).tobytes() for group in task.sensors]
    for _ in range(steps):
        twist = rng.normal(size=6) * [0.1, 0.1, 0.1, 0.3, 0.3, 0.3]
        observation, reward, terminated, truncated, info = task.step(twist)
        seen += [observation[name].tobytes() for name in sorted(observation)]
        seen += [repr((task.truth(), reward, terminated, truncated, info)).encode()]
        if terminated or truncated:
            break
    seen += [task.read(group).tobytes() for group in task.sensors]
    seen += [task.camera(name).tobytes() for name in task.cameras]
    return seen


def go_on_elsewhere(name, state, options):
    task = make_task(name, **options)
    task.restore_state(state)
    seen = go_on(task)
    task.close()
    return seen


def assert_goes_on_alike(name, moment, *, like_the_original=True, **options):
    task = make_task(name, **options)
    play_to(task, moment)
    state = task.save_state()
    original = go_on(task)
    task.restore_state(state)
    first = go_on(task)
    if like_the_original:
        assert first == original
    task.reset(seed=11)
    go_on(task)
    task.restore_state(state)
    assert go_on(task) == first
    task.close()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(go_on_elsewhere, name, state, options).result() == first


@pytest.mark.parametrize(("name", "moment"), MOMENTS)
def test_a_restored_state_goes_on_to_the_last_bit(name, moment):
    """At once, after another episode, and in another process."""
    assert_goes_on_alike(name, moment)


def test_copies_agree_even_where_the_engine_orders_many_contacts_anew():
    assert_goes_on_alike("lever", 110, like_the_original=False)


HOW = Randomisation(position_m=0.01, yaw_rad=0.1, friction=0.5, mass=0.5, light=0.5, camera_m=0.005)


@pytest.mark.parametrize(("name", "options"), [("door", {"latch": True}), ("lever", {})])
def test_so_does_one_with_a_latch_and_with_randomised_bodies_and_cameras(name, options):
    assert_goes_on_alike(name, 60, randomisation=HOW, **options)


def test_saving_changes_nothing(door):
    def play(saving):
        door.reset(seed=5)
        seen = []
        for _ in range(20):
            if saving:
                door.save_state()
            seen.append(door.step(np.array([0.02, 0.0, -0.1, 0.0, 0.0, 0.0]))[0])
        return seen

    for one, other in zip(play(True), play(False), strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_a_state_that_does_not_fit_is_refused(door):
    door.reset(seed=0)
    state = door.save_state()
    lever = make_task("lever")
    with pytest.raises(UserError, match="task 'door', not of 'lever'"):
        lever.restore_state(state)
    lever.close()
    with pytest.raises(UserError, match="no state of a scene"):
        door.restore_state(b"something else")
    with pytest.raises(UserError, match="damaged"):
        door.restore_state(state[:-1] + bytes([state[-1] ^ 1]))
    varied = make_task("door", randomisation=Randomisation(mass=0.1))
    with pytest.raises(UserError, match="randomised"):
        varied.restore_state(state)
    varied.close()


def test_a_state_keeps_numbers_to_the_last_bit():
    numbers = np.array([0.1, -0.0, 5e-324, np.pi * 1e200])
    memory, engine = unpack(pack({"numbers": numbers, "large": 2**100}, b"engine"))
    assert np.array(memory["numbers"]).tobytes() == numbers.tobytes()
    assert memory["large"] == 2**100 and engine == b"engine"
    with pytest.raises(TypeError, match="not set"):
        pack({"names": {"a", "b"}}, b"")


class StagedDoor(DoorTask):
    """Pays for every stage, costs a little all the time, and says how far to open."""

    name = "staged_door"
    context_space = spaces.Box(0.2, 0.6, (1,), np.float64)

    def draw_context(self, rng):
        return rng.uniform(0.2, 0.6, 1)

    def stage(self):
        return int(self.truth()["angle_rad"] > 0.05) + int(self.succeeded())

    def succeeded(self):
        return bool(self.truth()["angle_rad"] >= self.context[0])

    def reward(self):
        return 0.25 * self.stage() - 0.01


@pytest.fixture(scope="module")
def staged():
    task = StagedDoor()
    yield task
    task.close()


def test_rewards_and_stages_are_the_scenes_own_and_success_is_told_apart(staged):
    observation, info = staged.reset(seed=0, options={"target_noise_std_m": 0.0, "context": [0.3]})
    assert info == {} and staged.stage() == 0
    operator = ScriptedTeleoperator("door", 0)
    paid, stages, over = [], [], False
    while not over:
        twist = operator.twist(observation["ee_position_m"] - observation["target_m"], staged.control_dt_s)
        observation, reward, over, truncated, info = staged.step(twist)
        assert info == {"success": over} and not truncated
        paid.append(reward)
        stages.append(staged.stage())
    assert sorted(set(stages)) == [0, 1, 2] and stages[-1] == 2
    np.testing.assert_allclose(paid, 0.25 * np.array(stages) - 0.01)


def test_the_context_is_observed_drawn_from_the_seed_and_can_be_set(staged):
    check_env(staged, skip_render_check=True)
    drawn = staged.reset(seed=4)[0]
    np.testing.assert_array_equal(staged.reset(seed=4)[0]["context"], drawn["context"])
    given = staged.reset(seed=4, options={"context": [0.5]})[0]
    np.testing.assert_array_equal(given["context"], [0.5])
    np.testing.assert_array_equal(given["target_m"], drawn["target_m"])  # the rest of the episode stays
    assert "context" in staged.observation_space.spaces


@pytest.mark.parametrize("context", [[0.1], [0.3, 0.3], [np.nan], "far", None])
def test_a_bad_context_is_refused(staged, context):
    with pytest.raises(UserError, match="context is"):
        staged.reset(seed=0, options={"context": context})


def test_a_scene_without_context_has_no_such_group(door):
    assert door.context.size == 0 and "context" not in door.observation_space.spaces
    with pytest.raises(UserError, match="no option 'context'"):
        door.reset(seed=0, options={"context": [0.3]})
    with pytest.raises(UserError, match="has no 'context'"):
        make_task("door", groups=("proprio", "context"))
