"""The table and the picture of a noise sweep (`sac-gmm noise-sweep`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from sac_gmm.core.files import atomic_file
from sac_gmm.evaluation.noise_sweep import PAPER_SIGMA_M, SIGMAS_M, paper_band


def table(measured: dict[str, Any]) -> str:
    """Success in per cent with its interval, one line per task and fit, one column per noise level."""
    lines = ["task         fit     " + "".join(f"{f'{100 * sigma:g} cm':>14}" for sigma in SIGMAS_M)]
    for task, fit in dict.fromkeys((cell["task"], cell["fit"]) for cell in measured.values()):
        entries = []
        for sigma in SIGMAS_M:
            cell = measured.get(f"{task}/{fit}/{sigma:g}")
            if cell is None:
                entries.append(f"{'':>14}")
            else:
                low, high = cell["wilson95"]
                entries.append(f"{100 * cell['rate']:6.1f} [{100 * low:.0f}-{100 * high:.0f}]".rjust(14))
        band = paper_band(task)
        note = f"   asked at {100 * PAPER_SIGMA_M:g} cm: {100 * band[0]:.0f}-{100 * band[1]:.0f}" if band else ""
        lines.append(f"{task:<12} {fit:<7} " + "".join(entries) + (note if fit == "lpv_ds" else ""))
    return "\n".join(lines)


def draw(path: Path, measured: dict[str, Any]) -> None:
    """Draw success of the base skills against the noise, with Wilson 95 % intervals."""
    figure = Figure(figsize=(6.0, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for number, task in enumerate(dict.fromkeys(cell["task"] for cell in measured.values())):
        of_task = [cell for cell in measured.values() if cell["task"] == task and cell["fit"] == "lpv_ds"]
        of_task.sort(key=lambda cell: cell["sigma_m"])
        shift = 0.02 * (number - 2)  # so that the intervals do not hide each other
        sigma_cm = [100 * cell["sigma_m"] + shift for cell in of_task]
        rate = [100 * cell["rate"] for cell in of_task]
        below = [100 * (cell["rate"] - cell["wilson95"][0]) for cell in of_task]
        above = [100 * (cell["wilson95"][1] - cell["rate"]) for cell in of_task]
        axes.errorbar(sigma_cm, rate, yerr=(below, above), marker="o", markersize=4, capsize=2, label=task)
    axes.set_xlabel("noise on the detected target, standard deviation per axis (cm)")
    axes.set_ylabel("success of the skill as fitted (%)")
    axes.set_ylim(-2, 102)
    axes.grid(alpha=0.3)
    axes.legend()
    with atomic_file(path) as partial:
        figure.savefig(partial, format="png", dpi=120)
