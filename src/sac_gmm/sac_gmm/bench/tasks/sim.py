"""Time the simulated tasks against the bare physics engine.

    sac-gmm bench sim --json benchmarks/results/tasks/sim.json
    sac-gmm bench sim --tasks door --episodes 3

Per task, within this run, in processor time:

* `raw`: PyBullet alone. The motor commands of recorded episodes are replayed, with as many calls of `stepSimulation`,
  on the same scene from the same state; nothing is read, computed or judged. `identical` says that all joints end
  exactly where they ended in the recording, bit for bit, so both sides did the same physics, contacts included.
* `ours`: the whole environment step with the same twists: reference, impedance, reading the state, the scene's own
  logic, observation with sensor noise, success. No images.

The episodes are a scripted operator's with a detection error of 1 cm. Episodes per second include reset and all steps
in one process. Workers play whole episodes with decoder and safety pipeline; two of them should reach ten times the
rate of the published re-runs on a GPU (0.76 per second). Frames per second are measured one sensor at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from sac_gmm.core.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from sac_gmm.methods import MacroEnv
    from sac_gmm.tasks import Task

REQUIRED_EPISODES_S = 7.6  # for two workers: ten times the rate of the published re-runs
_COMMANDS = ("setJointMotorControl2", "setJointMotorControlArray", "stepSimulation")
_PASSES = 3  # the fastest counts
Calls = list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]


def main(args: list[str]) -> int:
    """Run the benchmark."""

    def bench(
        json: Path | None = None, tasks: tuple[str, ...] = (), episodes: int = 8, worker_episodes: int = 60
    ) -> int:
        """Time the simulation.

        Args:
            json: Write the numbers to this file.
            tasks: Names of tasks; by default all.
            episodes: Episodes per task, for physics and episodes per second.
            worker_episodes: Episodes per task and number of workers.
        """
        from sac_gmm.bench.threads import use_one_thread

        use_one_thread()
        from sac_gmm.bench.timing import write_result
        from sac_gmm.tasks import TASKS

        if unknown := set(tasks) - set(TASKS):
            raise UserError(f"there is no task '{unknown.pop()}'; choose among: {', '.join(TASKS)}")
        if episodes < 1 or worker_episodes < 4:
            raise UserError("give at least 1 episode, and at least 4 for the workers")
        print("task         raw us   ours us  ratio  identical  episodes/s  of 2 workers   gain  frames/s")
        rows = []
        for name in tasks or tuple(TASKS):
            row = measure(name, episodes) | _workers(name, worker_episodes)
            rows.append(row)
            frames = ", ".join(f"{sensor} {rate:.0f}" for sensor, rate in row["frames_per_s"].items())
            print(
                f"{name:<11s} {row['raw_us']:7.1f} {row['ours_us']:9.1f} {row['ratio']:6.2f}  {row['identical']!s:<9} "
                f"{row['episodes_per_s']:11.1f} {row['episodes_per_s_2_workers']:13.1f} "
                f"{row['speedup_2_workers']:5.2f}x  {frames}",
                flush=True,
            )
        write_result(
            json, "sim", args, {"required_ratio": 1.25, "required_episodes_per_s": REQUIRED_EPISODES_S, "rows": rows}
        )
        return 0

    return tyro.cli(bench, args=args, prog="sac-gmm bench sim", description=__doc__)


def measure(name: str, episodes: int) -> dict[str, Any]:
    """Measure physics, whole steps, resets and sensors of one task in this process."""
    from sac_gmm.tasks import make_task

    task = make_task(name)
    raw_s = ours_s = reset_s = 0.0
    steps, identical = 0, True
    for seed in range(episodes):
        twists, calls, end = _record(task, seed)
        raw, ours, resets = [], [], []
        for _ in range(_PASSES):
            start = time.process_time()
            task.reset(seed=seed)
            resets.append(time.process_time() - start)
            start = time.process_time()
            for twist in twists:
                task.step(twist)
            ours.append(time.process_time() - start)
            identical &= _joints(task) == end
            task.reset(seed=seed)
            start = time.process_time()
            for call, arguments, keywords in calls:
                call(*arguments, **keywords)
            raw.append(time.process_time() - start)
            identical &= _joints(task) == end
        raw_s, ours_s, reset_s, steps = raw_s + min(raw), ours_s + min(ours), reset_s + min(resets), steps + len(twists)
    task.reset(seed=0)
    frames = {f"camera {camera}": _frames_per_s(partial(task.camera, camera)) for camera in task.cameras}
    frames |= {f"sensor {sensor}": _frames_per_s(partial(task.read, sensor)) for sensor in task.sensors}
    task.close()
    return {
        "task": name,
        "episodes": episodes,
        "control_steps": steps,
        "raw_us": round(1e6 * raw_s / steps, 2),
        "ours_us": round(1e6 * ours_s / steps, 2),
        "ratio": round(ours_s / raw_s, 3),
        "identical": identical,
        "reset_us": round(1e6 * reset_s / episodes, 1),
        "episodes_per_s": round(episodes / (ours_s + reset_s), 2),
        "frames_per_s": frames,
    }


def _record(task: Task, seed: int) -> tuple[list[np.ndarray], Calls, list[float]]:
    """Play one episode; return its twists, the commands sent to the engine, and the final joint positions."""
    import pybullet as pb

    from sac_gmm.tasks import ScriptedTeleoperator

    observation, _ = task.reset(seed=seed)
    operator = ScriptedTeleoperator(task.name, seed)
    twists: list[np.ndarray] = []
    calls: Calls = []
    originals = {name: getattr(pb, name) for name in _COMMANDS}

    def noted(call: Callable[..., Any]) -> Callable[..., Any]:
        def command(*arguments: Any, **keywords: Any) -> Any:
            calls.append((call, arguments, keywords))
            return call(*arguments, **keywords)

        return command

    for name, call in originals.items():
        setattr(pb, name, noted(call))
    try:
        over = False
        while not over:
            relative_m = observation["ee_position_m"] - observation["target_m"]
            twists.append(operator.twist(relative_m, task.control_dt_s))
            observation, _, terminated, truncated, _ = task.step(twists[-1])
            over = terminated or truncated
    finally:
        for name, call in originals.items():
            setattr(pb, name, call)
    return twists, calls, _joints(task)


def _joints(task: Task) -> list[float]:
    """Positions and velocities of all joints of the scene."""
    import pybullet as pb

    values: list[float] = []
    for body in range(pb.getNumBodies(task.client)):
        if n_joints := pb.getNumJoints(body, task.client):
            for state in pb.getJointStates(body, list(range(n_joints)), task.client):
                values += state[:2]
    return values


def _frames_per_s(read: Callable[[], object], frames: int = 40) -> float:
    read()
    best = float("inf")
    for _ in range(_PASSES):
        start = time.process_time()
        for _ in range(frames):
            read()
        best = min(best, time.process_time() - start)
    return round(frames / best, 1)


def _workers(name: str, episodes: int) -> dict[str, Any]:
    """Episodes per second of wall time, in one process and with two workers."""
    rates = {workers: max(_pace(name, episodes, workers) for _ in range(2)) for workers in (1, 2)}
    return {
        "episodes_per_s_1_worker": round(rates[1], 2),
        "episodes_per_s_2_workers": round(rates[2], 2),
        "speedup_2_workers": round(rates[2] / rates[1], 3),
    }


def _pace(name: str, episodes: int, workers: int) -> float:
    """Rate of the episodes after the first ones, so that starting a process and building a scene do not count."""
    from sac_gmm.evaluation import run_episodes_parallel

    first = 2 * workers
    outcomes = run_episodes_parallel(
        partial(_environment, name), range(episodes + first), workers, make_policy=_make_policy
    )
    start = 0.0
    for index, _ in enumerate(outcomes):
        if index == first - 1:
            start = time.perf_counter()
    return episodes / (time.perf_counter() - start)


def _environment(name: str) -> MacroEnv:
    from sac_gmm.methods import MacroEnv
    from sac_gmm.methods.baselines import Sac
    from sac_gmm.methods.sac_gmm import WindowObserver
    from sac_gmm.tasks import make_task

    return MacroEnv(make_task(name), Sac(), WindowObserver(3))


def _make_policy() -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    import numpy as np

    return lambda observation: np.clip(-6.0 * observation["vector"][:3], -0.3, 0.3)  # go to the target and press there
