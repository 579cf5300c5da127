"""The motion of a hand over a whole episode, cleaned: no outliers, short gaps filled, smoothed without lag.

Everything here uses samples before and after each moment, so the motion has no delay; it works on recordings only.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import median_filter
from scipy.signal import savgol_filter
from scipy.spatial.transform import Rotation, Slerp

from sac_gmm.core.errors import UserError
from sac_gmm.core.stamps import last_of_bursts, usual_period_s
from sac_gmm.perception.hands.observation import Side

Array = npt.NDArray[np.float64]

_HALF_WINDOW = 5  # samples on either side that a sample is compared with
_MAD_TO_STD = 1.4826  # for a normal distribution
_SHORTEST_PIECE_S = 0.2  # a shorter isolated piece is a tracking error
_GRIP_MEDIAN = 5  # samples
_OTHER_SIDE = np.diag([1.0, -1.0, -1.0])  # a right hand's axes from a left one's, and back
MIN_SAMPLES = 5


@dataclass(frozen=True)
class HandTrack:
    """What was seen, one row per picture; NaN if the hand was not seen.

    Attributes:
        time_s: (T,) increasing.
        position_m: (T, 3) in the optical frame.
        rotation: (T, 3, 3) hand to camera.
        opening_m: (T,) distance between thumb and index finger; NaN throughout for a marker.
        confidence: (T,) 0 to 1; 0 if the hand was not seen.
        right: (T,) 1 if it was taken for a right hand, 0 for a left one, NaN if that is unknown; None for a marker.
    """

    time_s: Array
    position_m: Array
    rotation: Array
    opening_m: Array
    confidence: Array
    right: Array | None = None

    @property
    def sides(self) -> list[Side | None]:
        """For each picture the hand that it was taken to show; None where that is unknown."""
        if self.right is None:
            return [None] * self.time_s.size
        return ["right" if right == 1.0 else "left" if right == 0.0 else None for right in self.right.tolist()]


@dataclass(frozen=True)
class CleaningSettings:
    """What counts as an outlier, which gaps are filled, and how much is smoothed."""

    min_confidence: float = 0.3
    gate_m: float = 0.03  # a sample this far from the median around it is an outlier, unless all scatter as much
    gate_rad: float = 0.6
    max_speed_m_s: float = 4.0  # human hands are slower
    max_gap_s: float = 0.3
    smoothing_s: float = 0.25
    close_m: float = 0.03  # the pinch closes below this and opens above the next
    open_m: float = 0.05

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not (np.isfinite(value) and value >= 0.0):
                raise UserError(f"{name} is {value}, expected a number from 0 up")
        if self.close_m > self.open_m:
            raise UserError(f"close_m is {self.close_m} and open_m {self.open_m}: the pinch must open above")


@dataclass(frozen=True)
class TrackQuality:
    """Quality of the pictures and of the tracking.

    Attributes:
        frames: Number of pictures.
        seen: Number of those that show the hand.
        rejected: Number of those that are unsure or outliers.
        dropped: Missing pictures, judging by the stamps.
        filled: Samples of the result that bridge a gap.
        longest_gap_s: Longest time without the hand between the first and the last time it was seen.
        jitter_m: RMS distance of the seen positions from the smoothed path.
        top_speed_m_s: Top speed of the smoothed motion.
        kept_s: Length of the result.
        lost_s: Time with the hand that is not in the result because a gap separates it.
        side: Which hand it is, by most of the pictures; None for a marker.
        other_side: Number of pictures in which it was taken for the other one.
    """

    frames: int
    seen: int
    rejected: int
    dropped: int
    filled: int
    longest_gap_s: float
    jitter_m: float
    top_speed_m_s: float
    kept_s: float
    lost_s: float
    side: Side | None = None
    other_side: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Rounded values for YAML and JSON."""
        return {name: round(value, 5) if isinstance(value, float) else value for name, value in asdict(self).items()}

    def summary(self) -> str:
        """The quality in one line."""
        share = 100.0 * self.seen / max(self.frames, 1)
        hand = f"{self.side} hand" if self.side else "hand"
        mistaken = f" (taken for the other one in {self.other_side})" if self.other_side else ""
        return (
            f"{hand} in {self.seen} of {self.frames} frames ({share:.1f} %){mistaken}, {self.rejected} rejected, "
            f"{self.filled} filled, {self.dropped} dropped, jitter {self.jitter_m * 1e3:.1f} mm, at most "
            f"{self.top_speed_m_s:.2f} m/s"
        )


@dataclass(frozen=True)
class HandMotion:
    """A clean motion at an even rate, in the optical frame.

    Attributes:
        time_s: (N,) evenly spaced.
        position_m: (N, 3).
        rotation: (N, 3, 3) hand to camera.
        opening_m: (N,); NaN throughout for a marker.
        closed: (N,) whether the pinch is closed.
        quality: Quality of the track it was made from.
    """

    time_s: Array
    position_m: Array
    rotation: Array
    opening_m: Array
    closed: npt.NDArray[np.bool_]
    quality: TrackQuality


