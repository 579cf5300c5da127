"""User settings, checked where they are set.

A settings class is a frozen dataclass. Fields made with `number` carry their unit, range and one line of help; the ROS
nodes declare their parameters from the same fields, so code, parameter description and error message share one range.
Classes read from JSON call `check_types`, and `check_ranges` for bounds that depend on other fields.
"""

from __future__ import annotations

import dataclasses
import math
import sys
import types
from collections.abc import Mapping
from typing import Any, get_args, get_origin, get_type_hints

from sac_gmm.core.errors import UserError


def number(default: Any, low: float, high: float, unit: str, text: str) -> Any:
    """A dataclass field for a number, or a tuple of numbers, within [low, high].

    Args:
        default: Default value; its type (int, float, tuple of floats) is the type of the setting.
        low: Smallest allowed value, in `unit`.
        high: Largest allowed value, in `unit`.
        unit: Unit as people write it, for example `m/s`; empty for a pure number.
        text: What the setting does, in one line.
    """
    return dataclasses.field(default=default, metadata={"low": low, "high": high, "unit": unit, "text": text})


def check_settings(settings: Any) -> None:
    """Check every field made with `number` against its range; call it in `__post_init__`.

    Raises:
        UserError: A value is not a finite number within its range. The message names the field and the range.
    """
    for field in dataclasses.fields(settings):
        if "low" in field.metadata:
            check_value(field, getattr(settings, field.name))


def check_value(field: dataclasses.Field, value: Any) -> None:
    """Check one value, or each entry of a tuple, against the range of `field`.

    Raises:
        UserError: The value is not a finite number within the range.
    """
    low, high = field.metadata["low"], field.metadata["high"]
    entries = value if isinstance(value, (tuple, list)) else (value,)
    if isinstance(field.default, tuple) and len(entries) != len(field.default):
        raise UserError(f"{field.name} has {len(entries)} entries: expected {len(field.default)}")
    for entry in entries:
        if isinstance(entry, bool) or not isinstance(entry, (int, float)):
            raise UserError(f"{field.name} = {entry!r} is not a number: expected {range_text(field)}")
        _check_range(field.name, entry, low, high, field.metadata["unit"])


def check_ranges(settings: Any, bounds: Mapping[str, tuple[float, float]]) -> None:
    """Check numeric fields of a dataclass against ranges; None is skipped.

    Args:
        settings: The dataclass; call this in `__post_init__`, after `check_types`.
        bounds: Lowest and highest allowed value by field name.

    Raises:
        UserError: A value is outside its range. The message names the field and the range.
    """
    for name, (low, high) in bounds.items():
        if (value := getattr(settings, name)) is not None:
            _check_range(name, value, low, high)


def range_text(field: dataclasses.Field) -> str:
    """Range of a field in words, for example `0.001 to 1 m/s`."""
    return _range_text(field.metadata["low"], field.metadata["high"], field.metadata["unit"])


def check_types(settings: Any) -> None:
    """Check that every field of a dataclass has its annotated type; call this in `__post_init__`.

    Raises:
        UserError: The message names the field, its value and what is expected.
    """
    for name, kind in get_type_hints(type(settings)).items():
        if not _is_a(value := getattr(settings, name), kind):
            raise UserError(f"{name} is {value!r}, expected {_expected(kind)}")


def _is_a(value: Any, kind: Any) -> bool:
    if get_origin(kind) is types.UnionType:
        return any(_is_a(value, one) for one in get_args(kind))
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        if not isinstance(value, tuple):
            return False
        if parts[-1] is Ellipsis:
            parts = parts[:1] * len(value)
        return len(parts) == len(value) and all(map(_is_a, value, parts))
    if isinstance(value, bool):  # in Python, a bool is an int
        return kind is bool
    if kind is float:  # finite: JSON has no NaN or infinity, and no method learns with them
        return isinstance(value, (int, float)) and abs(value) <= sys.float_info.max
    return isinstance(value, kind)


def _expected(kind: Any) -> str:
    """The expected type in words, for an error message."""
    if get_origin(kind) is types.UnionType:
        return " or ".join(map(_expected, get_args(kind)))
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        return f"a list of {'' if ... in parts else f'{len(parts)} '}{'whole ' * (parts[0] is int)}numbers"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", types.NoneType: "null"}
    return names.get(kind, f"an object with {', '.join(get_type_hints(kind))}")


def _check_range(name: str, value: float, low: float, high: float, unit: str = "") -> None:
    if not low <= value <= high or value == math.inf:  # also rejects NaN
        raise UserError(f"{name} = {_text(value)} is out of range: expected {_range_text(low, high, unit)}")


def _range_text(low: float, high: float, unit: str) -> str:
    words = f"at least {_text(low)}" if high == math.inf else f"{_text(low)} to {_text(high)}"
    return f"{words} {unit}".rstrip()


def _text(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
