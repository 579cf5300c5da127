"""Seeing a hand: its landmarks or a marker on it, its pose in space, its motion, and the end-effector that follows it.

What needs MediaPipe is in `detector` and is imported only there.
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