def clean(track: HandTrack, settings: CleaningSettings | None = None) -> HandMotion:
    """Turn a track into a smooth motion; if long gaps split it, the longest piece counts.

    Raises:
        UserError: The hand was never seen, or nowhere for long enough.
    """
    settings = settings or CleaningSettings()
    track, side, other_side = _of_one_side(_without_bursts(track))
    T = track.time_s.size
    seen = np.asarray(np.isfinite(track.position_m).all(axis=1), np.bool_)
    if not seen.any():
        raise UserError(f"no hand was seen in any of {T} pictures")
    sure = seen & (track.confidence >= settings.min_confidence)
    good = sure & ~_outliers(track, sure, settings)
    pieces = _pieces(track, good, settings)
    if not pieces:
        raise UserError(_why_no_piece(track, seen, sure, good, settings))
    piece = max(pieces, key=lambda rows: track.time_s[rows[-1]] - track.time_s[rows[0]])
    periods = np.diff(track.time_s)
    period = usual_period_s(periods)
    kept = [float(track.time_s[rows[-1]] - track.time_s[rows[0]]) for rows in pieces]

    at = track.time_s[piece]
    n = round(float(at[-1] - at[0]) / period) + 1
    grid = np.linspace(at[0], at[-1], n)
    window = _window(settings.smoothing_s, float(grid[1] - grid[0]), n)
    position = _smooth(PchipInterpolator(at, track.position_m[piece])(grid), window)
    rotation = _smooth_rotation(Slerp(at, Rotation.from_matrix(track.rotation[piece]))(grid), window)
    opening = np.interp(grid, at, track.opening_m[piece])
    closed = _closed(opening, settings)
    after = np.clip(np.searchsorted(at, grid), 1, at.size - 1)
    bridged = (at[after] - at[after - 1] > 1.5 * period) & (np.abs(at[after] - grid) > 0.25 * period)
    bridged &= np.abs(at[after - 1] - grid) > 0.25 * period
    smoothed = np.column_stack([np.interp(at, grid, column) for column in position.T])
    residual = np.linalg.norm(smoothed - track.position_m[piece], axis=1)
    quality = TrackQuality(
        frames=T,
        seen=int(seen.sum()),
        rejected=int(seen.sum() - good.sum()),
        dropped=int(np.sum(np.maximum(np.rint(periods / period) - 1.0, 0.0))),
        filled=int(bridged.sum()),
        longest_gap_s=float(np.diff(track.time_s[seen]).max(initial=0.0)),
        jitter_m=float(np.sqrt(np.mean(residual**2))),
        top_speed_m_s=float(np.linalg.norm(np.gradient(position, grid, axis=0), axis=1).max()),
        kept_s=float(at[-1] - at[0]),
        lost_s=sum(kept) - float(at[-1] - at[0]),
        side=side,
        other_side=other_side,
    )
    return HandMotion(grid, position, rotation, opening, closed, quality)


def _without_bursts(track: HandTrack) -> HandTrack:
    """One row of each burst of pictures that a camera's driver hands over, and stamps, at once."""
    kept = last_of_bursts(np.rint(1e9 * track.time_s).astype(np.int64))
    if kept.all():
        return track
    columns = {name: column for name, column in vars(track).items() if column is not None}
    return replace(track, **{name: column[kept] for name, column in columns.items()})


def _of_one_side(track: HandTrack) -> tuple[HandTrack, Side | None, int]:
    """Judge the side of the hand by all pictures, because the model mistakes it in some, however sure it is.

    Returns:
        The track with the axes of that side; the side; the number of pictures in which it was mistaken.
    """
    if track.right is None or not np.isfinite(track.right).any():
        return track, None, 0
    told = np.isfinite(track.right)
    is_right = bool(np.average(track.right[told], weights=np.maximum(track.confidence[told], 1e-3)) >= 0.5)
    mistaken = told & (track.right != is_right)
    rotation = np.where(mistaken[:, None, None], track.rotation @ _OTHER_SIDE, track.rotation)
    return replace(track, rotation=rotation), "right" if is_right else "left", int(mistaken.sum())


