"""Run the whole chain over ROS in lock-step for a long time, and look for leaks and missed messages.

    sac-gmm bench soak --minutes 10 --json benchmarks/results/control/soak.json

Training episodes follow each other until the time is over. Every few seconds the memory of every process (its
proportional set size) is read. Growth is measured from the median of the second fifth of the time to that of the last
fifth; more than 5 % counts as a leak. The learner runs in its own process, whose replay buffer fills up during the run
by design: it is measured like the others but does not count. Nothing may be missing either: in lock-step the bridge
reports every reward or command that did not come. At the end all nodes are asked to stop, and none may be left.
"""

from __future__ import annotations

import contextlib
import json as json_format
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import tyro

from sac_gmm.core.errors import UserError
from sac_gmm.core.processes import stop_program

SAMPLE_S = 5.0
STOP_S = 40.0
LEAK = 0.05
FILLS_UP = "learner"
COMPLAINTS = ("no reward for", "no command/twist for", "Traceback", "no update for decision", "refused", "ms late")
MANY = 100_000  # episodes: more than fit into the time


def main(args: list[str]) -> int:
    """Run the benchmark."""

    def bench(
        minutes: float = 10.0, json: Path | None = None, model: Path | None = None, time_limit_s: float = 10.0
    ) -> int:
        """Soak the chain; the exit code is 0 if nothing was missed, leaked or left running.

        Args:
            minutes: Length of the run.
            json: Write the numbers to this file.
            model: Skill to run; by default one is fitted to demos/door.
            time_limit_s: Longest episode.
        """
        from sac_gmm.bench.timing import write_result

        with tempfile.TemporaryDirectory(prefix="sac-gmm-soak-") as folder:
            result = soak(60.0 * minutes, model or _fitted(Path(folder)), Path(folder), time_limit_s)
        print(f"{result['episodes']} episodes in {result['seconds'] / 60:.1f} minutes")
        for name, process in result["processes"].items():
            growth = 100 * process["growth"]
            print(f"{name:<20}{process['begin_mb']:9.1f} MB  ->{process['end_mb']:9.1f} MB  {growth:+6.1f} %")
        verdicts = ("leaks", "complaints", "left_processes", "exit_code")
        for name in verdicts:
            print(f"{name:<20}{result[name]}")
        write_result(json, "soak", args, result)
        return int(any(result[name] for name in verdicts))

    return tyro.cli(bench, args=args, prog="sac-gmm bench soak", description=__doc__)


def soak(seconds: float, model: Path, folder: Path, time_limit_s: float) -> dict[str, Any]:
    """Run episodes for a while, and return what was measured.

    Raises:
        UserError: The nodes ended early.
    """
    environment = {
        **os.environ,
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_DOMAIN_ID": os.environ.get("ROS_DOMAIN_ID", str(1 + os.getpid() % 50)),
        "OMP_NUM_THREADS": "1",
        "SAC_GMM_SOAK": str(os.getpid()),  # marks a process as ours, even when it has lost its parent
    }
    log = folder / "nodes.log"
    command = [sys.executable, "-m", "sac_gmm.cli.main", "up", "sac_gmm_bringup", "simulation.launch.yaml"]
    command += [
        f"model:={model.resolve()}",
        f"run_dir:={folder / 'run'}",
        f"time_limit_s:={time_limit_s}",
        "learner:=async",
    ]
    samples: dict[str, list[tuple[float, float]]] = defaultdict(list)
    episodes: list[dict[str, Any]] = []
    begun_s = time.monotonic()
    with log.open("w") as out:
        nodes = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        with _client(environment, folder / "episodes.jsonl") as client:
            while time.monotonic() - begun_s < seconds:
                time.sleep(SAMPLE_S)
                for name, megabytes in _memory(environment["SAC_GMM_SOAK"]).items():
                    samples[name].append((time.monotonic() - begun_s, megabytes))
                if nodes.poll() is not None or client.poll() is not None:
                    last = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
                    raise UserError(f"the nodes or the episodes ended early; the last lines of the log:\n{last}")
        for line in (folder / "episodes.jsonl").read_text().splitlines():
            event = json_format.loads(line)
            if event.get("event") == "episode":
                episodes.append(event)
    finally:
        stop_program(nodes, STOP_S)
    time.sleep(1.0)
    lines = log.read_text(errors="replace").splitlines()
    ran_s = time.monotonic() - begun_s
    processes = {name: _growth(series, seconds) for name, series in sorted(samples.items())}
    return {
        "seconds": ran_s,
        "episodes": len(episodes),
        "successes": sum(bool(episode.get("success")) for episode in episodes),
        "processes": processes,
        "leaks": [name for name, of in processes.items() if of["growth"] > LEAK and name != FILLS_UP],
        "complaints": [line for line in lines if any(complaint in line for complaint in COMPLAINTS)][:20],
        "left_processes": sorted(_memory(environment["SAC_GMM_SOAK"])),
        "exit_code": nodes.returncode,
    }


@contextlib.contextmanager
def _client(environment: dict[str, str], out: Path) -> Iterator[subprocess.Popen]:
    """A client that requests one episode after another; cancelled on exit."""
    from sac_gmm.launcher.packages import find_package

    executable = find_package("sac_gmm_nodes") / "lib" / "sac_gmm_nodes" / "skill_client"
    command = [str(executable), "train", "--episodes", str(MANY), "--first-seed", "1"]
    with out.open("w") as file:
        client = subprocess.Popen(command, env=environment, stdout=file, start_new_session=True)
    try:
        yield client
    finally:
        stop_program(client, STOP_S)


def _memory(mark: str) -> dict[str, float]:
    """Megabytes of every process with our mark in its environment, by node name."""
    found: dict[str, float] = defaultdict(float)
    wanted = f"SAC_GMM_SOAK={mark}".encode()
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            if wanted not in (process / "environ").read_bytes().split(b"\0"):
                continue
            rollup = (process / "smaps_rollup").read_text()
            name = _name((process / "cmdline").read_bytes().decode(errors="replace"))
        except (OSError, ValueError):
            continue
        found[name] += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024
    return dict(found)


def _name(command: str) -> str:
    if "multiprocessing" in command:
        return "learner" if "resource_tracker" not in command else "resource_tracker"
    if "sac_gmm.cli" in command:
        return "launch"
    names = [Path(word).name for word in command.split("\0") if "/lib/sac_gmm_nodes/" in word]
    return names[0] if names else command.split("\0")[0]


def _growth(series: list[tuple[float, float]], seconds: float) -> dict[str, float]:
    """Growth from the median of the second fifth of the time to that of the last, in megabytes and as a share."""
    first = [megabytes for at_s, megabytes in series if 0.2 * seconds <= at_s < 0.4 * seconds]
    last = [megabytes for at_s, megabytes in series if at_s >= 0.8 * seconds]
    if not first or not last:
        return {"begin_mb": 0.0, "end_mb": 0.0, "growth": 0.0}
    begin, end = median(first), median(last)
    return {"begin_mb": begin, "end_mb": end, "growth": end / begin - 1}


def _fitted(folder: Path) -> Path:
    from sac_gmm.methods.sac_gmm.base_skill import fit_base_skill
    from sac_gmm.models import save_model

    path = folder / "skill.npz"
    save_model(path, fit_base_skill("door"))
    return path
