"""Seeing a hand: its landmarks or a marker on it, its pose, its motion, and the end-effector that follows it.

Code that needs MediaPipe is in `detector`, the only module that imports it.
"""

from sac_gmm.perception.hands.observation import HandFollower, HandObservation, Side
from sac_gmm.perception.hands.pose import HandPoint, HandPose, HandPoseEstimator, depth_image
from sac_gmm.perception.hands.retargeting import Retargeting, ToolMotion
from sac_gmm.perception.hands.track import CleaningSettings, HandMotion, HandTrack, TrackQuality, clean

__all__ = [
    "CleaningSettings",
    "HandFollower",
    "HandMotion",
    "HandObservation",
    "HandPoint",
    "HandPose",
    "HandPoseEstimator",
    "HandTrack",
    "Retargeting",
    "Side",
    "ToolMotion",
    "TrackQuality",
    "clean",
    "depth_image",
]
