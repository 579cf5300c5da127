"""What lock-step over ROS costs: the same task, agent and seeds in one process and as a graph of nodes, in one run.

    sac-gmm bench lockstep --json benchmarks/results/control/lockstep.json
    sac-gmm bench lockstep --task lever --episodes 10 --training-episodes 10

Seconds of wall time per episode, with the skill as fitted and in training, and where they go. Over ROS, physics waits
for the answers to each state: `commands` are round trips to the controller, `decisions` those in which the adapter
learns and decides, `rewards` those in which a reading is judged. The first episode of each kind is left out on both
sides: it compiles, discovers, or learns to see. Both sides learn between two decisions. An episode over ROS ends when
its sensor shows the success, a few control steps later than in one process, where the simulator knows it.
"""

from __future__ import annotations

import json as json_format
import re
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tyro

MODES = ("base", "train")
_TIMES = re.compile(r"times of episode (\d+): (\{.*\})")
_STEPS_PER_S = 30.0  # control steps per second of an episode


def main(args: list[str]) -> int:
    """Run the benchmark."""

    def bench(
        task: str = "door",
        episodes: int = 20,
        training_episodes: int = 20,
        seed: int = 0,
        json: Path | None = None,
    ) -> int:
        """Measure both.

        Args:
            task: The task.
            episodes: Episodes with the skill as fitted, 2 or more.
            training_episodes: Episodes of practice after them, 2 or more.
            seed: Number of the training run.
            json: Write the numbers to this file.
        """
        from sac_gmm.bench.timing import write_result

        result = compare(task, {"base": episodes, "train": training_episodes}, seed)
        print(report(result))
        write_result(json, "lockstep", args, result)
        return 0

    return tyro.cli(bench, args=args, prog="sac-gmm bench lockstep", description=__doc__)


def compare(task: str, episodes: dict[str, int], seed: int) -> dict[str, Any]:
    """Measure a task both ways.

    Args:
        task: Its name.
        episodes: How many of each mode, 2 or more.
        seed: Number of the training run.

    Raises:
        UserError: There are too few episodes, or the nodes ended early.
    """
    from sac_gmm.core.errors import UserError

    if any(count < 2 for count in episodes.values()):
        raise UserError("at least 2 episodes of each kind are needed: the first is left out")
    with tempfile.TemporaryDirectory(prefix="sac-gmm-lockstep-") as folder:
        offline = in_one_process(task, episodes, seed, Path(folder, "offline"))
        ros = over_ros(task, episodes, seed, Path(folder, "offline", "skill.npz"), Path(folder))
    modes = {mode: {"offline": _mean(offline[mode]), "ros": _mean(ros[mode])} for mode in MODES}
    for of_mode in modes.values():
        of_mode["ratio"] = of_mode["ros"]["seconds"] / of_mode["offline"]["seconds"]
    return {"task": task, "seed": seed, **modes}


def in_one_process(task: str, episodes: dict[str, int], seed: int, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Episodes of `sac-gmm train`, by mode: `seconds`, `steps`, `success`, and `shares` in seconds."""
    import torch

    from sac_gmm.methods.sac_gmm.method import SAC_GMM
    from sac_gmm.methods.settings import load_settings
    from sac_gmm.training.run import Episode, Plan, TrainingRun

    torch.set_num_threads(1)
    settings = load_settings(SAC_GMM, task).changed(base_episodes=episodes["base"])
    run = TrainingRun(Plan(task, SAC_GMM, seed, episodes["train"], settings), folder)
    watch = _Stopwatch()
    watch.on(run.env.task, "step", "physics")
    watch.on(run.env.task, "read", "pictures")
    watch.on(run.learner, "observe", "learning")
    watch.on(run.learner, "prepare", "learning")
    found: dict[str, list[dict[str, Any]]] = {mode: [] for mode in MODES}

    def on_episode(episode: Episode) -> None:
        kept = {"seconds": episode.wall_s, "steps": episode.steps, "success": episode.success}
        found[episode.mode].append(kept | {"shares": watch.take()})

    try:
        run.run(on_episode)
    finally:
        run.close()
    return found


def over_ros(task: str, episodes: dict[str, int], seed: int, model: Path, folder: Path) -> dict[str, list[Any]]:
    """The same episodes over a graph of nodes: as `in_one_process`."""
    from sac_gmm.launcher.running_graph import events, started
    from sac_gmm.training.seeds import seed_bank

    arguments: dict[str, object] = {"model": model, "task": task, "seed": seed, "run_dir": folder / "adapter"}
    log = folder / "nodes.log"
    found: dict[str, list[dict[str, Any]]] = {mode: [] for mode in MODES}
    with started("simulation.launch.yaml", arguments | {"log_times": "true"}, log) as check:
        for mode in MODES:
            begun_s = time.monotonic()
            first_seed = seed_bank(mode, seed, episodes[mode])[0]
            for event in events(mode, episodes[mode], first_seed, check=check):
                if event["event"] != "episode":
                    continue
                now_s = time.monotonic()
                steps = round(event["duration_s"] * _STEPS_PER_S)
                found[mode].append({"seconds": now_s - begun_s, "steps": steps, "success": event["success"]})
                begun_s = now_s
    shares = _shares(log.read_text(encoding="utf-8", errors="replace"))
    for number, episode in enumerate((episode for mode in MODES for episode in found[mode]), start=1):
        episode["shares"] = shares.get(number, {})
    return found


def _shares(log: str) -> dict[int, Counter[str]]:
    """What the nodes say of their times, by number of the episode."""
    found: dict[int, Counter[str]] = {}
    for number, text in _TIMES.findall(log):
        found.setdefault(int(number), Counter()).update(json_format.loads(text))
    return found


def _mean(episodes: list[dict[str, Any]]) -> dict[str, Any]:
    """Of all episodes but the first, per episode."""
    kept = episodes[1:]
    total: Counter[str] = Counter()
    for episode in kept:
        total.update(episode["shares"])
    seconds = sum(episode["seconds"] for episode in kept) / len(kept)
    return {
        "episodes": len(kept),
        "successes": sum(bool(episode["success"]) for episode in kept),
        "steps": sum(episode["steps"] for episode in kept) / len(kept),
        "seconds": seconds,
        "shares": {what: total[what] / len(kept) for what in sorted(total)},
    }


def report(result: dict[str, Any]) -> str:
    """The result as lines for the terminal."""
    lines = []
    for mode in MODES:
        of_mode = result[mode]
        lines.append(f"{mode}: over ROS {of_mode['ratio']:.2f} times the seconds of one process")
        for side in ("offline", "ros"):
            one = of_mode[side]
            shares = ", ".join(f"{what} {seconds:.2f}" for what, seconds in one["shares"].items())
            head = f"  {side:<8}{one['seconds']:6.2f} s an episode of {one['steps']:.0f} steps"
            lines.append(f"{head} ({one['successes']}/{one['episodes']} succeeded): {shares}")
    return "\n".join(lines)


class _Stopwatch:
    """Adds up the time in methods of objects."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)

    def on(self, owner: object, name: str, what: str) -> None:
        """Count the time in a method, which must not call another counted one, as spent on `what`."""
        method: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            begun_s = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                self._seconds[what] += time.perf_counter() - begun_s

        setattr(owner, name, timed)

    def take(self) -> dict[str, float]:
        """The seconds since the last call, by what they were spent on."""
        taken, self._seconds = self._seconds, defaultdict(float)
        return taken
