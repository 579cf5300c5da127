"""A skill: method, task and learned policy. Opened from a file, it runs whatever its method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sac_gmm.control import SafetyLimits
from sac_gmm.core.errors import UserError
from sac_gmm.methods.episodes import Act, still
from sac_gmm.methods.macro_env import MacroEnv
from sac_gmm.methods.method import Method
from sac_gmm.methods.registry import method, method_names
from sac_gmm.methods.settings import CONFIG, load_settings
from sac_gmm.rl import load_policy
from sac_gmm.tasks import Task, make_task

POLICY_FILE = "policy.bin"


@dataclass(frozen=True)
class Skill:
    """A skill that can be run and evaluated.

    Attributes:
        task: Name of the task.
        method: How it was, or will be, learned.
        settings: Settings of the method.
        prior: Result of the demonstrations.
        policy: File with the learned policy; None if nothing was learned.
        about: Metadata from that file.
    """

    task: str
    method: Method
    settings: Any
    prior: Any
    policy: Path | None = None
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def limits(self) -> SafetyLimits:
        """Limits that it was trained under, or runs under where nothing was learned.

        Raises:
            UserError: Its file names a limit that is unknown or out of range.
        """
        return SafetyLimits.from_json(self.about.get("limits", {}))

    def as_fitted(self) -> Skill:
        """The same prior without practice."""
        plain = method(self.method.as_fitted)
        if plain is self.method:
            return self
        same = isinstance(self.settings, plain.settings)
        return Skill(self.task, plain, self.settings if same else plain.settings.from_json({}), self.prior)

    def make_act(self) -> Callable[[], Act] | None:
        """Return a function that builds its policy, in this or another process; None if all actions are zero."""
        if self.policy is not None:
            return partial(deterministic_policy, self.policy)
        if self.method.rule is None:
            return None
        return partial(_by_rule, self.method.name, self.settings.to_json())

    def act(self, env: MacroEnv) -> Act:
        """Return its policy for an environment in this process."""
        make_act = self.make_act()
        return still(env.decoder.action_dim) if make_act is None else make_act()


def open_skill(
    name: str, task: str | None = None, config: Path = CONFIG, demonstrations: Path = Path("demos")
) -> Skill:
    """Open a skill: folder of a run or trained skill, policy file, or name of a method that learns nothing.

    Args:
        name: Folder, file or name.
        task: The task; None for the one it was trained on.
        config: Folder of settings, for a method given by name.
        demonstrations: Folder with one folder of bags per task, used if a prior must be fitted.

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
    """Suggestion in place of a path without a policy."""
    if path.is_dir():
        below = sorted(file.parent for file in path.glob(f"*/{POLICY_FILE}"))
        return f"give {' or '.join(map(str, below))}" if below else "train it first"
    rules = [name for name in method_names() if not method(name).learns]
    return f"give a folder, a file or one of: {', '.join(rules)}"


def make_env(task: str, chosen: Method, settings: Any, prior: Any, options: dict[str, Any] | None = None) -> MacroEnv:
    """Build scene, decoder and window of a method.

    Args:
        task: The task's name.
        chosen: The method.
        settings: Settings of the method.
        prior: Made by `chosen.prior`.
        options: Keyword arguments of the scene; `start_shift_m` (3,) shifts the arm's start position.
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
    # By name: another process could not import a user's method as a module.
    chosen = method(name)
    assert chosen.rule is not None
    return chosen.rule(chosen.settings.from_json(settings))


def deterministic_policy(file: Path) -> Act:
    """Load the policy in a file, to act without exploration."""
    policy, _ = load_policy(file)
    return lambda observation: policy.act(observation, deterministic=True)
