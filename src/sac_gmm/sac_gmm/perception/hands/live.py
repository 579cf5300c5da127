"""Live tracking quality, for the person who gives a demonstration."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sac_gmm.core.late_stamps import is_late
from sac_gmm.core.stamps import usual_period_s

_RECENT = 60  # number of pictures behind the present rate, speed and jitter
_SPEED_SAMPLES = 4


@dataclass(frozen=True)
class LiveReport:
    """The present tracking quality.

    Attributes:
        frames: Pictures since the last reset.
        lost: Number of these without the hand.
        dropped: Pictures that never arrived, judging by the stamps.
        rate_hz: Present rate of the pictures.
        seen_share: Share of the recent pictures that show the hand.
        speed_m_s: Present speed of the hand; 0 if it is not seen.
        jitter_m: Standard deviation of the position noise, from second differences.
        track_ms: Median time to process a picture.
    """

    frames: int
    lost: int
    dropped: int
    rate_hz: float
    seen_share: float
    speed_m_s: float
    jitter_m: float
    track_ms: float

    def as_dict(self) -> dict[str, float]:
        """Rounded values for display."""
        return {
            "frames": self.frames,
            "frames_lost": self.lost,
            "frames_dropped": self.dropped,
            "rate_hz": round(self.rate_hz, 2),
            "seen_percent": round(100 * self.seen_share, 1),
            "speed_m_s": round(self.speed_m_s, 3),
            "jitter_mm": round(self.jitter_m * 1e3, 2),
            "track_ms": round(self.track_ms, 2),
        }


class LiveQuality:
    """Measures tracking quality as pictures arrive."""

    def __init__(self) -> None:
        self._recent: deque[tuple[int, npt.NDArray[np.float64] | None, float]] = deque(maxlen=_RECENT)
        self.reset()

    def reset(self) -> None:
        """Restart the counts; the recent pictures are kept."""
        self._frames = self._lost = self._dropped = 0

    def update(self, stamp_ns: int, position_m: npt.NDArray[np.float64] | None, track_s: float) -> None:
        """Take a picture into account.

        Args:
            stamp_ns: When it was taken.
            position_m: (3,) position of the hand; None if it was not seen.
            track_s: How long the tracking took.
        """
        if self._recent and (stamp_ns == self._recent[-1][0] or is_late(stamp_ns, self._recent[-1][0])):
            return  # sent again, or overtaken
        if self._recent and stamp_ns < self._recent[-1][0]:
            self._recent.clear()  # the clock was set back
        self._frames += 1
        self._lost += position_m is None
        if len(self._recent) > _SPEED_SAMPLES:
            period_s = usual_period_s(np.diff([stamp for stamp, _, _ in self._recent]) * 1e-9)
            self._dropped += max(round((stamp_ns - self._recent[-1][0]) * 1e-9 / period_s) - 1, 0)
        self._recent.append((stamp_ns, position_m, track_s))

    def report(self) -> LiveReport:
        """The present tracking quality."""
        recent = list(self._recent)
        if len(recent) < 2:
            return LiveReport(self._frames, self._lost, self._dropped, 0.0, 0.0, 0.0, 0.0, 0.0)
        stamps_s = np.array([stamp for stamp, _, _ in recent]) * 1e-9
        seen = np.array([position is not None for _, position, _ in recent])
        places = np.array([np.full(3, np.nan) if position is None else position for _, position, _ in recent])
        period_s = usual_period_s(np.diff(stamps_s))
        last = slice(-_SPEED_SAMPLES, None)
        speed = 0.0
        if seen[last].all():
            speed = float(np.linalg.norm(places[-1] - places[last][0]) / (stamps_s[-1] - stamps_s[last][0]))
        second = places[2:] - 2.0 * places[1:-1] + places[:-2]  # for white noise: six times its variance
        even = np.ptp([np.diff(stamps_s)[1:], np.diff(stamps_s)[:-1]], axis=0) < 0.5 * period_s
        second = second[even & np.isfinite(second).all(axis=1)]
        # The median, because acceleration and outliers spoil some of the second differences.
        jitter = float(np.sqrt(np.median(np.sum(second**2, axis=1)) / 6.0)) if len(second) else 0.0
        track_ms = 1e3 * float(np.median([track for _, _, track in recent]))
        return LiveReport(
            self._frames, self._lost, self._dropped, 1.0 / period_s, float(seen.mean()), speed, jitter, track_ms
        )
