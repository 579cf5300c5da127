"""The way to the pose that an episode begins from: planned, and checked sample by sample, before the arm moves.

trail.take(pose)                                    (all the time: the way that the arm comes)
legs = [trail.leg(0.1), straight_leg(pose, goal)]   (back the way it came, then straight to the start)
check_box(legs, limits); check_joints(legs, guard, joints_rad)
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation, Slerp

from sac_gmm.control.joint_limits import JointGuard
from sac_gmm.control.kinematics import ArmKinematics
from sac_gmm.control.safety import SafetyLimits
from sac_gmm.core.errors import UserError
from sac_gmm.core.settings import check_settings, number

Array = npt.NDArray[np.float64]
TURN_M = 0.3  # a turn of one radian counts as a way of this length, as for the joint limits
STEP_M = 0.005  # between two samples of a way
_SPACING_M = 0.002  # between two places of the recorded way
_JUMP_M = 0.1  # from one state to the next no arm moves this far: the way in between is unknown
_LONGEST = 5000  # recorded places that are kept
_JOINT_STEP_RAD = 0.02
_OFF_M = 0.01  # further than this from a sample, the arm has not reached it
_ITERATIONS = 4
_TINY = 1e-6


class TipPose(NamedTuple):
    """Position (3,) in m, and orientation as a unit quaternion (4,), of the tip in the base frame."""

    position_m: Array
    xyzw: Array

    def apart(self, other: TipPose) -> tuple[float, float]:
        """Distance, m, and angle, rad, to another pose."""
        turn = Rotation.from_quat(other.xyzw) * Rotation.from_quat(self.xyzw).inv()
        return float(np.linalg.norm(other.position_m - self.position_m)), float(turn.magnitude())


@dataclass(frozen=True)
class StartSettings:
    """Where an episode may begin, and how far the arm goes back first."""

    start_box_m: tuple[float, float, float] = number(
        (0.0, 0.0, 0.0), 0.0, 1.0, "m", "starts vary by up to this much along each axis, by the seed of the episode"
    )
    retreat_m: float = number(
        0.1, 0.0, 5.0, "m", "how far the arm first goes back the way that it came, out of contact with the task"
    )

    def __post_init__(self) -> None:
        check_settings(self)

    def start(self, home_m: Array, seed: int) -> Array:
        """The start of an episode, (3,): in the box around `home_m` (3,); the same seed, the same start."""
        if not any(self.start_box_m):
            return home_m.copy()
        rng = np.random.default_rng(seed % 2**63)
        return home_m + np.array(self.start_box_m) * rng.uniform(-1.0, 1.0, 3)


@dataclass(frozen=True)
class Leg:
    """A piece of the way, begun and ended at rest.

    Attributes:
        name: What it is, for sentences.
        positions_m: (N, 3) places of the tip, no further apart than `STEP_M`, base frame.
        xyzw: (N, 4) its orientations.
        lengths_m: (N,) way up to each of them; a turn counts by `TURN_M`.
    """

    name: str
    positions_m: Array
    xyzw: Array
    lengths_m: Array

    @property
    def end(self) -> TipPose:
        """Where it ends."""
        return TipPose(self.positions_m[-1], self.xyzw[-1])


def straight_leg(start: TipPose, goal: TipPose) -> Leg:
    """The straight way, on which the tip turns evenly."""
    return _leg("to the start", [start, goal])


def joint_leg(kinematics: ArmKinematics, from_rad: Array, to_rad: Array) -> Leg:
    """The way on which all joints move in proportion.

    Args:
        kinematics: Of the arm; left at `to_rad`.
        from_rad: Present joint positions, (n,).
        to_rad: Those of the start, (n,).
    """
    count = 2 + int(np.abs(to_rad - from_rad).max() / _JOINT_STEP_RAD)
    poses = []
    for share in np.linspace(0.0, 1.0, count):
        kinematics.update(from_rad + share * (to_rad - from_rad))
        poses.append(TipPose(kinematics.position_m.copy(), kinematics.orientation_xyzw.copy()))
    return _leg("to the start", poses)


class Trail:
    """The way that the tip has come, so that it can go back."""

    def __init__(self) -> None:
        self._poses: deque[TipPose] = deque(maxlen=_LONGEST)
        self._last_m: Array | None = None

    def take(self, pose: TipPose) -> None:
        """Add where the tip is; after a jump the way begins anew."""
        if not np.isfinite(pose.position_m).all():
            return
        if self._last_m is not None and np.linalg.norm(pose.position_m - self._last_m) > _JUMP_M:
            self._poses.clear()
        self._last_m = pose.position_m
        if not self._poses or _way_m(self._poses[-1], pose) >= _SPACING_M:
            self._poses.append(pose)

    def clear(self) -> None:
        """Forget the way so far."""
        self._poses.clear()

    def leg(self, now: TipPose, distance_m: float) -> Leg | None:
        """Back from where the tip is, for this far at most; None where no way is known that leads there."""
        places = np.array([pose.position_m for pose in self._poses]).reshape(-1, 3)
        off_m = np.linalg.norm(places - now.position_m, axis=1)
        if not off_m.size or off_m.min() > _OFF_M:
            return None
        nearest = int(np.flatnonzero(off_m <= off_m.min() + _TINY)[-1])  # it may have gone back a piece already
        poses, left_m = [now], distance_m
        for number_ in range(nearest, -1, -1):
            pose = self._poses[number_]
            step_m = _way_m(poses[-1], pose)
            if step_m < _TINY:
                continue
            if left_m <= _TINY:
                break
            poses.append(pose if step_m <= left_m else _between(poses[-1], pose, left_m / step_m))
            left_m -= step_m
        return _leg("back the way it came", poses) if len(poses) > 1 else None


def check_box(legs: Sequence[Leg], limits: SafetyLimits) -> None:
    """Check that the whole way lies in the workspace box.

    Raises:
        UserError: It leaves the box, or the arm is outside already.
    """
    low, high = np.array(limits.workspace_min_m), np.array(limits.workspace_max_m)
    box = f"the workspace box, {_place(low)} to {_place(high)} m"

    def outside(positions_m: Array) -> Any:
        return ((positions_m < low) | (positions_m > high)).any(axis=-1)

    arm_m, start_m = legs[0].positions_m[0], legs[-1].positions_m[-1]
    if outside(arm_m):
        raise UserError(f"the arm is at {_place(arm_m)} m, outside {box}: lead it in by hand")
    if outside(start_m):
        raise UserError(
            f"the start pose {_place(start_m)} m is outside {box}: teach another, lower start_box_m, or widen the box "
            "if the arm may go there"
        )
    for leg in legs:
        for position_m in leg.positions_m[outside(leg.positions_m)]:
            raise UserError(
                f"the way {leg.name} leaves {box}, at {_place(position_m)} m: lead the arm to where it can go straight "
                "to its start, or set retreat_m to 0"
            )


def check_joints(legs: Sequence[Leg], guard: JointGuard, joints_rad: Array) -> Array:
    """Check that the joints can follow the way, as they would: by the damped inverse, from where they are.

    Args:
        legs: The way.
        guard: Of the arm's joint limits; left at the end of the way.
        joints_rad: Present joint positions, (n,).

    Returns:
        Joint positions at the end, (n,).

    Raises:
        UserError: A joint would come to its limit, the arm to a singular posture, or it cannot reach a sample.
    """
    joints = joints_rad.copy()
    # A joint outside its limits may come back, but not go further.
    low, high = np.minimum(guard.lower_rad, joints) - _TINY, np.maximum(guard.upper_rad, joints) + _TINY
    guard.update(joints)
    stop = min(guard.settings.singularity_stop, guard.singular_value - _TINY)
    for leg in legs:
        for position, xyzw, length in zip(leg.positions_m, leg.xyzw, leg.lengths_m, strict=True):
            for _ in range(_ITERATIONS):
                joints = joints + _towards(guard, position, xyzw)
                guard.update(joints)
            left = f"{leg.lengths_m[-1] - length:.2f} m before the end of the way {leg.name}"
            posture = "bring the arm to another posture by hand, or teach another start pose"
            if (wrong := np.flatnonzero((joints < low) | (joints > high))).size:
                j = int(wrong[0])
                limit = guard.lower_rad[j] if joints[j] < low[j] else guard.upper_rad[j]
                raise UserError(
                    f"joint {guard.kinematics.joint_names[j]} would come to its limit of {limit:.2f} rad (its margin "
                    f"taken off), {left}: {posture}"
                )
            if guard.singular_value < stop:
                raise UserError(f"the arm would come to a singular posture, {left}: {posture}")
            off_m = float(np.linalg.norm(_error(guard.kinematics, position, xyzw) * [1, 1, 1, *[TURN_M] * 3]))
            if off_m > _OFF_M:
                raise UserError(f"the arm cannot reach {_place(position)} m, {left}: {posture}")
    return joints


def _towards(guard: JointGuard, position_m: Array, xyzw: Array) -> Array:
    """Change of the joints, (n,), that brings the tip nearer to a pose."""
    change = guard.joint_velocity(_error(guard.kinematics, position_m, xyzw))
    return change * min(1.0, 0.2 / max(float(np.abs(change).max()), _TINY))


def _error(kinematics: ArmKinematics, position_m: Array, xyzw: Array) -> Array:
    turn = Rotation.from_quat(xyzw) * Rotation.from_quat(kinematics.orientation_xyzw).inv()
    return np.concatenate((position_m - kinematics.position_m, turn.as_rotvec()))


def _leg(name: str, poses: Sequence[TipPose]) -> Leg:
    """Sample the way through poses."""
    positions, turns, lengths = [poses[0].position_m[None]], [poses[0].xyzw[None]], [np.zeros(1)]
    for a, b in itertools.pairwise(poses):
        way_m = _way_m(a, b)
        if way_m < _TINY and b is not poses[-1]:
            continue
        shares = np.linspace(0.0, 1.0, 1 + max(1, math.ceil(way_m / STEP_M - 1e-9)))[1:]
        positions.append(a.position_m + shares[:, None] * (b.position_m - a.position_m))
        turns.append(Slerp([0.0, 1.0], Rotation.from_quat([a.xyzw, b.xyzw]))(shares).as_quat())
        lengths.append(lengths[-1][-1] + shares * way_m)
    return Leg(name, np.concatenate(positions), np.concatenate(turns), np.concatenate(lengths))


def _way_m(a: TipPose, b: TipPose) -> float:
    distance_m, angle_rad = a.apart(b)
    return math.hypot(distance_m, TURN_M * angle_rad)


def _between(a: TipPose, b: TipPose, share: float) -> TipPose:
    turn = Slerp([0.0, 1.0], Rotation.from_quat([a.xyzw, b.xyzw]))(share)
    return TipPose(a.position_m + share * (b.position_m - a.position_m), turn.as_quat())


def _place(position_m: Array) -> str:
    return f"({', '.join(f'{value:.3f}' for value in position_m)})"
