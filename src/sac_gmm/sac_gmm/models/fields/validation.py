"""Cross-validation, one demonstration left out in turn: which of several fits best follows unseen motions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from sac_gmm.models.fields import metrics
from sac_gmm.models.fields.model import SkillModel
from sac_gmm.models.fields.training_set import TrainingSet
from sac_gmm.models.mixtures.mixture import Array
from sac_gmm.models.mixtures.regression import Regressor

Candidate = TypeVar("Candidate")

_MAX_SAMPLES = 250  # a demonstration is compared at no more than this many samples
_ROLLOUT_FACTOR = 1.5  # a rollout may take this much longer than the demonstration


def best_candidate(
    data: TrainingSet, candidates: Sequence[Candidate], fit: Callable[[TrainingSet, Candidate], SkillModel]
) -> Candidate:
    """The candidate with the lowest mean log(RMSE) + log(e_dot) + log(DTWD) over the demonstrations left out in turn.

    In the sum of logarithms a relative improvement counts the same for each of the three.

    Args:
        data: At least two demonstrations.
        candidates: What to choose from; ties go to the earlier one.
        fit: Makes a model of a training set and a candidate.
    """
    demos = data.demonstrations()
    others = [data.without(i) for i in range(len(demos))]  # made once, because a set caches its metric
    totals = [
        np.mean([_loss(fit(rest, candidate), demo) for rest, demo in zip(others, demos, strict=True)])
        for candidate in candidates
    ]
    return candidates[int(np.argmin(totals))]


def sample_time(x: Array, v: Array) -> float:
    """The time between the samples of one demonstration, in the unit that velocities are given per: path over speed."""
    way = np.linalg.norm(np.diff(x, axis=0), axis=1).sum()
    speed = 0.5 * np.linalg.norm(v[1:] + v[:-1], axis=1).sum()
    return float(way / speed) if speed > 0.0 else 0.0


def _loss(model: SkillModel, demo: TrainingSet) -> float:
    skip = max(1, len(demo.x) // _MAX_SAMPLES)
    x, v = demo.x[::skip], demo.v[::skip]
    regressor = Regressor(model.mixture)
    predicted = regressor.batch(x)
    dt = sample_time(x, v)
    states = np.empty((int(_ROLLOUT_FACTOR * len(x)), x.shape[1]))
    states[0] = x[0]
    velocity = np.empty(x.shape[1])
    for step in range(1, len(states)):
        regressor.into(states[step - 1], velocity)
        states[step] = states[step - 1] + dt * velocity
    tiny = 1e-9 * np.abs(x).max()
    rmse, e_dot = metrics.velocity_rmse(predicted, v), metrics.direction_error(predicted, v)
    return float(np.log(rmse + tiny) + np.log(e_dot + 1e-6) + np.log(metrics.dtw_distance(states, x) + tiny))
