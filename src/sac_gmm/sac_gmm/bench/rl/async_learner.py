"""Run a 30 Hz loop in real time while the learner works in parallel: deadlines, waits and updates per decision.

    sac-gmm bench async --json benchmarks/results/rl/async.json

The loop represents a controlled arm: every tick must end before the next is due. Every `interval` ticks it makes a
decision from 17 numbers and a 64x64 picture: it hands over a transition, takes the newest policy and acts. The learner
has its own process. Per run: late ticks, lateness of the loop's wake-ups, duration of decisions, the learner's updates
per decision, and the number of policies received.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tyro

RATE_HZ = 30.0


def main(args: list[str]) -> int:
    """Run the benchmark."""

    def bench(json: Path | None = None, seconds: float = 20.0, interval: int = 1) -> int:
        """Measure the loop while the learner works.

        Args:
            json: Write the numbers to this file.
            seconds: Length of the run.
            interval: Ticks per decision.
        """
        from sac_gmm.bench.timing import write_result

        result = measure(seconds, interval)
        for name, value in result.items():
            print(f"{name:24s} {value}")
        write_result(json, "async", args, result)
        return 0

    return tyro.cli(bench, args=args, prog="sac-gmm bench async", description=__doc__)


def measure(seconds: float, interval: int) -> dict[str, Any]:
    """Run the loop; times in milliseconds."""
    import time

    import numpy as np
    import torch

    from sac_gmm.rl import AlgorithmSpec, AsyncLearner, ObservationSpec, Sac, SacConfig, Transition

    torch.set_num_threads(1)
    spec = AlgorithmSpec(Sac, ObservationSpec(17, (3, 64, 64)), 3, SacConfig(updates_per_decision=20))
    rng = np.random.default_rng(0)

    def observe() -> dict[str, np.ndarray]:
        return {
            "vector": rng.normal(size=17).astype(np.float32),
            "image": rng.integers(0, 256, (3, 64, 64), dtype=np.uint8),
        }

    learner = AsyncLearner(spec)
    try:
        learner.wait_until_ready()
        obs = observe()
        action = learner.policy().act(obs)
        ticks = int(seconds * RATE_HZ)
        missed, late_ms, decision_ms, versions = 0, [], [], set()
        start = time.perf_counter() + 0.1
        for tick in range(ticks):
            due = start + tick / RATE_HZ
            time.sleep(max(0.0, due - time.perf_counter()))
            late_ms.append(1e3 * (time.perf_counter() - due))
            if tick % interval == 0:
                after = observe()
                began = time.perf_counter()
                over = tick % 300 >= 300 - interval
                learner.observe(Transition(obs, action, float(over), after, over, steps=interval))
                policy = learner.policy()
                action = policy.act(after)
                decision_ms.append(1e3 * (time.perf_counter() - began))
                versions.add(policy.version)
                obs = after
            missed += time.perf_counter() > due + 1.0 / RATE_HZ
        metrics = learner.metrics()
    finally:
        learner.close()
    return {
        "rate_hz": RATE_HZ,
        "ticks": ticks,
        "deadlines_missed": missed,
        "late_ms_median": round(float(np.median(late_ms)), 3),
        "late_ms_worst": round(max(late_ms), 3),
        "decision_ms_median": round(float(np.median(decision_ms)), 3),
        "decision_ms_worst": round(max(decision_ms), 3),
        "decisions": len(decision_ms),
        "updates_per_decision": round(metrics["updates"] / len(decision_ms), 2),
        "policies_seen": len(versions),
    }
