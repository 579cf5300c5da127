"""Exports demonstrations as arrays, tables and plots, for tools that do not read bags."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import atomic_file
from sac_gmm.demos.demonstration import Demonstration

_COLUMNS = (
    "demonstration",
    "time_s",
    "x_m",
    "y_m",
    "z_m",
    "vx_m_s",
    "vy_m_s",
    "vz_m_s",
    "rel_x_m",
    "rel_y_m",
    "rel_z_m",
)


def export(path: Path | str, demonstrations: Sequence[Demonstration]) -> None:
    """Write demonstrations to a new file: `.npz` (arrays) or `.csv` (one row per sample).

    The npz holds, for all samples one after the other, `index` (N,), `time_s` (N,), `position_m`, `velocity_m_s` and
    `relative_m` (N, 3); and for each of the n demonstrations `target_m` (n, 3), `name`, `task` and `frame_id` (n,).

    Raises:
        UserError: There is no demonstration, the extension is another one, or the file exists.
    """
    path = Path(path)
    if not demonstrations:
        raise UserError("there is no demonstration to export: name one bag or more")
    index = np.concatenate([np.full(d.n_samples, i) for i, d in enumerate(demonstrations)])
    arrays = {
        name: np.concatenate([getattr(d, name) for d in demonstrations])
        for name in ("time_s", "position_m", "velocity_m_s", "relative_m")
    }
    if path.suffix == ".npz":
        about = {name: np.array([getattr(d, name) for d in demonstrations]) for name in ("name", "task", "frame_id")}
        with atomic_file(path, overwrite=False) as partial, partial.open("wb") as file:
            target = np.array([d.target_m for d in demonstrations])
            np.savez(file, index=index, target_m=target, **(arrays | about))  # type: ignore[arg-type]
    elif path.suffix == ".csv":
        with atomic_file(path, overwrite=False) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(_COLUMNS)
            table = np.column_stack([arrays[name] for name in ("time_s", "position_m", "velocity_m_s", "relative_m")])
            for i, row in zip(index.tolist(), table.tolist(), strict=True):
                rows.writerow([demonstrations[i].name, *(f"{value:.9g}" for value in row)])
    else:
        raise UserError(f"{path}: demonstrations are exported to .npz or .csv, chosen by the ending")


def plot(path: Path | str, demonstrations: Sequence[Demonstration]) -> None:
    """Plot demonstrations relative to their targets into a new picture: over time, speed, top view and side view.

    Raises:
        UserError: There is no demonstration, or the file exists or is no .png, .svg or .pdf.
    """
    path = Path(path)
    if not demonstrations:
        raise UserError("there is no demonstration to draw: name one bag or more")
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise UserError(f"{path}: a picture is written to .png, .svg or .pdf, chosen by the ending")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 7.0), layout="constrained")
    FigureCanvasAgg(figure)
    over_time, views = np.asarray(figure.subfigures(1, 2, width_ratios=(3, 2)))
    rows = over_time.subplots(4, 1, sharex=True)
    above, side = views.subplots(2, 1)
    colours = [f"C{i % 10}" for i in range(len(demonstrations))]
    for demonstration, colour in zip(demonstrations, colours, strict=True):
        time_s = demonstration.time_s - demonstration.time_s[0]
        relative = demonstration.relative_m
        for axis, row in enumerate(rows[:3]):
            row.plot(time_s, 1e3 * relative[:, axis], color=colour, linewidth=1.2)
        rows[3].plot(time_s, np.linalg.norm(demonstration.velocity_m_s, axis=1), color=colour, linewidth=1.2)
        for view, (a, b) in ((above, (0, 1)), (side, (0, 2))):
            view.plot(1e3 * relative[:, a], 1e3 * relative[:, b], color=colour, linewidth=1.2, label=demonstration.name)
            view.plot(*(1e3 * relative[0, [a, b]]), "o", color=colour, markersize=4)
    for row, name in zip(rows, ("x in mm", "y in mm", "z in mm", "speed in m/s"), strict=True):
        row.set_ylabel(name)
        row.grid(alpha=0.3)
    rows[-1].set_xlabel("time in s")
    rows[0].set_title("position relative to the target")
    for view, names, title in ((above, "xy", "from above"), (side, "xz", "from the side")):
        view.plot(0.0, 0.0, "+", color="black", markersize=12, label="target")
        view.set_title(title)
        view.set_xlabel(f"{names[0]} in mm")
        view.set_ylabel(f"{names[1]} in mm")
        view.set_aspect("equal", adjustable="datalim")
        view.grid(alpha=0.3)
    if len(demonstrations) <= 10:
        above.legend(fontsize="small")
    with atomic_file(path, overwrite=False) as partial:
        figure.savefig(partial, format=path.suffix[1:], dpi=110)
