"""Sensor readings as pictures for display."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sac_gmm.core.errors import UserError

Picture = NDArray[np.uint8]


def sensor_pictures(group: str, reading: NDArray[Any]) -> list[tuple[str, Picture]]:
    """Convert a sensor reading to titled pictures for display.

    Args:
        group: `rgb`, `depth` or `tactile`.
        reading: As `Task.read` gives it: RGB (H, W, 3); depth (H, W), m; tactile (2, H, W), m of indentation.
    """
    if group == "rgb":
        return [("wrist camera", np.ascontiguousarray(reading))]
    if group == "depth":
        known = reading[np.isfinite(reading)]
        low, high = np.quantile(known, (0.01, 0.95)) if known.size else (0.0, 0.0)
        reading = np.where(np.isfinite(reading), reading, high)
        return [(f"depth {low:.2f}-{high:.2f} m", _coloured(1.0 - (reading - low) / max(high - low, 1e-6)))]
    if group == "tactile":
        full_m = 1.5e-3
        return [
            (f"{side} finger, 0-{1e3 * full_m:g} mm", _coloured(image / full_m))
            for side, image in zip(("left", "right"), reading, strict=True)
        ]
    raise UserError(f"there is no picture of '{group}'")


def sensor_picture(group: str, reading: NDArray[Any]) -> tuple[str, Picture]:
    """The same as a single titled picture: several parts are placed side by side."""
    titles, parts = zip(*sensor_pictures(group, reading), strict=True)
    gap = np.full((parts[0].shape[0], max(parts[0].shape[1] // 16, 1), 3), 255, np.uint8)
    joined = [part for picture in parts for part in (picture, gap)][:-1]
    return "; ".join(titles), np.hstack(joined)


def _coloured(share: NDArray[Any]) -> Picture:
    """Map numbers from 0 (dark) to 1 (bright) to colours."""
    grey = (255 * np.clip(share, 0.0, 1.0)).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
