"""Measure ours and a peer in the same run.

    sac-gmm bench gmr --json benchmarks/results/models/gmr.json
    sac-gmm bench lasa --data /path/to/lasaDataset/DataSet --json lasa.json

`sac-gmm bench NAME --help` says what a benchmark measures.
"""

from __future__ import annotations

import importlib
import os
from itertools import pairwise

from sac_gmm.errors import SacGmmError
from sac_gmm.files import check_output

# Each benchmark is a module of this package with `main(args) -> int`; it is imported only when it is asked for.
BENCHMARKS = {
    "gmr": ("sac_gmm.cli.bench_gmr", "mixture regression: microseconds a state, against gmr and textbook numpy"),
    "em": ("sac_gmm.cli.bench_em", "expectation maximisation: milliseconds a fit, against scikit-learn"),
    "lpv": ("sac_gmm.cli.bench_lpv", "LPV-DS: solving for the gains; updating, projecting and certifying"),
    "lasa": ("sac_gmm.cli.bench_lasa", "SEDS and LPV-DS on handwriting motions, by the published protocol"),
    "sac": ("sac_gmm.cli.bench_sac", "soft actor-critic: gradient updates a second, against stable-baselines3"),
    "aruco": ("sac_gmm.cli.bench_aruco", "markers on rendered pictures: detection, pose errors, false rewards, time"),
    "sim": (
        "sac_gmm.cli.bench_sim",
        "simulated tasks: a step against the bare physics under it; sensors, workers",
    ),
    "hands": ("sac_gmm.cli.bench_hands", "hand tracking: agreement with reference landmarks, frames a second"),
    "hand_demos": ("sac_gmm.cli.bench_hand_demos", "the door, shown with a hand before a camera or with the robot"),
    "loop": ("sac_gmm.cli.bench_loop", "the control loop: deadlines, computing, state to command, against a timer"),
    "soak": ("sac_gmm.cli.bench_soak", "the whole chain for a long time: memory, missed messages, a clean end"),
    "view": ("sac_gmm.cli.bench_view", "the live page: processor time, how soon it opens, an hour of 100 Gaussians"),
    "bag": ("sac_gmm.cli.bench_bag", "bags: rates of writing and reading; what a recording of two cameras drops"),
    "async": ("sac_gmm.cli.bench_async", "learner beside a 30 Hz loop: deadlines, waits, updates per decision"),
    "contacts": ("sac_gmm.cli.bench_contacts", "tunnelling and explosions over many episodes of random actions"),
    "tactile": ("sac_gmm.cli.bench_tactile", "touch: time of a frame, and what it tells of where the hole lies"),
}


def main(args: list[str]) -> int:
    """Run one benchmark."""
    if not args or args[0] in ("-h", "--help"):
        print(usage())
        return 0
    name, *rest = args
    if name not in BENCHMARKS:
        raise SacGmmError(f"there is no benchmark '{name}'; choose one of: {', '.join(BENCHMARKS)}")
    for option, value in pairwise(rest):
        if option == "--json":
            check_output(value, ".json")
    return importlib.import_module(BENCHMARKS[name][0]).main(rest)


def use_one_thread() -> None:
    """Hold linear algebra to one thread; its libraries read this once, when they are loaded, so call it before."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"


def usage() -> str:
    """The list of benchmarks, one line each."""
    width = max(map(len, BENCHMARKS))
    lines = [f"  sac-gmm bench {name:<{width}}  {text}" for name, (_, text) in BENCHMARKS.items()]
    return f"{__doc__}\n" + "\n".join(lines)
