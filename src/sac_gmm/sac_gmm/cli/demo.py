"""The whole chain in simulation, over ROS 2: fit, measure, adapt, measure again, report.

    sac-gmm demo --seed 0
    sac-gmm demo --resume

Fits a skill to the five door demonstrations, starts the nodes of simulation.launch.yaml, measures the skill as fitted,
lets the agent adapt it from the ArUco reward alone, measures again, and writes result.json and report.html. Ctrl-C
stops everything cleanly; --resume goes on where it stopped. An older run in the same folder is kept under another name.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro

from sac_gmm.cli.command_line import help_text, stop_process, success_progress
from sac_gmm.errors import SacGmmError

# The launch file wires the marker detector, and nothing else, to the topic `reward`.
REWARD_SOURCE = "aruco"
_ACTIVE_FILE = "episodes.jsonl"
_CHECKPOINT = Path("adapter", "agent.checkpoint")  # where sac_adapter writes it, below the run's folder
_STOP_S = 60.0  # for nodes to end by themselves: the adapter may be learning, and saves itself


@dataclass(frozen=True)
class Demo:
    """What to run."""

    # Number of the training run: seeds of exploration, learning and training episodes.
    seed: int = 0
    # Go on with the run in the folder.
    resume: bool = False
    # Folder of the run.
    run_dir: Path = Path("runs/demo")
    # Folder of the demonstration bags.
    bags: Path = Path("demos/door")
    # Name of the task, which launch file and agent are given.
    task: str = "door"
    # Components of the mixture.
    components: int = 8
    # Episodes with the skill as fitted, before anything is learned.
    base_episodes: int = 20
    # Episodes in which the agent adapts it.
    training_episodes: int = 100
    # Episodes with the adapted skill.
    test_episodes: int = 50
    # Control steps between two decisions: the task's `interval` in config/agent.json, 8 for the door.
    decision_interval: int = 8


@dataclass(frozen=True)
class _Phase:
    mode: str  # as skill_client calls it
    bank: str
    episodes: int
    title: str
    films: bool


def main(args: list[str]) -> int:
    """Run the demo."""
    return run(tyro.cli(Demo, args=args, prog="sac-gmm demo", description=help_text(__doc__)))


def run(demo: Demo) -> int:
    """Run what is still missing of a demo and write its result and report."""
    from sac_gmm.evaluation.report import write_report, write_summary
    from sac_gmm.files import write_json

    phases = (
        _Phase("base", "base", demo.base_episodes, "base skill", films=True),
        _Phase("train", "train", demo.training_episodes, "adapting", films=False),
        _Phase("evaluate", "test", demo.test_episodes, "adapted skill", films=True),
    )
    _prepare_folder(demo)
    log = _EpisodeLog(demo.run_dir / _ACTIVE_FILE)
    if demo.resume:
        _forget_what_was_lost(log, demo.run_dir / _CHECKPOINT)
    if any(log.count(phase.mode) < phase.episodes for phase in phases):
        model = _fit(demo)
        with _nodes(demo, model) as check_nodes:
            for phase in phases:
                _run_phase(demo, phase, log, check_nodes)
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
    return 0


class _EpisodeLog:
    """One line of JSON for every episode that was run, appended as soon as it is known."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.episodes: list[dict[str, Any]] = []
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            whole = [line for line in lines if line.endswith("\n")]  # the last one may have been cut by a crash
            try:
                self.episodes = [json.loads(line) for line in whole]
            except ValueError as error:
                raise SacGmmError(f"{path} is not a log of episodes ({error}): start again without --resume") from error
            if len(whole) < len(lines):
                self.keep(self.episodes)

    def add(self, episode: dict[str, Any]) -> None:
        self.episodes.append(episode)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(episode) + "\n")

    def keep(self, episodes: list[dict[str, Any]]) -> None:
        """Forget all others."""
        from sac_gmm.files import atomic_file

        self.episodes = episodes
        with atomic_file(self._path) as partial:
            partial.write_text("".join(json.dumps(episode) + "\n" for episode in episodes), encoding="utf-8")

    def of(self, mode: str) -> list[dict[str, Any]]:
        return [episode for episode in self.episodes if episode["mode"] == mode]

    def count(self, mode: str) -> int:
        return len(self.of(mode))


def _prepare_folder(demo: Demo) -> None:
    from sac_gmm.files import read_json, write_json

    config = {key: value for key, value in asdict(demo).items() if key not in ("resume", "run_dir", "bags")}
    path = demo.run_dir / "config.json"
    if demo.resume:
        if not path.exists():
            raise SacGmmError(f"there is no run to resume in {demo.run_dir}: start one without --resume")
        before = read_json(path)
        if before != config:
            changed = ", ".join(key for key in config if before.get(key) != config[key])
            raise SacGmmError(f"the run in {demo.run_dir} was started with other values of: {changed}; give the same")
        return
    if demo.run_dir.exists():
        number = 1
        while (older := demo.run_dir.with_name(f"{demo.run_dir.name}-{number}")).exists():
            number += 1
        demo.run_dir.rename(older)
        print(f"kept the run before as {older}")
    write_json(path, config)


