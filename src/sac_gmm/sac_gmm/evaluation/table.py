"""The whole comparison: every skill on every task, cell by cell, each saved as soon as it is measured.

A cell is a skill on a task with one training seed. Its result file records the training, episode by episode, and the
results of the deterministic policy on the fixed episodes of the test bank: after training and after fewer episodes,
with other noise levels, and in scenes it was not trained in. It also records its conditions; a request with other
conditions is an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sac_gmm.core.files import read_json, write_json
from sac_gmm.core.provenance import provenance
from sac_gmm.core.runs import check_same_values
from sac_gmm.evaluation.measuring import Measurement, measure, summary
from sac_gmm.evaluation.rates import SuccessRate, crossed_interval, crossed_lead
from sac_gmm.methods import Method, Skill, method, open_skill
from sac_gmm.methods.settings import load_settings
from sac_gmm.tasks import task_class
from sac_gmm.training.run import Plan, TrainingRun

OURS = "sac_gmm"  # the method with which all others are compared
# Training episodes of each task.
BUDGETS = {"door": 100, "peg": 500, "peg_easy": 500, "lever": 300}
SEEDS = 5
EPISODES = 100  # episodes per measurement
# After this many training episodes, the policy is also kept and measured.
MARK = 200
WINDOW = 25  # training episodes per window, for the worst success rate during practice
SIGMAS_M = (0.005, 0.02)  # in addition to the paper's
START_SHIFT_M = (-0.02, 0.03, 0.02)  # another start pose


@dataclass(frozen=True)
class Cell:
    """A skill on a task with a training seed; `variant` names an ablation."""

    task: str
    skill: str
    seed: int
    variant: str = ""

    @property
    def key(self) -> str:
        """Key of the cell; also names its file and folder."""
        name = self.skill if not self.variant else f"{self.skill}-{self.variant.replace(' ', '_').replace('=', '')}"
        return f"{self.task}-{name}-{self.seed}"


@dataclass(frozen=True)
class Conditions:
    """Conditions shared by all cells."""

    folder: Path  # for results; runs go below it
    config: Path
    demonstrations: Path
    episodes: int = EPISODES
    training_episodes: int | None = None  # None: the task's budget


def variants(chosen: Method, settings: Any) -> list[str]:
    """The ablations of a method that change a task's settings, without duplicates."""
    differing = {settings: ""}
    for name, changes in chosen.ablations(settings).items():
        differing.setdefault(settings.changed(**changes), name)
    return list(differing.values())[1:]


def cells(
    tasks: Iterable[str],
    skills: Iterable[str],
    seeds: int,
    variants_of: Callable[[str], list[str]] = lambda task: [],
) -> list[Cell]:
    """The cells of a table, seed by seed, so that first results come early; `variants_of` names ablations."""
    found = []
    for seed in range(seeds):
        for task in tasks:
            for skill in skills:
                if method(skill).learns or seed == 0:
                    found.append(Cell(task, skill, seed))
            found += [Cell(task, OURS, seed, variant) for variant in variants_of(task)]
    return found


def result_file(cell: Cell, conditions: Conditions) -> Path:
    """Path of a cell's result.

    Raises:
        UserError: There is a result, but with other conditions or settings.
    """
    path = conditions.folder / "cells" / f"{cell.key}.json"
    if path.exists():
        check_same_values(path, _recorded(read_json(path)), _asked(cell, conditions), recorded_only=True)
    return path


def _asked(cell: Cell, conditions: Conditions) -> dict[str, Any]:
    """Everything besides the source on which a cell's result depends; stored in the cell."""
    chosen, settings = method(cell.skill), _settings(cell, conditions)
    learns = chosen.learns
    asked: dict[str, Any] = {
        "conditions": {
            "episodes": conditions.episodes if learns else SEEDS * conditions.episodes,
            "training_episodes": _training_episodes(cell, conditions) if learns else 0,
        }
    }
    if learns:
        asked["config"] = settings.to_json()
    else:
        own = {name: getattr(settings.skill, name) for name in ("reach_m", "interval", "blend_s")}
        asked |= {"config": {"skill": own}, "search": vars(chosen.rule(settings)) if chosen.rule else {}}
    return dict(json.loads(json.dumps(asked)))


