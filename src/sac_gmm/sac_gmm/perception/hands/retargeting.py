"""Maps the motion of a hand in front of a camera to the motion of an end-effector in the robot's base frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from sac_gmm.perception.extrinsics import RigidTransform
from sac_gmm.perception.hands.track import HandMotion

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ToolMotion:
    """A motion of the end-effector in the base frame.

    Attributes:
        time_s: (N,) evenly spaced.
        position_m: (N, 3).
        quaternion_xyzw: (N, 4).
        velocity_m_s: (N, 3).
    """

    time_s: Array
    position_m: Array
    quaternion_xyzw: Array
    velocity_m_s: Array


@dataclass(frozen=True)
class Retargeting:
    """The pose of the camera, and the place of the end-effector in the hand.

    Attributes:
        base_from_camera: Pose of the camera's optical frame in the base frame.
        tool_in_hand: Pose of the end-effector in the hand's (or the marker's) axes.
        base_frame: Name of the base frame.
        camera_frame: Name of the optical frame.
    """

    base_from_camera: RigidTransform = field(default_factory=RigidTransform)
    tool_in_hand: RigidTransform = field(default_factory=RigidTransform)
    base_frame: str = "camera_optical_frame"
    camera_frame: str = "camera_optical_frame"

    def apply(self, motion: HandMotion) -> ToolMotion:
        """The end-effector motion that corresponds to the hand's."""
        in_camera = motion.position_m + motion.rotation @ self.tool_in_hand.position_m
        position = self.base_from_camera.apply(in_camera)
        rotation = self.base_from_camera.rotation @ motion.rotation @ self.tool_in_hand.rotation
        velocity = np.gradient(position, motion.time_s, axis=0)
        return ToolMotion(motion.time_s, position, Rotation.from_matrix(rotation).as_quat(), velocity)

    def as_dict(self) -> dict[str, Any]:
        """The settings for a sidecar."""
        return {
            "base_frame": self.base_frame,
            "camera_frame": self.camera_frame,
            "base_from_camera": _listed(self.base_from_camera),
            "tool_in_hand": _listed(self.tool_in_hand),
        }


def _listed(pose: RigidTransform) -> dict[str, list[float]]:
    return {
        "position_m": [round(value, 6) for value in pose.position_m.tolist()],
        "quaternion_xyzw": [round(value, 6) for value in pose.quaternion_xyzw.tolist()],
    }
