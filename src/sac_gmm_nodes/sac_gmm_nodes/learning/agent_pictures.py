"""The pictures of a camera or sensor of any size, as the agent's coding expects them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo

from sac_gmm.core.errors import UserError
from sac_gmm.methods.sac_gmm.images import CameraPlace, ImageCoding
from sac_gmm.perception import Fit
from sac_gmm_nodes.common.pictures import AnyImage, Calibration, depth_array, rgb_array

_SAME_FOCAL = 0.05  # focal lengths that differ by a smaller share are the same


class AgentPictures:
    """Cuts and resizes pictures to the size of the coding.

    If the agent knows its camera's focal length, what is cut out is what a camera of that focal length sees; otherwise
    it is the largest part around the middle of the right shape. A picture of the right size stays as it is.

    Args:
        group: `rgb`, `depth` or `tactile`.
        coding: What the agent expects; None if it takes any size.
        camera: The camera as the agent knows it; None if it does not.
        info_topic: The topic of the calibration, for messages.
        warn: Called with what is wrong, once for each calibration.
    """

    def __init__(
        self,
        group: str,
        coding: ImageCoding | None,
        camera: CameraPlace | None,
        *,
        info_topic: str,
        warn: Callable[[str], Any],
    ) -> None:
        self._group, self._warn, self._info_topic = group, warn, info_topic
        self._wanted = None if coding is None else (coding.shape[2], coding.shape[1])  # width and height
        self._focal_px = None if camera is None else camera.focal_px
        self._calibration = Calibration(
            f"no calibration has arrived on {info_topic}, and the camera's pictures are of another size than the "
            "agent's: have its driver publish it, so that they can be cut to the agent's view"
        )
        self._fit: Fit | None = None

    def calibrate(self, message: CameraInfo) -> None:
        """Take the camera's calibration."""
        if self._calibration.take(message):
            self._fit = None

    def picture(self, message: AnyImage) -> NDArray[Any]:
        """What the agent sees of a picture: colours (H, W, 3), metres (H, W), or of both fingers (2, H, W).

        Raises:
            UserError: Its encoding is not known, there is no calibration for it, or the camera sees too little.
        """
        if self._group == "rgb":
            picture = rgb_array(message)
            return self._fit_for(picture).picture(picture)
        metres = depth_array(message)
        if self._group != "tactile":
            return self._fit_for(metres).distances(metres)
        if len(metres) % 2:
            raise UserError(
                f"the tactile sensor sends {metres.shape[1]} x {metres.shape[0]}: expected two pictures of one size, "
                "one above the other"
            )
        fingers = np.split(metres, 2)
        fit = self._fit_for(fingers[0])
        return np.stack([fit.distances(finger) for finger in fingers])

    def _fit_for(self, picture: NDArray[Any]) -> Fit:
        size = (picture.shape[1], picture.shape[0])
        if self._fit is None or self._fit.size != size:
            self._fit = self._make_fit(size)
        return self._fit

    def _make_fit(self, size: tuple[int, int]) -> Fit:
        wanted = self._wanted or size
        if self._focal_px is None:
            return Fit.to_size(size, wanted)
        if size != wanted:
            return Fit.to_view(self._calibration.camera(size), wanted, self._focal_px)
        if self._calibration.has_come:
            self._compare(float(self._calibration.camera(size).matrix[0, 0]), self._focal_px)
        return Fit.to_size(size, wanted)

    def _compare(self, focal_px: float, expected_px: float) -> None:
        """A picture that has the right size may still be of another lens."""
        if abs(focal_px / expected_px - 1.0) > _SAME_FOCAL:
            self._warn(
                f"{self._info_topic} says that the pictures have a focal length of {focal_px:.1f} px, the method's "
                f"settings say {expected_px:.1f}: the agent looks for the target in the wrong place; set focal_px "
                "there, or publish larger pictures, which are cut to the agent's view"
            )
