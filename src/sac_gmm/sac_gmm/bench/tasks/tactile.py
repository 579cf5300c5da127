"""Measure the tactile sensor: the cost of a frame, and how well it shows the direction of the hole.

    sac-gmm bench tactile --json benchmarks/results/tasks/tactile.json
    sac-gmm bench tactile --presses 100

The peg is pressed onto the lid beside the hard hole, 7 to 15 mm off in a random direction, and pushed sideways in
another, as in an episode with a wrongly detected target. A ridge regression predicts the direction to the hole from a
quarter of a second of touch: from the two images (each averaged to 8x8 pixels) and, for comparison, from the mean
wrench at the wrist. It is fitted on half of the presses and tested on the other half. Chance is a median error of 90
degrees.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from sac_gmm.bench.threads import use_one_thread
from sac_gmm.core.errors import UserError

if TYPE_CHECKING:
    from sac_gmm.tasks import Task

PRESS_STEPS, WINDOW_STEPS = 30, 8
RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


def main(args: list[str]) -> int:
    """Run the benchmark."""

    def bench(json: Path | None = None, presses: Annotated[int, tyro.conf.arg(metavar="N")] = 600) -> int:
        """Measure the tactile sensor.

        Args:
            json: Write the numbers to this file.
            presses: How often the peg is pressed onto the lid.
        """
        use_one_thread()
        if presses < 20:
            raise UserError(f"{presses} presses are too few to be meaningful: give a number from 20 up")
        from sac_gmm.bench.timing import write_result
        from sac_gmm.tasks import make_task

        task = make_task("peg", hole="hard")
        results = {"frame_us": frame_us(task), "presses": presses, **measure(task, presses)}
        task.close()
        print(f"a frame of both fingers      {results['frame_us']:6.0f} us")
        for source in ("tactile", "wrench"):
            print(
                f"direction from {source:<8}      median error {results[source]['median_error_deg']:.0f} degrees, "
                f"R2 {results[source]['r2']:.2f}"
            )
        write_result(json, "tactile", args, results)
        return 0

    return tyro.cli(bench, args=args, prog="sac-gmm bench tactile", description=__doc__)


def frame_us(task: Task) -> float:
    """Microseconds per reading of both fingers, noise included: the fastest of many, as the machine may be busy."""
    import numpy as np

    from sac_gmm.bench.timing import best_ms

    task.reset(seed=0)
    task.advance(np.zeros(6))
    return 1e3 * best_ms(lambda: task.read("tactile"), 3000)


def measure(task: Task, presses: int) -> dict[str, Any]:
    """Press, fit, test: median direction error and explained variance per source."""
    import numpy as np

    data = [press(task, seed) for seed in range(presses)]
    directions = np.array([direction for direction, _, _ in data])
    sources = {
        "tactile": np.array([images.ravel() for _, images, _ in data]),
        "wrench": np.array([wrench for _, _, wrench in data]),
    }
    return {name: judge(features, directions) for name, features in sources.items()}


def press(task: Task, seed: int) -> tuple[Any, Any, Any]:
    """Press the peg beside the hole.

    Returns:
        Unit vector from the peg to the hole at the end, shape (2,); change of the images since the peg hung free,
            averaged to (2, 8, 8), in units of 0.1 mm; mean force (N) and torque (0.1 Nm), shape (6,).
    """
    import numpy as np

    from sac_gmm.tasks.twist_task import TOOL_DOWN_XYZW

    rng = np.random.default_rng([seed, 2])
    task.reset(seed=seed, options={"target_noise_std_m": 0.0})
    free = task.read("tactile")
    angle, offset_m = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.007, 0.015)
    direction = np.array([np.cos(angle), np.sin(angle)])
    task.arm.place(task.target_m + np.append(-offset_m * direction, 0.003), TOOL_DOWN_XYZW)
    images, wrenches = [], []
    wander = 0.01 * rng.standard_normal(2)
    for step in range(PRESS_STEPS):
        task.advance(np.array([*wander, -0.05, 0.0, 0.0, 0.0]))
        if step >= PRESS_STEPS - WINDOW_STEPS:
            images.append(task.read("tactile"))
            wrenches.append(task.observe()["wrench"])
    change = 1e4 * (np.mean(images, axis=0) - free)
    side = change.shape[-1] // 8
    coarse = change.reshape(2, 8, side, 8, side).mean(axis=(2, 4))
    towards = (task.target_m - task.arm.position_m)[:2]
    return towards / np.linalg.norm(towards), coarse, np.mean(wrenches, axis=0) / [1, 1, 1, 0.1, 0.1, 0.1]


def judge(features: Any, directions: Any) -> dict[str, float]:
    """Fit a ridge regression on the first half (strength chosen there by a split) and test it on the second."""
    import numpy as np

    half, quarter = len(features) // 2, len(features) // 4
    errors = [
        np.mean(
            (_ridge(features[:quarter], directions[:quarter], k)(features[quarter:half]) - directions[quarter:half])
            ** 2
        )
        for k in RIDGES
    ]
    told = _ridge(features[:half], directions[:half], RIDGES[int(np.argmin(errors))])(features[half:])
    truth = directions[half:]
    angles = np.arctan2(told[:, 1], told[:, 0]) - np.arctan2(truth[:, 1], truth[:, 0])
    off_deg = np.rad2deg(np.abs((angles + np.pi) % (2.0 * np.pi) - np.pi))
    return {
        "median_error_deg": float(np.median(off_deg)),
        "share_within_45_deg": float(np.mean(off_deg < 45.0)),
        "r2": float(1.0 - np.mean((told - truth) ** 2) / np.mean((truth - truth.mean(axis=0)) ** 2)),
    }


def _ridge(x: Any, y: Any, strength: float) -> Any:
    import numpy as np

    mean, scale, middle = x.mean(axis=0), x.std() + 1e-12, y.mean(axis=0)
    z = (x - mean) / scale
    weights = np.linalg.solve(z.T @ z + strength * np.eye(z.shape[1]), z.T @ (y - middle))
    return lambda new: ((new - mean) / scale) @ weights + middle
