"""Reads film files as phones and cameras write them: rotated, with an uneven frame rate, or truncated."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # we report a broken file ourselves, once

import cv2
import numpy as np
import numpy.typing as npt

from sac_gmm.core.errors import UserError
from sac_gmm.perception.camera import Camera

_NOMINAL_HZ = 30.0  # for a film that does not state its rate


class Film:
    """Reads a film from its beginning; call `close`, or use it in a `with` statement.

    Args:
        path: Any file that OpenCV's ffmpeg reads. A film marked as rotated by a phone is turned upright.

    Attributes:
        path: The file.
        width: In pixels, as shown.
        height: In pixels, as shown.
        rate_hz: Nominal rate.
        declared_frames: Number of frames that the file states; 0 if it states none.
        turned_deg: By how much the pictures were turned to be upright, as a phone marks its films: 0, 90, 180 or 270.

    Raises:
        UserError: The file is missing, a folder, not a film, or holds no picture.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if self.path.is_dir():
            raise UserError(f"{path} is a folder: name one film in it")
        if not self.path.is_file():
            raise UserError(f"{path}: there is no such film")
        self._capture = cv2.VideoCapture(str(self.path))
        ok, first = self._capture.read() if self._capture.isOpened() else (False, None)
        if not ok or first is None:
            self._capture.release()
            raise UserError(f"{path} cannot be read as a film: it is damaged, empty, or of a kind not known here")
        self._first = first
        self._first_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC)
        self.height, self.width = first.shape[:2]
        turned = self._capture.get(cv2.CAP_PROP_ORIENTATION_META)
        self.turned_deg = round(turned) % 360 if np.isfinite(turned) else 0
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate_hz = float(rate) if np.isfinite(rate) and 1.0 <= rate <= 1000.0 else _NOMINAL_HZ
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.declared_frames = int(count) if np.isfinite(count) and 0 < count < 1e9 else 0

    def frames(self, start: int = 0) -> Iterator[tuple[int, float, npt.NDArray[np.uint8]]]:
        """Yield number, time in seconds from the first picture, and picture (H, W, 3) RGB, from picture `start` on.

        Times always increase: if the file's own do not, the nominal rate is used. May be called once.
        """
        picture, at_ms, last_s = self._first, self._first_ms, -1.0
        number = 0
        while True:
            time_s = (at_ms - self._first_ms) * 1e-3
            if not np.isfinite(time_s) or (number and time_s <= last_s):
                time_s = last_s + 1.0 / self.rate_hz
            last_s = time_s
            if number >= start:
                if picture.shape[:2] != (self.height, self.width):
                    return  # a stream whose size changes is damaged from that point
                yield number, time_s, np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
            ok, following = self._capture.read()
            if not ok or following is None:
                return
            picture, at_ms = following, self._capture.get(cv2.CAP_PROP_POS_MSEC)
            number += 1

    def other_size(self, camera: Camera, name: str) -> str:
        """What to say if the pictures have another size than a camera was calibrated for; `name` is its file."""
        text = f"the film is {self.width}x{self.height} but {name} is for {camera.width}x{camera.height}: "
        if self.turned_deg % 180 and (camera.height, camera.width) == (self.width, self.height):
            return (
                f"{text}it is marked as filmed with the camera turned by {self.turned_deg} degrees and shown upright; "
                "calibrate the camera held as it films, from pictures that are shown upright too"
            )
        return f"{text}calibrate the camera in the size that it films in"

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def __enter__(self) -> Film:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
