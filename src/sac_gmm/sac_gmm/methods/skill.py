"""A skill: method, task and what was learned. Opened from a file, it runs whatever its method is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sac_gmm.core.errors import UserError
from sac_gmm.methods.episodes import Act
from sac_gmm.methods.macro_env import MacroEnv
from sac_gmm.methods.method import Method
from sac_gmm.methods.registry import method, method_names
from sac_gmm.methods.settings import CONFIG, load_settings
from sac_gmm.rl import load_policy
from sac_gmm.tasks import Task, make_task

POLICY_FILE = "policy.bin"


@dataclass(frozen=True)
class Skill:
    """What can be run and measured.

    Attributes:
        task: Its name.
        method: How it was, or is to be, learned.
        settings: Of the method.
        prior: What the demonstrations became.
        policy: File of what was learned; None where nothing was.
        about: What that file says of itself.
    """

    task: str
    method: Method
    settings: Any
    prior: Any
    policy: Path | None = None
    about: dict[str, Any] = field(default_factory=dict)

    def as_fitted(self) -> Skill:
        """The same prior, played without practice."""
        plain = method(self.method.as_fitted)
        if plain is self.method:
            return self
        same = isinstance(self.settings, plain.settings)
        return Skill(self.task, plain, self.settings if same else plain.settings.from_json({}), self.prior)

    def make_act(self) -> Callable[[], Act] | None:
        """What builds its policy, in this process or another; None where all actions are zero."""
        if self.policy is not None:
            return partial(deterministic_policy, self.policy)
        if self.method.rule is None:
            return None
        return partial(_by_rule, self.method.name, self.settings.to_json())


def open_skill(
    name: str, task: str | None = None, config: Path = CONFIG, demonstrations: Path = Path("demos")
) -> Skill:
    """Open the folder of a run or of a trained skill, a policy file, or a method that learns nothing by its name.

    Args:
        name: Folder, file or name.
        task: The task; that on which it was trained where None.
        config: Folder of settings, for a method by its name.
        demonstrations: Folder with one folder of bags per task, for a prior that must be fitted.

    Raises:
        UserError: There is nothing of that name, no task is known for it, or its files do not belong together.
    """
    path = Path(name)
    if name in method_names() and not path.exists():
        chosen = method(name)
        if chosen.learns:
            raise UserError(f"'{name}' must be trained first: `sac-gmm train`, then give its folder")
        if task is None:
            raise UserError(f"give a task for '{name}': --task")
        return Skill(task, chosen, load_settings(chosen, task, config), chosen.prior.fit(task, demonstrations, None))
    file = path / POLICY_FILE if path.is_dir() else path
    if not file.exists():
        raise UserError(f"there is no policy {file}: {_hint(path)}")
    _, about = load_policy(file)
    if "settings" not in about:
        raise UserError(f"policy {file} does not say how it was trained: it was not written by `sac-gmm train`")
    chosen = method(about["skill"])
    prior_file = file.with_name(chosen.prior.file)
    prior = (
        chosen.prior.load(prior_file)
        if prior_file.exists()
        else chosen.prior.fit(about["task"], demonstrations, about["fit"])
    )
    if prior.model_id != about["model_id"]:
        raise UserError(
            f"policy {file} adapts the skill {about['model_id']}, found {prior.model_id}: put its {chosen.prior.file} "
            "beside it"
        )
    return Skill(task or about["task"], chosen, chosen.settings.from_json(about["settings"]), prior, file, about)


def _hint(path: Path) -> str:
    """What to give instead of a path at which there is no policy."""
    if path.is_dir():
        below = sorted(file.parent for file in path.glob(f"*/{POLICY_FILE}"))
        return f"give {' or '.join(map(str, below))}" if below else "train it first"
    rules = [name for name in method_names() if not method(name).learns]
    return f"give a folder, a file or one of: {', '.join(rules)}"


def make_env(task: str, chosen: Method, settings: Any, prior: Any, options: dict[str, Any] | None = None) -> MacroEnv:
    """Scene, decoder and window of a method.

    Args:
        task: The task's name.
        chosen: The method.
        settings: Of the method.
        prior: As `chosen.prior` makes it.
        options: Keyword arguments of the scene; `start_shift_m` (3,) moves the pose in which the arm starts.
    """
    scene = _made(task, **(options or {}))
    decoder = chosen.decoder(prior, settings)
    window = chosen.observation(decoder, settings, scene.time_limit_s)
    return MacroEnv(scene, decoder, window, discount=settings.discount, reward=chosen.reward)


def _made(task: str, start_shift_m: tuple[float, ...] = (), **options: Any) -> Task:
    made = make_task(task, **options)
    if start_shift_m:
        usual, shift = made.start_offset_m, np.array(start_shift_m)
        made.start_offset_m = lambda rng: usual(rng) + shift  # type: ignore[method-assign]
    return made


def _by_rule(name: str, settings: dict[str, Any]) -> Act:
    # By name: a method of one's own is no module that another process could import.
    chosen = method(name)
    assert chosen.rule is not None
    return chosen.rule(chosen.settings.from_json(settings))


def deterministic_policy(file: Path) -> Act:
    """The policy of a file, without exploration."""
    policy, _ = load_policy(file)
    return lambda observation: policy.act(observation, deterministic=True)
