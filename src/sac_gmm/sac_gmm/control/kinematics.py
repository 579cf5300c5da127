"""Forward kinematics of the fingertip, its Jacobian, and a tree of frames.

Pinocchio (the package `pin`), a rigid-body library without a simulator, reads the arm's URDF; a Jacobian and a pose
take two microseconds. Shapes and materials are removed first, because they cost time and it rejects some of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sac_gmm.core.errors import UserError

Array = NDArray[np.float64]
_SHAPES = re.compile(r"<(visual|collision)\b(?:[^>]*/>|.*?</\1\s*>)", flags=re.DOTALL)


class ArmKinematics:
    """A chain of revolute and prismatic joints from a base to a tip.

    Attributes:
        joint_names: The movable joints from base to tip; all arrays of joints use this order.
        lower_rad: Lower limits of the joints, shape (n,); metres for a prismatic joint.
        upper_rad: Upper limits, shape (n,).
        max_speed_rad_s: Speed limits, shape (n,).
        position_m: The tip in the base frame after `update`, shape (3,).
        jacobian: Of the tip after `update`, shape (6, n): linear rows (m/rad), then angular rows, base axes.

    Args:
        urdf: The arm's description, as URDF text.
        tip_frame: A link that moves with the last joint.
        base_frame: The link whose frame poses and the Jacobian refer to; it must not move.
        tip_offset_m: Offset of the controlled point from the tip frame's origin, in the tip frame's axes, shape (3,).

    Raises:
        UserError: The text is not a URDF, it lacks a frame, or no movable joint lies between them.
    """

    def __init__(
        self, urdf: str, tip_frame: str, base_frame: str = "lbr_link_0", tip_offset_m: Sequence[float] = (0, 0, 0)
    ) -> None:
        import pinocchio as pin

        try:
            model = pin.buildModelFromXML(_SHAPES.sub("", urdf))
        except (ValueError, RuntimeError) as error:
            raise UserError(f"the robot description is not a URDF that can be read: {error}") from error
        for what, name in (("tip_frame", tip_frame), ("base_frame", base_frame)):
            if not model.existFrame(name):
                links = [frame.name for frame in model.frames if frame.type == pin.FrameType.BODY]
                raise UserError(f"{what} '{name}' is not a link of the robot description; it has {', '.join(links)}")
        chain = set(model.supports[model.frames[model.getFrameId(tip_frame)].parentJoint])
        others = [joint for joint in range(1, model.njoints) if joint not in chain]
        if others:  # for example the jaws of a gripper: they do not move the tip
            model = pin.buildReducedModel(model, others, pin.neutral(model))
        base = model.frames[model.getFrameId(base_frame)]
        tip = model.frames[model.getFrameId(tip_frame)]
        if base.parentJoint != 0:
            moving = model.names[base.parentJoint]
            raise UserError(f"base_frame '{base_frame}' moves with joint '{moving}': take one before the first joint")
        if model.njoints < 2:
            raise UserError(f"no movable joint leads to tip_frame '{tip_frame}'")
        if model.nq != model.nv:
            raise UserError("the arm has a joint without limits (type continuous): give it type revolute and limits")
        offset = np.asarray(tip_offset_m, dtype=float)
        if offset.shape != (3,) or not np.isfinite(offset).all():
            raise UserError(f"tip_offset_m = {tip_offset_m}: expected three finite numbers, m")
        placement = tip.placement * pin.SE3(np.eye(3), offset)
        self._tip = model.addFrame(pin.Frame("moved_point", tip.parentJoint, placement, pin.FrameType.OP_FRAME), False)
        self._pin, self._model, self._data = pin, model, model.createData()
        self._axes = pin.ReferenceFrame.LOCAL_WORLD_ALIGNED
        self._to_base = base.placement.rotation.T.copy()
        self._base_m = base.placement.translation.copy()
        self._base_is_root = np.allclose(base.placement.homogeneous, np.eye(4))
        self.joint_names = tuple(model.names)[1:]
        self.lower_rad = model.lowerPositionLimit.copy()
        self.upper_rad = model.upperPositionLimit.copy()
        self.max_speed_rad_s = model.velocityLimit.copy()
        self.position_m = np.zeros(3)
        self.jacobian = np.zeros((6, model.nv))
        self.update(np.clip(np.zeros(model.nq), self.lower_rad, self.upper_rad))

    def update(self, joints_rad: Array) -> None:
        """Compute tip and Jacobian for joint positions, shape (n,); NaN gives NaN.

        Raises:
            UserError: There is not one number per joint.
        """
        if joints_rad.shape != (self._model.nq,):
            raise UserError(f"{joints_rad.shape} joint positions, but the arm has {self._model.nq} joints")
        pin, data = self._pin, self._data
        pin.computeJointJacobians(self._model, data, joints_rad)
        pin.updateFramePlacement(self._model, data, self._tip)
        J = pin.getFrameJacobian(self._model, data, self._tip, self._axes)
        tip = data.oMf[self._tip].translation
        if self._base_is_root:
            self.jacobian[:], self.position_m[:] = J, tip
        else:
            np.matmul(self._to_base, J[:3], out=self.jacobian[:3])
            np.matmul(self._to_base, J[3:], out=self.jacobian[3:])
            np.matmul(self._to_base, tip - self._base_m, out=self.position_m)

    @property
    def orientation_xyzw(self) -> Array:
        """Orientation of the tip in the base frame as a unit quaternion, shape (4,)."""
        return self._pin.Quaternion(self._to_base @ self._data.oMf[self._tip].rotation).coeffs()

    def in_order(self, names: Sequence[str], values: Sequence[float]) -> Array | None:
        """Select this arm's joints from a message that names its values; None if one is missing."""
        index = {name: i for i, name in enumerate(names)}
        try:
            return np.array([values[index[name]] for name in self.joint_names])
        except (KeyError, IndexError):
            return None


