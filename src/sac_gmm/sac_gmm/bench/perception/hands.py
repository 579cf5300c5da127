"""Track the hand in a film and compare it with reference landmarks: agreement, and speed on one core.

    sac-gmm bench hands --film asl_hand.25fps.mp4 --pixels asl_hand.full.json --metres asl_hand_3d.full.json

The references hold 21 landmarks per frame (pixels; metres about the hand's centre). The ones for this film were made by
the same family of models, so agreement shows that the pipeline is right, not how accurately a hand is measured. The
whole pipeline is timed, from the decoded picture to the pose in space, with the process limited to one core.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import tyro

from sac_gmm.bench.threads import use_one_thread
from sac_gmm.core.errors import UserError


def main(args: list[str]) -> int:
    """Run the benchmark."""

    def bench(film: Path, pixels: Path | None = None, metres: Path | None = None, json: Path | None = None) -> int:
        """Track a film.

        Args:
            film: The film.
            pixels: Reference landmarks in pixels, a list of frames with 21 points.
            metres: Reference landmarks in metres about the hand's centre.
            json: Write the numbers to this file.
        """
        use_one_thread()
        from sac_gmm.bench.timing import write_result

        results = measure(film, pixels, metres)
        for name, value in results.items():
            print(f"{name:<22} {value:10.3f}" if isinstance(value, float) else f"{name:<22} {value}")
        write_result(json, "hands", args, results)
        return 0

    return tyro.cli(bench, args=args, prog="sac-gmm bench hands", description=__doc__)


def measure(film: Path, pixels: Path | None, metres: Path | None) -> dict[str, Any]:
    """Frames with a hand, frames per second, and the mean distance from the references.

    Raises:
        UserError: A file is missing or the references belong to another film.
    """
    import numpy as np

    from sac_gmm.perception.camera_file import guess_camera
    from sac_gmm.perception.film_file import Film
    from sac_gmm.perception.hands.tracker import HandTracker

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    landmarks, shapes = [], []
    placed = 0
    wall_s = cpu_s = 0.0
    with Film(film) as frames:
        tracker = HandTracker(guess_camera(frames.width, frames.height))
        for _, time_s, picture in frames.frames():
            wall, cpu = time.perf_counter(), time.process_time()
            pose = tracker.track(picture, time_s)
            wall_s += time.perf_counter() - wall
            cpu_s += time.process_time() - cpu
            placed += pose is not None
            seen = tracker.observation
            landmarks.append(np.full((21, 2), np.nan) if seen is None else seen.landmarks_px)
            shapes.append(np.full((21, 3), np.nan) if seen is None else seen.shape_m)
        tracker.close()
    n = len(landmarks)
    found = np.isfinite(np.array(landmarks)).all(axis=(1, 2))
    results: dict[str, Any] = {
        "film": film.name,
        "frames": n,
        "hand_share": float(found.mean()),
        "placed_share": placed / n,
        "frames_per_s": n / wall_s,
        "frames_per_cpu_s": n / cpu_s,
    }
    for name, reference, ours, unit in (
        ("distance_px", pixels, np.array(landmarks), 1.0),
        ("distance_mm", metres, np.array(shapes), 1e3),
    ):
        if reference is not None:
            away = np.linalg.norm(ours - _reference(reference, ours.shape), axis=2)[found]
            results[f"{name}_mean"] = unit * float(away.mean())
            results[f"{name}_p95"] = unit * float(np.quantile(away, 0.95))
    return results


def _reference(path: Path, shape: tuple[int, ...]) -> Any:
    import numpy as np

    from sac_gmm.core.files import read_json

    values = np.array(read_json(path), np.float64)
    if values.ndim != 3 or values.shape[:2] != shape[:2] or values.shape[2] < shape[2]:
        raise UserError(f"{path} has landmarks of shape {values.shape}, expected {shape}: do they belong to this film?")
    return values[..., : shape[2]]
