"""Tracks a hand by an ArUco marker on a glove or on the tool in the hand, which gives a metric 6-D pose."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sac_gmm.core.late_stamps import JITTER_NS
from sac_gmm.perception.aruco import ArucoDetector, MarkerPose
from sac_gmm.perception.camera import Camera
from sac_gmm.perception.hands.pose import HandPose

_JITTER_S = JITTER_NS * 1e-9
_FORGET_S = 0.5  # after this long without the marker, its last pose no longer helps
_APART_RAD = 0.2  # two solutions that are turned by less are as good as one
_GOOD_REPROJECTION_PX = 1.0  # confidence halves there


class MarkerHandTracker:
    """Tracks the marker on one hand.

    Args:
        dictionary: Name of a predefined dictionary, such as DICT_4X4_50.
        marker_id: The marker on the hand.
        size_m: Side of its black square.
        camera: The calibrated camera.

    Raises:
        UserError: Unknown dictionary or id, or a size out of range.
    """

    def __init__(self, dictionary: str, marker_id: int, size_m: float, camera: Camera) -> None:
        self._detector = ArucoDetector(dictionary, marker_id, size_m, camera)
        self._previous: MarkerPose | None = None
        self._previous_s = -np.inf

    @property
    def near_miss(self) -> str:
        """What was in the last picture in place of the marker, see `MarkerFinder.near_miss`."""
        return self._detector.near_miss

    @property
    def repeated(self) -> str:
        """Whether it was in the last picture more than once, see `MarkerFinder.repeated`."""
        return self._detector.repeated

    @property
    def ambiguous(self) -> bool:
        """Whether the last pose has a second one, plainly turned otherwise, that fits its picture as well."""
        pose = self._previous
        if pose is None or pose.other is None or not pose.ambiguous:
            return False
        cosine = 0.5 * (float(np.trace(pose.rotation.T @ pose.other.rotation)) - 1.0)
        return bool(cosine < np.cos(_APART_RAD))

    def track(self, image: npt.NDArray[np.uint8], time_s: float) -> HandPose | None:
        """The pose of the marker in a picture taken at `time_s`; None if it is not seen or no pose explains it.

        Raises:
            UserError: The picture has another size than the calibration.
        """
        if not -_JITTER_S <= time_s - self._previous_s <= _FORGET_S:
            self._previous = None
        marker = self._detector.detect(image, self._previous)
        if marker is None or marker.pose is None:
            return None
        self._previous, self._previous_s = marker.pose, time_s
        pose = marker.pose
        confidence = max(marker.similarity, 0.0) / (1.0 + (pose.reprojection_px / _GOOD_REPROJECTION_PX) ** 2)
        return HandPose(pose.position_m, pose.rotation, float(confidence), "marker")
