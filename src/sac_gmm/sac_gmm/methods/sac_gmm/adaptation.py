"""Which parameters of the mixture the agent changes: from one common translation to every parameter.

Each adaptation maps an action, entries in [-1, 1], to a certified skill. Changes are relative to the base, never
cumulative; the zero action returns the base model itself. The certificate is restored after every edit
(`sac_gmm.models.project`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sac_gmm.core.errors import UserError
from sac_gmm.models import SkillModel, project, translate
from sac_gmm.models.mixtures.edits import edit_covariances, edit_means, edit_priors, n_covariance_numbers

Array = NDArray[np.float64]

# Change made by an action of 1.
REACH_M_S = 0.05  # velocity mean
REACH_LOGIT = 1.5  # log prior: a factor of 4.5 relative to the others
REACH_LOG_WIDTH = 0.5  # log half axis of a covariance: a factor of 1.6


class Adaptation(Protocol):
    """Maps actions to changed skills."""

    base: SkillModel
    action_dim: int

    @property
    def action_shift(self) -> Array:
        """Change of action, per metre of shift in the detected target, that keeps the motion the same: (m, 3)."""

    def apply(self, action: ArrayLike) -> SkillModel:
        """Return the adapted model for an action (m,) in [-1, 1]."""


class Translation:
    """Moves all components together: an action shifts the whole skill.

    A constant error of the detected target translates the whole skill, so three numbers can undo it. Stability is
    unaffected.

    Args:
        base: The fitted skill.
        reach_m: How far an action of 1 moves it along each axis.
    """

    def __init__(self, base: SkillModel, reach_m: float = 0.03) -> None:
        self.base = base
        self.reach_m = reach_m
        self.action_dim = base.state_dim

    @property
    def action_shift(self) -> Array:
        """A shift of the target requires the same shift of the skill: (d, d), per metre."""
        return np.eye(self.action_dim) / self.reach_m

    def apply(self, action: ArrayLike) -> SkillModel:
        """Return the adapted model for an action (d,) in [-1, 1]; the zero action returns the base model itself."""
        clipped = np.clip(np.asarray(action, dtype=np.float64), -1.0, 1.0)
        if not clipped.any():
            return self.base
        return translate(self.base, self.reach_m * clipped)


class ComponentAdaptation:
    """Changes each component separately: any of position means, velocity means, priors and covariances.

    The action lists the parts in the order of `PARTS`, component by component. If position means move, the attractor
    moves by their average, so equal shifts amount to the translation.

    Args:
        base: The fitted skill of K components in d dimensions.
        parts: A selection of `PARTS`.
        reach_m: How far an action of 1 moves a position mean along each axis.

    Raises:
        UserError: There is no such part.
    """

    PARTS = ("positions", "velocities", "priors", "covariances")

    def __init__(self, base: SkillModel, parts: tuple[str, ...], reach_m: float = 0.03) -> None:
        if unknown := sorted(set(parts) - set(self.PARTS)):
            raise UserError(f"there is no part {', '.join(unknown)} to adapt; choose of: {', '.join(self.PARTS)}")
        self.base = base
        self.reach_m = reach_m
        n, d = base.mixture.n_components, base.state_dim
        sizes = {
            "positions": n * d,
            "velocities": n * d,
            "priors": n,
            "covariances": n * n_covariance_numbers(2 * d, "eigen_scale"),
        }
        self._slices: dict[str, slice] = {}
        start = 0
        for part in (part for part in self.PARTS if part in parts):
            self._slices[part] = slice(start, start + sizes[part])
            start += sizes[part]
        self.action_dim = start

    @property
    def action_shift(self) -> Array:
        """A shift of the target requires the same shift of every position mean: (m, d), per metre."""
        n, d = self.base.mixture.n_components, self.base.state_dim
        shift = np.zeros((self.action_dim, d))
        if "positions" in self._slices:
            shift[self._slices["positions"]] = np.tile(np.eye(d) / self.reach_m, (n, 1))
        return shift

    def apply(self, action: ArrayLike) -> SkillModel:
        """Return the adapted, certified model for an action (m,) in [-1, 1]."""
        clipped = np.clip(np.asarray(action, dtype=np.float64), -1.0, 1.0)
        if not clipped.any():
            return self.base
        n, d = self.base.mixture.n_components, self.base.state_dim
        mixture, attractor = self.base.mixture, self.base.attractor
        given = {part: clipped[where].reshape(n, -1) for part, where in self._slices.items()}
        shifts = np.zeros((n, 2 * d))
        if "positions" in given:
            shifts[:, :d] = self.reach_m * given["positions"]
            attractor = attractor + shifts[:, :d].mean(axis=0)
        if "velocities" in given:
            shifts[:, d:] = REACH_M_S * given["velocities"]
        mixture = edit_means(mixture, shifts)
        if "priors" in given:
            mixture = edit_priors(mixture, REACH_LOGIT * given["priors"][:, 0])
        if "covariances" in given:
            mixture = edit_covariances(mixture, REACH_LOG_WIDTH * given["covariances"], "eigen_scale")
        changed = dataclasses.replace(self.base, mixture=mixture, attractor=attractor)
        return changed if self.base.certificate is None else project(changed)


ADAPTATIONS: dict[str, Callable[[SkillModel, float], Adaptation]] = {
    "translation": Translation,
    "positions": lambda base, reach_m: ComponentAdaptation(base, ("positions",), reach_m),
    "velocities": lambda base, reach_m: ComponentAdaptation(base, ("velocities",), reach_m),
    "priors": lambda base, reach_m: ComponentAdaptation(base, ("priors",), reach_m),
    "covariances": lambda base, reach_m: ComponentAdaptation(base, ("covariances",), reach_m),
    # The paper's choice: 7 numbers per component, 21 for its three.
    "full": lambda base, reach_m: ComponentAdaptation(base, ("positions", "velocities", "priors"), reach_m),
}


def make_adaptation(name: str, base: SkillModel, reach_m: float = 0.03) -> Adaptation:
    """An adaptation by its name.

    Raises:
        UserError: There is none of that name.
    """
    if name not in ADAPTATIONS:
        raise UserError(f"there is no adaptation '{name}'; choose one of: {', '.join(ADAPTATIONS)}")
    return ADAPTATIONS[name](base, reach_m)
