"""Measure one skill on fixed episodes, alongside the skill as fitted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sac_gmm.core.errors import UserError
from sac_gmm.core.provenance import provenance
from sac_gmm.evaluation.rates import SuccessRate
from sac_gmm.methods import MacroEnv, Outcome, Skill, make_env, method
from sac_gmm.training.seeds import SEED_BANKS, seed_bank
from sac_gmm.training.workers import run_episodes_parallel


@dataclass(frozen=True)
class Measurement:
    """How to measure a skill."""

    episodes: int = 100
    bank: str = "test"
    sigma_m: float | None = None  # None: the task's own
    workers: int = 1
    task_options: dict[str, Any] = field(default_factory=dict)


def measure(
    skill: Skill,
    wanted: Measurement,
    on_episode: Callable[[Outcome], None] = lambda outcome: None,
    base: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Run the episodes of a skill, and of the skill as fitted unless its result is given.

    Returns:
        Content of a result file.
    """
    outcomes = _run(skill, wanted, on_episode)
    if base is None:
        plain = skill.as_fitted()
        base = summary(outcomes if plain is skill else _run(plain, wanted, on_episode))
    mine = summary(outcomes)
    return {
        "task": skill.task,
        "skill": skill.method.name,
        "seed_bank": wanted.bank,
        "episodes": mine["episodes"],
        "successes": mine["successes"],
        "success_rate": mine["rate"],
        "wilson95": mine["wilson95"],
        "mean_steps_to_success": mine["mean_steps_to_success"],
        "mean_steps": mine["mean_steps"],
        "outcomes": mine["outcomes"],
        "base_success_rate": base["rate"],
        "base": base,
        "sigma_m": wanted.sigma_m,
        "training": {name: skill.about.get(name) for name in ("seed", "episodes_trained", "task")},
        "config": skill.settings.to_json(),
        **provenance(),
    }


def summary(outcomes: list[Outcome]) -> dict[str, Any]:
    """Success rate with its interval, and steps."""
    won = [outcome.steps for outcome in outcomes if outcome.success]
    return {
        **SuccessRate(len(won), len(outcomes)).to_json(),
        "mean_steps_to_success": float(np.mean(won)) if won else None,
        "mean_steps": float(np.mean([outcome.steps for outcome in outcomes])),
        "outcomes": "".join("1" if outcome.success else "0" for outcome in outcomes),
    }


def episode_seeds(bank: str, episodes: int) -> range:
    """Seeds from a named bank, or consecutive seeds from a number.

    Raises:
        UserError: `bank` is neither the name of a bank nor a number from 0 up.
    """
    if bank in SEED_BANKS:
        return seed_bank(bank, 0, episodes)
    if not bank.isdecimal():
        raise UserError(f"there is no seed bank '{bank}'; choose one of {', '.join(SEED_BANKS)}, or give a number")
    return range(int(bank), int(bank) + episodes)


def _run(skill: Skill, wanted: Measurement, on_episode: Callable[[Outcome], None]) -> list[Outcome]:
    prior = skill.method.prior
    with tempfile.TemporaryDirectory() as folder:
        prior_file = Path(folder) / prior.file
        prior.save(prior_file, skill.prior)  # worker processes read the prior from a file
        make = partial(_env, skill.task, skill.method.name, skill.settings.to_json(), prior_file, wanted.task_options)
        outcomes = []
        for outcome in run_episodes_parallel(
            make,
            episode_seeds(wanted.bank, wanted.episodes),
            wanted.workers,
            make_policy=skill.make_act(),
            options=None if wanted.sigma_m is None else {"target_noise_std_m": wanted.sigma_m},
        ):
            outcomes.append(outcome)
            on_episode(outcome)
    return outcomes


def _env(task: str, name: str, settings: dict[str, Any], prior_file: Path, options: dict[str, Any]) -> MacroEnv:
    chosen = method(name)
    return make_env(task, chosen, chosen.settings.from_json(settings), chosen.prior.load(prior_file), options)
