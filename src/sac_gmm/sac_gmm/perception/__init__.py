"""Seeing: square markers and the reward they pay. Pictures come in as arrays; nothing here knows ROS or a task."""

from sac_gmm.perception.aruco import ArucoDetector, Marker, MarkerPose, dictionary_names, marker_image
from sac_gmm.perception.camera import Camera, image_array
from sac_gmm.perception.reward import RewardDebouncer, RewardJudge

__all__ = [
    "ArucoDetector",
    "Camera",
    "Marker",
    "MarkerPose",
    "RewardDebouncer",
    "RewardJudge",
    "dictionary_names",
    "image_array",
    "marker_image",
]
