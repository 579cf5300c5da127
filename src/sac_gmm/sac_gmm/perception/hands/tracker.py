"""Tracks the bare hand from picture to picture: found, followed, located in space."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from sac_gmm.perception.camera import Camera
from sac_gmm.perception.hands.detector import HandDetector
from sac_gmm.perception.hands.observation import HandFollower, HandObservation, Side
from sac_gmm.perception.hands.palm import PalmScale
from sac_gmm.perception.hands.pose import HandPose, HandPoseEstimator

_ALONE = 10  # consecutive pictures with a single hand, after which no second one is looked for


class HandTracker:
    """Follows one bare hand in front of one camera; call `close` when done.

    It looks for two hands, so that the right one is chosen and kept. Once a hand has been alone for a while, only that
    one is looked for, which takes half the time; a hand that appears later is ignored.

    Args:
        camera: The calibrated camera.
        side: The hand to follow, whatever the model takes it for in a single picture; `any` takes the nearest.
        palm_width_m: The person's palm width, see `HandPoseEstimator`.
        model: The user's own `.task` file; by default the one prepared at set-up.
        min_confidence: Smallest confidence of the hand model, 0 to 1.

    Attributes:
        observation: The hand as seen in the last picture; None if it was not seen.
        sides: Of all hands that were seen in it.

    Raises:
        UserError: The model is missing or damaged, or a setting is out of range.
    """

    def __init__(
        self,
        camera: Camera,
        *,
        side: Side | Literal["any"] = "any",
        palm_width_m: float | None = None,
        model: Path | str | None = None,
        min_confidence: float = 0.5,
    ) -> None:
        self._estimator = HandPoseEstimator(camera, palm_width_m)
        self._follower = HandFollower(side)
        self._side = side
        self._pair = HandDetector(model, max_hands=2, min_confidence=min_confidence)
        self._single = HandDetector(model, max_hands=1, min_confidence=min_confidence)
        self._alone = 0
        self.observation: HandObservation | None = None
        self.sides: tuple[Side, ...] = ()

    def track(
        self,
        image: npt.NDArray[np.uint8],
        time_s: float,
        depth_m: npt.NDArray[np.float32] | None = None,
    ) -> HandPose | None:
        """Estimate the pose of the hand in a picture, see `HandDetector.detect` and `HandPoseEstimator.estimate`.

        Raises:
            UserError: The depth image has another size than the calibration.
        """
        self.observation, self.sides = None, ()
        if self._alone >= _ALONE:
            self.observation = self._follower.choose(self._single.detect(image, time_s), time_s)
        if self.observation is None:
            hands = self._pair.detect(image, time_s)
            self.observation = self._follower.choose(hands, time_s)
            self.sides = tuple(hand.side for hand in hands)
            self._alone = self._alone + 1 if self.observation is not None and len(hands) == 1 else 0
        if self.observation is not None and self._side != "any":
            self.observation = replace(self.observation, side=self._side)
        return None if self.observation is None else self._estimator.estimate(self.observation, depth_m)

    @property
    def palm_scale(self) -> PalmScale | None:
        """See `HandPoseEstimator.palm_scale`."""
        return self._estimator.palm_scale

    def close(self) -> None:
        """Release the models."""
        self._pair.close()
        self._single.close()
