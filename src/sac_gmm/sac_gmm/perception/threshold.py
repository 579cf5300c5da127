"""A number in a message, by name, and when it shows that a task is done."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sac_gmm.core.errors import UserError

_PART = re.compile(r"(\w+)(?:\[([^\[\]]+)\])?")
_NAMES = ("name", "joint_names", "names")  # the fields in which messages name the entries of their lists


class Field:
    """A number in messages of one type, such as `wrench.force.z`, `position[lbr_A4]`, `ranges[0]` or `data`.

    An entry of a list is named by its place, from 0, or as the message itself names it (`name` of a JointState). Of a
    vector with x, y and z the length is taken. True is 1, false is 0.

    Args:
        path: Names with dots between them.

    Raises:
        UserError: It is no such path.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._parts = [_PART.fullmatch(part) for part in re.split(r"\.(?![^\[]*\])", path)]
        if not path or not all(self._parts):
            raise UserError(
                f"field is '{path}': expected names with dots between them, such as wrench.force.z or position[2]"
            )

    def read(self, message: Any) -> float:
        """The number in a message.

        Raises:
            UserError: The message has no such field, or it is no number.
        """
        value = message
        for part in self._parts:
            assert part is not None
            name, key = part.groups()
            if not hasattr(value, name):
                raise UserError(
                    f"there is no '{name}' in {_kind(value)} (field is {self._path}): it has {_fields(value)}"
                )
            value = getattr(value, name) if key is None else self._entry(value, name, key)
        try:
            axes = [value.x, value.y, value.z] if all(hasattr(value, axis) for axis in "xyz") else None
            number = float(value) if axes is None else math.hypot(*axes)
        except (TypeError, ValueError):
            raise UserError(
                f"field {self._path} is {_kind(value)}, not a number: name one of its fields or entries"
            ) from None
        if not math.isfinite(number):
            raise UserError(f"field {self._path} is {number}: check what measures it")
        return number

    def _entry(self, owner: Any, name: str, key: str) -> Any:
        entries = getattr(owner, name)
        named: Sequence[str] = next((list(getattr(owner, names)) for names in _NAMES if hasattr(owner, names)), ())
        if key in named:
            number = named.index(key)
        elif key.isdecimal():
            number = int(key)
        else:
            known = f"one of {', '.join(named)}" if named else "a whole number from 0"
            raise UserError(f"there is no entry '{key}' in {name} (field is {self._path}): expected {known}")
        try:
            return entries[number]
        except (IndexError, TypeError):
            raise UserError(f"{name} has no entry {number} (field is {self._path}): the message is too short") from None


def _kind(value: Any) -> str:
    return type(value).__name__


def _fields(value: Any) -> str:
    names: Sequence[str] = list(getattr(type(value), "get_fields_and_field_types", dict)())
    return ", ".join(names) or "no fields"


@dataclass(frozen=True)
class ThresholdGate:
    """When a measured value counts as done.

    Args:
        threshold: In the value's unit.
        side: Whether it is done above or below it.
        hysteresis: Once done, the value may go back by so much over the threshold.

    Raises:
        UserError: A number is out of range.
    """

    threshold: float
    side: Literal["above", "below"] = "above"
    hysteresis: float = 0.0

    def __post_init__(self) -> None:
        if self.side not in ("above", "below"):
            raise UserError(f"the side of the threshold is '{self.side}', expected above or below")
        if not (math.isfinite(self.threshold) and math.isfinite(self.hysteresis) and self.hysteresis >= 0.0):
            raise UserError(
                f"threshold is {self.threshold} and hysteresis {self.hysteresis}: expected numbers, the second from 0"
            )

    def counts(self, value: float, done: bool = False) -> bool:
        """Whether a value counts, given that the task was or was not done so far."""
        slack = self.hysteresis if done else 0.0
        return value >= self.threshold - slack if self.side == "above" else value <= self.threshold + slack