class FrameTree:
    """The newest transform from each frame to its parent, and poses along the tree: TF without its history."""

    def __init__(self) -> None:
        self._parents: dict[str, tuple[str, Array, Array, int | None]] = {}

    def set(self, parent: str, child: str, origin_m: Array, xyzw: Array, stamp_ns: int | None) -> None:
        """Set the pose of a frame in its parent; `stamp_ns` is None for a frame that never moves."""
        self._parents[child] = (parent, origin_m, xyzw, stamp_ns)

    @property
    def names(self) -> frozenset[str]:
        """All frames that have been heard of."""
        known = dict(self._parents)
        return frozenset((*known, *(entry[0] for entry in known.values())))

    def pose(self, base: str, tip: str) -> tuple[Array, Array, int | None] | None:
        """Pose of `tip` in `base`.

        Returns:
            Position (3,), unit quaternion xyzw (4,), and the oldest stamp along the path (None if nothing on it
                moves); None as a whole while a frame between them is unknown.
        """
        up, stamp_up = self._to_root(tip, base)
        if up[0] == base:
            return up[1], up[2], stamp_up
        down, stamp_down = self._to_root(base, up[0])
        if down[0] != up[0]:
            return None
        inverse = down[2] * [-1, -1, -1, 1]
        stamps = [stamp for stamp in (stamp_up, stamp_down) if stamp is not None]
        return _turn(inverse, up[1] - down[1]), _product(inverse, up[2]), min(stamps, default=None)

    def _to_root(self, frame: str, until: str) -> tuple[tuple[str, Array, Array], int | None]:
        """Climb from a frame to another one or to the root; return that frame, the pose in it, and the oldest stamp."""
        origin, xyzw, oldest = np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]), None
        for _ in range(len(self._parents)):
            if frame == until or frame not in self._parents:
                break
            frame, step_m, turn, stamp_ns = self._parents[frame]
            origin = step_m + _turn(turn, origin)
            xyzw = _product(turn, xyzw)
            if stamp_ns is not None:
                oldest = stamp_ns if oldest is None else min(oldest, stamp_ns)
        return (frame, origin, xyzw), oldest


def _product(a: Array, b: Array) -> Array:
    """Hamilton product of two quaternions xyzw: applies b first, then a."""
    (ax, ay, az, aw), (bx, by, bz, bw) = a.tolist(), b.tolist()
    return np.array(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ]
    )


def _turn(xyzw: Array, vector: Array) -> Array:
    """Rotate a vector, shape (3,), by a unit quaternion."""
    (x, y, z, w), (a, b, c) = xyzw.tolist(), vector.tolist()
    tx, ty, tz = 2 * (y * c - z * b), 2 * (z * a - x * c), 2 * (x * b - y * a)
    return np.array([a + w * tx + y * tz - z * ty, b + w * ty + z * tx - x * tz, c + w * tz + x * ty - y * tx])
