"""Count invalid contacts over many episodes of random actions.

    sac-gmm bench contacts peg --json benchmarks/results/tasks/contacts_peg.json
    sac-gmm bench contacts door --episodes 100

An episode lasts one and a half seconds. It starts four centimetres above the target and up to two to the side, and
draws a new twist every few control steps, from the whole range of actions with a pull towards the target, so that
nearly every episode presses on something. Every tenth episode lasts the task's full time and has no pull, so that the
arm strays to the limits of its joints and of its reach. Checked after each control step:

overlap: two bodies penetrate each other by more than a millimetre; tunnelling: by more than half the thinnest part of
any scene (8 mm), beyond which they would separate on the wrong side; explosion: a tip faster than 1.25 m/s (the fastest
action is 0.43), a contact stronger than 1 kN, or a number that is not finite.

An episode is determined by its seed, so an interrupted run resumes where it stopped if the result file is the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from sac_gmm.bench.threads import use_one_thread
from sac_gmm.core.errors import UserError

if TYPE_CHECKING:
    from sac_gmm.tasks import Task

STEPS = 45  # control steps per episode
STRAYS_EVERY = 10  # every this many episodes, one without a pull
HOLD_STEPS = 5  # control steps for which a twist is held
OVER_M, ASIDE_M = 0.04, 0.02  # start relative to the target
PULL_1_S = 4.0
OVERLAP_M, TUNNEL_M = 0.001, 0.004
EXPLOSION_M_S = 1.25
EXPLOSION_N = 1000.0
BLOCK = 100  # episodes between two saves


def main(args: list[str]) -> int:
    """Run the benchmark."""

    def bench(
        task: tyro.conf.Positional[str],
        json: Path | None = None,
        episodes: Annotated[int, tyro.conf.arg(metavar="N")] = 10_000,
    ) -> int:
        """Count invalid contacts.

        Args:
            task: The task's name.
            json: Write the counts to this file; a file that was begun for this task is continued.
            episodes: Number of episodes.
        """
        use_one_thread()
        from rich.progress import track

        from sac_gmm.bench.timing import write_result
        from sac_gmm.tasks import make_task

        if episodes < 1:
            raise UserError(f"{episodes} episodes cannot be run: give a number from 1 up")
        environment = make_task(task)
        counts = _begun(json, task)
        for seed in track(range(counts["episodes"], episodes), f"contacts of {task}"):
            add(counts, play(environment, seed))
            if counts["episodes"] % BLOCK == 0 or counts["episodes"] == episodes:
                write_result(json, "contacts", args, counts)
        environment.close()
        print(describe(counts))
        return 0

    return tyro.cli(bench, args=args, prog="sac-gmm bench contacts", description=__doc__)


def play(task: Task, seed: int) -> dict[str, Any]:
    """One episode of random actions: its largest depth (m), speed (m/s) and force (N), and whether anything touched."""
    import numpy as np
    import pybullet as pb

    from sac_gmm.tasks.twist_task import TOOL_DOWN_XYZW

    task.reset(seed=seed, options={"target_noise_std_m": 0.0})
    rng = np.random.default_rng([seed, 1])
    task.arm.place(task.target_m + [*rng.uniform(-ASIDE_M, ASIDE_M, 2), OVER_M], TOOL_DOWN_XYZW)
    limit = np.asarray(task.action_space.high)  # type: ignore[attr-defined]
    strays = seed % STRAYS_EVERY == STRAYS_EVERY - 1
    steps, pull_1_s = (round(task.time_limit_s / task.control_dt_s), 0.0) if strays else (STEPS, PULL_1_S)
    deepest = fastest = strongest = 0.0
    touched, finite = False, True
    for step in range(steps):
        if step % HOLD_STEPS == 0:
            twist = rng.uniform(-limit, limit)
            twist[:3] += pull_1_s * (task.target_m - task.arm.position_m)
            twist = np.clip(twist, -limit, limit)
        task.advance(twist)
        contacts = pb.getContactPoints(task.arm.body, physicsClientId=task.client)
        numbers = [*task.arm.position_m, *task.arm.velocity_m_s, *(contact[9] for contact in contacts)]
        finite = finite and bool(np.isfinite(numbers).all())
        if contacts:
            deepest = max(deepest, -min(contact[8] for contact in contacts))
            strongest = max(strongest, *(contact[9] for contact in contacts))
            touched = touched or strongest > 0.0
        fastest = max(fastest, float(np.linalg.norm(task.arm.velocity_m_s)))
    return {
        "deepest_m": deepest,
        "fastest_m_s": fastest,
        "strongest_n": strongest,
        "touched": touched,
        "finite": finite,
    }


def nothing(task: str) -> dict[str, Any]:
    """Counts of zero, before the first episode."""
    counts = dict.fromkeys(("episodes", "episodes_with_contact", "overlaps", "tunnelling", "explosions"), 0)
    return {"task": task, **counts, "deepest_m": 0.0, "fastest_m_s": 0.0, "strongest_n": 0.0}


def add(counts: dict[str, Any], episode: dict[str, Any]) -> None:
    """Add an episode to the counts."""
    counts["episodes"] += 1
    counts["episodes_with_contact"] += int(episode["touched"])
    counts["overlaps"] += int(episode["deepest_m"] > OVERLAP_M)
    counts["tunnelling"] += int(episode["deepest_m"] > TUNNEL_M)
    counts["explosions"] += int(
        not episode["finite"] or episode["fastest_m_s"] > EXPLOSION_M_S or episode["strongest_n"] > EXPLOSION_N
    )
    for name in ("deepest_m", "fastest_m_s", "strongest_n"):
        counts[name] = max(counts[name], episode[name])


def describe(counts: dict[str, Any]) -> str:
    """The counts in three lines."""
    return (
        f"{counts['task']}: {counts['episodes']} episodes, {counts['episodes_with_contact']} with contact\n"
        f"  overlaps {counts['overlaps']}, tunnelling {counts['tunnelling']}, explosions {counts['explosions']}\n"
        f"  deepest {1e3 * counts['deepest_m']:.2f} mm, fastest {counts['fastest_m_s']:.2f} m/s, "
        f"strongest contact {counts['strongest_n']:.0f} N"
    )


def _begun(path: Path | None, task: str) -> dict[str, Any]:
    from sac_gmm.core.files import read_json

    if path is None or not path.exists():
        return nothing(task)
    saved = read_json(path)
    counts = nothing(task)
    if not isinstance(saved, dict) or saved.get("task") != task or not counts.keys() <= saved.keys():
        raise UserError(f"{path} holds other results than the contacts of task '{task}': give another name")
    return {name: saved[name] for name in counts}
