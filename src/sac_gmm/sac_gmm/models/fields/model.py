"""The skill as a value: a mixture over [state; velocity], the point where it comes to rest, and its origin."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sac_gmm.core.errors import UserError
from sac_gmm.models.mixtures.mixture import Array, GaussianMixture

KINDS = ("gmm", "seds", "lpv_ds")


@dataclass(frozen=True, eq=False)
class Certificate:
    """Why a system f(x) = sum_k h_k(x) A_k (x - attractor) comes to rest at its attractor from everywhere.

    V(x) = (x - attractor)' P (x - attractor) falls at least as fast as exp(-2 decay_rate_1_s t) because every component
    has A_k' P + P A_k <= -2 decay_rate_1_s P (Figueroa and Billard, CoRL 2018). Gates h_k do not matter.

    Args:
        P: (d, d) symmetric positive definite, trace d.
        decay_rate_1_s: The slowest rate of all components; positive for a stable system.
        margin_1_s: The required rate; `project` restores it.
        attractor_error_m_s: Largest |mu_v - A_k (mu_x - attractor)|: the velocity left over at the attractor.
        max_step_s: With Euler steps shorter than this V falls too, whatever the gates.
        holds: Whether the decay rate reaches the required margin, P is positive definite, and the velocity left at the
            attractor is only rounding.
    """

    P: Array
    decay_rate_1_s: float
    margin_1_s: float
    attractor_error_m_s: float
    max_step_s: float
    holds: bool


@dataclass(frozen=True, eq=False)
class SkillModel:
    """A fitted skill. One class serves all kinds.

    SEDS and LPV-DS are written as the joint mixture with mu_v = A_k (mu_x - attractor) and Sigma_vx = A_k Sigma_xx, so
    that Gaussian mixture regression of the mixture *is* their field.

    Args:
        kind: How it was fitted: "gmm", "seds" or "lpv_ds".
        mixture: Over [x; v], D = 2 d. For a positional skill x is in metres relative to the target, v in m/s.
        attractor: (d,) where the motion ends, same frame as x.
        certificate: The stability certificate; None if none was computed.
        meta: JSON values: task, frame, fit options, names of the demonstrations.

    Raises:
        UserError: The kind is unknown or the attractor does not fit the mixture.
    """

    kind: str
    mixture: GaussianMixture
    attractor: Array
    certificate: Certificate | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"model kind must be one of {', '.join(KINDS)}, not '{self.kind}'")
        attractor = np.array(self.attractor, dtype=np.float64)
        if self.mixture.dim % 2 or attractor.shape != (self.mixture.dim // 2,):
            raise UserError(
                f"a skill needs a mixture over [x; v] and an attractor of half its dimension: "
                f"dimension {self.mixture.dim}, attractor of shape {attractor.shape}"
            )
        if not math.isfinite(attractor.sum()):
            raise UserError("attractor must be finite numbers")
        attractor.flags.writeable = False
        object.__setattr__(self, "attractor", attractor)

    @property
    def state_dim(self) -> int:
        """Number of coordinates of the state."""
        return self.attractor.shape[0]

    @cached_property
    def checksum(self) -> str:
        """`parameters_checksum` of the four arrays."""
        return parameters_checksum(self.mixture.priors, self.mixture.means, self.mixture.covariances, self.attractor)

    @property
    def model_id(self) -> str:
        """The name that updates refer to: the first 16 hexadecimal digits of the checksum."""
        return self.checksum[:16]


def parameters_checksum(priors: ArrayLike, means: ArrayLike, covariances: ArrayLike, attractor: ArrayLike) -> str:
    """sha256 in hexadecimal over the shapes and the float64 little-endian bytes of the four arrays, in this order.

    Each array contributes its name, its shape as text, and its bytes in row-major order, so that no two different sets
    of arrays give the same stream.
    """
    digest = hashlib.sha256()
    named = (("priors", priors), ("means", means), ("covariances", covariances), ("attractor", attractor))
    for name, value in named:
        array = np.ascontiguousarray(value, dtype="<f8")
        digest.update(f"{name}{array.shape};".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def translate(model: SkillModel, shift: ArrayLike) -> SkillModel:
    """The same motion, moved: every position mean and the attractor shift by `shift` (d,); the field moves with them.

    The certificate stays true, since stability does not depend on where the attractor is.
    """
    offset = _vector(shift, model.state_dim, "shift")
    means = model.mixture.means.copy()
    means[:, : model.state_dim] += offset
    mixture = GaussianMixture(model.mixture.priors, means, model.mixture.covariances)
    return dataclasses.replace(model, mixture=mixture, attractor=model.attractor + offset)


def rotate(model: SkillModel, rotation: ArrayLike) -> SkillModel:
    """The same motion, turned about its attractor by the rotation matrix `rotation` (d, d).

    Raises:
        UserError: `rotation` is not a rotation matrix (orthonormal to 1e-9, determinant +1).
    """
    d = model.state_dim
    R = np.asarray(rotation, dtype=np.float64)
    if R.shape != (d, d) or not np.allclose(R @ R.T, np.eye(d), atol=1e-9) or np.linalg.det(R) < 0:
        raise UserError(f"rotation must be a ({d}, {d}) rotation matrix: orthonormal columns, determinant +1")
    both = np.kron(np.eye(2), R)
    origin = np.concatenate([model.attractor, np.zeros(d)])
    means = (model.mixture.means - origin) @ both.T + origin
    covariances = both @ model.mixture.covariances @ both.T
    mixture = GaussianMixture(model.mixture.priors, means, 0.5 * (covariances + np.swapaxes(covariances, 1, 2)))
    certificate = model.certificate
    if certificate is not None:
        certificate = dataclasses.replace(certificate, P=R @ certificate.P @ R.T)
    return dataclasses.replace(model, mixture=mixture, certificate=certificate)


def _vector(value: ArrayLike, d: int, name: str) -> Array:
    vector = np.asarray(value, dtype=np.float64)
    if vector.shape != (d,) or not np.isfinite(vector).all():
        raise UserError(f"{name} must be {d} finite numbers, not {value!r}")
    return vector
