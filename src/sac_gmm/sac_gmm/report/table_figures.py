"""Pictures of the comparison: learning curves with the limit of regret, and success against noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sac_gmm.core.files import atomic_file, read_json
from sac_gmm.evaluation.rates import SuccessRate
from sac_gmm.evaluation.table import OURS, WINDOW
from sac_gmm.methods import method, method_names

_COLOURS = {skill: f"C{number}" for number, skill in enumerate(method_names())}  # the same in every panel


def draw_all(folder: Path, table: dict[str, Any]) -> list[Path]:
    """Draw every picture for which there are data; return their paths."""
    tasks = list(dict.fromkeys(row["task"] for row in table["rows"]))
    drawn = []
    if any("training" in row for row in table["rows"]):
        drawn.append(_draw_curves(folder / "learning.png", table, tasks, folder))
    drawn.append(_draw_noise(folder / "noise.png", table, tasks))
    return drawn


def _draw_curves(path: Path, table: dict[str, Any], tasks: list[str], folder: Path) -> Path:
    """Success in windows of training episodes (mean and range over seeds), with the base skill's rate."""
    figure, axes = _panels(len(tasks))
    plain = method(method(OURS).as_fitted)
    for axis, task in zip(axes, tasks, strict=True):
        base = next((row for row in table["rows"] if (row["task"], row["skill"]) == (task, plain.name)), None)
        if base is not None:
            rate = base["tests"]["test"]["rate"]
            axis.axhline(rate, color="0.3", lw=1, ls="--", label=plain.title)
            axis.axhline(rate - 0.1, color="0.7", lw=0.8, ls=":", label="10 points below")
        for row in table["rows"]:
            if row["task"] != task or row["variant"] or "training" not in row:
                continue
            curves = _curves(folder, row)
            if not curves:
                continue
            n = min(map(len, curves))
            won = np.array([[c == "1" for c in curve[:n]] for curve in curves], float)
            kernel = np.ones(min(WINDOW, n)) / min(WINDOW, n)
            each = np.array([np.convolve(seed, kernel, "valid") for seed in won])
            x = np.arange(each.shape[1]) + len(kernel)
            colour = _COLOURS[row["skill"]]
            axis.plot(x, each.mean(axis=0), lw=1.5, color=colour, label=row["title"])
            axis.fill_between(x, each.min(axis=0), each.max(axis=0), color=colour, alpha=0.15, lw=0)
        axis.set(title=task, xlabel="training episode", ylim=(-0.02, 1.02))
    axes[0].set_ylabel(f"success, windows of {WINDOW} (exploring)")
    _draw_legend(figure, axes)
    return _save(figure, path)


def _draw_noise(path: Path, table: dict[str, Any], tasks: list[str]) -> Path:
    """Success on the test bank against the noise on the detected target, with 95 % intervals."""
    figure, axes = _panels(len(tasks))
    for axis, task in zip(axes, tasks, strict=True):
        for row in table["rows"]:
            if row["task"] != task or row["variant"]:
                continue
            points = {1.0: row["tests"]["test"]}
            for name, test in row["tests"].items():
                if name.startswith("sigma "):
                    points[float(name.split()[1])] = test
            sigmas = sorted(points)
            rates = [points[s]["rate"] for s in sigmas]
            bounds = np.array([SuccessRate.from_json(points[s]).interval for s in sigmas]).T
            look = {"marker": "o", "ms": 3, "lw": 1.2, "capsize": 2, "color": _COLOURS[row["skill"]]}
            axis.errorbar(sigmas, rates, np.abs(bounds - rates), label=row["title"], **look)
        axis.set(title=task, xlabel="noise on the target, cm", ylim=(-0.02, 1.02))
    axes[0].set_ylabel("success")
    _draw_legend(figure, axes)
    return _save(figure, path)


def _curves(folder: Path, row: dict[str, Any]) -> list[str]:
    files = sorted((folder / "cells").glob(f"{row['task']}-{row['skill']}-[0-9]*.json"))
    results = [read_json(file) for file in files]
    return [result["training"]["outcomes"] for result in results if "training" in result and not result["variant"]]


def _panels(n: int) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.6 * n + 0.6, 3.7), layout="constrained")
    return figure, list(figure.subplots(1, n, sharey=True, squeeze=False)[0])


def _draw_legend(figure: Any, axes: list[Any]) -> None:
    """One legend below all panels: not every panel has every skill."""
    named = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(named.values(), named.keys(), fontsize=8, loc="outside lower center", ncols=len(named))


def _save(figure: Any, path: Path) -> Path:
    with atomic_file(path) as partial:
        figure.savefig(partial, format="png", dpi=120)
    return path
