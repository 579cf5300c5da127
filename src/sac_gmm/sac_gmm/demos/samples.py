"""Turns demonstrations into the samples that a skill is fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from sac_gmm.core.errors import UserError
from sac_gmm.core.stamps import usual_period_s
from sac_gmm.demos.demonstration import Demonstration

SMOOTHING_WINDOW_S = 0.3  # hands tremble at 8-12 Hz, demonstrated motions change within half a second
STANDSTILL_SHARE = 0.05  # of the demonstration's own fast speed
MAX_RATE_HZ = 1000.0  # no hand and no arm moves so fast that more would say more
MAX_GRID = 2_000_000  # samples of one demonstration: half an hour at 1 kHz, a day at 20 Hz
STANDSTILL_MARGIN_S = 0.1  # kept on either side of the motion: the start and the approach to the end


def to_training_set(
    demonstrations: Sequence[Demonstration],
    rate_hz: float = 30.0,
    *,
    velocity: Literal["position", "twist"] = "position",
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Resample at a common rate, cut off standstill at both ends, and compute the velocity.

    Args:
        demonstrations: One or more, in the same frame.
        rate_hz: Sampling rate of the result.
        velocity: "position": smoothing derivative (Savitzky-Golay, third order, no lag) of the measured position, so
            that the samples agree with the path really taken; "twist": the measured velocity, smoothed in the same
            way.

    Returns:
        x (N, 3): position relative to the detected target, base axes, m; v (N, 3): velocity, m/s; lengths (n,): number
        of samples of each demonstration, in order.

    Raises:
        UserError: There is no demonstration, the rate is invalid, frames differ, or a demonstration never moves.
    """
    if not demonstrations:
        raise UserError("there is no demonstration to fit: name one bag or more")
    if not 0.0 < rate_hz <= MAX_RATE_HZ:
        raise UserError(f"the sampling rate is {rate_hz} Hz, expected a positive number up to {MAX_RATE_HZ:g}")
    frames = sorted({demonstration.frame_id for demonstration in demonstrations})
    if len(frames) > 1:
        raise UserError(f"the demonstrations are given in different frames ({', '.join(frames)}): use one base frame")
    pairs = [_samples(demonstration, rate_hz, velocity) for demonstration in demonstrations]
    lengths = np.array([len(x) for x, _ in pairs], np.int64)
    return np.concatenate([x for x, _ in pairs]), np.concatenate([v for _, v in pairs]), lengths


def motion_span(demonstration: Demonstration, rate_hz: float = 30.0) -> tuple[float, float]:
    """When the motion begins and ends, in seconds from the first sample; the rest is standstill.

    Raises:
        UserError: The end-effector never moves.
    """
    grid_s, _, v = _smooth(demonstration, rate_hz, "position")
    return _moving(demonstration, grid_s, v)


def _samples(
    demonstration: Demonstration, rate_hz: float, velocity: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Positions (M, 3) and velocities (M, 3) of one demonstration."""
    grid_s, x, v = _smooth(demonstration, rate_hz, velocity)
    start_s, end_s = _moving(demonstration, grid_s, v)
    samples_s = np.arange(start_s, end_s + 1e-9, 1.0 / rate_hz)
    if samples_s.size < 3:
        raise UserError(f"{demonstration.name}: the motion lasts {end_s - start_s:.2f} s, too short for {rate_hz:g} Hz")
    return _interpolate(samples_s, grid_s, x), _interpolate(samples_s, grid_s, v)


def _smooth(
    demonstration: Demonstration, rate_hz: float, velocity: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Times (G,), positions (G, 3) and velocities (G, 3) on an even grid at the recording's own rate or faster."""
    from scipy.signal import savgol_filter  # takes a second to load; code that only reads bags need not wait

    time_s = demonstration.time_s - demonstration.time_s[0]
    step_s = max(min(usual_period_s(np.diff(time_s)), 1.0 / rate_hz), 1.0 / MAX_RATE_HZ)
    if time_s[-1] / step_s > MAX_GRID:
        raise UserError(
            f"{demonstration.name}: {time_s[-1]:.0f} s at {1.0 / step_s:.6g} Hz are more than {MAX_GRID} samples: cut "
            "it to the motion (`sac-gmm demos trim --start-s … --end-s …`), or take a lower rate"
        )
    n_grid = max(int(np.ceil(time_s[-1] / step_s - 1e-9)) + 1, 4)
    grid_s = np.linspace(0.0, time_s[-1], n_grid)
    step_s = float(grid_s[1])
    relative = _interpolate(grid_s, time_s, demonstration.relative_m)
    window = min(2 * int(SMOOTHING_WINDOW_S / step_s / 2.0) + 1, n_grid - 1 + n_grid % 2)  # odd, within the data
    if window > 3:
        x = savgol_filter(relative, window, 3, axis=0)
        v = savgol_filter(relative, window, 3, deriv=1, delta=step_s, axis=0)
    else:
        x, v = relative, np.gradient(relative, step_s, axis=0)
    if velocity == "twist":
        v = _interpolate(grid_s, time_s, demonstration.velocity_m_s)
        v = savgol_filter(v, window, 3, axis=0) if window > 3 else v
    return grid_s, x, v


def _moving(
    demonstration: Demonstration, grid_s: npt.NDArray[np.float64], v: npt.NDArray[np.float64]
) -> tuple[float, float]:
    """When the motion begins and ends, in seconds."""
    speed = np.linalg.norm(v, axis=1)
    moving = np.flatnonzero(speed > max(STANDSTILL_SHARE * np.quantile(speed, 0.95), 1e-4))
    if moving.size == 0:
        raise UserError(f"{demonstration.name}: the end-effector never moves: record it again")
    start_s = max(grid_s[moving[0]] - STANDSTILL_MARGIN_S, 0.0)
    return float(start_s), float(min(grid_s[moving[-1]] + STANDSTILL_MARGIN_S, grid_s[-1]))


def _interpolate(
    at_s: npt.NDArray[np.float64], time_s: npt.NDArray[np.float64], values: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Interpolate each column of (T, 3) linearly."""
    return np.column_stack([np.interp(at_s, time_s, column) for column in values.T])
