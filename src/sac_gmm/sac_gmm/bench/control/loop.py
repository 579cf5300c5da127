"""Measure the control loop across processes, against the same controller on an rclpy timer.

    sac-gmm bench loop --json benchmarks/results/control/loop.json

A robot sends a state at every deadline. The controller, in its own process, ticks at 100 and 250 Hz beside a learner
that never rests: once as an ordinary program, and once with a real-time priority if the system allows it. A tick is on
time if it begins within 2 ms of its deadline. Latency is the time from sending a state to receiving the command that
answers it.
"""

from __future__ import annotations

import json as json_format
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import tyro

from sac_gmm.core.errors import UserError

ROWS = {
    "on_time_share": ("ticks within 2 ms of their deadline", 100.0, "%"),
    "late_ms_p999": ("late, 99.9th percentile", 1.0, "ms"),
    "late_ms_max": ("late, worst", 1.0, "ms"),
    "compute_us_median": ("computing, median", 1.0, "us"),
    "latency_ms_median": ("state to command, median", 1.0, "ms"),
    "latency_ms_p99": ("state to command, 99th percentile", 1.0, "ms"),
}


def main(args: list[str]) -> int:
    """Run the benchmark."""

    def bench(
        json: Path | None = None,
        seconds: float = 20.0,
        rates: tuple[float, ...] = (100.0, 250.0),
        realtime_priorities: tuple[int, ...] = (0, 50),
    ) -> int:
        """Measure the loop while the learner works.

        Args:
            json: Write the numbers to this file.
            seconds: Length of each run.
            rates: Loop rates, Hz, 30 to 500.
            realtime_priorities: Priorities of robot and controller, ours and the peer's, in turn; 0 for none. Those
                that the system does not allow are skipped.
        """
        from sac_gmm.bench.timing import write_result

        results = measure(seconds, rates, realtime_priorities)
        for result in results:
            title = f"{result['rate_hz']:g} Hz, real-time priority {result['realtime_priority']}"
            print(f"\n{title:<36}{'ours':>12}{'rclpy timer':>15}")
            for key, (name, factor, unit) in ROWS.items():
                ours, peer = (factor * result[side][key] for side in ("ours", "rclpy_timer"))
                print(f"{name:<36}{ours:12.3f}{peer:15.3f}  {unit}")
        write_result(
            json,
            "loop",
            args,
            {"seconds": seconds, "on_time_ms": 2.0, "rates": results},
        )
        return 0

    return tyro.cli(bench, args=args, prog="sac-gmm bench loop", description=__doc__)


def measure(seconds: float, rates: tuple[float, ...], priorities: tuple[int, ...]) -> list[dict[str, Any]]:
    """Run the measuring nodes; one result per priority and rate.

    Raises:
        UserError: The nodes did not finish.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        command = [sys.executable, "-m", "sac_gmm_nodes.bench.loop_bench", "--seconds", str(seconds), "--out", str(out)]
        command += ["--priorities", *map(str, priorities), "--rates", *map(str, rates)]
        # It only talks to itself: a robot in the laboratory's network must never hear it.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        environment.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 50))
        code = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode
        if code != 0:
            raise UserError("the measurement did not finish; see above (is install/setup.bash sourced?)")
        return list(json_format.loads(out.read_text()))
