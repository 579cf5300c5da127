"""Is a skill shown with a hand before a camera as good as one shown with the robot? The door, simulated, over ROS 2.

    sac-gmm bench hand_demos --episodes 100 --json benchmarks/results/hands/hand_demos.json

The same five motions are recorded twice: by `demo_recorder` from the robot's own topics, and by `hand_demo_recorder`
from pictures (640x480, noise, clutter) of a marker on a hand that turns as it moves, which a fixed camera sees. Both
sets are fitted alike, and both skills open the door on the same seeds, with and without noise on the detected target.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import tyro

from sac_gmm.errors import SacGmmError

SIGMAS_M = (0.0, 0.01)
TASK = "door"
# How the sets are made: launch file and what it is told beside task, number and folder.
SOURCES = {"teleoperated": "teleoperate.launch.yaml", "hand": "hand_demonstrations.launch.yaml"}


def main(args: list[str]) -> int:
    """Run the benchmark."""

    def bench(
        episodes: int = 100,
        demonstrations: int = 5,
        workers: int = 2,
        folder: Path | None = None,
        json: Path | None = None,
    ) -> int:
        """Record, fit, and open the door.

        Args:
            episodes: For each skill and noise.
            demonstrations: Motions shown.
            workers: Processes that run episodes.
            folder: Where the recordings go, and are taken from where they lie there already; a temporary one if none
                is given.
            json: Write the numbers to this file.
        """
        from sac_gmm.cli.bench_timing import write_result

        with tempfile.TemporaryDirectory() as temporary:
            results = measure(folder or Path(temporary), demonstrations, episodes, workers)
        print(table(results))
        write_result(json, "hand_demos", args, results)
        return 0

    return tyro.cli(bench, args=args, prog="sac-gmm bench hand_demos", description=__doc__)


def measure(folder: Path, demonstrations: int, episodes: int, workers: int) -> dict[str, Any]:
    """Record what is missing and measure both skills."""
    from sac_gmm.evaluation.calibration import Cell
    from sac_gmm.evaluation.calibration import measure as run_cell

    for source in SOURCES:
        record(source, folder, demonstrations)
    results: dict[str, Any] = {
        "task": TASK,
        "demonstrations": demonstrations,
        "episodes": episodes,
        "recordings": compare_recordings(folder),
        "success": {},
    }
    for sigma_m in SIGMAS_M:
        for source in SOURCES:
            outcome = run_cell(Cell(TASK, "lpv_ds", sigma_m), episodes, workers, folder / source)
            results["success"][f"{source}/{sigma_m:g}"] = outcome
            print(f"{source} demonstrations, sigma {sigma_m:g} m: {outcome['successes']}/{episodes}", flush=True)
    return results


def record(source: str, folder: Path, demonstrations: int) -> Path:
    """Record the motions of one source into FOLDER/SOURCE/TASK, unless they lie there.

    Raises:
        SacGmmError: The nodes did not record them.
    """
    from sac_gmm.cli import up
    from sac_gmm.cli.launch_yaml import find_in_package
    from sac_gmm.demos import find_bags

    bags = (folder / source / TASK).resolve()
    if bags.is_dir() and len(find_bags([bags])) == demonstrations:
        return bags
    launch = find_in_package("sac_gmm_bringup", SOURCES[source])
    code = up.main([str(launch), f"task:={TASK}", f"episodes:={demonstrations}", f"folder:={bags}"])
    if code:
        raise SacGmmError(f"{launch} ended with {code}: see its output above")
    return bags


def compare_recordings(folder: Path) -> dict[str, float]:
    """How far the fingertip as seen is from where the robot says it was, mm, and how much of it was seen."""
    import numpy as np
    import yaml

    from sac_gmm.demos import find_bags, read_demonstration

    errors, frames, seen, dropped = [], 0, 0, 0
    true_bags, seen_bags = (find_bags([folder / source / TASK]) for source in SOURCES)
    for true_bag, seen_bag in zip(true_bags, seen_bags, strict=True):
        truth, shown = read_demonstration(true_bag), read_demonstration(seen_bag)
        # Stamps are of the same simulated clock, but time begins with the first sample: the way is compared.
        way = truth.relative_m
        errors += [float(np.linalg.norm(way - point, axis=1).min()) for point in shown.relative_m]
        quality = yaml.safe_load((seen_bag / "episode.yaml").read_text(encoding="utf-8"))["quality"]
        frames, seen, dropped = frames + quality["frames"], seen + quality["seen"], dropped + quality["dropped"]
    return {
        "from_true_way_mm_mean": 1e3 * float(np.mean(errors)),
        "from_true_way_mm_max": 1e3 * float(np.max(errors)),
        "frames": frames,
        "seen_share": seen / frames,
        "frames_dropped": dropped,
    }


def table(results: dict[str, Any]) -> str:
    """For a person."""
    lines = [f"{'sigma':>8}" + "".join(f"{source:>32}" for source in SOURCES) + f"{'difference':>14}"]
    for sigma_m in SIGMAS_M:
        cells = [results["success"][f"{source}/{sigma_m:g}"] for source in SOURCES]
        texts = []
        for cell in cells:
            low, high = cell["wilson95"]
            share = f"{cell['successes']}/{cell['episodes']} = {100 * cell['rate']:.0f} %"
            texts.append(f"{share} [{100 * low:.0f}-{100 * high:.0f}]")
        points = 100 * (cells[1]["rate"] - cells[0]["rate"])
        lines.append(f"{sigma_m * 1e3:5.0f} mm" + "".join(f"{text:>32}" for text in texts) + f"{points:+10.0f} pts")
    return "\n".join(lines)
