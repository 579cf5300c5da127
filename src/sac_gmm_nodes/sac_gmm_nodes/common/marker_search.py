"""A marker or a board of markers in the fixed camera's pictures: the parameters, the calibration, and the detector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from sensor_msgs.msg import CameraInfo

from sac_gmm.perception import ArucoDetector, BoardDetector, Camera, dictionary_names, load_board
from sac_gmm_nodes.common.node import BaseNode
from sac_gmm_nodes.common.pictures import Calibration


class MarkerSearch:
    """Finds out for each picture what looks for the marker in it.

    Attributes:
        marker_id: The marker that is looked for; of a board, the one with the lowest number.

    Args:
        node: Receives the parameters; it calls `calibrate` with what comes on camera_info.
        marker_id: The default of its parameter.
        purpose: What the marker is for, in its description.

    Raises:
        UserError: A parameter is out of range, or the board's file cannot be read.
    """

    def __init__(self, node: BaseNode, marker_id: int, purpose: str) -> None:
        dictionary = node.text("dictionary", "DICT_4X4_50", "marker dictionary", dictionary_names())
        self.marker_id = node.whole("marker_id", marker_id, 0, 1000, purpose)
        size_m = node.real("marker_size_m", 0.08, 0.005, 1.0, "m", "side of the marker's black square")
        similarity = node.real(
            "min_similarity", 0.8, 0.3, 1.0, "", "correlation with the drawn marker that a candidate must reach"
        )
        file = node.text("board_file", "", "a board of markers, YAML, instead of the one marker; empty for none")
        min_markers = node.whole("min_markers", 1, 1, 100, "markers of a board that must be seen")
        board = load_board(Path(file).expanduser()) if file else None
        marker = self.marker_id

        def make(camera: Camera) -> ArucoDetector | BoardDetector:
            if board is not None:
                return BoardDetector(board, camera, min_markers=min_markers, min_similarity=similarity)
            return ArucoDetector(dictionary, marker, size_m, camera, min_similarity=similarity)

        # Invalid parameters are rejected now, not with the first calibration.
        make(Camera.create(640, 480, [600.0, 0.0, 320.0, 0.0, 600.0, 240.0, 0.0, 0.0, 1.0]))
        if board is not None:
            self.marker_id = min(board.places)
        self._make: Callable[[Camera], ArucoDetector | BoardDetector] = make
        self.detector: ArucoDetector | BoardDetector | None = None
        self._size = (0, 0)  # of the pictures that it is for
        self._calibration = Calibration("no calibration has arrived on camera_info yet: start the camera's driver")
        cv2.setNumThreads(1)  # a frame takes a millisecond; more threads only disturb other processes

    def calibrate(self, message: CameraInfo) -> None:
        """Take the camera's calibration."""
        if self._calibration.take(message):
            self.detector = None

    def detector_for(self, picture: np.ndarray) -> ArucoDetector | BoardDetector:
        """What looks for the marker in a picture.

        Raises:
            UserError: There is no calibration, or none for pictures of this size.
        """
        size = (picture.shape[1], picture.shape[0])
        if self.detector is None or size != self._size:
            self.detector = self._make(self._calibration.camera(size))
            self._size = size
        return self.detector


def why_unseen(detector: ArucoDetector | BoardDetector | None) -> str:
    """Why the marker was not found in the last picture, as far as is known."""
    return (
        detector.near_miss if detector is not None else ""
    ) or "marker not in the image (one without a white margin of three quarters of a module is not found)"
