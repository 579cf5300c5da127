"""One scale for all hands of a film, from the width of the person's palm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sac_gmm.perception.hands.palm import PalmScale, PalmSize
from sac_gmm.perception.hands.pose import Array, HandPose


def scale_to_palm(
    poses: Sequence[HandPose | None], palm_width_m: float | None
) -> tuple[list[HandPose | None], PalmScale | None]:
    """Give the hands of a whole film, placed with the model's own size, the size of the person's.

    Args:
        poses: One a picture, None where no hand was seen.
        palm_width_m: The person's; None to keep the model's size and only place the hands whose palm is collapsed.

    Returns:
        The poses, and the scale; None where no picture told one.
    """
    size = PalmSize(remembered=None)
    seen = [pose for pose in poses if pose is not None and pose.landmarks_m is not None]
    for pose in seen:
        size.take(_landmarks(pose), pose.fit)
    if not size.pictures:
        return list(poses), None
    factors = [size.too_near(_landmarks(pose), pose.fit) for pose in seen]
    righted = [pose if factor == 1.0 else pose.enlarged(factor) for pose, factor in zip(seen, factors, strict=True)]
    agreements = [size.agreement(_landmarks(pose)) for pose in righted]
    found = size.scale_to(
        palm_width_m or size.width_m, sum(a < 1.0 for a in agreements), sum(factor != 1.0 for factor in factors)
    )
    scaled = iter(righted)
    if palm_width_m is not None:
        scaled = (
            replace(pose.enlarged(found.scale), size_from="palm width", confidence=pose.confidence * agreement)
            for pose, agreement in zip(righted, agreements, strict=True)
        )
    return [pose if pose is None or pose.landmarks_m is None else next(scaled) for pose in poses], found


def _landmarks(pose: HandPose) -> Array:
    assert pose.landmarks_m is not None
    return pose.landmarks_m
