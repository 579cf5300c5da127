"""Handwriting-like planar motions: read from a folder in the format of the LASA data set, or generated here.

The LASA data set is free for academic use only and is not shipped; the generator replaces it in tests and development.
Its shapes are our own. Its motions are in millimetres and seconds, end at the origin, and have the data set's format:
seven demonstrations of 1000 samples each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sac_gmm.core.errors import UserError
from sac_gmm.models.mixtures.mixture import Array

N_DEMONSTRATIONS = 7
N_SAMPLES = 1000

# Corners of each figure in units of 10 mm, first to last; the last is the goal and is shifted to the origin.
FIGURES: dict[str, list[tuple[float, float]]] = {
    "angle": [(-4.5, 0.5), (-2.0, 2.6), (0, 4.2), (0.2, 2.0), (0, 0)],
    "arrow": [(-4.0, 3.0), (-1.0, 2.6), (0.8, 1.2), (-0.6, -1.0), (-2.2, -1.6), (-1.6, -0.4), (0, 0)],
    "bay": [(3.6, 2.6), (1.0, 3.6), (-1.6, 2.6), (-2.2, 0.4), (-1.2, -0.6), (0, 0)],
    "bend": [(-3.0, -2.6), (-3.4, 1.2), (-1.2, 1.6), (0, 0)],
    "bends": [(-4.6, 2.4), (-3.4, 0.6), (-2.2, 1.8), (-1.0, 0.2), (0, 0)],
    "claw": [(3.0, 3.0), (-0.6, 3.4), (-1.6, 1.2), (-0.4, 0.1), (0, 0)],
    "crest": [(-4.0, -2.0), (-2.8, 1.8), (-1.6, 2.4), (-0.8, 0.8), (0, 0)],
    "dune": [(-4.4, -1.4), (-4.0, 2.4), (-1.4, 2.6), (-0.4, 0.8), (0, 0)],
    "flag": [(-1.6, -3.4), (-1.6, 1.4), (-0.4, 2.4), (0.6, 1.4), (0, 0)],
    "fork": [(-3.4, 3.4), (-3.2, 0.6), (-1.6, 0.2), (-1.2, 1.8), (0, 0)],
    "gate": [(-4.0, -1.0), (-3.6, 2.0), (-0.8, 2.2), (-0.2, 0.8), (0, 0)],
    "hat": [(-4.6, 0), (-3.0, 0.2), (-2.4, 2.4), (-1.4, 2.4), (-0.8, 0.4), (0, 0)],
    "hook": [(1.2, 4.4), (1.0, 1.6), (0.4, -0.4), (-0.8, -0.8), (-0.6, 0.2), (0, 0)],
    "kink": [(-4.8, 1.0), (-2.8, 1.2), (-2.2, -0.4), (-1.0, -0.6), (0, 0)],
    "ladle": [(-4.6, 3.0), (-2.6, 0.8), (-1.2, -1.0), (0.4, -1.2), (0.8, -0.2), (0, 0)],
    "leaf": [(-3.0, -2.4), (-3.0, 0.8), (-1.2, 2.4), (0.2, 1.6), (0, 0)],
    "line": [(-4.4, 2.8), (-2.2, 1.5), (0, 0)],
    "peak": [(-4.2, -1.6), (-2.2, 2.8), (-1.6, 2.6), (0, 0)],
    "pier": [(-3.2, 3.8), (-3.2, 0.4), (-2.4, -0.2), (0, 0)],
    "ramp": [(-4.4, -1.0), (-2.4, -3.0), (-0.4, -2.6), (0.6, -0.8), (0, 0)],
    "ripple": [(-5.0, 1.4), (-4.0, 2.6), (-3.0, 1.2), (-2.0, 0.0), (-1.0, 0.9), (0, 0)],
    "saddle": [(-4.2, 2.8), (-2.8, 0.6), (-1.4, 0.6), (-0.8, 1.6), (0, 0)],
    "snake": [(-4.8, 2.2), (-3.6, 3.2), (-2.4, 1.4), (-1.4, -0.6), (-0.6, -0.4), (0, 0)],
    "stair": [(-3.8, 3.4), (-2.2, 3.2), (-1.8, 1.4), (-0.4, 1.2), (0, 0)],
    "tooth": [(-4.6, 2.8), (-3.8, -0.2), (-2.6, 2.2), (-1.4, -0.4), (0, 0)],
    "zigzag": [(-3.4, 3.6), (-0.6, 3.4), (-2.4, 0.8), (-1.2, 0.1), (0, 0)],
}


@dataclass(frozen=True)
class Motion:
    """One figure with its demonstrations.

    Attributes:
        name: Name of the figure.
        positions_mm: One (N, 2) array per demonstration, ending at the origin.
        velocities_mm_s: One (N, 2) array per demonstration.
        time_step_s: One number per demonstration.
    """

    name: str
    positions_mm: list[Array]
    velocities_mm_s: list[Array]
    time_step_s: list[float]


def load_motions(folder: Path | str) -> list[Motion]:
    """Read all single-pattern motions of a folder in the LASA format (`NAME.mat` with a cell `demos` of structs).

    Files whose names begin with `Multi_Models` hold several patterns and are skipped, as in the published evaluation.

    Raises:
        UserError: The folder has no such files, or one of them lacks the fields.
    """
    from scipy.io import loadmat

    files = sorted(path for path in Path(folder).glob("*.mat") if not path.name.startswith("Multi_Models"))
    if not files:
        raise UserError(
            f"{folder} holds no .mat files: give the folder of the data set, or use synthetic motions (see --help)"
        )
    motions = []
    for path in files:
        try:
            demos = np.atleast_1d(loadmat(path, squeeze_me=True, struct_as_record=False)["demos"])
            positions = [np.array(demo.pos, dtype=np.float64).T for demo in demos]
            velocities = [np.array(demo.vel, dtype=np.float64).T for demo in demos]
            steps = [float(demo.dt) for demo in demos]
        except (KeyError, AttributeError, ValueError, TypeError) as error:
            raise UserError(
                f"{path} is not in the LASA format: it needs `demos` with pos, vel and dt ({error})"
            ) from error
        motions.append(Motion(path.stem, positions, velocities, steps))
    return motions


def make_motions(seed: int = 0) -> list[Motion]:
    """All figures, each written seven times by the same unsteady hand."""
    return [make_motion(name, seed) for name in FIGURES]


def make_motion(name: str, seed: int = 0) -> Motion:
    """Write one figure seven times.

    The hand slows down in bends (the two-thirds power law: speed is proportional to curvature^(-1/3)) and starts and
    ends at rest. Every repetition differs in start, size, slant, slow deviations from the path, and pace.
    """
    rng = np.random.default_rng([seed, sorted(FIGURES).index(name)])
    path = _smooth_path(10.0 * np.array(FIGURES[name]), rounding=rng.uniform(0.025, 0.05))
    duration = rng.uniform(2.5, 5.5)
    positions, velocities, steps = [], [], []
    for _ in range(N_DEMONSTRATIONS):
        x = _deviate(path, rng)
        length = duration * np.exp(0.07 * rng.normal())
        x = _pace(x, rng)
        dt = length / (N_SAMPLES - 1)
        positions.append(x - x[-1])
        velocities.append(np.gradient(x, dt, axis=0))
        steps.append(dt)
    return Motion(name, positions, velocities, steps)


def _smooth_path(corners: Array, rounding: float, n: int = 2000) -> Array:
    """A polyline with rounded corners, sampled at equal arc lengths: (n, 2)."""
    line = _equal_steps(corners, n)
    width = rounding * n
    kernel = np.exp(-0.5 * (np.arange(-3 * width, 3 * width + 1) / width) ** 2)
    pad = len(kernel) // 2
    # Reflection at the end points keeps them in place.
    padded = np.concatenate([2 * line[0] - line[pad:0:-1], line, 2 * line[-1] - line[-2 : -pad - 2 : -1]])
    return np.stack([np.convolve(column, kernel / kernel.sum(), mode="valid") for column in padded.T], axis=1)


def _deviate(path: Array, rng: np.random.Generator) -> Array:
    """The path as one repetition draws it."""
    n = len(path)
    s = np.linspace(0.0, 1.0, n)[:, None]
    angle, size, slant = 0.04 * rng.normal(), 1.0 + 0.04 * rng.normal(size=2), 0.03 * rng.normal()
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    bent = path @ (turn @ np.array([[size[0], slant], [0.0, size[1]]])).T
    for wave in range(1, 13):
        bent = bent + 2.2 / wave * rng.normal(size=2) * np.cos(np.pi * wave * s + rng.uniform(0, np.pi)) * (1.0 - s)
    return bent + 1.2 * rng.normal(size=2) * (1.0 - s) ** 2


def _pace(path: Array, rng: np.random.Generator) -> Array:
    """The path sampled at equal time steps: (N_SAMPLES, 2)."""
    n = len(path)
    s = np.linspace(0.0, 1.0, n)
    first = np.gradient(path, axis=0)
    second = np.gradient(first, axis=0)
    turning = np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0])
    curvature = turning / np.maximum(np.square(first).sum(axis=1), 1e-12) ** 1.5
    speed = (curvature + 0.03) ** (-1.0 / 3.0)
    for wave in range(1, 5):
        speed *= np.exp(0.05 / wave * rng.normal() * np.cos(2 * np.pi * wave * s + rng.uniform(0, 2 * np.pi)))
    speed *= np.minimum(1.0, s / 0.12 + 0.02) ** 0.5 * np.minimum(1.0, (1.0 - s) / 0.25 + 0.002) ** 0.6
    width = n // 40
    speed = np.convolve(np.pad(speed, width // 2, mode="edge"), np.ones(width) / width, mode="same")[
        width // 2 : width // 2 + n
    ]
    step = np.linalg.norm(np.diff(path, axis=0), axis=1)
    time = np.concatenate([[0.0], np.cumsum(step / (0.5 * (speed[1:] + speed[:-1])))])
    at = np.interp(np.linspace(0.0, time[-1], N_SAMPLES), time, np.arange(n))
    sampled = np.stack([np.interp(at, np.arange(n), column) for column in path.T], axis=1)
    kernel = np.hanning(17) / np.hanning(17).sum()
    padded = np.concatenate([2 * sampled[0] - sampled[8:0:-1], sampled, 2 * sampled[-1] - sampled[-2:-10:-1]])
    return np.stack([np.convolve(column, kernel, mode="valid") for column in padded.T], axis=1)


def _equal_steps(points: Array, n: int) -> Array:
    """`points` (M, 2) joined by straight lines, resampled at `n` equal arc lengths."""
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.linspace(0.0, arc[-1], n)
    return np.stack([np.interp(at, arc, column) for column in points.T], axis=1)
