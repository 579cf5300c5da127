"""Episodes in worker processes: what one process gives, in the same order, and clear words when a worker dies."""

import multiprocessing
import os

import numpy as np
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.evaluation import run_episodes_parallel
from sac_gmm.methods import MacroEnv
from sac_gmm.methods.baselines import Sac
from sac_gmm.methods.sac_gmm import WindowObserver
from sac_gmm.tasks import make_task


def make_env():
    task = make_task("door")
    task.time_limit_s = 1.0
    return MacroEnv(task, Sac(), WindowObserver(3, 1.0))


def make_policy():
    """Acts on what it sees."""
    return lambda observation: np.tanh(7.0 * observation["vector"][:3] + observation["vector"][3:6])


def make_env_that_dies():
    env = make_env()
    if multiprocessing.parent_process() is not None:
        env.task.step = lambda _: os._exit(9)
    return env


def make_nothing():
    raise UserError("there is no such skill")


def children():
    return len(multiprocessing.active_children())


def test_workers_give_what_one_process_gives():
    alone = list(run_episodes_parallel(make_env, range(12), 1, make_policy=make_policy))
    together = list(run_episodes_parallel(make_env, range(12), 2, make_policy=make_policy))
    assert [outcome.seed for outcome in together] == list(range(12))
    assert together == alone


def test_the_workers_end_when_the_episodes_are_not_wanted_any_more():
    before = children()
    outcomes = run_episodes_parallel(make_env, range(100), 2)
    assert next(outcomes).seed == 0
    outcomes.close()
    assert children() == before


def test_a_dead_worker_is_named():
    with pytest.raises(UserError, match="seed 0"):
        list(run_episodes_parallel(make_env_that_dies, range(4), 2))


def test_an_error_in_a_worker_comes_out_as_it_is():
    with pytest.raises(UserError, match="no such skill"):
        list(run_episodes_parallel(make_nothing, range(4), 2))


def test_no_workers_is_refused():
    with pytest.raises(UserError, match="workers is 0"):
        run_episodes_parallel(make_env, range(4), 0)
