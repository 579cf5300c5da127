"""Pinhole cameras drawn by PyBullet's software renderer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pybullet as pb
from numpy.typing import NDArray

# PyBullet's own defaults, except for the direction.
LIGHT_DIRECTION = (0.4, -0.6, 1.0)
AMBIENT, DIFFUSE = 0.6, 0.35


@dataclass(frozen=True)
class CameraInfo:
    """Intrinsics of an ideal pinhole camera, in pixels, and the frame of its images."""

    frame_id: str
    width: int
    height: int
    focal_px: float

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Camera matrix, shape (3, 3), principal point at the centre of the image."""
        return np.array(
            [[self.focal_px, 0.0, 0.5 * self.width], [0.0, self.focal_px, 0.5 * self.height], [0.0, 0.0, 1.0]]
        )


class SceneCamera:
    """A camera in a PyBullet scene; `perception.Camera` is the model of a real one.

    Args:
        client: Physics client.
        frame_id: Name of the optical frame.
        width: Image width, pixels.
        height: Image height, pixels.
        vertical_field_of_view_deg: Full angle.
        near_m: Anything closer is invisible.
        far_m: Anything farther away is invisible.
    """

    def __init__(
        self,
        client: int,
        frame_id: str,
        width: int,
        height: int,
        vertical_field_of_view_deg: float,
        near_m: float = 0.01,
        far_m: float = 3.0,
    ):
        self._client = client
        focal_px = 0.5 * height / np.tan(0.5 * np.deg2rad(vertical_field_of_view_deg))
        self.info = CameraInfo(frame_id, width, height, float(focal_px))
        self._near_m, self.far_m = near_m, far_m
        self._projection = pb.computeProjectionMatrixFOV(vertical_field_of_view_deg, width / height, near_m, far_m)
        self._view: list[float] = []
        self.light_direction = LIGHT_DIRECTION
        self.ambient = AMBIENT
        self._off_m = np.zeros((2, 3))
        self._place: tuple[NDArray[np.float64], ...] = ()

    def look(self, eye_m: NDArray[np.float64], at_m: NDArray[np.float64], up: NDArray[np.float64]) -> None:
        """Stand at `eye_m` and look at `at_m`, both (3,) in the base frame, with `up` pointing up in the image."""
        self._place = eye_m, at_m, up
        self._view = pb.computeViewMatrix(list(eye_m + self._off_m[0]), list(at_m + self._off_m[1]), list(up))

    def disturb(self, eye_m: NDArray[np.float64], at_m: NDArray[np.float64]) -> None:
        """Offset position and aim, both (3,), from now on, like a camera that is mounted imprecisely."""
        self._off_m[:] = eye_m, at_m
        if self._place:
            self.look(*self._place)

    def memory(self) -> dict[str, Any]:
        """Pose of the camera and lighting of the scene, for `recall`."""
        return {
            "place": self._place,
            "off_m": self._off_m,
            "light_direction": self.light_direction,
            "ambient": self.ambient,
        }

    def recall(self, memory: dict[str, Any]) -> None:
        """Restore what `memory` returned."""
        self.light_direction, self.ambient = tuple(memory["light_direction"]), memory["ambient"]
        self._off_m[:] = memory["off_m"]
        if memory["place"]:
            self.look(*(np.array(vector, np.float64) for vector in memory["place"]))

    @property
    def pose(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pose of the optical frame in the base frame: position (3,) and rotation (3, 3).

        In the optical frame, x points right in the image, y down, z ahead.
        """
        view = np.array(self._view).reshape(4, 4).T  # from the base frame to axes right, up, backwards
        rotation = view[:3, :3].T * [1.0, -1.0, -1.0]
        return -view[:3, :3].T @ view[:3, 3], rotation

    def rgb(self) -> NDArray[np.uint8]:
        """Take a picture: colours 0-255, shape (height, width, 3)."""
        picture = np.asarray(self._take()[2], dtype=np.uint8)
        return np.ascontiguousarray(picture.reshape(self.info.height, self.info.width, 4)[..., :3])

    def depth_m(self) -> NDArray[np.float32]:
        """Measure distances from the image plane: metres, shape (height, width); `far_m` where there is nothing."""
        buffer = np.asarray(self._take()[3], dtype=np.float64).reshape(self.info.height, self.info.width)
        near, far = self._near_m, self.far_m
        return (far * near / (far - (far - near) * buffer)).astype(np.float32)

    def _take(self) -> tuple[Any, ...]:
        return pb.getCameraImage(
            self.info.width,
            self.info.height,
            self._view,
            self._projection,
            lightDirection=self.light_direction,
            lightAmbientCoeff=self.ambient,
            lightDiffuseCoeff=DIFFUSE * self.ambient / AMBIENT,
            shadow=0,
            flags=pb.ER_NO_SEGMENTATION_MASK,
            renderer=pb.ER_TINY_RENDERER,
            physicsClientId=self._client,
        )
