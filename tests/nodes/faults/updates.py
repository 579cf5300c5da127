"""Updates made to break the controller's gate, and the contract that an accepted one must hold, said a second time."""

from __future__ import annotations

import numpy as np
from sac_gmm_interfaces.msg import MixtureUpdate

from sac_gmm.control import SafetyLimits, UpdateBounds
from sac_gmm.models import SkillModel, parameters_checksum
from sac_gmm_nodes.common.conversions import doubles, stamp_of, update_message

BOUNDS = UpdateBounds()
LOW, HIGH = np.array([0.25, -0.45, 0.05]), np.array([0.80, 0.45, 0.80])
assert SafetyLimits().max_speed_m_s == 0.25
WEIRD = (np.nan, np.inf, -np.inf, 1e308, -1e308, 1e-308, 0.0, -1.0, 1e6)
ARRAYS = ("priors", "means", "covariances", "attractor")


class Fuzzer:
    """Makes updates of a base model: small changes that are good, and anything from those to noise."""

    def __init__(self, base: SkillModel, rng: np.random.Generator) -> None:
        self.base, self.rng = base, rng
        self._new_version = 0

    def update(self, version: int, episode_id: int, wild: bool) -> MixtureUpdate:
        """One update on top of `version`; a wild one has one to four things wrong, or nearly so."""
        rng, mixture = self.rng, self.base.mixture
        self._new_version = max(self._new_version, version) + 1
        shift = rng.uniform(-0.02, 0.02, 3)
        fields = {
            "priors": mixture.priors.copy(),
            "means": mixture.means.copy(),
            "covariances": mixture.covariances * rng.uniform(0.8, 1.25),
            "attractor": self.base.attractor + shift,
        }
        fields["means"][:, :3] += shift
        names = {"model_id": self.base.model_id, "base_version": version, "new_version": self._new_version}
        names |= {"episode_id": episode_id}
        checksum = None
        for _ in range(rng.integers(1, 5) if wild else 0):
            kind = rng.integers(0, 10)
            name = ARRAYS[rng.integers(0, 4)]
            array = fields[name]
            if kind == 0 and array.size:
                array.reshape(-1)[rng.integers(0, array.size)] = WEIRD[rng.integers(0, len(WEIRD))]
            elif kind == 1:
                fields[name] = rng.normal(size=rng.integers(0, 200)) * 10.0 ** rng.integers(-3, 3)
            elif kind == 2:
                fields[name] = np.clip(array, -1e300, 1e300) * 10.0 ** rng.uniform(-3, 3)
            elif kind == 3:
                fields[name] = array + rng.normal(size=array.shape) * 10.0 ** rng.uniform(-6, 1)
            elif kind == 4:
                names["base_version"] = int(rng.integers(0, 2**32))
            elif kind == 5:
                names["new_version"] = int(rng.integers(0, 2**32))
            elif kind == 6:
                names["model_id"] = "".join(map(chr, rng.integers(32, 127, rng.integers(0, 40))))
            elif kind == 7:
                names["episode_id"] = int(rng.integers(0, 2**32))
            elif kind == 8:
                checksum = "".join(map(chr, rng.integers(32, 127, rng.integers(0, 80))))
            else:
                fields[name] = rng.permutation(array.reshape(-1))
        message = update_message(self.base, names["model_id"], 0, 0, 0, 0, stamp_of(0))
        message.base_version, message.new_version = names["base_version"], names["new_version"]
        message.episode_id = names["episode_id"]
        for name in ARRAYS:
            setattr(message, name, doubles(np.asarray(fields[name]).reshape(-1)))
        if checksum is None and all(fields[name].size == _size(self.base, name) for name in ARRAYS):
            shapes = (mixture.priors.shape, mixture.means.shape, mixture.covariances.shape, self.base.attractor.shape)
            checksum = parameters_checksum(
                *(np.asarray(fields[n]).reshape(s) for n, s in zip(ARRAYS, shapes, strict=True))
            )
        message.checksum = checksum or ""
        return message


def _size(base: SkillModel, name: str) -> int:
    """How many numbers an array of the base model has."""
    return int((base.attractor if name == "attractor" else getattr(base.mixture, name)).size)


def breaks_the_contract(message: MixtureUpdate, base: SkillModel, target_m: np.ndarray, episode_id: int) -> str:
    """What is wrong with an update that was accepted; empty when nothing is. Written without a look at the gate."""
    mixture = base.mixture
    k, d = mixture.n_components, base.state_dim
    sizes = {"priors": k, "means": k * 2 * d, "covariances": k * 4 * d * d, "attractor": d}
    for name, size in sizes.items():
        if len(getattr(message, name)) != size:
            return f"{name} has a wrong size"
    priors, attractor = np.array(message.priors), np.array(message.attractor)
    means = np.array(message.means).reshape(k, 2 * d)
    covariances = np.array(message.covariances).reshape(k, 2 * d, 2 * d)
    if message.model_id != base.model_id or message.episode_id != episode_id:
        return "it is for something else"
    if message.new_version <= message.base_version:
        return "its version is not newer"
    if not all(np.isfinite(array).all() for array in (priors, means, covariances, attractor)):
        return "a number is not finite"
    if (priors < 0).any() or abs(priors.sum() - 1) > 1e-5:
        return "the priors are no simplex"
    if np.linalg.eigvalsh((covariances + covariances.transpose(0, 2, 1)) / 2).min() <= 0:
        return "a covariance is not positive definite"
    if message.checksum != parameters_checksum(priors, means, covariances, attractor):
        return "the checksum is wrong"
    moved = np.linalg.norm((means - mixture.means)[:, :d], axis=1).max()
    if max(moved, np.linalg.norm(attractor - base.attractor)) > BOUNDS.max_position_change_m * 1.001:
        return "it moves too far"
    if np.linalg.norm((means - mixture.means)[:, d:], axis=1).max() > BOUNDS.max_velocity_change_m_s * 1.001:
        return "it changes a velocity too much"
    if np.abs(priors - mixture.priors).max() > BOUNDS.max_prior_change * 1.001:
        return "it changes a prior too much"
    inverse = np.linalg.inv(mixture.covariances)
    ratios = np.abs(np.linalg.eigvals(inverse @ covariances))
    if max(ratios.max(), 1 / ratios.min()) > BOUNDS.max_covariance_ratio * 1.001:
        return "it changes a variance too much"
    goal = attractor + target_m
    if (goal < LOW).any() or (goal > HIGH).any():
        return "it leads out of the box"
    return ""
