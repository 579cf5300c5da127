"""Run the whole chain in simulation, over ROS 2: fit, measure, adapt, measure again, report.

    sac-gmm demo --seed 0
    sac-gmm demo --resume
    sac-gmm demo --real-time --run-dir runs/real_time

Fits a skill to the task's demonstrations, starts the nodes of simulation.launch.yaml, measures the skill as fitted,
lets the agent adapt it with the reward alone (a marker, a lamp or a switch, whatever the task has), measures again, and
writes result.json and report.html. Ctrl-C stops everything cleanly; --resume continues. An older run in the same
folder is renamed, not deleted.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro

from sac_gmm.core.command_line import EpisodeBar, help_text, success_progress
from sac_gmm.core.errors import UserError
from sac_gmm.core.runs import EpisodeLog, check_same_values, locked_run, put_aside, read_config

_ACTIVE_FILE = "episodes.jsonl"
_CHECKPOINT = Path("adapter", "agent.checkpoint")  # path below the run's folder; written by sac_adapter
_UNSAVED_S = 60.0  # the adapter saves itself every 30 s, so it never learns for longer than this without a checkpoint
_AHEAD = 3  # a killed demo may have logged this many episodes fewer than the adapter has saved


@dataclass(frozen=True)
class Demo:
    """Options of the demo."""

    # Number of the training run: seeds of exploration, learning and training episodes.
    seed: int = 0
    # Run on the wall clock, as on a robot, and learn meanwhile; by default as fast as possible, and repeatable.
    real_time: bool = False
    # Continue the run in the folder.
    resume: bool = False
    # Folder of the run.
    run_dir: Path = Path("runs/demo")
    # Folder of the demonstration bags; by default the task's folder below demos/.
    bags: Path | None = None
    # Name of the task.
    task: str = "door"
    # Number of components in the mixture; by default the task's own.
    components: int | None = None
    # Episodes with the skill as fitted, before anything is learned.
    base_episodes: int = 20
    # Episodes in which the agent adapts the skill.
    training_episodes: int = 100
    # Episodes with the adapted skill.
    test_episodes: int = 50


@dataclass(frozen=True)
class _Phase:
    mode: str  # name of the mode in skill_client
    bank: str
    episodes: int
    title: str
    films: bool


def main(args: list[str]) -> int:
    """Run the demo."""
    return run(tyro.cli(Demo, args=args, prog="sac-gmm demo", description=help_text(__doc__)))


def run(demo: Demo) -> int:
    """Run the remaining part of a demo, and write its result and report."""
    phases = (
        _Phase("base", "base", demo.base_episodes, "base skill", films=True),
        _Phase("train", "train", demo.training_episodes, "adapting", films=False),
        _Phase("evaluate", "test", demo.test_episodes, "adapted skill", films=True),
    )
    _check(demo, phases)
    if not demo.resume:
        _keep_older(demo.run_dir)
    with locked_run(demo.run_dir) as lock:
        _prepare_folder(demo)
        log = _open_log(demo.run_dir)
        if any(log.count(phase.mode) < phase.episodes for phase in phases):
            _forget_what_was_lost(log, demo.run_dir / _CHECKPOINT)
            model = _fit(demo)
            with _nodes(demo, model, lock) as check_nodes:
                for phase in phases:
                    _run_phase(demo, phase, log, check_nodes)
        _write_result(demo, log)
    return 0


def _check(demo: Demo, phases: tuple[_Phase, ...]) -> None:
    """Check everything that could fail later, before changing anything."""
    from sac_gmm.demos import find_bags
    from sac_gmm.tasks import task_class
    from sac_gmm.training.seeds import seed_bank

    task_class(demo.task)
    for phase in phases:
        seed_bank(phase.bank, demo.seed, phase.episodes)
    if demo.components is not None and demo.components < 1:
        raise UserError(f"--components is {demo.components}: a mixture has 1 or more")
    if not demo.resume:
        find_bags((_bags(demo),))


def _bags(demo: Demo) -> Path:
    from sac_gmm.methods.sac_gmm.base_skill import base_skill

    return Path("demos") / base_skill(demo.task).bags if demo.bags is None else demo.bags


def _components(demo: Demo) -> int | str:
    from sac_gmm.methods.sac_gmm.base_skill import base_skill

    return base_skill(demo.task).components if demo.components is None else demo.components


def _write_result(demo: Demo, log: EpisodeLog) -> None:
    from sac_gmm.core.files import write_json
    from sac_gmm.report.run_page import write_report, write_summary

    result = _result(demo, log)
    write_json(demo.run_dir / "result.json", result)
    write_report(demo.run_dir)
    write_summary(demo.run_dir)
    base, adapted = result["base"], result["adapted"]
    print(
        f"{demo.task}: {base['successes']}/{base['episodes']} as fitted, "
        f"{adapted['successes']}/{adapted['episodes']} after {result['training_episodes']} episodes of adaptation, "
        f"{result['wall_s'] / 60:.1f} minutes"
    )
    print(f"wrote {demo.run_dir / 'result.json'} and {demo.run_dir / 'report.html'}")


def _open_log(run_dir: Path) -> EpisodeLog:
    log = EpisodeLog(run_dir / _ACTIVE_FILE, ("mode", "success", "wall_s"))
    log.read()
    if log.path.exists():
        log.rewrite(log.episodes)  # drops a last line that was cut off by a crash
    return log


def _keep_older(run_dir: Path) -> None:
    """Rename the folder of an older run; raise an error if it holds anything else."""
    if not run_dir.exists() or (run_dir.is_dir() and not any(run_dir.iterdir())):
        return
    if not (run_dir / "config.json").exists() or "base_episodes" not in read_config(run_dir):
        raise UserError(f"{run_dir} holds something other than a demo: give --run-dir a new or empty folder")
    if run_dir.name in ("", ".."):
        raise UserError(f"{run_dir} holds a run, which would be renamed: give --run-dir the folder's own name")
    with locked_run(run_dir):
        print(f"kept the run before as {put_aside(run_dir)}")


def _prepare_folder(demo: Demo) -> None:
    from sac_gmm.core.files import write_json

    asked = asdict(demo) | {"components": _components(demo)}
    config = {key: value for key, value in asked.items() if key not in ("resume", "run_dir", "bags")}
    if not demo.resume:
        write_json(demo.run_dir / "config.json", config)
        return
    before = {"real_time": False, **read_config(demo.run_dir)}  # older runs had no choice
    check_same_values(demo.run_dir, before, config)


def _forget_what_was_lost(log: EpisodeLog, checkpoint: Path) -> None:
    """Drop the log entries after the agent's checkpoint; those episodes are run again."""
    from sac_gmm.rl import read_extra

    if not checkpoint.exists():
        _begin_anew(log, checkpoint)
        return
    learned = read_extra(checkpoint).get("episodes")
    if not isinstance(learned, dict):
        raise UserError(
            f"{checkpoint} is not the checkpoint of a demo: restore the one of this run, or start without --resume"
        )
    if any(learned.get(mode, 0) > log.count(mode) + _AHEAD for mode in ("base", "train")):
        raise UserError(
            f"{log.path} holds {log.count('base')} base and {log.count('train')} training episodes, {checkpoint} "
            f"is from episode {learned}: restore the log of this run, or start without --resume"
        )
    kept: list[dict[str, Any]] = []
    for mode in ("base", "train", "evaluate"):
        of_mode = log.of(mode)
        kept += of_mode[: learned.get(mode, len(of_mode))]
        if len(of_mode) > learned.get(mode, len(of_mode)):
            break  # the agent that ran later episodes is lost
    if lost := len(log.episodes) - len(kept):
        print(f"{lost} episodes came after the agent's last checkpoint: they are run again")
        log.rewrite(kept)


