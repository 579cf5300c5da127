"""Shared by the benchmarks of the skill models: timers for short calls, and the origin of a result file."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from sac_gmm.core.files import write_json

_PACKAGES = ("numba", "clarabel", "scikit-learn", "gmr")


def median_us(call: Callable[[], object], calls: int = 200, batches: int = 50, passes: int = 5) -> float:
    """Microseconds per call: the median over batches of `calls` calls; of several passes the lowest.

    Several passes keep other programs on the machine out of the result; a slow first call is left out.
    """
    call()
    clock = time.perf_counter
    best = np.inf
    for _ in range(passes):
        times = np.empty(batches)
        for i in range(batches):
            start = clock()
            for _ in range(calls):
                call()
            times[i] = clock() - start
        best = min(best, float(np.median(times)) / calls)
    return best * 1e6


def best_ms(call: Callable[[], object], passes: int = 15) -> float:
    """Milliseconds of the fastest of several calls; the first is left out."""
    call()
    best = np.inf
    for _ in range(passes):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best * 1e3


def write_result(path: Path | None, name: str, args: list[str], results: dict[str, Any]) -> None:
    """Write a benchmark's result file: command, origin, machine load, numbers. Does nothing without a path."""
    if path is None:
        return
    from sac_gmm.core.provenance import provenance  # after the measurement: it loads torch

    origin: dict[str, Any] = dict(provenance())
    origin["packages"] = {**origin["packages"], **{name: _version(name) for name in _PACKAGES}}
    value = {
        "command": f"sac-gmm bench {name} {shlex.join(args)}".strip(),
        "origin": origin,
        "cpu": _cpu(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        **results,
    }
    write_json(path, value)
    print(f"wrote {path}")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
