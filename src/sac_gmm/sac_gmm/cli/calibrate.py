"""Measure how often the skills as fitted succeed, task by task, over the noise on the detected target.

    sac-gmm calibrate --json runs/calibration.json
    sac-gmm calibrate --tasks door --episodes 20 --json /tmp/calibration.json

Fits every task's base skill to the demonstrations and runs it on the fixed seeds of the test bank; plain mixtures and
SEDS beside it. Every number is saved as soon as it is known; the same command again goes on where it stopped. The
picture beside the result (FILE.png) shows success against noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from sac_gmm.core.command_line import counting_progress, help_text
from sac_gmm.core.errors import UserError

_IN_A_CELL = {"task", "fit", "sigma_m", "rate", "wilson95"}  # what the table and the picture are made of


@dataclass(frozen=True)
class Calibrate:
    """What to measure."""

    # Result file; one that was begun with the same episodes is gone on with.
    json: Path
    # Tasks; all that have a base skill where none is given.
    tasks: tuple[str, ...] = ()
    # Episodes for each number under the paper's noise of 1 cm.
    episodes: int = 500
    # Episodes for each number under other noise.
    other_episodes: int = 200
    # Processes that run episodes.
    workers: int = 2
    # Folder with one folder of bags per task.
    demonstrations: Path = Path("demos")


def main(args: list[str]) -> int:
    """Run the calibration."""
    return run(tyro.cli(Calibrate, args=args, prog="sac-gmm calibrate", description=help_text(__doc__)))


def run(asked: Calibrate) -> int:
    """Measure what is still missing, and print the table."""
    from sac_gmm.core.files import check_output, write_json
    from sac_gmm.evaluation import provenance
    from sac_gmm.evaluation.noise_sweep import PAPER_SIGMA_M, cells, measure
    from sac_gmm.tasks import TASKS
    from sac_gmm.training.base_skill import base_skill

    check_output(asked.json, ".json")
    tasks = asked.tasks or tuple(task for task in TASKS if (asked.demonstrations / base_skill(task).bags).is_dir())
    for task in tasks:
        base_skill(task)
    counts = {"episodes": asked.episodes, "other_episodes": asked.other_episodes}
    if min(counts.values()) < 1:
        raise UserError(f"{min(counts.values())} episodes cannot be run: give a number from 1 up")
    result = _begun(asked.json, counts) or {**counts, "seed_bank": "test", "cells": {}}
    missing = [cell for cell in cells(tasks) if cell.key not in result["cells"]]
    with counting_progress(28) as progress:
        for cell in missing:
            episodes = asked.episodes if cell.sigma_m == PAPER_SIGMA_M else asked.other_episodes
            bar = progress.add_task(f"{cell.task} {cell.kind} {100 * cell.sigma_m:g} cm", total=episodes)
            measured = measure(
                cell,
                episodes,
                asked.workers,
                asked.demonstrations,
                lambda _, bar=bar: progress.advance(bar),  # type: ignore[misc]
            )
            result["cells"][cell.key] = {**measured, **provenance()}
            write_json(asked.json, result)
    print(table(result["cells"]))
    picture = asked.json.with_suffix(".png")
    draw(picture, result["cells"])
    print(f"wrote {asked.json} and {picture}")
    return 0


def _begun(path: Path, counts: dict[str, int]) -> dict[str, Any] | None:
    from sac_gmm.core.files import read_json
    from sac_gmm.core.runs import check_same_values

    if not path.exists():
        return None
    result = read_json(path)
    if not isinstance(result, dict) or not isinstance(result.get("cells"), dict):
        raise UserError(f"{path} is not a calibration: give another name")
    for key, cell in result["cells"].items():
        if not isinstance(cell, dict) or not set(cell) >= _IN_A_CELL:
            raise UserError(f"{path}: {key} does not hold what was measured: remove it, and it is measured again")
    check_same_values(path, result, counts)
    return result


def table(measured: dict[str, Any]) -> str:
    """Success in per cent with its interval, one line per task and fit, one column per noise."""
    from sac_gmm.evaluation.noise_sweep import PAPER_SIGMA_M, SIGMAS_M, paper_band

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
    from matplotlib.figure import Figure

    from sac_gmm.core.files import atomic_file

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
