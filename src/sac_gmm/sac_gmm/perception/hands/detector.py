"""Finds hands in pictures with MediaPipe's hand model, offline."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
import numpy.typing as npt

from sac_gmm.core.errors import UserError
from sac_gmm.perception.hands.model_files import find_model
from sac_gmm.perception.hands.observation import HandObservation


class HandDetector:
    """Finds hands in successive pictures of one camera; call `close`, or use it in a `with` statement.

    It first looks near the hand's place in the previous picture, and searches the whole picture if it has lost a hand.
    Pictures should therefore come in order.

    Args:
        model: The user's own `.task` file; by default the one prepared at set-up.
        max_hands: How many hands to look for.
        min_confidence: Detections below this, 0 to 1, are not hands.

    Raises:
        UserError: The model is missing or damaged, or the runtime rejects it.
    """

    def __init__(self, model: Path | str | None = None, *, max_hands: int = 2, min_confidence: float = 0.5) -> None:
        if not 0.0 <= min_confidence <= 1.0:
            raise UserError(f"min_confidence is {min_confidence}, expected 0 to 1")
        path = find_model(model)
        try:
            import mediapipe
            from mediapipe.tasks.python.core.base_options import BaseOptions
            from mediapipe.tasks.python.vision import HandLandmarker, HandLandmarkerOptions, RunningMode
        except (ImportError, OSError) as error:
            raise UserError(
                f"hand tracking needs mediapipe 0.10.31, which exists only for x86_64 ({error}): run `make setup` "
                "there, or follow a marker instead of the bare hand"
            ) from error
        options = HandLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(path)),
            running_mode=RunningMode.VIDEO,
            num_hands=max_hands,
            min_hand_detection_confidence=min_confidence,
            min_hand_presence_confidence=min_confidence,
            min_tracking_confidence=min_confidence,
        )
        self._image = mediapipe.Image
        self._format = mediapipe.ImageFormat.SRGB
        try:
            with _muted():
                self._landmarker = HandLandmarker.create_from_options(options)
                self._last_ms = -1
                self.detect(np.zeros((64, 64, 3), np.uint8), 0.0)  # with its first picture it prints notes once more
        except (RuntimeError, ValueError) as error:
            raise UserError(f"the hand model {path} cannot be used: {str(error).splitlines()[0]}") from error

    def detect(self, image: npt.NDArray[np.uint8], time_s: float) -> list[HandObservation]:
        """Find the hands in a picture.

        Args:
            image: (H, W, 3) RGB or (H, W) grey, uint8.
            time_s: When it was taken; on any clock.

        Returns:
            The hands; empty if there are none.
        """
        height, width = image.shape[:2]
        rgb = image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
        self._last_ms = max(round(time_s * 1e3), self._last_ms + 1)  # MediaPipe rejects times that do not increase
        found = self._landmarker.detect_for_video(
            self._image(image_format=self._format, data=np.ascontiguousarray(rgb)), self._last_ms
        )
        return [
            HandObservation(
                np.array([(point.x * width, point.y * height) for point in points]),
                np.array([(point.x, point.y, point.z) for point in shape]),
                "left" if sides[0].category_name == "Left" else "right",
                float(sides[0].score),
            )
            for points, shape, sides in zip(
                found.hand_landmarks, found.hand_world_landmarks, found.handedness, strict=True
            )
        ]

    def close(self) -> None:
        """Release the model."""
        self._landmarker.close()

    def __enter__(self) -> HandDetector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextlib.contextmanager
def _muted() -> Iterator[None]:
    """Hide what native code writes to standard error: the runtime's notes to its own developers."""
    sys.stderr.flush()
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
