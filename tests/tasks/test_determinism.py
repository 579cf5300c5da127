"""The same seed gives the same episode, bit for bit: again, after many others, in another process."""

import hashlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pybullet as pb
import pytest

from sac_gmm.tasks import ScriptedTeleoperator, make_task

SCENES = ("door", "lever", "peg")


def play(task, seed, steps=300):
    """Play an operator's episode, contacts included; gives a digest of all that was observed and of the truth."""
    digest = hashlib.sha256()
    observation, _ = task.reset(seed=seed)
    operator = ScriptedTeleoperator(task.name, seed)
    for _ in range(steps):
        relative = observation["ee_position_m"] - observation["target_m"]
        observation, _, terminated, truncated, _ = task.step(operator.twist(relative, task.control_dt_s))
        for name in sorted(observation):
            digest.update(observation[name].tobytes())
        digest.update(repr(task.truth()).encode())
        if terminated or truncated:
            break
    for group in task.sensors:
        digest.update(task.read(group).tobytes())
    return digest.hexdigest()


def play_elsewhere(name, seeds):
    task = make_task(name)
    digests = [play(task, seed) for seed in seeds]
    task.close()
    return digests


def press_about(task, seed, steps):
    """An episode of random pushing, broken off wherever it is."""
    rng = np.random.default_rng(seed)
    task.reset(seed=seed)
    push = np.concatenate((rng.uniform(-0.1, 0.1, 2), [-0.25], rng.uniform(-0.3, 0.3, 3)))
    for _ in range(steps):
        if task.step(push)[2]:
            break


@pytest.mark.parametrize("name", SCENES)
def test_an_episode_repeats_after_others_and_elsewhere(name):
    seeds = [3, 4]
    task = make_task(name)
    first = [play(task, seed) for seed in seeds]
    for seed in range(8):
        press_about(task, seed, 40)
    again = [play(task, seed) for seed in reversed(seeds)][::-1]
    task.close()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        elsewhere = pool.submit(play_elsewhere, name, seeds[::-1]).result()[::-1]
    assert first[0] != first[1]
    assert again == first
    assert elsewhere == first


@pytest.mark.parametrize("name", SCENES)
def test_the_order_of_episodes_does_not_matter(name):
    """Broken off in mid-contact, so that each leaves other contacts to the next."""
    task = make_task(name, target_noise_std_m=0.0)

    def press(seed):
        task.reset(seed=seed)
        for _ in range(40):
            observation, *_ = task.step(np.array([0.02, 0.0, -0.15, 0.0, 0.0, 0.0]))
        return observation["ee_position_m"]

    first = [press(seed) for seed in range(10)]
    for seed in [*reversed(range(10)), 3, 9, 3, 0, 7]:
        np.testing.assert_array_equal(press(seed), first[seed])
    task.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENES)
def test_an_episode_repeats_after_a_thousand_others(name):
    task = make_task(name)
    first = play(task, 1)
    for seed in range(1000):
        press_about(task, seed, 12)
    assert play(task, 1) == first
    task.close()


@pytest.mark.parametrize("name", SCENES)
def test_a_reset_leaves_nothing_of_the_episode_before(name):
    """Wherever an episode was broken off, all joints start alike and at rest."""
    task = make_task(name)

    def joints():
        task.reset(seed=9)
        bodies = [body for body in range(pb.getNumBodies(task.client)) if pb.getNumJoints(body, task.client)]
        return [
            state[:2]
            for body in bodies
            for state in pb.getJointStates(body, list(range(pb.getNumJoints(body, task.client))), task.client)
        ]

    first = joints()
    press_about(task, 0, 60)
    assert joints() == first
    assert not any(speed for _, speed in first)
    task.close()
