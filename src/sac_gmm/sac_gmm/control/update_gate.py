"""Decides which model updates the controller accepts, with all checks in order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sac_gmm.control.codes import Answer
from sac_gmm.control.safety import SafetyLimits
from sac_gmm.core.errors import UserError
from sac_gmm.core.settings import check_settings, number
from sac_gmm.models import GaussianMixture, SkillModel, certify, parameters_checksum, project
from sac_gmm.models.mixtures.regression import linear_gains

_SIMPLEX_TOLERANCE = 1e-6
_SYMMETRY_TOLERANCE = 1e-9


@dataclass(frozen=True)
class UpdateBounds:
    """How far an update may move the model from the base model, per component."""

    max_position_change_m: float = number(0.06, 0.0, 1.0, "m", "largest shift of a component's mean position")
    max_velocity_change_m_s: float = number(
        0.1, 0.0, 1.0, "m/s", "largest change of a component's velocity within its Gaussian"
    )
    max_prior_change: float = number(0.3, 0.0, 1.0, "", "largest change of a component's prior")
    max_covariance_ratio: float = number(
        4.0, 1.0, 100.0, "", "largest factor by which a variance of position, or of velocity given it, may change"
    )

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class ModelUpdate:
    """An update as it arrives over the wire, unchecked.

    Attributes:
        model_id: The skill it belongs to.
        base_version: The version that the sender believes to be active.
        new_version: The number of the proposed version.
        episode_id: The episode in which it was decided.
        priors: K numbers.
        means: K x 2d numbers, row-major, m and m/s.
        covariances: K x 2d x 2d numbers, row-major.
        attractor: d numbers, m relative to the target.
        checksum: `parameters_checksum` of the four arrays in their proper shapes.
    """

    model_id: str
    base_version: int
    new_version: int
    episode_id: int
    priors: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    attractor: np.ndarray
    checksum: str


@dataclass(frozen=True)
class Verdict:
    """The gate's answer: accepted or not, the reason as code and text, and the model to activate if accepted."""

    accepted: bool
    answer: Answer
    text: str
    model: SkillModel | None = None


