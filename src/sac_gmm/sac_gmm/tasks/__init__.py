"""Tasks: PyBullet scenes of the simulated arm as Gymnasium environments. Never imports torch."""

from __future__ import annotations

from typing import Any

from sac_gmm.errors import SacGmmError
from sac_gmm.tasks.cameras import Camera, CameraInfo
from sac_gmm.tasks.door import DoorTask
from sac_gmm.tasks.lever import LeverTask
from sac_gmm.tasks.peg import EasyPegTask, MediumPegTask, PegTask
from sac_gmm.tasks.randomisation import Randomisation
from sac_gmm.tasks.sensors import IMAGE_GROUPS, PRIVILEGED, VECTOR_GROUPS, DepthSensor, RgbSensor, Sensor
from sac_gmm.tasks.task import Task
from sac_gmm.tasks.teleoperator import ScriptedTeleoperator

TASKS: dict[str, type[Task]] = {task.name: task for task in (DoorTask, LeverTask, PegTask, MediumPegTask, EasyPegTask)}

__all__ = [
    "IMAGE_GROUPS",
    "PRIVILEGED",
    "TASKS",
    "VECTOR_GROUPS",
    "Camera",
    "CameraInfo",
    "DepthSensor",
    "Randomisation",
    "RgbSensor",
    "ScriptedTeleoperator",
    "Sensor",
    "Task",
    "make_task",
]


def make_task(name: str, **options: Any) -> Task:
    """Build a task by name.

    Args:
        name: A key of `TASKS`.
        options: Keyword arguments of the task, such as `target_noise_std_m` and `control_rate_hz`.

    Raises:
        SacGmmError: There is no task or option of that name, or a value is out of range.
    """
    if name not in TASKS:
        raise SacGmmError(f"there is no task '{name}'; choose one of: {', '.join(TASKS)}")
    try:
        return TASKS[name](**options)
    except TypeError as error:
        raise SacGmmError(f"task '{name}': {error}") from error
