"""Follows a leg of a way by where the arm is, not by time: whatever slows the arm down, it is never left behind."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from sac_gmm.control.reset_way import TURN_M, Leg, TipPose
from sac_gmm.core.settings import check_settings, number

Array = npt.NDArray[np.float64]
_AHEAD_M = 0.02  # how far before the arm the place lies that it is led to
_WINDOW_M = 0.05  # how far along the way it is looked for
_GAIN_PER_S = 2.0  # speed near the end, per distance
_TINY = 1e-9
_WEIGHTS = np.array([1.0] * 3 + [TURN_M] * 3)


@dataclass(frozen=True)
class WaySettings:
    """How fast the arm goes to its start, and how near it must come."""

    reset_speed_m_s: float = number(0.05, 0.001, 0.5, "m/s", "largest speed on the way to the start")
    reset_acceleration_m_s2: float = number(0.2, 0.01, 5.0, "m/s^2", "largest acceleration on that way")
    reset_turn_rad_s: float = number(0.3, 0.01, 1.5, "rad/s", "largest angular velocity on that way")
    tolerance_m: float = number(0.002, 0.0002, 0.05, "m", "the start is reached when the tip is this near")
    tolerance_rad: float = number(0.02, 0.002, 0.5, "rad", "and turned this little from it")

    def __post_init__(self) -> None:
        check_settings(self)


class LegFollower:
    """Leads the tip along a leg, from rest to rest.

    Attributes:
        left_m: Way to the end by the last `step`; a turn counts by `TURN_M`.

    Args:
        leg: The way.
        settings: Its limits.
        dt_s: Time between two calls of `step`.
    """

    def __init__(self, leg: Leg, settings: WaySettings, dt_s: float) -> None:
        self.leg = leg
        self.left_m = float(leg.lengths_m[-1])
        self._settings, self._dt_s = settings, dt_s
        self._at = 0  # the sample that the tip is nearest to; it only goes forwards
        self._speed = 0.0

    def reached(self, pose: TipPose) -> bool:
        """Whether the tip is at the end."""
        distance_m, angle_rad = pose.apart(self.leg.end)
        return distance_m <= self._settings.tolerance_m and angle_rad <= self._settings.tolerance_rad

    def rest(self) -> None:
        """Begin again from rest: the arm has been held."""
        self._speed = 0.0

    def step(self, pose: TipPose) -> Array:
        """The twist to ask for, (6,), m/s and rad/s, base axes.

        Speed and angular velocity are within the settings, and the speed grows by no more than the acceleration; the
        first is that of an arm at rest. How it is braked for is what leaves room for it: half of the acceleration.
        """
        leg, settings = self.leg, self._settings
        self._advance(pose)
        ahead = int(np.searchsorted(leg.lengths_m, leg.lengths_m[self._at] + _AHEAD_M))
        ahead = min(max(ahead, self._at), len(leg.lengths_m) - 1)
        error = _offset(pose, leg.positions_m[ahead], leg.xyzw[ahead])
        way_m = float(np.linalg.norm(_WEIGHTS * error))
        self.left_m = float(leg.lengths_m[-1] - leg.lengths_m[ahead]) + way_m
        if way_m < _TINY:
            self._speed = 0.0
            return np.zeros(6)
        a = settings.reset_acceleration_m_s2
        speed = min(settings.reset_speed_m_s, math.sqrt(a * self.left_m), _GAIN_PER_S * self.left_m)
        self._speed = min(speed, self._speed + a * self._dt_s)
        twist = error * (self._speed / way_m)
        turn_rad_s = float(np.linalg.norm(twist[3:]))
        return twist * min(1.0, settings.reset_turn_rad_s / max(turn_rad_s, _TINY))

    def _advance(self, pose: TipPose) -> None:
        lengths = self.leg.lengths_m
        end = int(np.searchsorted(lengths, lengths[self._at] + _WINDOW_M, side="right"))
        near = slice(self._at, max(end, self._at + 1))
        off = np.linalg.norm(self.leg.positions_m[near] - pose.position_m, axis=1)
        turns = Rotation.from_quat(self.leg.xyzw[near]) * Rotation.from_quat(pose.xyzw).inv()
        self._at += int(np.argmin(np.hypot(off, TURN_M * turns.magnitude())))


def _offset(pose: TipPose, position_m: Array, xyzw: Array) -> Array:
    turn = Rotation.from_quat(xyzw) * Rotation.from_quat(pose.xyzw).inv()
    return np.concatenate((position_m - pose.position_m, turn.as_rotvec()))
