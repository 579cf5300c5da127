"""Domain randomisation: changes from episode to episode beyond a task's own variation."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pybullet as pb
from numpy.typing import NDArray

from sac_gmm.core.errors import UserError
from sac_gmm.tasks.sensing.cameras import AMBIENT, LIGHT_DIRECTION, SceneCamera

_N_ARM_LINKS = 7  # their masses stay fixed; only those beyond the flange vary


@dataclass(frozen=True)
class Randomisation:
    """How much varies from episode to episode; nothing by default.

    Neither the arm's controller nor the skills know about it.

    Attributes:
        position_m: The scene moves by up to this much along x and y.
        yaw_rad: The scene turns about the target's vertical axis by up to this much in either direction.
        friction: Each body's friction is multiplied by up to 1 + this value, or down to its inverse.
        mass: The same factor for the mass of each body in the scene and of everything the gripper carries.
        light: 0 to 1; the light's direction turns by about this many radians, its brightness varies by half of it.
        camera_m: Position and aim of each camera, except the film camera, are off by this standard deviation per axis.
    """

    position_m: float = 0.0
    yaw_rad: float = 0.0
    friction: float = 0.0
    mass: float = 0.0
    light: float = 0.0
    camera_m: float = 0.0

    def __post_init__(self) -> None:
        largest = {"position_m": 0.2, "yaw_rad": np.pi, "friction": 4.0, "mass": 4.0, "light": 1.0, "camera_m": 0.1}
        for field in fields(self):
            value = getattr(self, field.name)
            valid = isinstance(value, int | float | np.floating) and np.isfinite(value)
            if not valid or not 0.0 <= value <= largest[field.name]:
                raise UserError(
                    f"randomisation: {field.name} is {value!r}; it must be a number from 0 to {largest[field.name]:g}"
                )


class Randomiser:
    """Draws the variation of a finished scene for one episode.

    Args:
        client: Physics client.
        arm: Body of the arm.
        cameras: Cameras by name.
        how: How much varies.
    """

    def __init__(self, client: int, arm: int, cameras: dict[str, SceneCamera], how: Randomisation) -> None:
        self._client, self._arm, self._how = client, arm, how
        self._cameras = [camera for name, camera in cameras.items() if name != "scene"]
        self._all_cameras = list(cameras.values())
        self._bodies = list(range(pb.getNumBodies(client)))
        self._factors: list[list[float]] = []  # friction and mass factors by body; empty until drawn
        self._nominal = {
            (body, link): pb.getDynamicsInfo(body, link, client)
            for body in self._bodies
            for link in range(-1, pb.getNumJoints(body, client))
        }

    def draw(self, rng: np.random.Generator, target_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """Vary the placed scene and return its true target afterwards, shape (3,)."""
        how = self._how
        if how.friction or how.mass:
            self._draw_dynamics(rng)
        if how.light:
            direction = np.array(LIGHT_DIRECTION) + how.light * rng.standard_normal(3)
            direction[2] = max(direction[2], 0.3)  # from above
            ambient = AMBIENT * (1.0 + 0.5 * how.light * rng.uniform(-1.0, 1.0))
            for camera in self._all_cameras:
                camera.light_direction, camera.ambient = tuple(direction.tolist()), float(ambient)
        if how.camera_m:
            for camera in self._cameras:
                camera.disturb(*(how.camera_m * rng.standard_normal((2, 3))))
        if how.position_m or how.yaw_rad:
            return self._move(rng, target_m)
        return target_m

    def memory(self) -> list[list[float]]:
        """The factors of the last draw by body, for `recall`; cameras and light keep their own state."""
        return self._factors

    def recall(self, factors: list[list[float]]) -> None:
        """Restore friction and mass of the bodies."""
        self._factors = factors
        self._scale_dynamics()

    def _draw_dynamics(self, rng: np.random.Generator) -> None:
        largest = (self._how.friction, self._how.mass)
        self._factors = [
            [float(np.exp(np.log1p(most) * rng.uniform(-1.0, 1.0))) for most in largest] for _ in self._bodies
        ]
        self._scale_dynamics()

    def _scale_dynamics(self) -> None:
        for body, (friction, mass) in zip(self._bodies, self._factors, strict=False):
            for (owner, link), info in self._nominal.items():
                if owner != body:
                    continue
                pb.changeDynamics(body, link, lateralFriction=friction * info[1], physicsClientId=self._client)
                if self._how.mass and info[0] > 0.0 and not (body == self._arm and link < _N_ARM_LINKS):
                    inertia = [mass * value for value in info[2]]
                    pb.changeDynamics(
                        body, link, mass=mass * info[0], localInertiaDiagonal=inertia, physicsClientId=self._client
                    )

    def _move(self, rng: np.random.Generator, target_m: NDArray[np.float64]) -> NDArray[np.float64]:
        moved_m = target_m + self._how.position_m * np.append(rng.uniform(-1.0, 1.0, 2), 0.0)
        yaw = self._how.yaw_rad * rng.uniform(-1.0, 1.0)
        turn = (0.0, 0.0, float(np.sin(0.5 * yaw)), float(np.cos(0.5 * yaw)))
        for body in self._bodies:
            if body == self._arm:
                continue
            position, orientation = pb.getBasePositionAndOrientation(body, self._client)
            from_target = (np.array(position) - target_m).tolist()
            position, orientation = pb.multiplyTransforms(moved_m.tolist(), turn, from_target, orientation)
            pb.resetBasePositionAndOrientation(body, position, orientation, self._client)
        return moved_m
