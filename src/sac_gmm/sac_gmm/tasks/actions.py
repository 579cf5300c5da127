"""The kinds of action a scene can take: units and bounds of the numbers, and validation of a command.

A scene sets one of these as `action`; its `space` is the Gymnasium action space.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from sac_gmm.core.errors import UserError
from sac_gmm.core.small_algebra import clip_finite
from sac_gmm.core.speeds import MAX_SPEED_M_S, MAX_TURN_RAD_S

Array = NDArray[np.float64]


class ActionKind:
    """A kind of action: a flat array of numbers, each with a unit and bounds."""

    @property
    def words(self) -> str:
        """Description of an action, for error messages."""
        raise NotImplementedError

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each number; '1' if dimensionless."""
        raise NotImplementedError

    def bounds(self) -> tuple[ArrayLike, ArrayLike]:
        """Smallest and largest value of each number, in `units`."""
        raise NotImplementedError

    @cached_property
    def space(self) -> spaces.Box:
        """The action space, float64."""
        low, high = (np.asarray(bound, np.float64) for bound in self.bounds())
        return spaces.Box(low, high, dtype=np.float64)

    @cached_property
    def _limits(self) -> tuple[Array, Array]:
        return np.ascontiguousarray(self.space.low, np.float64), np.ascontiguousarray(self.space.high, np.float64)

    def checked(self, action: Any) -> Array:
        """Return a copy of a command, clipped to the bounds.

        Raises:
            UserError: The command has the wrong shape or a non-finite number.
        """
        low, high = self._limits
        try:
            values = np.array(action, dtype=np.float64)
        except (TypeError, ValueError):
            values = np.empty(0)
        if values.shape != low.shape or not clip_finite(values, low, high):
            raise UserError(f"the action must be {self.words}, not {action!r}")
        return values


@dataclass(frozen=True)
class Twist(ActionKind):
    """Velocity of the end-effector: m/s (3), then rad/s (3), in base axes, held for one control period."""

    max_speed_m_s: float = MAX_SPEED_M_S
    max_turn_rad_s: float = MAX_TURN_RAD_S

    def __post_init__(self) -> None:
        _check_positive(self, "max_speed_m_s", "max_turn_rad_s")

    @property
    def words(self) -> str:
        """See `ActionKind`."""
        return "a twist of six finite numbers"

    @property
    def units(self) -> tuple[str, ...]:
        """See `ActionKind`."""
        return ("m/s",) * 3 + ("rad/s",) * 3

    def bounds(self) -> tuple[Array, Array]:
        """See `ActionKind`."""
        most = np.array([self.max_speed_m_s] * 3 + [self.max_turn_rad_s] * 3)
        return -most, most


@dataclass(frozen=True)
class TwistAndGripper(Twist):
    """A twist, and the gripper as a seventh number: -1 opens it, 1 closes it."""

    @property
    def words(self) -> str:
        """See `ActionKind`."""
        return "seven finite numbers, a twist and the gripper (-1 open, 1 closed)"

    @property
    def units(self) -> tuple[str, ...]:
        """See `ActionKind`."""
        return (*super().units, "1")

    def bounds(self) -> tuple[Array, Array]:
        """See `ActionKind`."""
        most = np.append(super().bounds()[1], 1.0)
        return -most, most


@dataclass(frozen=True)
class JointVelocities(ActionKind):
    """Velocities of `n` joints in rad/s, held for one control period.

    Attributes:
        n: Number of joints.
        max_rad_s: Largest speed: one number for all joints, or one per joint.
    """

    n: int = 7
    max_rad_s: float | tuple[float, ...] = 1.0

    def __post_init__(self) -> None:
        _check_count(self, "n")
        _check_positive(self, "max_rad_s")
        if np.shape(self.max_rad_s) not in ((), (self.n,)):
            raise UserError(f"JointVelocities: max_rad_s is {self.max_rad_s!r}; give one number or one per joint")

    @property
    def words(self) -> str:
        """See `ActionKind`."""
        return f"the velocities of {self.n} joints as finite numbers"

    @property
    def units(self) -> tuple[str, ...]:
        """See `ActionKind`."""
        return ("rad/s",) * self.n

    def bounds(self) -> tuple[Array, Array]:
        """See `ActionKind`."""
        most = np.full(self.n, self.max_rad_s, np.float64)
        return -most, most


@dataclass(frozen=True)
class Movement(ActionKind):
    """A whole movement as one action: its duration in s, then its waypoints one after the other.

    Attributes:
        waypoints: Number of waypoints, evenly spread over the duration.
        low: Lower bound of each waypoint coordinate.
        high: Upper bound of each waypoint coordinate.
        unit: Unit of the coordinates, such as 'm' or 'rad'.
        shortest_s: Shortest duration.
        longest_s: Longest duration.
    """

    waypoints: int
    low: tuple[float, ...]
    high: tuple[float, ...]
    unit: str = "rad"
    shortest_s: float = 0.5
    longest_s: float = 5.0

    def __post_init__(self) -> None:
        _check_count(self, "waypoints")
        _check_positive(self, "shortest_s", "longest_s")
        if not self.low or len(self.low) != len(self.high) or not np.all(np.less_equal(self.low, self.high)):
            raise UserError(f"Movement: low is {self.low} and high is {self.high}; give both for every coordinate")
        if self.shortest_s > self.longest_s:
            raise UserError(f"Movement: shortest_s is {self.shortest_s:g}, above longest_s of {self.longest_s:g}")

    @property
    def words(self) -> str:
        """See `ActionKind`."""
        n = 1 + self.waypoints * len(self.low)
        return f"a movement of {n} finite numbers, its duration and {self.waypoints} waypoints of {len(self.low)}"

    @property
    def units(self) -> tuple[str, ...]:
        """See `ActionKind`."""
        return ("s",) + (self.unit,) * (self.waypoints * len(self.low))

    def bounds(self) -> tuple[Array, Array]:
        """See `ActionKind`."""
        return (
            np.append(self.shortest_s, np.tile(self.low, self.waypoints)),
            np.append(self.longest_s, np.tile(self.high, self.waypoints)),
        )

    def split(self, action: Array) -> tuple[float, Array]:
        """Split a checked action into duration (s) and waypoints, shape (waypoints, coordinates)."""
        return float(action[0]), action[1:].reshape(self.waypoints, len(self.low))


def _check_positive(kind: ActionKind, *names: str) -> None:
    for name in names:
        value = getattr(kind, name)
        if not np.all(np.isfinite(value) & np.greater(value, 0.0)):
            raise UserError(f"{type(kind).__name__}: {name} is {value!r}; it must be positive")


def _check_count(kind: ActionKind, name: str) -> None:
    if getattr(kind, name) < 1:
        raise UserError(f"{type(kind).__name__}: {name} is {getattr(kind, name)!r}; it must be 1 or more")