class UpdateGate:
    """Judges updates to one base model.

    Args:
        base: The base model, from which changes are measured.
        limits: Their workspace box must contain the attractor.
        bounds: How far an update may go.
    """

    def __init__(
        self, base: SkillModel, limits: SafetyLimits | None = None, bounds: UpdateBounds | None = None
    ) -> None:
        limits = limits or SafetyLimits()
        self.base = base
        self.bounds = bounds or UpdateBounds()
        self._low = np.array(limits.workspace_min_m)
        self._high = np.array(limits.workspace_max_m)
        self._gains, noise = self._motion(base.mixture.covariances)
        self._whiteners = [
            np.linalg.inv(np.linalg.cholesky(S)) for S in (self._positions(base.mixture.covariances), noise)
        ]

    def judge(self, update: ModelUpdate, version: int, target_m: np.ndarray | None, episode_id: int | None) -> Verdict:
        """Judge one update; nothing in it can make this raise.

        Args:
            update: The update.
            version: The number of the active version.
            target_m: Detected position of the target in the base frame, shape (3,); None if unknown.
            episode_id: The current episode; None if none is running.
        """
        try:
            with np.errstate(all="ignore"):
                return self._judge(update, version, target_m, episode_id)
        except _RefusedError as refusal:
            return Verdict(False, refusal.answer, refusal.text)

    def _judge(self, update: ModelUpdate, version: int, target_m: np.ndarray | None, episode_id: int | None) -> Verdict:
        base = self.base
        if update.model_id != base.model_id:
            raise _RefusedError(Answer.WRONG_MODEL, f"for model {update.model_id!r}; in force is {base.model_id!r}")
        if episode_id is None or target_m is None:
            raise _RefusedError(Answer.NOT_READY, "no episode is running")
        if update.episode_id != episode_id:
            raise _RefusedError(Answer.NOT_READY, f"for episode {update.episode_id}; running is {episode_id}")
        if update.base_version != version:
            raise _RefusedError(Answer.WRONG_VERSION, f"built on version {update.base_version}; in force is {version}")
        if update.new_version <= update.base_version:
            raise _RefusedError(
                Answer.WRONG_VERSION, f"version {update.new_version} must exceed its base {update.base_version}"
            )

        parameters = self._in_shape(update)
        priors, means, covariances, attractor = parameters
        if not all(np.isfinite(array).all() for array in parameters):
            raise _RefusedError(Answer.NOT_FINITE, "a parameter is not a finite number")
        if update.checksum != parameters_checksum(*parameters):
            raise _RefusedError(
                Answer.BAD_CHECKSUM, "the checksum does not fit the parameters: they changed on the way"
            )
        if priors.min() < 0 or abs(priors.sum() - 1) > _SIMPLEX_TOLERANCE:
            raise _RefusedError(Answer.NOT_SIMPLEX, f"priors must be >= 0 and sum to 1; they sum to {priors.sum():.6g}")
        self._check_covariances(covariances)
        self._check_change(priors, means, covariances, attractor)
        self._check_attractor(attractor, target_m)

        model = replace(base, mixture=GaussianMixture(priors, means, covariances), attractor=attractor)
        if base.certificate is None or not base.certificate.holds:
            return Verdict(True, Answer.ACCEPTED, "", model)
        return self._certified(model)

    def _in_shape(self, update: ModelUpdate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        mixture, shaped = self.base.mixture, []
        for name, like in (
            ("priors", mixture.priors),
            ("means", mixture.means),
            ("covariances", mixture.covariances),
            ("attractor", self.base.attractor),
        ):
            array = np.asarray(getattr(update, name), dtype=float)
            if array.size != like.size:
                raise _RefusedError(Answer.WRONG_SHAPE, f"{name} has {array.size} numbers; expected {like.size}")
            shaped.append(array.reshape(like.shape))
        return shaped[0], shaped[1], shaped[2], shaped[3]

    def _check_covariances(self, covariances: np.ndarray) -> None:
        skew = np.abs(covariances - covariances.transpose(0, 2, 1)).max(axis=(1, 2))
        if not (skew <= _SYMMETRY_TOLERANCE * np.abs(covariances).max(axis=(1, 2))).all():
            raise _RefusedError(Answer.NOT_POSITIVE_DEFINITE, "a covariance is not symmetric")
        try:
            np.linalg.cholesky(covariances)
        except np.linalg.LinAlgError:
            raise _RefusedError(Answer.NOT_POSITIVE_DEFINITE, "a covariance is not positive definite") from None

    def _check_change(
        self, priors: np.ndarray, means: np.ndarray, covariances: np.ndarray, attractor: np.ndarray
    ) -> None:
        base, bounds, d = self.base.mixture, self.bounds, self.base.state_dim
        shift = np.linalg.norm((means - base.means)[:, :d], axis=1).max()
        shift = max(shift, np.linalg.norm(attractor - self.base.attractor))
        gains, noise = self._motion(covariances)
        bend = gains - self._gains  # the effect on the velocity within the component's own Gaussian
        squares = np.einsum("kij,kjl,kil->k", bend, self._positions(base.covariances), bend)
        speed = np.sqrt((np.square((means - base.means)[:, d:]).sum(axis=1) + squares).max())
        prior = np.abs(priors - base.priors).max()
        ratio = max(map(_largest_ratio, self._whiteners, (self._positions(covariances), noise)))
        for what, value, allowed, unit in (
            ("a mean or the attractor moves by", shift, bounds.max_position_change_m, " m"),
            ("a velocity changes by", speed, bounds.max_velocity_change_m_s, " m/s"),
            ("a prior changes by", prior, bounds.max_prior_change, ""),
            ("a variance changes by a factor of", ratio, bounds.max_covariance_ratio, ""),
        ):
            if not value <= allowed * (1 + 1e-9):  # an overflow that became NaN is also too large
                raise _RefusedError(Answer.CHANGE_TOO_LARGE, f"{what} {value:.4g}{unit}; allowed is {allowed:g}{unit}")

    def _positions(self, covariances: np.ndarray) -> np.ndarray:
        """The position blocks: (K, d, d)."""
        d = self.base.state_dim
        return covariances[:, :d, :d]

    def _motion(self, covariances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The gain of each component's field, and the covariance of the velocity around it, both (K, d, d)."""
        d = self.base.state_dim
        gains = linear_gains(covariances, d)
        return gains, covariances[:, d:, d:] - gains @ covariances[:, :d, d:]

    def _check_attractor(self, attractor: np.ndarray, target_m: np.ndarray) -> None:
        goal = attractor + target_m
        if (goal < self._low).any() or (goal > self._high).any():
            raise _RefusedError(
                Answer.OUTSIDE_WORKSPACE, f"the attractor would be at {np.round(goal, 3)} m, outside the box"
            )

    def _certified(self, model: SkillModel) -> Verdict:
        """Keep the certificate, or take the nearest model that has one and check it against the same bounds."""
        certificate = certify(model)
        if certificate.holds:
            return Verdict(True, Answer.ACCEPTED, "", replace(model, certificate=certificate))
        try:
            projected = project(model)
            mixture = projected.mixture
            self._check_change(mixture.priors, mixture.means, mixture.covariances, projected.attractor)
        except (UserError, _RefusedError) as error:
            raise _RefusedError(Answer.NOT_CERTIFIED, f"no stable field within the bounds is near: {error}") from error
        return Verdict(True, Answer.ACCEPTED, "projected to the nearest field with a stability certificate", projected)


def _largest_ratio(whiteners: np.ndarray, covariances: np.ndarray) -> float:
    """The largest factor by which the variance in any direction differs from the base model's."""
    try:
        ratios = np.linalg.eigvalsh(whiteners @ covariances @ whiteners.transpose(0, 2, 1))
    except np.linalg.LinAlgError:  # numbers so large that the product overflowed
        return float("inf")
    return float(max(ratios.max(), 1 / max(ratios.min(), 1e-12)))


class _RefusedError(Exception):
    def __init__(self, answer: Answer, text: str) -> None:
        super().__init__(text)
        self.answer = answer
        self.text = text
