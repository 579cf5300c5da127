"""Copies of a task in worker processes: the same episodes as here, clear errors, nothing left behind."""

import multiprocessing
import os
import signal

import numpy as np
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.tasks import make_task
from sac_gmm.training.vector import VectorTask

SEEDS = [5, 8]


@pytest.fixture(scope="module")
def doors():
    vector = VectorTask("door", 2, groups=("proprio", "target", "wrench", "rgb"))
    yield vector
    vector.close()


def test_copies_play_what_one_process_plays(doors):
    rng = np.random.default_rng(0)
    twists = rng.uniform(-0.1, 0.05, (40, 2, 6))
    seen, _ = doors.reset(seed=SEEDS)
    together = [seen, *(doors.step(pair)[0] for pair in twists)]
    task = make_task("door", groups=("proprio", "target", "wrench", "rgb"))
    for copy, seed in enumerate(SEEDS):
        seen, _ = task.reset(seed=seed)
        alone = [seen, *(task.step(pair[copy])[0] for pair in twists)]
        for one, other in zip(alone, together, strict=True):
            assert set(one) == set(other)
            for name in one:
                np.testing.assert_array_equal(one[name], other[name][copy])
    task.close()


@pytest.mark.parametrize("actions", [np.zeros(6), np.full((2, 6), np.nan), np.zeros((3, 6))])
def test_bad_actions_are_refused_and_harm_nothing(doors, actions):
    doors.reset(seed=SEEDS)
    with pytest.raises(UserError, match="six finite numbers"):
        doors.step(actions)
    doors.step(np.zeros((2, 6)))


def test_a_copy_that_dies_is_named_and_the_others_end():
    vector = VectorTask("door", 2)
    vector.reset(seed=0)
    processes = list(vector.processes)
    os.kill(processes[1].pid, signal.SIGKILL)
    processes[1].join(5.0)
    with pytest.raises(UserError, match=r"number 1 \(exit code -9\)"):
        for _ in range(3):
            vector.step(np.zeros((2, 6)))
    for process in processes:
        process.join(5.0)
    assert not any(process.is_alive() for process in processes)


def test_closing_ends_the_workers():
    before = len(multiprocessing.active_children())
    vector = VectorTask("door", 2)
    vector.reset(seed=0)
    vector.close()
    assert len(multiprocessing.active_children()) == before


@pytest.mark.parametrize(("name", "n", "words"), [("door", 0, "n_copies"), ("window", 2, "no task 'window'")])
def test_bad_input_is_named(name, n, words):
    with pytest.raises(UserError, match=words):
        VectorTask(name, n)
