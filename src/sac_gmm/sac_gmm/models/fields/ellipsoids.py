"""A skill as things to look at: its components as ellipsoids in space, and the path that it would take from here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sac_gmm.core.errors import UserError
from sac_gmm.core.geometry import from_matrix
from sac_gmm.models.fields.model import SkillModel
from sac_gmm.models.fields.rollout import rollout
from sac_gmm.models.mixtures.mixture import Array, GaussianMixture

MIN_HALF_AXIS_M = 0.0005  # a thinner ellipsoid is not to be seen, and some viewers refuse it


@dataclass(frozen=True)
class Ellipsoids:
    """Surfaces of equal density, one per component, in the frame of the means.

    Attributes:
        centres_m: (K, 3).
        half_axes_m: (K, 3), ascending; RViz wants the whole axes, which are twice as long.
        quaternions: (K, 4), [x, y, z, w], from the axes of the ellipsoid to those of the frame.
        priors: (K,).
    """

    centres_m: Array
    half_axes_m: Array
    quaternions: Array
    priors: Array


def position_ellipsoids(mixture: GaussianMixture, n_sigma: float = 2.0) -> Ellipsoids:
    """The position part of each component where it is `n_sigma` standard deviations from its mean.

    With S = R diag(l) R' the half axes are n_sigma sqrt(l), along the columns of R, which is right-handed.

    Args:
        mixture: Over [x; v] whose first three coordinates are a position in metres.
        n_sigma: How many standard deviations the half axes are long.

    Raises:
        UserError: The mixture has no position in space.
    """
    if mixture.dim < 6:
        raise UserError(f"ellipsoids need positions in space: the skill's state has {mixture.dim // 2} coordinates")
    centres, half_axes, rotations = mixture.ellipsoids(slice(0, 3), n_sigma)
    quaternions = from_matrix(rotations)
    return Ellipsoids(centres, np.maximum(half_axes, MIN_HALF_AXIS_M), quaternions, mixture.priors)


def path_preview(
    model: SkillModel, start: ArrayLike, *, dt_s: float = 1 / 30, duration_s: float = 10.0, max_speed: float = np.inf
) -> Array:
    """The path that the skill takes from `start` if nothing is in its way, without its rest at the end.

    Args:
        model: What would be played.
        start: (d,), or (N, d) for several paths abreast; relative to the target, as the model is.
        dt_s: Time between two points.
        duration_s: How far ahead.
        max_speed: Velocities are scaled down to this norm.

    Returns:
        (T, d), or (T, N, d); T is at least 2. It ends where all paths have come to rest or `duration_s` is over.

    Raises:
        UserError: `start` does not fit the model.
    """
    n_steps = max(round(duration_s / dt_s), 1)
    path = rollout(model, start, dt_s, n_steps, max_speed=max_speed, integrator="rk4", check_step=False)
    left = np.linalg.norm(path - path[-1], axis=-1).reshape(len(path), -1).max(axis=1)
    moving = np.flatnonzero(left > 1e-4)
    return path[: max(int(moving[-1]) + 2 if moving.size else 2, 2)]
