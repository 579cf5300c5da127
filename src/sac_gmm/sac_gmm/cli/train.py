"""Train a skill on a task in simulation, in one process, reproducibly.

    sac-gmm train door --method sac_gmm --seed 0 --episodes 100 --out runs/door_0
    sac-gmm train door --method sac_gmm --seed 0 --episodes 100 --out runs/door_0 --resume
    tensorboard --logdir runs/door_0/tensorboard

Base episodes fill the agent's memory with the skill as fitted; then it explores and learns. Ctrl-C saves the run,
--resume continues it, and the result is the same as without the stop. `sac-gmm evaluate runs/door_0` measures it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from sac_gmm.core.command_line import success_progress

if TYPE_CHECKING:
    from sac_gmm.training.run import Episode, TrainingRun


@dataclass(frozen=True)
class Train:
    """What to train."""

    # The task: door, peg, peg_medium, peg_easy, lever.
    task: Annotated[str, tyro.conf.Positional]
    # Folder of the run.
    out: Path
    # Learning method: sac_gmm, sac, residual_gmm, residual_gmm_paper.
    method: str = "sac_gmm"
    # Run number: seed of networks, exploration and training episodes.
    seed: int = 0
    # Training episodes, after the base episodes.
    episodes: int = 100
    # Continue the run in the folder.
    resume: bool = False
    # Folder of settings: how the agent learns and what it sees.
    config: Path = Path("config/methods")
    # Values that override those settings, such as `history=4 shift_std=0`.
    set: tuple[str, ...] = ()
    # Noise on the detected target per axis, in metres; by default the task's own.
    sigma: float | None = None
    # Folder with one folder of bags per task.
    demonstrations: Path = Path("demos")


def main(args: list[str]) -> int:
    """Train."""
    examples = (__doc__ or "").replace("    sac-gmm", "    $ sac-gmm").replace("    tensorboard", "    $ tensorboard")
    args = ["--method" if arg == "--skill" else arg for arg in args]  # its former name
    return run(tyro.cli(Train, args=args, prog="sac-gmm train", description=examples))


def run(asked: Train) -> int:
    """Run the remaining episodes of a training run."""
    import torch

    from sac_gmm.methods import method
    from sac_gmm.methods.settings import load_settings, parse_changes
    from sac_gmm.training.run import Plan, TrainingRun

    torch.set_num_threads(1)
    chosen = method(asked.method)
    settings = load_settings(chosen, asked.task, asked.config).changed(**parse_changes(asked.set))
    options = {} if asked.sigma is None else {"target_noise_std_m": asked.sigma}
    plan = Plan(asked.task, chosen, asked.seed, asked.episodes, settings, task_options=options)
    training = TrainingRun(plan, asked.out, resume=asked.resume, demonstrations=asked.demonstrations)
    if training.episodes:
        print(f"resuming after {len(training.episodes)} of {training.total} episodes")
    elif asked.resume:
        print("the run was stopped before its first checkpoint and starts again; the old log is kept")
    try:
        _with_progress(training)
    finally:
        training.close()
    last = [episode.success for episode in training.episodes if episode.mode == "train"][-25:]
    print(f"{sum(last)} of the last {len(last)} training episodes succeeded")
    print(f"wrote {asked.out / 'policy.bin'}; measure it: sac-gmm evaluate {asked.out}")
    print(f"a page about the run: sac-gmm report {asked.out}")
    return 0


def _with_progress(training: TrainingRun) -> None:
    with success_progress(10) as progress:
        bar = progress.add_task("base skill", total=training.total, completed=len(training.episodes), success="")

        def on_episode(episode: Episode) -> None:
            recent = [other.success for other in training.episodes if other.mode == episode.mode][-25:]
            rate = f"success {100 * sum(recent) / len(recent):3.0f} % of the last {len(recent):2d}"
            title = "base skill" if episode.mode == "base" else "training"
            progress.update(bar, description=title, completed=episode.number + 1, success=rate)
            if not progress.console.is_terminal and (episode.number + 1) % 20 == 0:
                print(f"{title}: {episode.number + 1}/{training.total} episodes, {rate}", flush=True)

        training.run(on_episode)
