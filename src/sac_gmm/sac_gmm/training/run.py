"""Train a skill in one process: base episodes, then practice. A run can be stopped and resumed at any time.

A run's folder holds `config.json` (the plan), `skill.npz` (the base skill), `episodes.jsonl` (one line per episode),
`agent.checkpoint` (everything that learning depends on), `policy.bin` (what is needed to act) and `tensorboard/`. A run
that is killed and resumed gives the same policy, bit for bit, as one that is not.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import sync_path, write_json
from sac_gmm.core.provenance import provenance
from sac_gmm.core.runs import EpisodeLog, check_same_values, locked_run, read_config
from sac_gmm.methods import Agent, Method, Mode, make_env, method, practise
from sac_gmm.rl import SyncLearner, save_policy
from sac_gmm.tasks.sensing.sensors import check_groups
from sac_gmm.training.seeds import seed_bank

CHECKPOINT_EPISODES = 20  # episodes between two checkpoints
# Files in a run's folder. A new run requires a folder without any of them.
PARTS = ("config.json", "skill.npz", "episodes.jsonl", "agent.checkpoint", "policy.bin")


@dataclass(frozen=True)
class Plan:
    """What to train. Equal plans give equal policies."""

    task: str
    method: Method
    seed: int
    episodes: int
    settings: Any  # the method's settings
    fit: str = "lpv_ds"  # kind of fit for the prior
    task_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.method.learns:
            raise UserError(f"method '{self.method.name}' does not learn: measure it with `sac-gmm evaluate`")
        seed_bank("train", self.seed, self.episodes)  # checks the seeds before anything is written

    def to_json(self) -> dict[str, Any]:
        """The values that identify a run; also stored in result files."""
        return {
            "task": self.task,
            "skill": self.method.name,
            "seed": self.seed,
            "episodes": self.episodes,
            "fit": self.fit,
            "task_options": self.task_options,
            "settings": self.settings.to_json(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Plan:
        """Rebuild from `to_json`; other entries of `value` are ignored."""
        kept = {name: value[name] for name in ("task", "seed", "episodes", "fit", "task_options")}
        chosen = method(value["skill"])
        return cls(**kept, method=chosen, settings=chosen.settings.from_json(value["settings"]))


@dataclass(frozen=True)
class Episode:
    """One line of the log."""

    number: int  # including base episodes
    mode: str  # base or train
    seed: int
    success: bool
    steps: int  # control steps
    decisions: int
    wall_s: float


class TrainingRun:
    """One run in its folder.

    Args:
        plan: What to train.
        folder: Where everything is written.
        resume: Continue the run in the folder; otherwise the folder must not hold a run or parts of one.
        demonstrations: Folder with one folder of bags per task.
        keep_policies_at: Numbers of training episodes after which to keep the policy as `policy_N.bin`.

    Raises:
        UserError: The folder already has a run, has none to resume, has a run with another plan, is in use by another
        program, or has files that are missing or from another run. Nothing is written in that case.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        *,
        resume: bool = False,
        demonstrations: Path = Path("demos"),
        keep_policies_at: tuple[int, ...] = (),
    ) -> None:
        self.plan = plan
        self._keep_policies_at = keep_policies_at
        self.folder = folder
        self.settings = plan.settings
        self._log = EpisodeLog(folder / "episodes.jsonl", [field.name for field in fields(Episode)])
        self._checkpoint = folder / "agent.checkpoint"
        with contextlib.ExitStack() as opened:
            opened.enter_context(locked_run(folder))
            self._check_folder(resume)
            self.prior = self._open_prior(demonstrations)
            self.env = make_env(plan.task, plan.method, self.settings, self.prior, plan.task_options)
            scene: Any = self.env.task
            opened.callback(scene.close)
            check_groups(scene.name, self.env.window.groups, scene.sensors, scene.vector_groups)
            known = self._open_agent()
            self.episodes = self._go_on(known)
            self._write_folder()
            self._opened = opened.pop_all()

    @property
    def _n_base(self) -> int:
        return int(self.settings.base_episodes)

    @property
    def total(self) -> int:
        """Episodes of the whole run, including base episodes."""
        return self._n_base + self.plan.episodes

    @property
    def trained(self) -> int:
        """Training episodes so far."""
        return max(0, len(self.episodes) - self._n_base)

    def run(self, on_episode: Callable[[Episode], None] = lambda episode: None) -> None:
        """Run the remaining episodes, with a checkpoint every few episodes and at the end."""
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=len(self.episodes))
        try:
            while len(self.episodes) < self.total:
                episode = self._episode(len(self.episodes))
                self.episodes.append(episode)
                self._log.append(vars(episode))
                self._chart(writer, episode)
                if self.trained in self._keep_policies_at:
                    self._save_policy(f"policy_{self.trained}.bin")
                if len(self.episodes) % CHECKPOINT_EPISODES == 0 and len(self.episodes) < self.total:
                    self.save()
                on_episode(episode)
        finally:
            writer.close()
        self.save()

    def save(self) -> None:
        """Write the checkpoint and the current policy."""
        sync_path(self._log.path)  # the log on disk must never lag behind the checkpoint
        extra = {
            "episodes": len(self.episodes),
            "model_id": self.prior.model_id,
            "agent": self.agent.state_dict(),
        }
        self.learner.checkpoint(self._checkpoint, extra)
        self._save_policy("policy.bin")

    def _save_policy(self, name: str) -> None:
        about = {
            **self.plan.to_json(),
            "episodes_trained": self.trained,
            "model_id": self.prior.model_id,
            "limits": self.env.decoder.limits.to_json(),
            **provenance(),
        }
        save_policy(self.folder / name, self.learner.policy(), self._algorithm, about)

    def close(self) -> None:
        """Disconnect from the physics engine and unlock the folder."""
        self._opened.close()

    def _episode(self, number: int) -> Episode:
        mode = Mode.BASE if number < self._n_base else Mode.TRAIN
        bank, index = ("base", number) if mode is Mode.BASE else ("train", number - self._n_base)
        seed = seed_bank(bank, self.plan.seed, index + 1)[index]
        start = time.perf_counter()
        options = self.plan.method.reset(self.settings, mode)
        if mode is Mode.TRAIN:  # options set by the user apply to practice only
            options = {name: value for name, value in options.items() if name not in self.plan.task_options}
        outcome = practise(self.env, self.agent, mode, seed, options)
        wall_s = round(time.perf_counter() - start, 3)
        return Episode(number, mode.name.lower(), seed, outcome.success, outcome.steps, outcome.decisions, wall_s)

    def _check_folder(self, resume: bool) -> None:
        """Refuse to resume a different run, or to start on top of another run's files."""
        if not resume:
            found = [name for name in PARTS if (self.folder / name).exists()]
            if "config.json" in found:
                raise UserError(f"there is a run in {self.folder} already: give --resume to go on, or another folder")
            if found:
                raise UserError(f"{self.folder} holds {', '.join(found)} of another run: give another folder")
            return
        asked = {name: value for name, value in self._config().items() if name != "episodes"}
        check_same_values(self.folder, read_config(self.folder), asked)

    def _config(self) -> dict[str, Any]:
        return json.loads(json.dumps(self.plan.to_json()))

    @property
    def _prior_file(self) -> Path:
        return self.folder / self.plan.method.prior.file

    def _open_prior(self, demonstrations: Path) -> Any:
        kind = self.plan.method.prior
        if self._prior_file.exists():
            return kind.load(self._prior_file)
        return kind.fit(self.plan.task, demonstrations, self.plan.fit)

    def _open_agent(self) -> dict[str, Any] | None:
        """Build learner and agent, from the checkpoint if there is one; return the values stored with it."""
        chosen, action_dim = self.plan.method, self.env.decoder.action_dim
        assert chosen.algorithm is not None
        self._algorithm = chosen.algorithm(self.env.window.spec, action_dim, self.settings, self.plan.seed)
        known = None
        if self._checkpoint.exists():
            self.learner, known = SyncLearner.resume(self._checkpoint, self._algorithm)
            self._check_belongs(known)
        else:
            self.learner = SyncLearner(self._algorithm.build())
        self.agent = Agent(
            self.learner,
            action_dim,
            self.settings.noise_correlation,
            self.plan.seed,
            base_action=None if chosen.base_action is None else chosen.base_action(self.prior),
        )
        if known is not None:
            self.agent.load_state_dict(known["agent"])
        return known

    def _check_belongs(self, known: dict[str, Any]) -> None:
        """Refuse a checkpoint that is not from a training run, or from one with another base skill."""
        if not isinstance(known.get("episodes"), int) or "agent" not in known:
            raise UserError(
                f"{self._checkpoint} is not the checkpoint of a training run: restore the one of this run, or start "
                "another run"
            )
        model_id = self.prior.model_id
        if known.get("model_id", model_id) != model_id:  # older checkpoints do not record it
            raise UserError(
                f"{self._checkpoint} adapts skill {known['model_id']}, {self._prior_file} is {model_id}: "
                "restore the skill of this run, or start another run"
            )

    def _go_on(self, known: dict[str, Any] | None) -> list[Episode]:
        """Return the episodes before the checkpoint. Later ones are run again, with the same results."""
        logged = self._read_log()
        if len(logged) > self.total:
            raise UserError(
                f"the run in {self.folder} already has {len(logged)} episodes, {self._n_base} of the base skill "
                f"included: give --episodes {len(logged) - self._n_base} or more"
            )
        if known is not None:
            if len(logged) < known["episodes"]:
                raise UserError(
                    f"{self._log.path} has {len(logged)} episodes, {self._checkpoint} is from episode "
                    f"{known['episodes']}: restore the log of this run, or start another run"
                )
            return logged[: known["episodes"]]
        # Without a checkpoint, a run starts again. But one that must have had a checkpoint is too valuable to restart.
        if len(logged) > CHECKPOINT_EPISODES or (self.folder / "policy.bin").exists():
            raise UserError(
                f"{self._checkpoint} is missing, though the run had {len(logged)} episodes: restore it, or start "
                "another run"
            )
        if logged:
            self._log.put_aside()
        return []

    def _write_folder(self) -> None:
        """Write the files on which the rest depends, the configuration first: from then on the run can be resumed."""
        write_json(self.folder / "config.json", {**self._config(), **provenance()})
        if not self._prior_file.exists():
            self.plan.method.prior.save(self._prior_file, self.prior)
        self._log.rewrite(map(vars, self.episodes))

    def _read_log(self) -> list[Episode]:
        self._log.read()
        try:
            return [Episode(**line) for line in self._log.episodes]
        except TypeError as error:
            raise UserError(f"{self._log.path} is not a log of episodes ({error}): start another run") from error

    def _chart(self, writer: Any, episode: Episode) -> None:
        recent = [e.success for e in self.episodes if e.mode == episode.mode][-25:]
        writer.add_scalar(f"{episode.mode}/success_of_last_25", np.mean(recent), episode.number)
        writer.add_scalar(f"{episode.mode}/steps", episode.steps, episode.number)
        for name, value in self.learner.metrics().items():
            writer.add_scalar(f"learner/{name}", value, episode.number)
