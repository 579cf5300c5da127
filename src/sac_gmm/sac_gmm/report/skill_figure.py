"""The picture of a skill: demonstrations, field, ellipsoids and rollouts, plane by plane."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from sac_gmm.core.files import atomic_file
from sac_gmm.models import Regressor, SkillModel, rollout
from sac_gmm.models.mixtures.mixture import Array

ENDINGS = (".png", ".pdf", ".svg")
_GRID = 26
_DEMO, _ROLLOUT, _ELLIPSE = "0.55", "tab:red", "tab:blue"
_N_SIGMA = 2.0
_ROOM = 0.12  # of the motion, on each side of it
_LEAST_SHARE = 0.25  # of the motion that a picture shows across it


def draw(path: Path, skill: SkillModel, x: Array, v: Array, lengths: Any, dt_s: float) -> None:
    """Write the picture of a positional skill.

    Each panel is a projection on two axes; its field is evaluated at the depth of the nearest demonstrated point. The
    last panel shows the distance from the attractor over time.

    Args:
        path: .png, .pdf or .svg.
        skill: In metres and seconds.
        x: (N, d) demonstrated positions, d at least 2.
        v: (N, d) demonstrated velocities.
        lengths: Samples per demonstration.
        dt_s: Time between samples.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    d = skill.state_dim
    demos = np.split(x, np.cumsum(lengths)[:-1])
    starts = np.array([demo[0] for demo in demos])
    paths = rollout(skill, starts, dt_s, int(1.5 * max(lengths)), integrator="rk4", check_step=False)
    planes = list(combinations(range(d), 2))
    columns = min(len(planes) + 1, 2)
    rows = -(-(len(planes) + 1) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(6.2 * columns, 5.4 * rows), squeeze=False)
    names = "xyz" if d <= 3 else [f"x{i}" for i in range(d)]
    for axis, (i, j) in zip(axes.flat, planes, strict=False):
        draw_plane(axis, skill, x, demos, paths, i, j)
        axis.set_xlabel(f"{names[i]} relative to the target (mm)")
        axis.set_ylabel(f"{names[j]} (mm)")
    _distance(axes.flat[len(planes)], skill, demos, paths, dt_s)
    for axis in list(axes.flat)[len(planes) + 1 :]:
        axis.axis("off")
    task = skill.meta.get("task") or "skill"
    figure.suptitle(f"{task}: {skill.kind}, {skill.mixture.n_components} Gaussians, {len(demos)} demonstrations")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=4, frameon=False)
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    with atomic_file(path) as partial:
        figure.savefig(partial, format=path.suffix.lstrip("."), dpi=110)
    plt.close(figure)


def draw_plane(axis: Any, skill: SkillModel, x: Array, demos: list[Array], paths: Array, i: int, j: int) -> None:
    """Draw the plane of the coordinates i and j, in millimetres.

    Args:
        axis: Matplotlib axes.
        skill: In metres and seconds.
        x: (N, d) demonstrated positions; the field is evaluated at the depth of the nearest one.
        demos: The same, a list with one array per demonstration.
        paths: (T, n, d) rollouts.
        i: Horizontal coordinate.
        j: Vertical coordinate.
    """
    from scipy.spatial import cKDTree

    shown = [i, j]
    low, high = x[:, shown].min(axis=0), x[:, shown].max(axis=0)
    # A motion along an axis has no width across it: the picture then has some of its length.
    room = _ROOM * max((high - low).max(), _LEAST_SHARE * np.ptp(x, axis=0).max())
    grid = [np.linspace(low[a] - room, high[a] + room, _GRID) for a in range(2)]
    points = np.stack(np.meshgrid(*grid), axis=-1).reshape(-1, 2)
    states = x[cKDTree(x[:, shown]).query(points)[1]].copy()
    states[:, shown] = points
    field = Regressor(skill.mixture).batch(states)[:, shown].reshape(_GRID, _GRID, 2)
    if field.any():  # seen along a straight motion there is nothing that flows
        axis.streamplot(
            1e3 * grid[0],
            1e3 * grid[1],
            field[..., 0],
            field[..., 1],
            color="0.86",
            density=1.2,
            linewidth=0.7,
            arrowsize=0.7,
        )
    for k, outline in enumerate(1e3 * skill.mixture.outlines(shown, _N_SIGMA)):
        axis.fill(*outline.T, color=_ELLIPSE, alpha=0.12, label="Gaussians (2 sigma)" if k == 0 else None)
        axis.plot(*outline.T, color=_ELLIPSE, lw=0.6, alpha=0.6)
    for n, demo in enumerate(demos):
        axis.plot(*(1e3 * demo[:, shown].T), color=_DEMO, lw=2.2, label="demonstrations" if n == 0 else None)
    for n in range(paths.shape[1]):
        axis.plot(*(1e3 * paths[:, n, shown].T), color=_ROLLOUT, lw=1.0, label="rollouts" if n == 0 else None)
    axis.plot(*(1e3 * skill.attractor[shown]), "k*", ms=10, label="attractor")
    axis.set_xlim(1e3 * grid[0][0], 1e3 * grid[0][-1])
    axis.set_ylim(1e3 * grid[1][0], 1e3 * grid[1][-1])
    axis.set_aspect("equal")


def _distance(axis: Any, skill: SkillModel, demos: list[Array], paths: Array, dt_s: float) -> None:
    for demo in demos:
        time = dt_s * np.arange(len(demo))
        axis.plot(time, 1e3 * np.linalg.norm(demo - skill.attractor, axis=1), color=_DEMO, lw=2.2)
    time = dt_s * np.arange(len(paths))
    axis.plot(time, 1e3 * np.linalg.norm(paths - skill.attractor, axis=2), color=_ROLLOUT, lw=1.0)
    axis.set_xlabel("time (s)")
    axis.set_ylabel("distance from the attractor (mm)")
    axis.set_ylim(bottom=0.0)
    axis.grid(alpha=0.3)
