"""Success rates of the skills as fitted, by task, kind of fit and noise on the detected target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sac_gmm.evaluation.rates import SuccessRate
from sac_gmm.methods import MacroEnv, Outcome
from sac_gmm.methods.sac_gmm import Gmm, WindowObserver
from sac_gmm.methods.sac_gmm.base_skill import base_skill, fit_base_skill
from sac_gmm.models import KINDS, Kind, SkillModel
from sac_gmm.tasks import make_task
from sac_gmm.training.seeds import seed_bank
from sac_gmm.training.workers import run_episodes_parallel

SIGMAS_M = (0.0, 0.005, 0.01, 0.02, 0.03)
PAPER_SIGMA_M = 0.01
# Success rate of the paper's plain skill in its own scenes, and how close ours should come.
PAPER_BASE_RATES = {"peg": (0.10, 0.30), "lever": (0.44, 0.64), "door": (0.0, 0.20)}


@dataclass(frozen=True)
class Cell:
    """One number in the table: a kind of fit on a task at a noise level."""

    task: str
    kind: Kind
    sigma_m: float

    @property
    def key(self) -> str:
        """Key of the cell in the result file."""
        return f"{self.task}/{self.kind}/{self.sigma_m:g}"


def cells(tasks: Sequence[str]) -> list[Cell]:
    """The table's cells, base skills first: these at every noise level, other fits without noise and at the paper's.

    The other fits are measured only on the demonstrated task: on an easier hole, the same skill adds nothing new.
    """
    return [
        Cell(task, kind, sigma)
        for kind in reversed(KINDS)
        for task in tasks
        for sigma in SIGMAS_M
        if kind == "lpv_ds" or (sigma in (0.0, PAPER_SIGMA_M) and base_skill(task).bags == task)
    ]


def measure(
    cell: Cell,
    episodes: int,
    workers: int,
    demonstrations: Path,
    on_episode: Callable[[Outcome], None] = lambda outcome: None,
) -> dict[str, Any]:
    """Run a cell's episodes, on the seeds of the test bank.

    Args:
        cell: What to measure.
        episodes: Number of episodes.
        workers: Number of processes.
        demonstrations: Folder with one folder of bags per task.
        on_episode: Called as each episode ends.

    Returns:
        Content of the result file: counts, rate, interval, mean steps of the successful episodes.
    """
    model = fit_base_skill(cell.task, cell.kind, demonstrations)
    outcomes = []
    for outcome in run_episodes_parallel(
        partial(plain_env, cell.task, model),
        seed_bank("test", 0, episodes),
        workers,
        options={"target_noise_std_m": cell.sigma_m},
    ):
        outcomes.append(outcome)
        on_episode(outcome)
    won = [outcome.steps for outcome in outcomes if outcome.success]
    return {
        "task": cell.task,
        "fit": cell.kind,
        "sigma_m": cell.sigma_m,
        "components": model.mixture.n_components,
        **SuccessRate(len(won), len(outcomes)).to_json(),
        "mean_steps_to_success": sum(won) / len(won) if won else None,
    }


def plain_env(task: str, model: SkillModel) -> MacroEnv:
    """The task run by the skill as fitted: no decisions, no observations."""
    return MacroEnv(make_task(task), Gmm(model), WindowObserver(0))


def paper_band(task: str) -> tuple[float, float] | None:
    """Range of rates expected of a task's base skill at the paper's noise; None if the paper gives no rate."""
    return PAPER_BASE_RATES.get(task)