def _recorded(result: dict[str, Any]) -> dict[str, Any]:
    """The same as recorded in a cell; older cells reveal their conditions through their counts."""
    counts = {
        "episodes": result["tests"]["test"]["episodes"],
        "training_episodes": result.get("training", {}).get("episodes", 0),
    }
    return {"conditions": counts, **{name: result[name] for name in ("config", "search") if name in result}}


def _settings(cell: Cell, conditions: Conditions) -> Any:
    chosen = method(cell.skill)
    settings = load_settings(chosen, cell.task, conditions.config)
    return settings.changed(**chosen.ablations(settings)[cell.variant]) if cell.variant else settings


def _training_episodes(cell: Cell, conditions: Conditions) -> int:
    return BUDGETS[cell.task] if conditions.training_episodes is None else conditions.training_episodes


def run_cell(cell: Cell, conditions: Conditions, on_progress: Callable[[str], None] = lambda text: None) -> Path:
    """Train and measure a cell, resuming an earlier attempt; return its result file.

    Raises:
        UserError: There is a result, but with other conditions or settings.
    """
    import torch

    torch.set_num_threads(1)
    path = result_file(cell, conditions)
    if path.exists():
        return path
    asked = _asked(cell, conditions)  # read now: the configuration may be edited during the hours of training
    if method(cell.skill).learns:
        result = _trained(cell, conditions, on_progress)
    else:
        skill = open_skill(cell.skill, cell.task, conditions.config, conditions.demonstrations)
        result = {"tests": _tests(skill, conditions, SEEDS * conditions.episodes)}
    names = {"task": cell.task, "skill": cell.skill, "seed": cell.seed, "variant": cell.variant}
    write_json(path, {**names, **result, **asked, **provenance()})
    return path


def _trained(cell: Cell, conditions: Conditions, on_progress: Callable[[str], None]) -> dict[str, Any]:
    folder = conditions.folder / "runs" / cell.key
    episodes = _training_episodes(cell, conditions)
    plan = Plan(cell.task, method(cell.skill), cell.seed, episodes, _settings(cell, conditions))
    run = TrainingRun(
        plan,
        folder,
        resume=(folder / "config.json").exists(),
        demonstrations=conditions.demonstrations,
        keep_policies_at=(MARK,) if episodes > MARK else (),
    )
    run.run(lambda episode: on_progress(f"{cell.key}: {episode.number + 1}/{run.total}"))
    run.close()
    skill = open_skill(str(folder), None, conditions.config, conditions.demonstrations)
    training = [episode for episode in run.episodes if episode.mode == "train"]
    result = {
        "training": {
            "episodes": len(training),
            "outcomes": "".join("1" if episode.success else "0" for episode in training),
            "base_outcomes": "".join("1" if e.success else "0" for e in run.episodes if e.mode == "base"),
            "control_steps": sum(episode.steps for episode in run.episodes),
            "decisions": sum(episode.decisions for episode in run.episodes),
            "wall_s": round(sum(episode.wall_s for episode in run.episodes), 1),
        },
        "tests": _tests(skill, conditions, conditions.episodes, everything=not cell.variant),
    }
    if (marked := folder / f"policy_{MARK}.bin").exists():
        early = open_skill(str(marked), None, conditions.config, conditions.demonstrations)
        result["tests"][f"after {MARK} episodes"] = _test(early, Measurement(conditions.episodes))
    return result


def _tests(skill: Skill, conditions: Conditions, episodes: int, everything: bool = True) -> dict[str, Any]:
    """Results on the test bank at the paper's noise and, with `everything`, other noise levels and other scenes."""
    tests = {"test": _test(skill, Measurement(episodes))}
    if not everything:
        return tests
    for sigma_m in SIGMAS_M:
        tests[f"sigma {100 * sigma_m:g} cm"] = _test(skill, Measurement(conditions.episodes, sigma_m=sigma_m))
    shifted = Measurement(conditions.episodes, task_options={"start_shift_m": START_SHIFT_M})
    tests["another start"] = _test(skill, shifted)
    for name, task in task_class(skill.task).variations.items():
        tests[name] = _test(replace(skill, task=task), Measurement(conditions.episodes))
    return tests


def _test(skill: Skill, wanted: Measurement) -> dict[str, Any]:
    result = measure(skill, wanted, base={"rate": None})
    kept = ("episodes", "successes", "success_rate", "wilson95", "mean_steps_to_success", "mean_steps", "outcomes")
    return {name: result[name] for name in kept}


