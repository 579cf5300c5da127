"""What is drawn of a skill: its components as ellipsoids in space, and the path that it would take from a start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sac_gmm.core.errors import UserError
from sac_gmm.core.geometry import from_matrix
from sac_gmm.models.fields.model import SkillModel
from sac_gmm.models.fields.rollout import rollout
from sac_gmm.models.mixtures.mixture import Array, GaussianMixture

MIN_HALF_AXIS_M = 0.0005  # a thinner ellipsoid is invisible, and some viewers refuse it


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
    """The surface of each component's position part, `n_sigma` standard deviations from its mean.

    With S = R diag(l) R' the half axes are n_sigma sqrt(l), along the columns of R, which is right-handed.

    Args:
        mixture: Over [x; v] whose first three coordinates are a position in metres.
        n_sigma: Length of the half axes in standard deviations.

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
    """The path that the skill takes from `start` if nothing is in its way, up to where it comes to rest.

    Args:
        model: The skill.
        start: (d,), or (N, d) for several paths; relative to the target, like the model.
        dt_s: Time between two points.
        duration_s: How far ahead.
        max_speed: Velocities are scaled down to this norm.

    Returns:
        (T, d), or (T, N, d); T is at least 2. It ends when all paths have come to rest or `duration_s` is over.

    Raises:
        UserError: `start` does not fit the model.
    """
    n_steps = max(round(duration_s / dt_s), 1)
    path = rollout(model, start, dt_s, n_steps, max_speed=max_speed, integrator="rk4", check_step=False)
    left = np.linalg.norm(path - path[-1], axis=-1).reshape(len(path), -1).max(axis=1)
    moving = np.flatnonzero(left > 1e-4)
    return path[: max(int(moving[-1]) + 2 if moving.size else 2, 2)]
