"""Reads one YAML launch file into actions whose attributes are checked; what is not understood is refused by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from sac_gmm.core.errors import UserError

# The attributes of each action beside `if` and `unless`; those in capitals must be there.
ACTIONS = {
    "arg": ("NAME", "default", "description", "choice"),
    "let": ("NAME", "VALUE"),
    "set_env": ("NAME", "VALUE"),
    "node": (
        *("PKG", "EXEC", "name", "namespace", "args", "param", "remap", "env", "output"),
        *("respawn", "respawn_delay", "on_exit", "sigterm_timeout"),
    ),
    "include": ("FILE", "arg"),
    "group": ("CHILDREN", "scoped"),
}
# Lists of small mappings inside an action, with their attributes.
PARTS = {
    ("arg", "choice"): ("VALUE",),
    ("node", "param"): ("name", "value", "type", "from"),
    ("node", "remap"): ("FROM", "TO"),
    ("node", "env"): ("NAME", "VALUE"),
    ("include", "arg"): ("NAME", "VALUE"),
}
SUFFIXES = (".yaml", ".yml")
NOT_TEXT = {"value", "respawn_delay", "sigterm_timeout", "children", "scoped"}  # checked where they are used
NOT_YAML = (yaml.YAMLError, ValueError, RecursionError)  # ValueError: no UTF-8, or a day that no month has


@dataclasses.dataclass(frozen=True)
class Argument:
    """An argument that a launch file takes: `name:=value`. Without a default it must be given."""

    name: str
    default: str | None
    description: str
    choices: tuple[str, ...]


class Action(dict[str, Any]):
    """The attributes of one action, checked to be ones that are understood."""

    kind: str
    where: str


def load(path: Path) -> list[Action]:
    """Read and check one file, without the files it includes."""
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path}: `sac-gmm up` reads launch files in YAML only; this one needs `ros2 launch`")
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read launch file {path}: {error.strerror}") from error
    except NOT_YAML as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict) or list(tree) != ["launch"]:
        raise UserError(f"{path} is not a YAML launch file: it must have 'launch:' at its top and nothing beside it")
    try:
        return list(_checked(tree["launch"], path))
    except RecursionError:
        raise UserError(f"{path}: an alias (*NAME) stands inside what it refers to: write its actions out") from None


def _checked(entries: Any, path: Path) -> Iterator[Action]:
    if not isinstance(entries, list):
        raise UserError(f"{path}: 'launch' and 'group' need a list of actions")
    for entry in entries:
        if not isinstance(entry, dict) or len(entry) != 1:
            raise UserError(f"{path}: every action is one 'kind: {{attributes}}', found {str(entry)[:60]!r}")
        [(kind, attributes)] = entry.items()
        if kind not in ACTIONS:
            raise UserError(
                f"{path}: `sac-gmm up` does not know the action '{kind}'; it knows {', '.join(ACTIONS)}. "
                "`ros2 launch` knows more"
            )
        if kind == "group" and isinstance(attributes, list):
            attributes = {"children": attributes}
        called = attributes.get("name", attributes.get("exec", "")) if isinstance(attributes, dict) else ""
        where = f"{path}: {kind} '{called}'" if called else f"{path}: {kind}"
        lists = [key for owner, key in PARTS if owner == kind]
        _check_attributes(attributes, (*ACTIONS[kind], "if", "unless"), lists, where)
        if "if" in attributes and "unless" in attributes:
            raise UserError(f"{where}: 'if' and 'unless' exclude each other")
        for key in lists:
            if not isinstance(attributes.get(key, []), list):
                raise UserError(f"{where}: '{key}' must be a list")
            for part in attributes.get(key, []):
                _check_attributes(part, PARTS[kind, key], [], f"{where}: {key}")
        action = Action(attributes)
        action.kind, action.where = kind, where
        if kind == "group":
            action["children"] = list(_checked(attributes["children"], path))
        yield action


def _check_attributes(attributes: Any, allowed: tuple[str, ...], lists: list[str], where: str) -> None:
    if not isinstance(attributes, dict):
        raise UserError(f"{where} must be a mapping of attributes")
    names = [name.lower() for name in allowed]
    for key in attributes:
        if key not in names:
            raise UserError(f"{where}: `sac-gmm up` does not know the attribute '{key}'; it knows {', '.join(names)}")
        if key not in NOT_TEXT and key not in lists:
            text_of(attributes, key, where)
    for name in allowed:
        if name.isupper() and name.lower() not in attributes:
            raise UserError(f"{where}: the attribute '{name.lower()}' is missing")


def argument_of(action: Action) -> Argument:
    """The argument that an `arg` declares."""
    choices = tuple(text_of(part, "value", action.where) for part in action.get("choice", []))
    return Argument(action["name"], action.get("default"), action.get("description", ""), choices)


def text_of(attributes: dict[str, Any], key: str, where: str) -> str:
    """An attribute that must be text; `ros2 launch` refuses a bare number or true there as well."""
    value = attributes[key]
    if not isinstance(value, str):
        raise UserError(f"{where}: '{key}' must be text; put it in quotes: {key}: \"{str(value).lower()}\"")
    return value


def seconds_of(action: Action, key: str, default: float) -> float:
    """An attribute that must be a number of seconds."""
    value = action.get(key, default)
    if not isinstance(value, float) or value < 0.0:
        raise UserError(f"{action.where}: '{key}' must be a number of seconds with a decimal point, found {value!r}")
    return value
