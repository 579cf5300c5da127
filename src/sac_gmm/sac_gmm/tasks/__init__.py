"""Tasks: simulated scenes as Gymnasium environments. Never imports torch."""

from __future__ import annotations

from sac_gmm.tasks.actions import ActionKind, JointVelocities, Movement, Twist, TwistAndGripper
from sac_gmm.tasks.randomisation import Randomisation
from sac_gmm.tasks.registry import TASKS, add_own_tasks, make_scene, make_task, task_class
from sac_gmm.tasks.scene import Scene
from sac_gmm.tasks.sensing.cameras import CameraInfo, SceneCamera
from sac_gmm.tasks.sensing.sensors import IMAGE_GROUPS, PRIVILEGED, VECTOR_GROUPS, DepthSensor, RgbSensor, Sensor
from sac_gmm.tasks.teleoperator import ScriptedTeleoperator
from sac_gmm.tasks.twist_task import Task

Camera = SceneCamera  # the name that users' task files import

__all__ = [
    "IMAGE_GROUPS",
    "PRIVILEGED",
    "TASKS",
    "VECTOR_GROUPS",
    "ActionKind",
    "Camera",
    "CameraInfo",
    "DepthSensor",
    "JointVelocities",
    "Movement",
    "Randomisation",
    "RgbSensor",
    "Scene",
    "SceneCamera",
    "ScriptedTeleoperator",
    "Sensor",
    "Task",
    "Twist",
    "TwistAndGripper",
    "make_scene",
    "make_task",
    "task_class",
]

# Must come last: users' task files import the names above.
add_own_tasks()
