"""Sensors that take time to read, and the groups that make up an observation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sac_gmm.core.errors import UserError
from sac_gmm.tasks.sensing.cameras import SceneCamera

# Vector groups of a task that takes a twist: read at every step, observed unless `groups` says otherwise.
VECTOR_GROUPS: dict[str, dict[str, spaces.Box]] = {
    "proprio": {
        "ee_position_m": spaces.Box(-2.0, 2.0, (3,), np.float64),
        "ee_velocity_m_s": spaces.Box(-10.0, 10.0, (3,), np.float64),
        "joint_position_rad": spaces.Box(-np.pi, np.pi, (7,), np.float64),
    },
    "target": {"target_m": spaces.Box(-2.0, 2.0, (3,), np.float64)},
    "wrench": {"wrench": spaces.Box(-1e4, 1e4, (6,), np.float64)},
}
# Read on demand; `Scene.sensors` holds those that a scene has.
IMAGE_GROUPS = ("tactile", "depth", "rgb")
# The true state of the scene, for scoring: `Scene.truth`. No observation may hold it.
PRIVILEGED = "privileged"


class Sensor(Protocol):
    """A sensor that is read on demand."""

    @property
    def space(self) -> spaces.Box:
        """Shape, type and range of a reading."""

    def read(self) -> NDArray[Any]:
        """Take a reading, as described by `space`."""


class RgbSensor:
    """Colours of a camera, 0-255, shape (height, width, 3)."""

    def __init__(self, camera: SceneCamera) -> None:
        self.camera = camera
        self.space = spaces.Box(0, 255, (camera.info.height, camera.info.width, 3), np.uint8)

    def read(self) -> NDArray[np.uint8]:
        """Take a picture."""
        return self.camera.rgb()


class DepthSensor:
    """Distance from a camera's image plane, m, shape (height, width), float32; `far_m` where there is nothing."""

    def __init__(self, camera: SceneCamera) -> None:
        self.camera = camera
        self.space = spaces.Box(0.0, camera.far_m, (camera.info.height, camera.info.width), np.float32)

    def read(self) -> NDArray[np.float32]:
        """Take a picture."""
        return self.camera.depth_m()


def check_groups(
    task: str,
    groups: Iterable[str],
    sensors: Mapping[str, Sensor],
    vector_groups: Mapping[str, Mapping[str, spaces.Box]] = VECTOR_GROUPS,
) -> tuple[str, ...]:
    """Return the groups of an observation in the given order, without duplicates.

    Raises:
        UserError: The groups include the truth, or one for which the task has no sensor.
    """
    chosen = tuple(dict.fromkeys(groups))
    known = (*vector_groups, *sensors)
    for group in chosen:
        if group == PRIVILEGED:
            raise UserError(f"groups: '{PRIVILEGED}' is the truth, for scoring alone; no observation can hold it")
        if group not in known:
            raise UserError(f"groups: task '{task}' has no '{group}'; choose among: {', '.join(known)}")
    return chosen


def observation_space(
    groups: Iterable[str],
    sensors: Mapping[str, Sensor],
    vector_groups: Mapping[str, Mapping[str, spaces.Box]] = VECTOR_GROUPS,
) -> spaces.Dict:
    """Observation space of these groups: the entries of each vector group, and one entry per sensor, by its name."""
    entries: dict[str, spaces.Space[Any]] = {}
    for group in groups:
        entries |= vector_groups[group] if group in vector_groups else {group: sensors[group].space}
    return spaces.Dict(entries)
