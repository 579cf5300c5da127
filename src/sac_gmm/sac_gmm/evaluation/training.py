"""Train a skill in one process: base episodes, then episodes that explore; stopped and gone on with at any moment.

A run's folder holds `config.json` (what was asked for), `skill.npz` (the base skill), `episodes.jsonl` (one line per
episode), `agent.checkpoint` (everything that learning depends on), `policy.bin` (what is needed to act) and
`tensorboard/`. A run that was killed and resumed gives the same policy as one that was not, bit for bit.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sac_gmm.errors import SacGmmError
from sac_gmm.evaluation.base_skill import fit_base_skill
from sac_gmm.evaluation.contenders import contender, demonstrated_action, make_env, settings_for
from sac_gmm.evaluation.protocol import seed_bank
from sac_gmm.evaluation.record import provenance
from sac_gmm.files import atomic_file, read_json, write_json
from sac_gmm.models import Kind, SkillModel, load_model, save_model
from sac_gmm.rl import Replay, SacAgent, SyncLearner, read_extra, save_policy
from sac_gmm.skills import AdaptingAgent, MacroEnv, Mode
from sac_gmm.skills.settings import AgentSettings

CHECKPOINT_EPISODES = 20  # between two checkpoints


@dataclass(frozen=True)
class Plan:
    """What to train. Equal plans give equal policies."""

    task: str
    skill: str
    seed: int
    episodes: int
    settings: AgentSettings  # of `sac_gmm`; what the skill's own action makes necessary is added
    fit: Kind = "lpv_ds"
    task_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not contender(self.skill).learns:
            raise SacGmmError(f"skill '{self.skill}' learns nothing: measure it with `sac-gmm evaluate`")
        seed_bank("train", self.seed, self.episodes)  # refuses what it has no seeds for, before anything is written

    def to_json(self) -> dict[str, Any]:
        """What makes two runs the same, and what goes into result files."""
        return {
            "task": self.task,
            "skill": self.skill,
            "seed": self.seed,
            "episodes": self.episodes,
            "fit": self.fit,
            "task_options": self.task_options,
            "settings": self.settings.to_json(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Plan:
        """Rebuild from `to_json`; what else is in `value` is left alone."""
        kept = {name: value[name] for name in ("task", "skill", "seed", "episodes", "fit", "task_options")}
        return cls(**kept, settings=AgentSettings.from_json(value["settings"]))


@dataclass(frozen=True)
class Episode:
    """One line of the log."""

    number: int  # counts base episodes too
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
        resume: Go on with the run there; without, the folder must hold none.
        demonstrations: Folder with one folder of bags per task.
        keep_policies_at: After so many training episodes the policy is kept too, as `policy_N.bin`.

    Raises:
        SacGmmError: There is a run already, none to resume, or one of another plan.
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
        self.settings = settings_for(plan.skill, plan.settings)
        self._log_path = folder / "episodes.jsonl"
        self._checkpoint = folder / "agent.checkpoint"
        self._prepare_folder(resume)
        self.model = self._base_skill(demonstrations)
        self.env = make_env(plan.task, plan.skill, self.settings, self.model, plan.task_options)
        spec, action_dim = self.env.observer.spec, self.env.decoder.action_dim
        config = self.settings.agent
        self.learner = SyncLearner(
            SacAgent(spec, action_dim, config, plan.seed), Replay(spec, action_dim, config.replay_capacity)
        )
        extra: dict[str, Any] = {"episodes": 0}
        if self._checkpoint.exists():
            self.learner, extra = SyncLearner.resume(self._checkpoint)
        self._demonstrates = contender(plan.skill).demonstrates
        self.agent = AdaptingAgent(
            self.learner,
            action_dim,
            config.noise_correlation,
            plan.seed,
            sees_images=spec.image_shape is not None,
            base_action=demonstrated_action(self.model) if self._demonstrates else None,
        )
        if "agent" in extra:
            self.agent.load_state_dict(extra["agent"])
        # What was run after the checkpoint will be run again, and the same will come of it.
        self.episodes = self._read_log()[: extra["episodes"]]
        self._write_log()

    @property
    def total(self) -> int:
        """Episodes of the whole run, base episodes among them."""
        return self.settings.skill.base_episodes + self.plan.episodes

    @property
    def trained(self) -> int:
        """Training episodes so far."""
        return max(0, len(self.episodes) - self.settings.skill.base_episodes)

    def run(self, on_episode: Callable[[Episode], None] = lambda episode: None) -> None:
        """Run what is missing, with a checkpoint every few episodes and at the end."""
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=len(self.episodes))
        try:
            while len(self.episodes) < self.total:
                episode = self._episode(len(self.episodes))
                self.episodes.append(episode)
                self._append_log(episode)
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
        """Write the checkpoint, and the policy as it is now."""
        extra = {"episodes": len(self.episodes), "agent": self.agent.state_dict()}
        self.learner.checkpoint(self._checkpoint, extra)
        self._save_policy("policy.bin")

    def _save_policy(self, name: str) -> None:
        about = {
            **self.plan.to_json(),
            "episodes_trained": self.trained,
            "model_id": self.model.model_id,
            **provenance(),
        }
        save_policy(self.folder / name, self.learner.policy(), self.settings.agent, about)

    def close(self) -> None:
        """Leave the physics engine."""
        self.env.task.close()  # type: ignore[attr-defined]

    def _episode(self, number: int) -> Episode:
        base = self.settings.skill.base_episodes
        mode = Mode.BASE if number < base else Mode.TRAIN
        bank, index = ("base", number) if mode is Mode.BASE else ("train", number - base)
        seed = seed_bank(bank, self.plan.seed, index + 1)[index]
        start = time.perf_counter()
        options = {"target_noise_std_m": 0.0} if mode is Mode.BASE and self._demonstrates else None
        own_noise_m = self.settings.skill.training_noise_m
        if mode is Mode.TRAIN and own_noise_m is not None and "target_noise_std_m" not in self.plan.task_options:
            options = {"target_noise_std_m": own_noise_m}
        success, steps, decisions = play(self.env, self.agent, mode, seed, options)
        wall_s = round(time.perf_counter() - start, 3)
        return Episode(number, mode.name.lower(), seed, success, steps, decisions, wall_s)

    def _prepare_folder(self, resume: bool) -> None:
        path, wanted = self.folder / "config.json", json.loads(json.dumps(self.plan.to_json()))
        if resume:
            if not path.exists():
                raise SacGmmError(f"there is no run to resume in {self.folder}: start one without --resume")
            before = {name: value for name, value in read_json(path).items() if name in wanted}
            if changed := [name for name in wanted if before.get(name) != wanted[name] and name != "episodes"]:
                raise SacGmmError(
                    f"the run in {self.folder} was started with other values of: {', '.join(changed)}; give the same"
                )
        elif path.exists():
            raise SacGmmError(f"there is a run in {self.folder} already: give --resume to go on, or another folder")
        write_json(path, {**wanted, **provenance()})

    def _base_skill(self, demonstrations: Path) -> SkillModel:
        path = self.folder / "skill.npz"
        if path.exists():
            return load_model(path)
        model = fit_base_skill(self.plan.task, self.plan.fit, demonstrations)
        save_model(path, model)
        return model

    def _read_log(self) -> list[Episode]:
        if not self._log_path.exists():
            return []
        lines = self._log_path.read_text(encoding="utf-8").splitlines(keepends=True)
        try:
            return [Episode(**json.loads(line)) for line in lines if line.endswith("\n")]
        except (ValueError, TypeError) as error:
            raise SacGmmError(f"{self._log_path} is not a log of episodes ({error}): begin another run") from error

    def _write_log(self) -> None:
        with atomic_file(self._log_path) as partial:
            partial.write_text("".join(_line(episode) for episode in self.episodes), encoding="utf-8")

    def _append_log(self, episode: Episode) -> None:
        with self._log_path.open("a", encoding="utf-8") as file:
            file.write(_line(episode))

    def _chart(self, writer: Any, episode: Episode) -> None:
        recent = [e.success for e in self.episodes if e.mode == episode.mode][-25:]
        writer.add_scalar(f"{episode.mode}/success_of_last_25", np.mean(recent), episode.number)
        writer.add_scalar(f"{episode.mode}/steps", episode.steps, episode.number)
        for name, value in self.learner.metrics().items():
            writer.add_scalar(f"learner/{name}", value, episode.number)


def play(
    env: MacroEnv, agent: AdaptingAgent, mode: Mode, seed: int, options: dict[str, Any] | None = None
) -> tuple[bool, int, int]:
    """Run an episode for an agent that remembers and learns; return success, control steps and decisions."""
    observation = env.reset(seed, options)
    agent.begin(mode)
    total = decisions = steps = 0
    while True:
        step = env.step(agent.decide(observation, steps))
        observation, steps = step.observation, step.steps
        total += steps
        decisions += 1
        if step.terminated or step.truncated:
            agent.end(observation, success=step.reward > 0.0, truncated=step.truncated, steps=steps)
            return step.reward > 0.0, total, decisions


def trained_episodes(folder: Path) -> int:
    """How many episodes a run's checkpoint has behind it; 0 where there is none."""
    path = folder / "agent.checkpoint"
    return int(read_extra(path)["episodes"]) if path.exists() else 0


def _line(episode: Episode) -> str:
    return json.dumps(vars(episode)) + "\n"
