"""Where a method's settings come from: config/methods/<method>.yaml, then config/methods/<method>/<task>.yaml.

A method that `extends` another takes that one's files first. A task of one's own may bring <task>.<method>.yaml beside
its Python file, a method of one's own <method>.yaml beside its. Each file gives the values that differ from those
before it; comments in it say why.
"""

from __future__ import annotations

import inspect
import json
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from sac_gmm.core.errors import UserError
from sac_gmm.methods.method import Method
from sac_gmm.methods.registry import method, own_folder
from sac_gmm.tasks import TASKS

CONFIG = Path("config/methods")


def load_settings(chosen: Method, task: str | None = None, folder: Path | str = CONFIG) -> Any:
    """The settings of a method; `task` takes in what differs for that task.

    Raises:
        UserError: There is no such folder, or a file in it cannot be read or holds a value that is unknown or refused.
    """
    folder = Path(folder)
    if not folder.is_dir():
        hint = "settings are YAML files now, one a method" if folder.is_file() else "run this in the workspace"
        raise UserError(f"{folder} is not a folder of settings: {hint}, or give --config config/methods")
    value: dict[str, Any] = {}
    settings = chosen.settings.from_json({})
    for path in filter(Path.is_file, _files(chosen, task, folder)):
        value = _merged(value, read_yaml(path))
        try:
            settings = chosen.settings.from_json(value)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
    return settings


def _files(chosen: Method, task: str | None, folder: Path) -> Iterator[Path]:
    """The files of settings, each overridden by those after it."""
    if chosen.extends:
        yield from _files(method(chosen.extends), task, folder)
    own = own_folder(chosen.name)
    if own is not None:
        yield own / f"{chosen.name}.yaml"
    yield folder / f"{chosen.name}.yaml"
    if task is not None:
        yield folder / chosen.name / f"{task}.yaml"
        if task in TASKS:  # a robot may have one that is not simulated
            yield Path(inspect.getfile(TASKS[task])).parent / f"{task}.{chosen.name}.yaml"


def _merged(value: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """`value` with what `other` says; parts (mappings of the first level) are merged name by name."""
    merged = dict(value)
    for name, new in other.items():
        old = merged.get(name)
        merged[name] = {**old, **new} if isinstance(old, dict) and isinstance(new, dict) else new
    return merged


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file with names and values; empty where it holds nothing but comments.

    Raises:
        UserError: It cannot be read, or holds something else.
    """
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} is not YAML: {error}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UserError(f"{path} holds {reprlib.repr(value)}, expected names and values")
    return value


def parse_changes(changes: tuple[str, ...]) -> dict[str, Any]:
    """`name=value` pairs, values as JSON, as a dict; a value that is no JSON is taken as text.

    `True`, `False` and `NULL` are JSON too, whatever their case.

    Raises:
        UserError: There is no `=` in one.
    """
    parsed = {}
    for change in changes:
        name, separator, text = change.partition("=")
        if not separator:
            raise UserError(f"'{change}' is not of the form name=value")
        try:
            parsed[name] = json.loads(text.lower() if text.lower() in ("true", "false", "null") else text)
        except ValueError:
            parsed[name] = text
    return parsed