def assemble(conditions: Conditions, wanted: list[Cell]) -> dict[str, Any]:
    """Build the table from the measured cells: a row per task, skill and variant, over its seeds."""
    rows = []
    known = [(cell, result_file(cell, conditions)) for cell in wanted]
    results = [(cell, read_json(path)) for cell, path in known if path.exists()]

    def results_of(*row: str) -> list[dict[str, Any]]:
        return [result for cell, result in results if (cell.task, cell.skill, cell.variant) == row]

    for task, skill, variant in dict.fromkeys((c.task, c.skill, c.variant) for c, _ in results):
        mine, ours = results_of(task, skill, variant), results_of(task, OURS, "")
        tests = {}
        for name in dict.fromkeys(name for result in mine for name in result["tests"]):
            tests[name] = _pooled([result["tests"][name] for result in mine if name in result["tests"]])
        row = {
            "task": task,
            "skill": skill,
            "title": method(skill).title,
            "variant": variant,
            "seeds": len(mine),
            "tests": tests,
        }
        curves = [result["training"]["outcomes"] for result in mine if "training" in result]
        if curves:
            windows = window_rates(curves)
            row["training"] = {
                "episodes": min(map(len, curves)),
                "windows_of_25": [round(float(w), 3) for w in windows],
                "worst_window_of_25": round(float(windows.min()), 3) if len(windows) else None,
                "control_steps": float(np.mean([result["training"]["control_steps"] for result in mine])),
                "wall_s": float(np.mean([result["training"]["wall_s"] for result in mine])),
            }
        if ours and (skill, variant) != (OURS, ""):
            row["lead_of_sac_gmm"] = crossed_lead(_outcomes(ours), _outcomes(mine))
        rows.append(row)
    missing = [cell.key for cell, path in known if not path.exists()]
    return {"rows": rows, "missing": missing, "episodes": conditions.episodes, **provenance()}


def window_rates(outcomes: list[str]) -> np.ndarray:
    """Success rate in every window of 25 training episodes, averaged over seeds; `outcomes` are strings of 0 and 1."""
    n = min(map(len, outcomes))
    if n < WINDOW:
        return np.zeros(0)
    won = np.array([[character == "1" for character in curve[:n]] for curve in outcomes], float).mean(axis=0)
    return np.convolve(won, np.ones(WINDOW) / WINDOW, "valid")


def _outcomes(results: list[dict[str, Any]]) -> list[str]:
    """Outcomes of the episodes of the test bank, a string per training seed."""
    return [result["tests"]["test"]["outcomes"] for result in results]


def text_table(table: dict[str, Any]) -> str:
    """One line per row: success on the test bank with its interval, steps, worst window."""
    lines = [f"{'task':<10} {'skill':<34} {'seeds':>5} {'success':>24} {'steps':>6} {'worst 25':>9}"]
    for row in table["rows"]:
        test = row["tests"]["test"]
        rate = SuccessRate.from_json(test)
        steps = test["mean_steps_to_success"]
        worst = row.get("training", {}).get("worst_window_of_25")
        name = row["title"] + (f", {row['variant']}" if row["variant"] else "")
        lines.append(
            f"{row['task']:<10} {name:<34} {row['seeds']:>5} {rate!s:>24} "
            f"{'' if steps is None else f'{steps:.0f}':>6} {'' if worst is None else f'{100 * worst:.0f} %':>9}"
        )
    return "\n".join(lines)


def _pooled(tests: list[dict[str, Any]]) -> dict[str, Any]:
    """Pool several seeds on the same episodes: add counts, average steps over successes.

    `wilson95` treats all episodes as independent; `interval95` accounts for seeds sharing the same episodes.
    """
    successes, episodes = sum(t["successes"] for t in tests), sum(t["episodes"] for t in tests)
    steps = [(t["mean_steps_to_success"], t["successes"]) for t in tests if t["successes"]]
    pooled = SuccessRate(successes, episodes)
    interval = crossed_interval([t["outcomes"] for t in tests]) if len(tests) > 1 else pooled.interval
    return {
        **pooled.to_json(),
        "interval95": list(interval),
        "per_seed": [t["success_rate"] for t in tests],
        "mean_steps_to_success": sum(s * n for s, n in steps) / successes if successes else None,
        "mean_steps": float(np.mean([t["mean_steps"] for t in tests])),
    }


__all__ = [
    "Cell",
    "Conditions",
    "assemble",
    "cells",
    "run_cell",
    "summary",
    "text_table",
    "variants",
    "window_rates",
]
