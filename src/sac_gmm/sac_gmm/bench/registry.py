"""The one list of all benchmarks, by name.

`sac-gmm bench`, docs/results.md (`tools/results.py`) and benchmarks/README.md take their descriptions from here, or a
test compares them with it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Benchmark:
    """A benchmark and its stored result.

    Attributes:
        module: Its module below `sac_gmm.bench`, with `main(args) -> int`; imported only when the benchmark runs.
        result: Result file, below `benchmarks/results`.
        title: Its heading on a page.
        text: What it measures, in one line.
        options: Options used for the result, besides `--json`.
    """

    module: str
    result: str
    title: str
    text: str
    options: str = ""


BENCHMARKS = {
    "gmr": Benchmark(
        "models.gmr",
        "models/gmr.json",
        "Mixture regression, 3 dimensions, 7 Gaussians",
        "mixture regression: microseconds per state, against gmr and textbook numpy",
    ),
    "em": Benchmark(
        "models.em",
        "models/em.json",
        "Mixture fit",
        "expectation maximisation: milliseconds per fit, against scikit-learn",
    ),
    "lpv": Benchmark(
        "models.lpv",
        "models/lpv.json",
        "Stable fit",
        "LPV-DS: solving for the gains; updating, projecting and certifying",
    ),
    "lasa": Benchmark(
        "models.lasa",
        "models/handwriting.json",
        "Handwriting, made up",
        "SEDS and LPV-DS on handwriting motions, by the published protocol",
    ),
    "sac": Benchmark(
        "rl.sac",
        "rl/sac.json",
        "SAC updates",
        "soft actor-critic: gradient updates per second, against stable-baselines3",
    ),
    "async": Benchmark(
        "rl.async_learner",
        "rl/async.json",
        "Decisions beside a learner",
        "learner beside a 30 Hz loop: deadlines, waits, updates per decision",
    ),
    "loop": Benchmark(
        "control.loop",
        "control/loop.json",
        "Control loop beside a learner",
        "the control loop: deadlines, computing, state to command, against a timer",
    ),
    "soak": Benchmark(
        "control.soak",
        "control/soak.json",
        "Soak",
        "the whole chain for a long time: memory, missed messages, a clean end",
        "--minutes 10",
    ),
    "lockstep": Benchmark(
        "control.lockstep",
        "control/lockstep.json",
        "Lock-step",
        "lock-step over ROS against one process: seconds an episode, and where they go",
    ),
    "aruco": Benchmark(
        "perception.aruco",
        "perception/aruco.json",
        "Markers",
        "markers in rendered pictures: detection, pose errors, false rewards, time",
    ),
    "bag": Benchmark(
        "recording.bag",
        "perception/bag.json",
        "Recording",
        "bags: rates of writing and reading; what a recording of two cameras drops",
    ),
    "hands": Benchmark(
        "perception.hands",
        "hands/hands.json",
        "Hand tracking",
        "hand tracking: agreement with reference landmarks, frames per second",
        "--film FILM",
    ),
    "hand_demos": Benchmark(
        "recording.hand_demos",
        "hands/hand_demos.json",
        "Demonstrations by hand",
        "the door, demonstrated with a hand before a camera or with the robot",
        "--episodes 40 --skills 10",
    ),
    "sim": Benchmark(
        "tasks.sim",
        "tasks/sim.json",
        "Simulation",
        "simulated tasks: a step against the bare physics under it; sensors, workers",
    ),
    "contacts": Benchmark(
        "tasks.contacts",
        "tasks/contacts_TASK.json",
        "Contacts",
        "tunnelling and explosions over many episodes of random actions",
        "TASK",
    ),
    "tactile": Benchmark(
        "tasks.tactile",
        "tasks/tactile.json",
        "Touch",
        "touch: time per frame, and what it tells about where the hole is",
        "--presses 400",
    ),
    "view": Benchmark(
        "view.view",
        "view/view.json",
        "The live page",
        "the live page: processor time, how soon it opens, an hour of 100 Gaussians",
    ),
}


def module_of(name: str) -> str:
    """The full name of a benchmark's module."""
    return f"sac_gmm.bench.{BENCHMARKS[name].module}"


def command_of(name: str) -> str:
    """The command that produces a benchmark's result."""
    return " ".join(["sac-gmm bench", name, *filter(None, [BENCHMARKS[name].options]), "--json FILE"])