def _forget_what_was_lost(log: _EpisodeLog, checkpoint: Path) -> None:
    """Drop from the log what the agent's checkpoint does not have behind it, and all that followed: it is run again."""
    from sac_gmm.rl import read_extra

    learned = read_extra(checkpoint)["episodes"] if checkpoint.exists() else {"base": 0, "train": 0}
    kept: list[dict[str, Any]] = []
    for mode in ("base", "train", "evaluate"):
        of_mode = log.of(mode)
        kept += of_mode[: learned.get(mode, len(of_mode))]
        if len(of_mode) > learned.get(mode, len(of_mode)):
            break  # what came later was done by another agent
    if lost := len(log.episodes) - len(kept):
        print(f"{lost} episodes came after the agent's last checkpoint: they are run again")
        log.keep(kept)


def _fit(demo: Demo) -> Path:
    from sac_gmm.cli.fit import fit

    model = demo.run_dir / "skill.npz"
    if not model.exists():
        fit((demo.bags,), model, components=str(demo.components))
    return model


@contextlib.contextmanager
def _nodes(demo: Demo, model: Path) -> Iterator[Callable[[], None]]:
    """Start the nodes; gives a function that raises when they have ended too early. Stops them in the end."""
    log = demo.run_dir / "nodes.log"
    # The demo talks to itself alone: a robot in the laboratory's network must never hear it.
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 50))
    arguments = {
        "model": model.resolve(),
        "task": demo.task,
        "seed": demo.seed,
        "run_dir": (demo.run_dir / _CHECKPOINT.parent).resolve(),
        "decision_interval": demo.decision_interval,
    }
    command = [sys.executable, "-m", "sac_gmm.cli.main", "up", "sac_gmm_bringup", "simulation.launch.yaml"]
    command += [f"{name}:={value}" for name, value in arguments.items()]
    with log.open("a", encoding="utf-8") as file:
        nodes = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:

            def check() -> None:
                if nodes.poll() is not None:
                    last = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
                    raise SacGmmError(f"the nodes have ended; the last lines of {log}:\n{last}")

            yield check
        finally:
            stop_process(nodes, _STOP_S)


def _run_phase(demo: Demo, phase: _Phase, log: _EpisodeLog, check_nodes: Callable[[], None]) -> None:
    """Run the episodes of a phase that are not in the log yet."""
    from sac_gmm.cli.launch_yaml import find_package
    from sac_gmm.evaluation import seed_bank

    done = log.count(phase.mode)
    if done >= phase.episodes:
        return
    first_seed = seed_bank(phase.bank, demo.seed, phase.episodes)[0] + done
    executable = find_package("sac_gmm_nodes") / "lib" / "sac_gmm_nodes" / "skill_client"
    command = [str(executable), phase.mode, "--episodes", str(phase.episodes - done), "--first-seed", str(first_seed)]
    if phase.films:
        command += ["--films", str(demo.run_dir / "films" / phase.mode)]
    client = subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, start_new_session=True
    )
    try:
        with success_progress(14) as progress:
            bar = progress.add_task(phase.title, total=phase.episodes, completed=done, success="")
            since = time.monotonic()
            assert client.stdout is not None
            for line in client.stdout:
                event = json.loads(line)
                if event.pop("event") != "episode":
                    continue
                now = time.monotonic()
                log.add({**event, "wall_s": round(now - since, 3)})
                since = now
                recent = log.of(phase.mode)[-20:]
                rate = sum(episode["success"] for episode in recent) / len(recent)
                progress.update(bar, advance=1, success=f"success {100 * rate:3.0f} % of the last {len(recent):2d}")
                if not progress.console.is_terminal and log.count(phase.mode) % 10 == 0:
                    print(f"{phase.title}: {log.count(phase.mode)}/{phase.episodes} episodes, {100 * rate:.0f} %")
        if client.wait() != 0:
            check_nodes()
            raise SacGmmError(f"the episodes ended early; see {demo.run_dir / 'nodes.log'}")
    finally:
        stop_process(client, _STOP_S)


def _result(demo: Demo, log: _EpisodeLog) -> dict[str, Any]:
    from sac_gmm.evaluation import SuccessRate, provenance

    def rate(mode: str) -> dict[str, Any]:
        episodes = log.of(mode)
        return SuccessRate(sum(episode["success"] for episode in episodes), len(episodes)).to_json()

    return {
        "task": demo.task,
        "seed": demo.seed,
        "base": rate("base"),
        "adapted": rate("evaluate"),
        "training_episodes": log.count("train"),
        "wall_s": round(sum(episode["wall_s"] for episode in log.episodes), 1),
        "reward_source": REWARD_SOURCE,
        **provenance(),
    }
