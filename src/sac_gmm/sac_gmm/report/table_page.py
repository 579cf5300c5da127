"""The page about a comparison: the table, its pictures, every episode, and failures of SAC-GMM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import read_json
from sac_gmm.evaluation.measuring import episode_seeds
from sac_gmm.evaluation.published import PUBLISHED
from sac_gmm.evaluation.rates import SuccessRate
from sac_gmm.methods import open_skill
from sac_gmm.report.page import Page
from sac_gmm.report.sections import named_outcomes, naming, read_fields, show_films, watch_skill
from sac_gmm.report.table_figures import draw_all


def table_page(folder: Path, films: int) -> Page:
    """The page about a folder's `table.json`; `films` failures are shown of each task whose runs are still there."""
    path = folder / "table.json"
    table = read_fields(path, "rows", "episodes", "missing", "git")
    if not table["rows"]:
        raise UserError(f"{path}: 'rows' is empty: no cell of the table is known yet, run `sac-gmm table` first")
    with naming(path):
        return _page(folder, table, films)


def _page(folder: Path, table: dict[str, Any], films: int) -> Page:
    rows = table["rows"]
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    page = Page(
        f"Comparison on {', '.join(tasks)}",
        f"Deterministic policies on the same {table['episodes']} episodes each, pooled over training seeds; skills "
        "that learn nothing on more of them. In brackets the 95 % interval: over seeds and episodes where there are "
        f"several seeds, Wilson's elsewhere. {len(table['missing'])} cells are not known yet. Source {table['git']}.",
    )
    for task in tasks:
        _task_section(page, task, [row for row in rows if row["task"] == task])
    page.section("Learning curves and noise")
    pictures = [folder / "learning.png", folder / "noise.png"]
    if not all(picture.exists() for picture in pictures):
        pictures = draw_all(folder, table)
    for picture in pictures:
        page.picture(picture.read_bytes(), _CAPTIONS.get(picture.stem, picture.stem))
    for task in tasks if films else ():
        _failures_section(page, folder, task, films)
    page.section("Every episode")
    for path in sorted((folder / "cells").glob("*.json")):
        with naming(path):
            test = read_json(path)["tests"]["test"]
            named = named_outcomes(test["outcomes"], episode_seeds("test", test["episodes"]))
        page.outcomes(path.stem, named)
    page.section("Timing")
    page.table(
        ("task", "skill", "training episodes", "control steps", "wall time, minutes"),
        [_timing_row(row) for row in rows if "training" in row],
    )
    page.section("Configuration")
    page.configuration({name: value for name, value in table.items() if name != "rows"})
    return page


_CAPTIONS = {
    "learning": "Success while exploring: mean and spread over training seeds.",
    "noise": "Success against noise on the detected target, with 95 % intervals.",
}
_HEADS = ("skill", "training seeds", "success", "each seed (%)", "steps to success", "worst 25 in training", "paper")


def _task_section(page: Page, task: str, rows: list[dict[str, Any]]) -> None:
    page.section(task)
    page.table(_HEADS, [_table_row(row) for row in rows])
    names = [name for name in dict.fromkeys(n for row in rows for n in row["tests"]) if name != "test"]
    if names:
        page.text("The same policies under other conditions, success in per cent:")
        page.table(("skill", *names), [(_title(row), *(_percent(row, name) for name in names)) for row in rows])


def _failures_section(page: Page, folder: Path, task: str, films: int) -> None:
    """Films of failures of SAC-GMM's first training seed, if its run was kept."""
    run_dir, cell = folder / "runs" / f"{task}-sac_gmm-0", folder / "cells" / f"{task}-sac_gmm-0.json"
    if (run_dir / "policy.bin").exists() and cell.exists():
        with naming(cell):
            test = read_json(cell)["tests"]["test"]
            seeds = episode_seeds("test", test["episodes"])
            failed = [seed for seed, won in zip(seeds, test["outcomes"], strict=True) if won == "0"]
        if not failed:
            return
        skill = open_skill(str(run_dir))
        page.section(f"{task}: failures of SAC-GMM, training seed 0")
        show_films(page, [("", watch_skill(skill, seed, None, {})) for seed in failed[:films]])


def _table_row(row: dict[str, Any]) -> tuple[object, ...]:
    test, training = row["tests"]["test"], row.get("training", {})
    steps, worst = test["mean_steps_to_success"], training.get("worst_window_of_25")
    published = None if row["variant"] else PUBLISHED.get(row["task"], {}).get(row["skill"])
    return (
        _title(row),
        row["seeds"] if training else "–",
        SuccessRate.from_json(test),
        " ".join(f"{100 * rate:.0f}" for rate in test["per_seed"]),
        "–" if steps is None else f"{steps:.0f}",
        "–" if worst is None else f"{100 * worst:.0f} %",
        "–" if published is None else f"{100 * published:.0f} %",
    )


def _timing_row(row: dict[str, Any]) -> tuple[object, ...]:
    training = row["training"]
    minutes = training["wall_s"] / 60
    return row["task"], _title(row), training["episodes"], f"{training['control_steps']:.0f}", f"{minutes:.1f}"


def _title(row: dict[str, Any]) -> str:
    return row["title"] + (f", {row['variant']}" if row["variant"] else "")


def _percent(row: dict[str, Any], name: str) -> str:
    test = row["tests"].get(name)
    return "–" if test is None else f"{100 * test['rate']:.0f}"
