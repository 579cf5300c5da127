"""How fast an arm really moves when commanded: gain and delay of its response, from one recorded motion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import atomic_file
from sac_gmm.core.settings import check_settings, number

Array = NDArray[np.float64]
_LONGEST_DELAY_S = 0.5
_DELAY_STEP_S = 0.002
_STEADY = 0.9  # above this share of a stroke's speed, it counts as steady
_LEAST_SAMPLES = 20


@dataclass(frozen=True)
class CalibrationSettings:
    """The motion that is measured."""

    speeds_m_s: tuple[float, float, float] = number((0.01, 0.02, 0.04), 0.001, 0.2, "m/s", "speeds, one per stroke")
    stroke_m: float = number(0.05, -0.3, 0.3, "m", "distance out from the arm's position, along the axis; then back")

    def __post_init__(self) -> None:
        check_settings(self)
        if abs(self.stroke_m) < 0.01:
            raise UserError(f"stroke_m = {self.stroke_m:g} is too short: expected at least 0.01 m out or back")


@dataclass(frozen=True)
class Stroke:
    """One stroke, out or back.

    Attributes:
        commanded_m_s: Mean of the commanded speed while it was steady, signed.
        executed_m_s: Slope of the measured position over the same time, shifted by the delay.
    """

    commanded_m_s: float
    executed_m_s: float


@dataclass(frozen=True)
class SpeedCalibration:
    """Result of one motion along an axis.

    Attributes:
        gain: Ratio of executed to commanded speed.
        delay_s: Delay of the arm's response to the command.
        residual_m: Standard deviation of the position from the fit.
        strokes: The strokes, out and back.
    """

    gain: float
    delay_s: float
    residual_m: float
    strokes: tuple[Stroke, ...]


def calibrate(time_s: Array, way_m: Array, position_m: Array) -> SpeedCalibration:
    """Fit position(t) = p0 + gain * way(t - delay) by least squares over gain, p0 and delay.

    Args:
        time_s: Times of the samples, increasing, shape (N,).
        way_m: Integral of the velocity commanded along the axis up to each time, shape (N,).
        position_m: Measured position along the axis at each time, shape (N,).

    Raises:
        UserError: There are too few samples, one is not finite, or the arm was hardly commanded to move.
    """
    data = np.stack((time_s, way_m, position_m)).astype(float)
    if data.shape[1] < _LEAST_SAMPLES or not np.isfinite(data).all() or not (np.diff(data[0]) > 0).all():
        raise UserError(
            f"{data.shape[1]} samples of the motion cannot be used: at least {_LEAST_SAMPLES} finite ones in the order "
            "of time are needed"
        )
    t, way, p = data
    if np.ptp(way) < 1e-3:
        raise UserError("the arm was told to move less than a millimetre: raise stroke_m or the speeds")
    best: tuple[float, float, float] | None = None
    for delay_s in np.arange(0.0, _LONGEST_DELAY_S, _DELAY_STEP_S):
        late = np.interp(t - delay_s, t, way)
        centred = late - late.mean()
        gain = float(centred @ (p - p.mean()) / (centred @ centred))
        residual = float(np.std(p - p.mean() - gain * centred))
        if best is None or residual < best[2]:
            best = gain, float(delay_s), residual
    assert best is not None
    return SpeedCalibration(*best, strokes=_strokes(t, way, p, best[1]))


def _strokes(t: Array, way: Array, p: Array, delay_s: float) -> tuple[Stroke, ...]:
    """The steady parts of the motion: between changes of sign, where the speed is near the stroke's largest."""
    found = []
    v = np.gradient(way, t)
    v[np.abs(v) < 1e-4] = 0.0
    edges = np.flatnonzero(np.diff(np.sign(v))) + 1
    for part in np.split(np.arange(len(v)), edges):
        top = float(np.median(np.abs(v[part])))
        steady = part[np.abs(v[part]) > _STEADY * top] if top > 0 else part[:0]
        if len(steady) >= 5 and np.ptp(t[steady]) > 0:
            times = t[steady] + delay_s
            slope = np.polyfit(times, np.interp(times, t, p), 1)[0]
            found.append(Stroke(float(np.polyfit(t[steady], way[steady], 1)[0]), float(slope)))
    return tuple(found)


def draw(path: Path, result: SpeedCalibration, time_s: Array, way_m: Array, position_m: Array) -> None:
    """Plot a calibration: the motion over time, and executed against commanded speed.

    Args:
        path: .png, .pdf or .svg.
        result: The result of `calibrate`.
        time_s: As passed to `calibrate`, shape (N,).
        way_m: As passed to `calibrate`, shape (N,).
        position_m: As passed to `calibrate`, shape (N,).
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (over_time, speeds) = plt.subplots(1, 2, figsize=(11, 4.5), width_ratios=(2, 1))
    fitted = result.gain * np.interp(time_s - result.delay_s, time_s, way_m)
    start = float(np.mean(position_m - fitted))
    over_time.plot(time_s - time_s[0], 1e3 * (position_m - start), color="tab:blue", label="executed")
    over_time.plot(time_s - time_s[0], 1e3 * way_m, color="0.6", linestyle="--", label="commanded")
    over_time.plot(time_s - time_s[0], 1e3 * fitted, color="tab:red", linewidth=1, label="gain and delay")
    over_time.set_xlabel("time (s)")
    over_time.set_ylabel("distance along the axis (mm)")
    over_time.legend(frameon=False)
    commanded = 1e3 * np.array([stroke.commanded_m_s for stroke in result.strokes])
    executed = 1e3 * np.array([stroke.executed_m_s for stroke in result.strokes])
    reach = 1.1 * max(np.abs(commanded).max(initial=1.0), np.abs(executed).max(initial=1.0))
    speeds.plot([-reach, reach], [-reach, reach], color="0.6", linestyle="--", linewidth=1)
    speeds.plot(commanded, executed, "o", color="tab:blue")
    speeds.set_xlabel("commanded (mm/s)")
    speeds.set_ylabel("executed (mm/s)")
    speeds.set_aspect("equal")
    late_ms, off_mm = 1e3 * result.delay_s, 1e3 * result.residual_m
    figure.suptitle(f"executed = {result.gain:.3f} × commanded, {late_ms:.0f} ms late, ± {off_mm:.2f} mm")
    figure.tight_layout()
    with atomic_file(path) as partial:
        figure.savefig(partial, format=path.suffix.lstrip("."), dpi=120)
    plt.close(figure)