def _begin_anew(log: EpisodeLog, checkpoint: Path) -> None:
    """Move the log of an agent without a checkpoint aside; raise an error if there must have been a checkpoint."""
    if not log.episodes:
        return
    if sum(episode["wall_s"] for episode in log.episodes if episode["mode"] != "base") > _UNSAVED_S:
        raise UserError(
            f"{checkpoint} is missing, though the run had {len(log.episodes)} episodes: restore it, or start without "
            "--resume, which keeps this run under another name"
        )
    n_episodes = len(log.episodes)
    print(f"there is no checkpoint yet: {n_episodes} episodes are run again; their log is kept as {log.put_aside()}")


def _fit(demo: Demo) -> Path:
    from sac_gmm.cli.fit import fit

    model = demo.run_dir / "skill.npz"
    if not model.exists():
        fit((_bags(demo),), model, components=str(_components(demo)))
    return model


def _nodes(demo: Demo, model: Path, lock: int) -> contextlib.AbstractContextManager[Callable[[], None]]:
    """Start the nodes; yields a function that raises if they have ended early.

    If this program is killed, the nodes stop as well, and the folder stays locked until then.
    """
    from sac_gmm.launcher.running_graph import started

    arguments = {
        "model": model.resolve(),
        "task": demo.task,
        "seed": demo.seed,
        "run_dir": (demo.run_dir / _CHECKPOINT.parent).resolve(),
        "lockstep": str(not demo.real_time).lower(),
    }
    return started("simulation.launch.yaml", arguments, demo.run_dir / "nodes.log", keep_open=(lock,))


def _run_phase(demo: Demo, phase: _Phase, log: EpisodeLog, check_nodes: Callable[[], None]) -> None:
    """Run those episodes of a phase that are not in the log yet."""
    from sac_gmm.launcher.running_graph import events
    from sac_gmm.training.seeds import seed_bank

    done = log.count(phase.mode)
    if done >= phase.episodes:
        return
    first_seed = seed_bank(phase.bank, demo.seed, phase.episodes)[0] + done
    films = demo.run_dir / "films" / phase.mode if phase.films else None
    with success_progress(14) as progress:
        bar = EpisodeBar(progress, phase.title, phase.episodes, done)
        since = time.monotonic()
        try:
            for event in events(phase.mode, phase.episodes - done, first_seed, films, check_nodes):
                if event.pop("event") != "episode":
                    continue
                now = time.monotonic()
                log.append({**event, "wall_s": round(now - since, 3)})
                since = now
                bar.advance([episode["success"] for episode in log.of(phase.mode)])
        except UserError as error:
            check_nodes()
            raise UserError(f"{error}; see {demo.run_dir / 'nodes.log'}") from error


def _result(demo: Demo, log: EpisodeLog) -> dict[str, Any]:
    from sac_gmm.evaluation import SuccessRate, provenance

    def rate(mode: str) -> dict[str, Any]:
        episodes = log.of(mode)
        return SuccessRate(sum(episode["success"] for episode in episodes), len(episodes)).to_json()

    return {
        "task": demo.task,
        "seed": demo.seed,
        "pace": "real time" if demo.real_time else "lock-step",
        "base": rate("base"),
        "adapted": rate("evaluate"),
        "training_episodes": log.count("train"),
        "wall_s": round(sum(episode["wall_s"] for episode in log.episodes), 1),
        "training_wall_s": round(sum(episode["wall_s"] for episode in log.of("train")), 1),
        "reward_source": ", ".join(sorted({episode.get("reward_source", "marker") for episode in log.episodes})),
        **provenance(),
    }
