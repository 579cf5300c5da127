"""Numbers a person may set: each with its unit, its range and one line of help, checked where they are set.

A settings class is a frozen dataclass whose fields are made with `number`. The ROS nodes declare their parameters from
the same fields, so that the range in the code, in the parameter's description and in the refusal is one range.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from sac_gmm.core.errors import UserError


def number(default: Any, low: float, high: float, unit: str, text: str) -> Any:
    """A dataclass field for a number, or a tuple of numbers, within [low, high].

    Args:
        default: The value when none is given; its type (int, float, tuple of floats) is the type of the setting.
        low: The smallest value allowed, in `unit`.
        high: The largest value allowed, in `unit`.
        unit: The unit as a person writes it, for example `m/s`; empty for a pure number.
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
        if not math.isfinite(entry) or not low <= entry <= high:
            raise UserError(f"{field.name} = {entry:g} is out of range: expected {range_text(field)}")


def range_text(field: dataclasses.Field) -> str:
    """The range of a field in words, for example `0.001 to 1 m/s`."""
    low, high, unit = field.metadata["low"], field.metadata["high"], field.metadata["unit"]
    return f"{low:g} to {high:g} {unit}".rstrip()
