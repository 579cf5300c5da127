"""Measure one skill on fixed episodes, with the skill as fitted beside it."""

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
from sac_gmm.methods import MacroEnv
from sac_gmm.methods.episodes import Outcome, Policy
from sac_gmm.methods.registry import CONTENDERS, contender, make_env, searcher, settings_for
from sac_gmm.methods.sac_gmm.settings import AgentSettings, load_settings
from sac_gmm.models import SkillModel, load_model
from sac_gmm.rl import Observation, load_policy
from sac_gmm.training.base_skill import fit_base_skill
from sac_gmm.training.seeds import SEED_BANKS, seed_bank
from sac_gmm.training.workers import run_episodes_parallel


@dataclass(frozen=True)
class Candidate:
    """What is measured.

    Attributes:
        task: Its name.
        skill: Its name.
        settings: Of the agent, and of what it sees.
        model: The base skill.
        policy: File of what was learned; None where nothing was.
        about: What the file says of itself.
    """

    task: str
    skill: str
    settings: AgentSettings
    model: SkillModel
    policy: Path | None = None
    about: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Measurement:
    """How it is measured."""

    episodes: int = 100
    bank: str = "test"
    sigma_m: float | None = None  # the task's own where None
    workers: int = 1
    task_options: dict[str, Any] = field(default_factory=dict)


def open_candidate(name: str, task: str | None, config: Path, demonstrations: Path = Path("demos")) -> Candidate:
    """A run's folder, a policy file or the name of a skill that learns nothing.

    Raises:
        UserError: There is nothing of that name, or no task is known for it.
    """
    path = Path(name)
    if name in CONTENDERS and not path.exists():
        if contender(name).learns:
            raise UserError(f"'{name}' must be trained first: `sac-gmm train`, then give its folder")
        if task is None:
            raise UserError(f"give a task for '{name}': --task")
        settings = settings_for(name, load_settings(config, task))
        return Candidate(task, name, settings, fit_base_skill(task, demonstrations=demonstrations))
    file = path / "policy.bin" if path.is_dir() else path
    if not file.exists():
        hint = "train it first" if path.is_dir() else f"give a folder, a file or one of: {', '.join(CONTENDERS)}"
        raise UserError(f"there is no policy {file}: {hint}")
    _, about = load_policy(file)
    if "settings" not in about:
        raise UserError(f"policy {file} does not say how it was trained: it was not written by `sac-gmm train`")
    model_file = file.with_name("skill.npz")
    model = (
        load_model(model_file) if model_file.exists() else fit_base_skill(about["task"], about["fit"], demonstrations)
    )
    if model.model_id != about["model_id"]:
        raise UserError(
            f"policy {file} adapts the skill {about['model_id']}, found {model.model_id}: put its skill.npz beside it"
        )
    settings = AgentSettings.from_json(about["settings"])
    return Candidate(task or about["task"], about["skill"], settings, model, file, about)


def measure(
    candidate: Candidate,
    wanted: Measurement,
    on_episode: Callable[[Outcome], None] = lambda outcome: None,
    base: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Run the episodes of a candidate, and of the skill as fitted where its result is not given.

    Returns:
        What goes into a result file.
    """
    outcomes = _run(candidate, wanted, on_episode)
    if base is None:
        plain = Candidate(candidate.task, "gmm", candidate.settings, candidate.model)
        base = summary(outcomes if candidate.skill == "gmm" else _run(plain, wanted, on_episode))
    mine = summary(outcomes)
    return {
        "task": candidate.task,
        "skill": candidate.skill,
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
        "training": {name: candidate.about.get(name) for name in ("seed", "episodes_trained", "task")},
        "config": candidate.settings.to_json(),
        **provenance(),
    }


def summary(outcomes: list[Outcome]) -> dict[str, Any]:
    """Success with its interval, and steps."""
    won = [outcome.steps for outcome in outcomes if outcome.success]
    return {
        **SuccessRate(len(won), len(outcomes)).to_json(),
        "mean_steps_to_success": float(np.mean(won)) if won else None,
        "mean_steps": float(np.mean([outcome.steps for outcome in outcomes])),
        "outcomes": "".join("1" if outcome.success else "0" for outcome in outcomes),
    }


def episode_seeds(bank: str, episodes: int) -> range:
    """Seeds of a named bank, or counted up from a number.

    Raises:
        UserError: It is neither the name of a bank nor a number from 0 up.
    """
    if bank in SEED_BANKS:
        return seed_bank(bank, 0, episodes)
    if not bank.isdecimal():
        raise UserError(f"there is no seed bank '{bank}'; choose one of {', '.join(SEED_BANKS)}, or give a number")
    return range(int(bank), int(bank) + episodes)


def _run(candidate: Candidate, wanted: Measurement, on_episode: Callable[[Outcome], None]) -> list[Outcome]:
    with tempfile.TemporaryDirectory() as folder:
        model_file = Path(folder) / "skill.npz"
        from sac_gmm.models import save_model

        save_model(model_file, candidate.model)  # a file is what worker processes can be sent
        make = partial(
            _env, candidate.task, candidate.skill, candidate.settings.to_json(), model_file, wanted.task_options
        )
        policy: Callable[[], Policy] | None = None
        if candidate.policy is not None:
            policy = partial(deterministic_policy, candidate.policy)
        else:
            policy = searcher(candidate.task, candidate.skill, candidate.settings)
        outcomes = []
        for outcome in run_episodes_parallel(
            make,
            episode_seeds(wanted.bank, wanted.episodes),
            wanted.workers,
            make_policy=policy,
            options=None if wanted.sigma_m is None else {"target_noise_std_m": wanted.sigma_m},
        ):
            outcomes.append(outcome)
            on_episode(outcome)
    return outcomes


def _env(task: str, skill: str, settings: dict[str, Any], model_file: Path, options: dict[str, Any]) -> MacroEnv:
    return make_env(task, skill, AgentSettings.from_json(settings), load_model(model_file), options)


def deterministic_policy(path: Path) -> Policy:
    """The mean action of a policy file."""
    policy, _ = load_policy(path)

    def act(observation: Observation) -> np.ndarray:
        return policy.act(observation, deterministic=True)

    return act
