"""One scale for all hands of a film, from the width of the person's palm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sac_gmm.perception.hands.palm import PalmScale, PalmSize
from sac_gmm.perception.hands.pose import HandPose


def scale_to_palm(
    poses: Sequence[HandPose | None], palm_width_m: float
) -> tuple[list[HandPose | None], PalmScale | None]:
    """Give the hands of a whole film, placed with the model's own size, the size of the person's.

    Args:
        poses: One a picture, None where no hand was seen.
        palm_width_m: The person's.

    Returns:
        The poses, and the scale; None where no picture told one.
    """
    size = PalmSize(remembered=None)
    hands = [pose.landmarks_m for pose in poses if pose is not None and pose.landmarks_m is not None]
    for hand_m in hands:
        size.take(hand_m)
    if not size.pictures:
        return list(poses), None
    found = size.scale_to(palm_width_m, sum(size.agreement(hand_m) < 1.0 for hand_m in hands))

    def scaled(pose: HandPose | None) -> HandPose | None:
        if pose is None or pose.landmarks_m is None:
            return pose
        confidence = pose.confidence * size.agreement(pose.landmarks_m)
        return replace(pose.enlarged(found.scale), size_from="palm width", confidence=confidence)

    return [scaled(pose) for pose in poses], found
