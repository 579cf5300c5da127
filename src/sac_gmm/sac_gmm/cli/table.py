"""Run the whole comparison: all skills on all tasks over several training seeds. Takes hours; can be resumed.

    sac-gmm table --json benchmarks/results/table/table.json
    sac-gmm table --tasks door --skills gmm spiral_gmm sac_gmm --seeds 1 --json runs/table/table.json
    sac-gmm table --tasks peg --skills sac_gmm --seeds 1 --ablations "no touch" "N = 16" --json runs/table/table.json

Every cell is saved as soon as it is measured, and so are the training runs within a cell; run the same command again to
continue. Beside the table are the cells and two pictures: learning curves, and success against noise.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tyro

from sac_gmm.core.command_line import counting_progress, help_text
from sac_gmm.core.errors import UserError


@dataclass(frozen=True)
class Table:
    """What to compare."""

    # Result file; cells and pictures are in its folder.
    json: Path
    # Tasks; by default all.
    tasks: tuple[str, ...] = ()
    # Skills; by default all.
    skills: tuple[str, ...] = ()
    # Number of training seeds.
    seeds: int = 5
    # Also SAC-GMM with one thing changed at a time: which ("no touch", "N = 16", …), or "all".
    ablations: tuple[str, ...] = ()
    # Episodes per measurement.
    episodes: int = 100
    # Training episodes; by default each task's own budget.
    training_episodes: int | None = None
    # Processes; each runs one cell at a time on one thread.
    workers: int = 2
    # Folder of settings: how agents learn and what they see.
    config: Path = Path("config/methods")
    # Folder with one folder of bags per task.
    demonstrations: Path = Path("demos")


def main(args: list[str]) -> int:
    """Run the comparison."""
    return run(tyro.cli(Table, args=args, prog="sac-gmm table", description=help_text(__doc__)))


def run(asked: Table) -> int:
    """Run the missing cells, and write the table of all measured ones."""
    from sac_gmm.core.files import write_json
    from sac_gmm.core.processes import run_in_workers
    from sac_gmm.evaluation import table as tables
    from sac_gmm.methods import method, method_names
    from sac_gmm.methods.sac_gmm.base_skill import base_skill
    from sac_gmm.methods.settings import load_settings
    from sac_gmm.report.table_figures import draw_all

    for name in ("seeds", "episodes", "workers"):
        if (number := getattr(asked, name)) < 1:
            raise UserError(f"--{name} {number}: expected 1 or more")
    tasks, skills = asked.tasks or tuple(tables.BUDGETS), asked.skills or tuple(method_names())
    for task in tasks:
        base_skill(task)
        if task not in tables.BUDGETS and asked.training_episodes is None:
            raise UserError(f"task '{task}' has no budget of training episodes: give --training-episodes")
    for skill in skills:
        method(skill)
    conditions = tables.Conditions(
        asked.json.parent, asked.config, asked.demonstrations, asked.episodes, asked.training_episodes
    )

    ours = method(tables.OURS)
    settings = {task: load_settings(ours, task, asked.config) for task in tasks}
    known = dict.fromkeys(name for own in settings.values() for name in ours.ablations(own))
    if unknown := set(asked.ablations) - {"all", *known}:
        raise UserError(f"there is no ablation '{unknown.pop()}'; choose among: all, {', '.join(known)}")

    def variants_of(task: str) -> list[str]:
        if not asked.ablations:
            return []
        found = tables.variants(ours, settings[task])
        return [name for name in found if "all" in asked.ablations or name in asked.ablations]

    wanted = tables.cells(tasks, skills, asked.seeds, variants_of)
    missing = [cell for cell in wanted if not tables.result_file(cell, conditions).exists()]
    with counting_progress(34) as progress:
        bar = progress.add_task("cells", total=len(wanted), completed=len(wanted) - len(missing))

        def done(cell: Any) -> None:
            progress.update(bar, advance=1, description=cell.key)
            if not progress.console.is_terminal:
                print(f"done: {cell.key}", flush=True)
            write_json(asked.json, tables.assemble(conditions, wanted))

        if asked.workers == 1:
            for cell in missing:
                tables.run_cell(cell, conditions)
                done(cell)
        else:
            # Ctrl-C may interrupt the cells: a resumed run gives the same result as an uninterrupted one.
            finished = run_in_workers(
                partial(tables.run_cell, conditions=conditions),
                missing,
                asked.workers,
                in_order=False,
                name_of=lambda cell: f"cell {cell.key}",
                interruptible=True,
            )
            with contextlib.closing(finished):
                for cell, _ in finished:
                    done(cell)
    table = tables.assemble(conditions, wanted)
    write_json(asked.json, table)
    print(tables.text_table(table))
    pictures = draw_all(asked.json.parent, table)
    print(f"wrote {asked.json}" + "".join(f", {picture}" for picture in pictures))
    return 0
