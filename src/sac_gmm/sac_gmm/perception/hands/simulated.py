"""Simulates a person's hand with a marker on the glove: camera pictures with known truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from sac_gmm.perception.camera import Camera
from sac_gmm.perception.extrinsics import RigidTransform
from sac_gmm.perception.render import clutter, degrade, render_marker

Array = npt.NDArray[np.float64]

_NOISE_PICTURES = 6  # drawn once and moved about: fresh noise for each picture would take most of the time


@dataclass(frozen=True)
class MarkerGlove:
    """The marker on the back of the hand.

    Attributes:
        dictionary: Name of a predefined dictionary.
        marker_id: The marker.
        size_m: Side of its black square.
        fingertip_m: The fingertip in the marker's axes (x right along its top edge, y up, z out of the marker).
    """

    dictionary: str = "DICT_4X4_50"
    marker_id: int = 3
    size_m: float = 0.06
    fingertip_m: tuple[float, float, float] = (0.01, 0.08, -0.05)


def looking_at(eye_m: npt.ArrayLike, at_m: npt.ArrayLike) -> RigidTransform:
    """Pose in the base frame of a camera that is at `eye_m`, looks at `at_m`, and has the base's z axis upwards."""
    eye = np.asarray(eye_m, np.float64)
    forward = np.asarray(at_m, np.float64) - eye
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return RigidTransform(eye, np.column_stack((right, np.cross(forward, right), forward)))


CAMERA = Camera.create(640, 480, [600.0, 0.0, 319.5, 0.0, 600.0, 239.5, 0.0, 0.0, 1.0])


class SimulatedHand:
    """Holds the fingertip at a given place, with a wrist that keeps rotating a little, and takes pictures of it.

    Args:
        seed: Seed of the wrist's rotation, the background and the noise.
        base_from_camera: Pose of the camera.
        glove: The marker.
        camera: The camera.
        wobble_rad: Standard deviation of the wrist's rotation about each axis.
        noise: Standard deviation of the pictures' noise, in grey values.
    """

    def __init__(
        self,
        seed: int,
        base_from_camera: RigidTransform,
        glove: MarkerGlove | None = None,
        camera: Camera = CAMERA,
        wobble_rad: float = 0.1,
        noise: float = 4.0,
    ) -> None:
        self.glove = glove or MarkerGlove()
        self.camera = camera
        self.base_from_camera = base_from_camera
        self._wobble_rad = wobble_rad
        self._rng = np.random.default_rng(seed)
        shape = (camera.height, camera.width)
        self._background = clutter(self._rng, *shape)
        self._noise = self._rng.normal(0.0, noise, (_NOISE_PICTURES, *shape)).round().astype(np.int16)
        self._turn = np.zeros(3)
        # Palm down, fingers away from the robot's base; the back of the hand is tilted towards the camera.
        self._resting = Rotation.from_euler("xz", [0.35, -0.9])

    def marker_pose(self, fingertip_m: Array, dt_s: float) -> RigidTransform:
        """The marker in the base frame, `dt_s` after the last call, with the fingertip at `fingertip_m` (3,)."""
        keep = float(np.exp(-dt_s / 0.5))  # the wrist rotates within half a second
        self._turn = keep * self._turn + np.sqrt(1.0 - keep**2) * self._wobble_rad * self._rng.standard_normal(3)
        rotation = (Rotation.from_rotvec(self._turn) * self._resting).as_matrix()
        return RigidTransform(fingertip_m - rotation @ np.array(self.glove.fingertip_m), rotation)

    def picture(self, marker: RigidTransform) -> npt.NDArray[np.uint8]:
        """(H, W) grey picture of the marker at a pose in the base frame."""
        pose = self.base_from_camera.inverse @ marker
        glove = self.glove
        drawn = render_marker(
            self._background,
            self.camera,
            glove.dictionary,
            glove.marker_id,
            glove.size_m,
            pose.position_m,
            pose.rotation,
        )
        blurred = degrade(drawn, self._rng, blur_px=0.7)
        noise = self._noise[self._rng.integers(_NOISE_PICTURES)]
        moved = np.roll(noise, tuple(self._rng.integers(0, noise.shape).tolist()), (0, 1))
        return np.clip(blurred + moved, 0, 255).astype(np.uint8)
