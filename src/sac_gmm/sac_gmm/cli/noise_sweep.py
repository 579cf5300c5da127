"""Measure how often the skills as fitted succeed, by task and noise on the detected target.

    sac-gmm noise-sweep --json runs/noise_sweep.json
    sac-gmm noise-sweep --tasks door --episodes 20 --json /tmp/noise_sweep.json

Fits every task's base skill to the demonstrations and runs it on the fixed seeds of the test bank, with plain mixtures
and SEDS for comparison. Each number is saved as soon as it is measured; run the same command again to continue. The
picture beside the result (FILE.png) shows success against noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from sac_gmm.core.command_line import counting_progress, help_text
from sac_gmm.core.errors import UserError

_IN_A_CELL = {"task", "fit", "sigma_m", "rate", "wilson95"}  # needed for the table and the picture


@dataclass(frozen=True)
class NoiseSweep:
    """What to measure."""

    # Result file; continued if it was started with the same numbers of episodes.
    json: Path
    # Tasks; by default all that have demonstrations.
    tasks: tuple[str, ...] = ()
    # Episodes per number at the paper's noise of 1 cm.
    episodes: int = 500
    # Episodes per number at other noise levels.
    other_episodes: int = 200
    # Processes that run episodes.
    workers: int = 2
    # Folder with one folder of bags per task.
    demonstrations: Path = Path("demos")


def main(args: list[str]) -> int:
    """Run the sweep."""
    return run(tyro.cli(NoiseSweep, args=args, prog="sac-gmm noise-sweep", description=help_text(__doc__)))


def run(asked: NoiseSweep) -> int:
    """Measure the missing numbers, and print the table."""
    from sac_gmm.core.files import check_output, write_json
    from sac_gmm.evaluation import provenance
    from sac_gmm.evaluation.noise_sweep import PAPER_SIGMA_M, cells, measure
    from sac_gmm.methods.sac_gmm.base_skill import base_skill
    from sac_gmm.report.noise_sweep import draw, table
    from sac_gmm.tasks import TASKS

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
    """Results of an earlier start with the same numbers of episodes; None if there is no file."""
    from sac_gmm.core.files import read_json
    from sac_gmm.core.runs import check_same_values

    if not path.exists():
        return None
    result = read_json(path)
    if not isinstance(result, dict) or not isinstance(result.get("cells"), dict):
        raise UserError(f"{path} is not the result of a noise sweep: give another name")
    for key, cell in result["cells"].items():
        if not isinstance(cell, dict) or not set(cell) >= _IN_A_CELL:
            raise UserError(f"{path}: {key} is not a valid measurement: remove it to measure it again")
    check_same_values(path, result, counts)
    return result
