"""Whether a skill goes the way that was shown: rollouts from the demonstrations' starts beside the demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sac_gmm.models.fields.model import SkillModel
from sac_gmm.models.fields.rollout import rollout
from sac_gmm.models.mixtures.mixture import Array

ROLLOUT_TIME = 3.0  # times the longest demonstration
_MAX_SAMPLES = 400  # of a way, where distances between two ways are taken
_FAR = 1e9  # m; whatever is said of what lies beyond is the same


@dataclass(frozen=True, eq=False)
class Likeness:
    """One rollout for each of n demonstrations.

    Attributes:
        way_share: (n,) length of the rollout as a share of the demonstration's.
        off_m: (n,) how far the rollout stays away from some point of the demonstration, at most.
        reach_m: (n,) largest distance of the demonstration from its end.
        miss_m: (n,) distance of the rollout's end from the attractor.
        duration_s: Of the rollouts.
    """

    way_share: Array
    off_m: Array
    reach_m: Array
    miss_m: Array
    duration_s: float


def compare_ways(skill: SkillModel, x: Array, lengths: Sequence[int], dt_s: float) -> Likeness:
    """Roll out from the start of each demonstration and compare the ways.

    Args:
        skill: The skill.
        x: (N, d) demonstrated positions, demonstration after demonstration.
        lengths: Samples of each.
        dt_s: Time between samples.
    """
    shown = np.split(x, np.cumsum(lengths)[:-1])
    n_steps = int(ROLLOUT_TIME * max(lengths))
    starts = np.array([way[0] for way in shown])
    gone = rollout(skill, starts, dt_s, n_steps, integrator="rk4", check_step=False)
    return Likeness(
        way_share=np.array([_length(gone[:, i]) / max(_length(way), 1e-9) for i, way in enumerate(shown)]),
        off_m=np.array([_farthest(way, gone[:, i]) for i, way in enumerate(shown)]),
        reach_m=np.array([np.linalg.norm(way - way[-1], axis=1).max() for way in shown]),
        miss_m=np.linalg.norm(gone[-1] - skill.attractor, axis=1),
        duration_s=n_steps * dt_s,
    )


def _length(way: Array) -> float:
    return float(np.linalg.norm(np.diff(_finite(way), axis=0), axis=1).sum())


def _farthest(shown: Array, gone: Array) -> float:
    """The largest distance of a point that was shown from the nearest point of the way that was gone."""
    from scipy.spatial import cKDTree

    some = shown[:: max(1, len(shown) // _MAX_SAMPLES)]
    return float(cKDTree(_finite(gone)).query(some)[0].max())


def _finite(way: Array) -> Array:
    """Without the end of a way that ran off to infinity."""
    return way[np.abs(way).max(axis=1) < _FAR]
