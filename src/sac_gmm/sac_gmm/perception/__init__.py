"""Perception: markers, lamps, and the reward they trigger. Pictures are arrays; nothing here knows ROS or a task."""

from sac_gmm.perception.aruco import ArucoDetector, Marker, Sighting
from sac_gmm.perception.board import BoardDetector, MarkerBoard, load_board
from sac_gmm.perception.camera import Camera
from sac_gmm.perception.fitting import Fit
from sac_gmm.perception.image_encodings import (
    image_array,
    metres_array,
    uncompressed_metres,
    uncompressed_picture,
)
from sac_gmm.perception.lamp import LampGate
from sac_gmm.perception.marker_image import dictionary_names, marker_image
from sac_gmm.perception.marker_pose import MarkerPose
from sac_gmm.perception.reward import MarkerGate, RewardDebouncer, RewardJudge

__all__ = [
    "ArucoDetector",
    "BoardDetector",
    "Camera",
    "Fit",
    "LampGate",
    "Marker",
    "MarkerBoard",
    "MarkerGate",
    "MarkerPose",
    "RewardDebouncer",
    "RewardJudge",
    "Sighting",
    "dictionary_names",
    "image_array",
    "load_board",
    "marker_image",
    "metres_array",
    "uncompressed_metres",
    "uncompressed_picture",
]
