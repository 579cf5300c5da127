"""A calibrated camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sac_gmm.core.errors import UserError

_MODELS = ("plumb_bob", "rational_polynomial")  # distortion models, by their ROS names


@dataclass(frozen=True)
class Camera:
    """Pin-hole camera with plumb-bob distortion, as in sensor_msgs/CameraInfo.

    Attributes:
        width: Width in pixels of the calibrated picture size.
        height: Its height in pixels.
        matrix: (3, 3) intrinsic matrix K in pixels, float64.
        distortion: (0,), (4,), (5,) or (8,) coefficients D, float64; empty or zero for a rectified picture.
    """

    width: int
    height: int
    matrix: npt.NDArray[np.float64]
    distortion: npt.NDArray[np.float64]

    @classmethod
    def create(
        cls,
        width: int,
        height: int,
        matrix: npt.ArrayLike | Sequence[float],
        distortion: npt.ArrayLike = (),
        model: str = "",
    ) -> Camera:
        """Check a calibration and build the camera from it.

        Args:
            width: Picture width in pixels.
            height: Picture height in pixels.
            matrix: (3, 3) or (9,) intrinsic matrix, row-major, pixels.
            distortion: Distortion coefficients.
            model: Name of the distortion model; empty if unknown.

        Raises:
            UserError: The calibration is empty (all zero, as uncalibrated drivers publish), uses an unsupported model,
                or makes no sense.
        """
        if model and model not in _MODELS:  # a fish-eye model may have as many coefficients with another meaning
            raise UserError(
                f"camera calibration: the distortion model is '{model}', expected {' or '.join(_MODELS)}: undistort "
                "the pictures first and give the calibration of those, or calibrate the camera with plumb_bob"
            )
        K = np.array(matrix, dtype=np.float64)
        D = np.array(distortion, dtype=np.float64).ravel()
        if K.size != 9:
            raise UserError(f"camera calibration: the matrix K has {K.size} numbers, expected 9: calibrate the camera")
        K = K.reshape(3, 3)
        if not (np.isfinite(K).all() and np.isfinite(D).all()):
            raise UserError("camera calibration: K or D holds a number that is not finite: calibrate the camera")
        if width <= 0 or height <= 0 or K[0, 0] <= 0.0 or K[1, 1] <= 0.0 or K[2, 2] != 1.0:
            raise UserError(
                f"camera calibration: {width}x{height} with focal lengths {K[0, 0]:g} and {K[1, 1]:g} px is not a "
                "calibrated camera: publish camera_info with the calibration of this camera"
            )
        if D.size not in (0, 4, 5, 8):
            raise UserError(
                f"camera calibration: {D.size} distortion coefficients, expected 0, 4, 5 or 8 (plumb_bob or "
                "rational_polynomial): rectify the picture first"
            )
        return cls(int(width), int(height), K, D)

    def windowed(self, roi: tuple[int, int, int, int] = (0, 0, 0, 0), binning: tuple[int, ...] = (0, 0)) -> Camera:
        """The camera of the pictures that a driver sends of this one, as sensor_msgs/CameraInfo means it.

        Args:
            roi: x, y, width, height of the region of interest in pixels of this camera; width and height 0 for all.
            binning: Pixels along x and y that become one; 0 is 1.

        Raises:
            UserError: The region does not lie within the picture.
        """
        x, y, width, height = roi[0], roi[1], roi[2] or self.width - roi[0], roi[3] or self.height - roi[1]
        if min(x, y, *binning) < 0 or min(width, height) <= 0 or x + width > self.width or y + height > self.height:
            raise UserError(
                f"camera calibration: the region of interest of {width}x{height} at {x}, {y} does not lie within the "
                f"{self.width}x{self.height} of the calibration: publish camera_info with the full size and its region"
            )
        across, down = (max(pixels, 1) for pixels in binning)
        K = self.matrix.copy()
        K[0, 2], K[1, 2] = K[0, 2] - x, K[1, 2] - y
        K[0] /= across
        K[1] /= down
        return Camera(width // across, height // down, K, self.distortion)

    def resized(self, width: int, height: int) -> Camera:
        """The camera of pictures that are resized; the edges of both lie on each other, as for OpenCV's `resize`."""
        across, down = width / self.width, height / self.height
        K = self.matrix.copy()
        K[:2, 2] += 0.5  # from the centre of the first pixel to its corner
        K[0] *= across
        K[1] *= down
        K[:2, 2] -= 0.5
        return Camera(width, height, K, self.distortion)
