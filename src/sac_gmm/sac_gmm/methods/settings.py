"""Load a method's settings: config/methods/<method>.yaml, then config/methods/<method>/<task>.yaml.

If a method `extends` another, that method's files come first. Your own task may have <task>.<method>.yaml beside its
Python file; your own method, <method>.yaml beside its file. Each file lists only the values that differ from the files
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
    """Load the settings of a method, including what differs for `task`.

    Raises:
        UserError: There is no such folder, or a file in it is unreadable or has an unknown name or invalid value.
    """
    folder = Path(folder)
    if not folder.is_dir():
        hint = "settings are YAML files now, one per method" if folder.is_file() else "run this in the workspace"
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
    """The settings files; later ones override earlier ones."""
    if chosen.extends:
        yield from _files(method(chosen.extends), task, folder)
    own = own_folder(chosen.name)
    if own is not None:
        yield own / f"{chosen.name}.yaml"
    yield folder / f"{chosen.name}.yaml"
    if task is not None:
        yield folder / chosen.name / f"{task}.yaml"
        if task in TASKS:  # a robot may have a task that is not simulated
            yield Path(inspect.getfile(TASKS[task])).parent / f"{task}.{chosen.name}.yaml"


def _merged(value: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """`value` updated with `other`; first-level mappings are merged name by name."""
    merged = dict(value)
    for name, new in other.items():
        old = merged.get(name)
        merged[name] = {**old, **new} if isinstance(old, dict) and isinstance(new, dict) else new
    return merged


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of names and values; empty if it has only comments.

    Raises:
        UserError: The file cannot be read, or has other content.
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
    """Parse `name=value` pairs into a dict. Values are JSON; anything else is taken as text.

    `True`, `False` and `NULL` are accepted in any case.

    Raises:
        UserError: A pair has no `=`.
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
