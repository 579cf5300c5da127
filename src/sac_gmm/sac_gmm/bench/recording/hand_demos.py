"""Is a skill demonstrated by hand to a camera as good as one demonstrated with the robot? Simulated door, over ROS 2.

    sac-gmm bench hand_demos --episodes 100 --json benchmarks/results/hands/hand_demos.json

The same motions are recorded twice: by `demo_recorder` from the robot's own topics, and by `hand_demo_recorder` from
pictures (640x480, noise, clutter) that a fixed camera takes of a marker on a hand that rotates as it moves. Both sets
are fitted in the same way, five demonstrations to a skill. The skills open the door on the same seeds, with and without
noise on the detected target. A skill from five demonstrations depends on luck, hence the mean over several fives.

`teleoperated+0.2mm` is a control: the robot's own recording with white noise of 0.2 mm on its positions, to separate
the effect of the camera from that of any noise on a fit.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from sac_gmm.core.errors import UserError

if TYPE_CHECKING:
    from sac_gmm.models import SkillModel

SIGMAS_M = (0.0, 0.01)
TASK = "door"
# How the sets are recorded: a launch file with the arguments task, episodes and folder.
SOURCES = {"teleoperated": "teleoperate.launch.yaml", "hand": "hand_demonstrations.launch.yaml"}
SETS = ("teleoperated", "hand", "teleoperated+0.2mm")
NOISE_M = 0.0002
FIVE = 5  # demonstrations per skill, as for the task's base skill


def main(args: list[str]) -> int:
    """Run the benchmark."""

    def bench(
        episodes: int = 100,
        skills: int = 3,
        workers: int = 2,
        folder: Path | None = None,
        json: Path | None = None,
    ) -> int:
        """Record, fit, and open the door.

        Args:
            episodes: Episodes per skill and noise level.
            skills: Number of skills per source, each fitted to five demonstrations.
            workers: Number of processes that run episodes.
            folder: Where to store recordings; those already there are reused. By default a temporary folder.
            json: Write the numbers to this file.
        """
        from sac_gmm.bench.timing import write_result

        with tempfile.TemporaryDirectory() as temporary:
            results = measure(folder or Path(temporary), skills, episodes, workers)
        print(table(results))
        write_result(json, "hand_demos", args, results)
        return 0

    return tyro.cli(bench, args=args, prog="sac-gmm bench hand_demos", description=__doc__)


def measure(folder: Path, skills: int, episodes: int, workers: int) -> dict[str, Any]:
    """Record what is missing and measure all skills."""
    from sac_gmm.evaluation import SuccessRate

    for source in SOURCES:
        record(source, folder, skills * FIVE)
    results: dict[str, Any] = {
        "task": TASK,
        "demonstrations_per_skill": FIVE,
        "skills": skills,
        "episodes_per_skill": episodes,
        "recordings": compare_recordings(folder),
        "success": {},
    }
    for sigma_m in SIGMAS_M:
        for source in SETS:
            opened = [open_door(fit(folder, source, i), sigma_m, episodes, workers) for i in range(skills)]
            total = SuccessRate(sum(opened), skills * episodes)
            results["success"][f"{source}/{sigma_m:g}"] = {**total.to_json(), "by_skill": opened}
            print(f"{source}, sigma {sigma_m * 1e3:g} mm: {total}, by skill {opened}", flush=True)
    return results


def fit(folder: Path, source: str, group: int) -> SkillModel:
    """The door's base skill from five demonstrations of a set."""
    import numpy as np

    from sac_gmm.demos import find_bags, read_demonstration, to_training_set
    from sac_gmm.methods.sac_gmm.base_skill import base_skill
    from sac_gmm.methods.sac_gmm.settings import CONTROL_RATE_HZ
    from sac_gmm.models import fit_skill

    bags = find_bags([folder / source.split("+")[0] / TASK])[group * FIVE : (group + 1) * FIVE]
    shown = [read_demonstration(bag) for bag in bags]
    if "+" in source:
        rng = np.random.default_rng(0)
        noise = [NOISE_M * rng.standard_normal(one.position_m.shape) for one in shown]
        shown = [replace(one, position_m=one.position_m + n) for one, n in zip(shown, noise, strict=True)]
    x, v, lengths = to_training_set(shown, CONTROL_RATE_HZ)
    return fit_skill("lpv_ds", x, v, lengths.tolist(), base_skill(TASK).components)


def open_door(model: SkillModel, sigma_m: float, episodes: int, workers: int) -> int:
    """How often a skill opens the door with noise on the detected target."""
    from sac_gmm.evaluation.noise_sweep import plain_env
    from sac_gmm.training.seeds import seed_bank
    from sac_gmm.training.workers import run_episodes_parallel

    outcomes = run_episodes_parallel(
        partial(plain_env, TASK, model),
        seed_bank("test", 0, episodes),
        workers,
        options={"target_noise_std_m": sigma_m},
    )
    return sum(outcome.success for outcome in outcomes)


def record(source: str, folder: Path, demonstrations: int) -> Path:
    """Record the motions of one source into FOLDER/SOURCE/TASK, unless they are already there.

    Raises:
        UserError: The nodes failed to record them.
    """
    from sac_gmm.demos import find_bags
    from sac_gmm.launcher.launch_yaml import read_launch_file
    from sac_gmm.launcher.packages import find_in_package
    from sac_gmm.launcher.supervisor import supervise

    bags = (folder / source / TASK).resolve()
    if bags.is_dir() and len(find_bags([bags])) == demonstrations:
        return bags
    launch = find_in_package("sac_gmm_bringup", SOURCES[source])
    arguments = {"task": TASK, "episodes": str(demonstrations), "folder": str(bags)}
    code = supervise(read_launch_file(launch, arguments))
    if code:
        raise UserError(f"{launch} exited with {code}: see its output above")
    return bags


def compare_recordings(folder: Path) -> dict[str, float]:
    """Distance of the seen fingertip from the robot's own report, mm, and the share in which it was seen."""
    import numpy as np
    import yaml

    from sac_gmm.demos import find_bags, read_demonstration

    errors, frames, seen, dropped = [], 0, 0, 0
    true_bags, seen_bags = (find_bags([folder / source / TASK]) for source in SOURCES)
    for true_bag, seen_bag in zip(true_bags, seen_bags, strict=True):
        truth, shown = read_demonstration(true_bag), read_demonstration(seen_bag)
        # The stamps share a simulated clock, but each time starts at its first sample, so compare the paths.
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
    """The results as a table; the last column is what demonstrating by hand gains or loses, in percentage points."""
    lines = [f"{'sigma':>6}" + "".join(f"{source:>24}" for source in SETS) + f"{'hand - robot':>16}"]
    for sigma_m in SIGMAS_M:
        cells = [results["success"][f"{source}/{sigma_m:g}"] for source in SETS]
        texts = [
            f"{100 * cell['rate']:.0f} % [{100 * cell['wilson95'][0]:.0f}-{100 * cell['wilson95'][1]:.0f}]"
            for cell in cells
        ]
        points = 100 * (cells[1]["rate"] - cells[0]["rate"])
        lines.append(f"{sigma_m * 1e3:3.0f} mm" + "".join(f"{text:>24}" for text in texts) + f"{points:+16.0f}")
    return "\n".join(lines)