def _outliers(track: HandTrack, good: npt.NDArray[np.bool_], settings: CleaningSettings) -> npt.NDArray[np.bool_]:
    """(T,) which samples are far from the median of their neighbours (Hampel filter), in position or direction."""
    found = np.zeros(track.time_s.size, bool)
    rows = np.flatnonzero(good)
    position = track.position_m[rows]
    rotation = Rotation.from_matrix(track.rotation[rows])
    for i in range(rows.size):
        around = slice(max(i - _HALF_WINDOW, 0), i + _HALF_WINDOW + 1)
        away = np.linalg.norm(position[around] - np.median(position[around], axis=0), axis=1)
        own = away[i - around.start]
        far = own > max(settings.gate_m, 4.0 * _MAD_TO_STD * float(np.median(away)))
        turned = False
        if not far:
            turns = (rotation[around] * rotation[i].inv()).magnitude()
            # An outlier is rotated against most of its neighbours; a fast rotating hand against only a few.
            turned = float(np.median(turns)) > settings.gate_rad
        found[rows[i]] = far or turned
    return found


def _pieces(track: HandTrack, good: npt.NDArray[np.bool_], settings: CleaningSettings) -> list[npt.NDArray[np.intp]]:
    """Rows of the stretches without a long gap or an impossibly fast jump; stretches that are too short are errors.

    The time between two consecutive pictures is never a gap, however slow the camera.
    """
    if track.time_s.size < MIN_SAMPLES:
        return []
    rows = np.flatnonzero(good)
    longest_s = max(settings.max_gap_s, 1.5 * usual_period_s(np.diff(track.time_s))) + 1e-6
    while rows.size:
        gaps = np.diff(track.time_s[rows])
        speed = np.linalg.norm(np.diff(track.position_m[rows], axis=0), axis=1) / gaps
        parts = np.split(rows, np.flatnonzero((gaps > longest_s) | (speed > settings.max_speed_m_s)) + 1)
        kept = [
            part
            for part in parts
            if part.size >= MIN_SAMPLES and track.time_s[part[-1]] - track.time_s[part[0]] >= _SHORTEST_PIECE_S
        ]
        remaining = np.concatenate(kept) if kept else rows[:0]
        if remaining.size == rows.size:
            return kept
        rows = remaining  # without a short erroneous stretch, its two neighbours may join
    return []


def _why_no_piece(
    track: HandTrack,
    seen: npt.NDArray[np.bool_],
    sure: npt.NDArray[np.bool_],
    good: npt.NDArray[np.bool_],
    settings: CleaningSettings,
) -> str:
    T = track.time_s.size
    text = (
        f"the hand was seen in {int(seen.sum())} of {T} pictures, but nowhere for {_SHORTEST_PIECE_S} s without a gap"
    )
    if T < MIN_SAMPLES:
        return f"{text}: a motion needs {MIN_SAMPLES} pictures or more; is it a film, and not a single picture?"
    rows = np.flatnonzero(good)
    speeds = np.linalg.norm(np.diff(track.position_m[rows], axis=0), axis=1) / np.diff(track.time_s[rows])
    if (speeds > settings.max_speed_m_s).sum() > 0.5 * max(speeds.size, 1):
        return (
            f"{text}: it is {np.median(track.position_m[rows, 2]):.3g} m away and moves at {np.median(speeds):.3g} "
            f"m/s, faster than {settings.max_speed_m_s:g}: is the size of the palm or marker right, in metres, and the "
            "focal length or calibration?"
        )
    return (
        f"{text}: {int(seen.sum() - sure.sum())} are too unsure (confidence under {settings.min_confidence:g}), "
        f"{int(sure.sum() - good.sum())} lie away from those around them"
    )


def _window(seconds: float, step_s: float, n: int) -> int:
    """An odd number of samples, at most as many as there are."""
    wanted = 2 * int(seconds / step_s / 2.0) + 1
    return min(wanted, n - 1 + n % 2)


def _smooth(values: Array, window: int) -> Array:
    """Savitzky-Golay filter, third order; symmetric, so without delay. Smooths each column of (N, D)."""
    return np.asarray(savgol_filter(values, window, 3, axis=0) if window > 3 else values, np.float64)


def _smooth_rotation(rotation: Rotation, window: int) -> Array:
    """Smooth the entries of sign-aligned quaternions and normalise: accurate for small rotations within a window."""
    quaternions = rotation.as_quat()
    flips = np.concatenate(([1.0], np.where(np.sum(quaternions[1:] * quaternions[:-1], axis=1) < 0.0, -1.0, 1.0)))
    return np.asarray(Rotation.from_quat(_smooth(quaternions * np.cumprod(flips)[:, None], window)).as_matrix())


def _closed(opening_m: Array, settings: CleaningSettings) -> npt.NDArray[np.bool_]:
    """Whether the pinch is closed, with hysteresis: between the two thresholds the state is kept."""
    if not np.isfinite(opening_m).all():
        return np.zeros(opening_m.size, bool)
    steady = median_filter(opening_m, _GRIP_MEDIAN, mode="nearest")
    closed = np.empty(steady.size, bool)
    state = bool(steady[0] < 0.5 * (settings.close_m + settings.open_m))
    for i, value in enumerate(steady):
        state = bool(value < settings.open_m) if state else bool(value < settings.close_m)
        closed[i] = state
    return closed
