"""The LPV-DS evaluation on handwriting motions, exactly as published (ds-opt, CoRL 2018).

Demonstrations 1-4 train, 5-7 test; every second sample; millimetres and seconds, not normalised. RMSE and e_dot are
over all test samples. DTWD is between each test demonstration and a rollout from its 20th kept sample (Euler, 0.01 s,
at most 3000 steps, stopped when every |velocity| has stayed below 0.1 mm/s for four steps, for all starts together).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sac_gmm.bench.models.lasa_data import Motion
from sac_gmm.models.fields import metrics
from sac_gmm.models.fields.model import SkillModel
from sac_gmm.models.mixtures.mixture import Array
from sac_gmm.models.mixtures.regression import Regressor

TIME_STEP_S = 0.01
MAX_STEPS = 3000
CONVERGED_MM = 5.0
_TRAIN, _TEST = range(4), range(4, 7)
_START = 20
_SLOW_MM_S = 0.1
_SLOW_STEPS = 4


@dataclass(frozen=True)
class Score:
    """Scores of one model on one motion; on the test set unless the name says train.

    Attributes:
        rmse: Velocity error, mm/s.
        e_dot: Direction error, 0..2.
        dtwd: Dynamic time warping distance, mm x samples.
        train_rmse: Velocity error, mm/s.
        train_e_dot: Direction error, 0..2.
        end_mm: Largest distance from the goal after 30 s.
        converged: Whether that is at most 5 mm.
    """

    rmse: float
    e_dot: float
    dtwd: float
    train_rmse: float
    train_e_dot: float
    end_mm: float
    converged: bool


def split(motion: Motion) -> tuple[tuple[Array, Array, list[int]], tuple[Array, Array, list[int]]]:
    """(x, v, lengths) of the training and of the test demonstrations, every second sample."""

    def part(which: range) -> tuple[Array, Array, list[int]]:
        x = [motion.positions_mm[i][::2] for i in which]
        v = [motion.velocities_mm_s[i][::2] for i in which]
        return np.concatenate(x), np.concatenate(v), [len(demo) for demo in x]

    return part(_TRAIN), part(_TEST)


def score(model: SkillModel, motion: Motion) -> Score:
    """Measure a model fitted to the training demonstrations of `motion`."""
    (x_train, v_train, _), (x, v, lengths) = split(motion)
    regressor = Regressor(model.mixture)
    train, test = regressor.batch(x_train), regressor.batch(x)
    demos = np.split(x, np.cumsum(lengths)[:-1])
    paths, end = play(regressor, np.array([demo[_START - 1] for demo in demos]))
    end_mm = float(np.linalg.norm(end - model.attractor, axis=1).max())
    return Score(
        rmse=metrics.velocity_rmse(test, v),
        e_dot=metrics.direction_error(test, v),
        dtwd=float(np.mean([metrics.dtw_distance(paths[:, i], demo) for i, demo in enumerate(demos)])),
        train_rmse=metrics.velocity_rmse(train, v_train),
        train_e_dot=metrics.direction_error(train, v_train),
        end_mm=end_mm,
        converged=end_mm <= CONVERGED_MM,
    )


def play(regressor: Regressor, starts: Array) -> tuple[Array, Array]:
    """Roll out all starts (N, d) in parallel.

    Returns:
        The paths (T, N, d) up to where the protocol stops them, and the states (N, d) after the full 30 s.
    """
    states = np.array(starts)
    path = [states]
    slow, stopped = 0, False
    for _ in range(MAX_STEPS):
        velocity = regressor.batch(states)
        states = states + TIME_STEP_S * velocity
        slow = slow + 1 if np.abs(velocity).max() < _SLOW_MM_S else 0
        if not stopped:
            path.append(states)
            stopped = slow >= _SLOW_STEPS
    return np.array(path), states
