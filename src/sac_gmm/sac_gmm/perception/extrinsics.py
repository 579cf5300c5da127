"""The pose of one frame in another, and the file that stores it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import read_json, write_json

Array = npt.NDArray[np.float64]
_FORMAT, _VERSION = "sac_gmm/extrinsics", 1


@dataclass(frozen=True)
class RigidTransform:
    """Pose of a frame B in a frame A: `x_A = rotation @ x_B + position_m`.

    Attributes:
        position_m: (3,) origin of B in A.
        rotation: (3, 3) B to A.
    """

    position_m: Array = field(default_factory=lambda: np.zeros(3))
    rotation: Array = field(default_factory=lambda: np.eye(3))

    @classmethod
    def of(cls, position_m: npt.ArrayLike, quaternion_xyzw: npt.ArrayLike = (0.0, 0.0, 0.0, 1.0)) -> RigidTransform:
        """From a position (3,) and a quaternion (4,), which is normalised.

        Raises:
            UserError: They are not three and four finite numbers, or the quaternion is zero.
        """
        position, quaternion = _numbers(position_m), _numbers(quaternion_xyzw)
        if position.shape != (3,) or not np.isfinite(position).all():
            raise UserError(f"a position is three finite numbers (m), not {position_m!r}")
        if quaternion.shape != (4,) or not np.isfinite(quaternion).all() or abs(np.linalg.norm(quaternion) - 1) > 0.1:
            raise UserError(f"a quaternion x y z w is four numbers of norm 1, not {quaternion_xyzw!r}")
        return cls(position, Rotation.from_quat(quaternion).as_matrix())

    @property
    def quaternion_xyzw(self) -> Array:
        """(4,) the rotation as a quaternion with w >= 0."""
        return np.asarray(Rotation.from_matrix(self.rotation).as_quat(canonical=True), np.float64)

    @property
    def inverse(self) -> RigidTransform:
        """Pose of A in B."""
        return RigidTransform(-self.rotation.T @ self.position_m, self.rotation.T)

    def __matmul__(self, other: RigidTransform) -> RigidTransform:
        return RigidTransform(self.apply(other.position_m), self.rotation @ other.rotation)

    def apply(self, points_m: Array) -> Array:
        """Transform points (..., 3) from B to A."""
        return np.asarray(points_m @ self.rotation.T + self.position_m, np.float64)


def save_extrinsics(
    path: Path | str, parent_frame: str, child_frame: str, pose: RigidTransform, meta: Mapping[str, Any] | None = None
) -> None:
    """Write the pose of `child_frame` in `parent_frame`; an existing file is replaced."""
    write_json(
        path,
        {
            "format": _FORMAT,
            "version": _VERSION,
            "parent_frame": parent_frame,
            "child_frame": child_frame,
            "position_m": pose.position_m.tolist(),
            "quaternion_xyzw": pose.quaternion_xyzw.tolist(),
            **dict(meta or {}),
        },
    )


def load_extrinsics(
    path: Path | str, what: str = "camera extrinsics", made_by: str = "`sac-gmm hands calibrate`"
) -> tuple[str, str, RigidTransform]:
    """Read a file written by `save_extrinsics`: parent frame, child frame and pose.

    Args:
        path: The file.
        what: What it should hold, for the message where it does not.
        made_by: What makes such a file, for the same message.

    Raises:
        UserError: The file is missing or of another kind.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != _FORMAT or content.get("version") != _VERSION:
        raise UserError(f"{path} is not a file of {what}: make one with {made_by}")
    try:
        pose = RigidTransform.of(content["position_m"], content["quaternion_xyzw"])
        return str(content["parent_frame"]), str(content["child_frame"]), pose
    except KeyError as error:
        raise UserError(f"{path}: the field {error} is missing: calibrate again") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _numbers(values: npt.ArrayLike) -> Array:
    """Convert to an array; empty if the values are not numbers."""
    try:
        return np.array(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.zeros(0)
