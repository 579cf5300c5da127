"""Tasks: PyBullet scenes of the simulated arm as Gymnasium environments. Never imports torch."""

from __future__ import annotations

from sac_gmm.tasks.randomisation import Randomisation
from sac_gmm.tasks.registry import TASKS, add_own_tasks, make_task, task_class
from sac_gmm.tasks.sensing.cameras import Camera, CameraInfo
from sac_gmm.tasks.sensing.sensors import IMAGE_GROUPS, PRIVILEGED, VECTOR_GROUPS, DepthSensor, RgbSensor, Sensor
from sac_gmm.tasks.teleoperator import ScriptedTeleoperator
from sac_gmm.tasks.twist_task import Task

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
    "task_class",
]

# Last, because a task of one's own imports what stands above.
add_own_tasks()
