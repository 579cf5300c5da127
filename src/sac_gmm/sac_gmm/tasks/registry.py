"""The tasks by name: those of this package, and those in the files listed in SAC_GMM_TASKS."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import load_module
from sac_gmm.tasks.scene import Scene
from sac_gmm.tasks.scenes.door import DoorTask
from sac_gmm.tasks.scenes.lever import LeverTask
from sac_gmm.tasks.scenes.peg import EasyPegTask, MediumPegTask, PegTask
from sac_gmm.tasks.twist_task import Task

OWN_TASKS = "SAC_GMM_TASKS"  # environment variable: Python files, separated as in PATH

TASKS: dict[str, type[Scene]] = {task.name: task for task in (DoorTask, LeverTask, PegTask, MediumPegTask, EasyPegTask)}


def task_class(name: str) -> type[Scene]:
    """The class of a task.

    Raises:
        UserError: There is no task of that name.
    """
    if name not in TASKS:
        raise UserError(f"there is no task '{name}'; choose one of: {', '.join(TASKS)}")
    return TASKS[name]


def make_scene(name: str, **options: Any) -> Scene:
    """Build a task by name, whatever kind of action it takes.

    Args:
        name: A key of `TASKS`.
        options: Keyword arguments of its class.

    Raises:
        UserError: There is no task or option of that name, or a value is out of range.
    """
    try:
        return task_class(name)(**options)
    except TypeError as error:
        raise UserError(f"task '{name}': {error}") from error


def make_task(name: str, **options: Any) -> Task:
    """Build a task that takes a twist, by name.

    Args:
        name: A key of `TASKS`.
        options: Keyword arguments of the task, such as `target_noise_std_m` and `control_rate_hz`.

    Raises:
        UserError: As for `make_scene`, or the task does not take a twist.
    """
    if not issubclass(task_class(name), Task):
        raise UserError(f"task '{name}' is not commanded by a twist: choose one that is, or build it with make_scene")
    task = make_scene(name, **options)
    assert isinstance(task, Task)
    return task


def add_own_tasks() -> None:
    """Add the tasks in the files listed in the environment variable, which child processes inherit.

    Raises:
        UserError: A file is missing, fails to import or has no task, or the name of its task is taken.
    """
    for file in filter(None, os.environ.get(OWN_TASKS, "").split(os.pathsep)):
        for task in _tasks_in(Path(file)):
            if TASKS.setdefault(task.name, task) is not task:
                raise UserError(f"{file}: there is a task '{task.name}' already: give this one another name")


def _tasks_in(file: Path) -> list[type[Scene]]:
    module = load_module(file, "sac_gmm_task", OWN_TASKS)
    own = [kind for kind in vars(module).values() if isinstance(kind, type) and kind.__module__ == module.__name__]
    tasks = [kind for kind in own if issubclass(kind, Scene) and hasattr(kind, "name")]
    if not tasks:
        raise UserError(f"{file} holds no task: expected a class over sac_gmm.tasks.Task, or Scene, with a name")
    return tasks
