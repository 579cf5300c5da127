"""Measure marker detection on rendered pictures: detection rate, accuracy, speed, and false rewards.

    sac-gmm bench aruco --json benchmarks/results/perception/aruco.json
    sac-gmm bench aruco --trials 20 --false-frames 1000

Pictures are 640x480, grey, f = 600 px, of clutter (boxes, quadrilaterals, circles, text, chequered patches) with a
marker of 60 mm, DICT_4X4_50, drawn by a planar warp: no lens distortion, no rolling shutter. The peer is OpenCV's
detector with sub-pixel corners and the first answer of IPPE_SQUARE, on the same pictures. `flips` are rotation errors
of more than 20 degrees; `unflagged` are those that our pose does not call ambiguous.

The frames for false rewards each hold clutter, three markers of other dictionaries or with other ids, and random blur,
noise and light, but never the marker. They are counted in blocks. An interrupted run resumes with the next block if the
result file is the same. The frames are unrelated to each other, so `counted` (single frames that would count) is a
stricter figure than `rewards` (three in a row).
"""

from __future__ import annotations

import json as json_
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import tyro

from sac_gmm.bench.perception.aruco_detectors import opencv_finder, opencv_ids, our_detector, our_finder
from sac_gmm.bench.perception.aruco_pictures import (
    DICTIONARY,
    FOCAL_PX,
    HEIGHT,
    MARKER_ID,
    SIZE_M,
    WIDTH,
    false_frame,
    other_markers,
    view,
)
from sac_gmm.bench.threads import use_one_thread
from sac_gmm.core.errors import UserError

BLOCK = 250  # frames
FLIP_RAD = 0.35
NEAR, TILTED = (0.3, 1.0), (0.0, 50.0)
BASE = {"blur_px": 0.7, "noise": 5.0}

# name, degradation, distance in m, tilt in degrees
CONDITIONS: list[tuple[str, dict[str, float], tuple[float, float], tuple[float, float]]] = [
    ("nominal", {}, NEAR, TILTED),
    *(
        (f"distance {a:g}-{b:g} m", {}, (a, b), TILTED)
        for a, b in [(0.3, 0.6), (0.6, 1.0), (1.0, 1.5), (1.5, 2.0), (2, 3)]
    ),
    *((f"tilt {a:g}-{b:g} deg", {}, NEAR, (a, b)) for a, b in [(0, 10), (30, 40), (50, 60), (60, 70), (70, 80)]),
    *((f"blur {blur:g} px", {"blur_px": blur}, NEAR, TILTED) for blur in (1.0, 2.0, 3.0, 4.0)),
    *((f"motion {motion:g} px", {"motion_px": motion}, NEAR, TILTED) for motion in (5.0, 9.0, 15.0)),
    *((f"noise {noise:g}", {"noise": noise}, NEAR, TILTED) for noise in (10.0, 20.0, 40.0, 60.0)),
    *((f"light {gain:g}", {"gain": gain}, NEAR, TILTED) for gain in (0.5, 0.2, 0.1)),
]


def main(args: list[str]) -> int:
    """Run the benchmark."""

    def bench(
        json: Path | None = None,
        trials: Annotated[int, tyro.conf.arg(metavar="N")] = 200,
        false_frames: Annotated[int, tyro.conf.arg(metavar="N")] = 100_000,
        latency_frames: Annotated[int, tyro.conf.arg(metavar="N")] = 100,
        seed: int = 0,
    ) -> int:
        """Measure marker detection.

        Args:
            json: Write the numbers to this file; until then, progress on false rewards is kept beside it.
            trials: Pictures per row of the table; 0 skips it, here and below.
            false_frames: Number of pictures without the marker.
            latency_frames: Pictures per row of the timings.
            seed: Seed of all pictures.
        """
        if min(trials, latency_frames, false_frames) < 0:
            raise UserError("trials, latency_frames and false_frames must be 0 or more")
        use_one_thread()
        import cv2

        from sac_gmm.bench.timing import write_result

        cv2.setNumThreads(1)
        about = {"picture": f"{WIDTH}x{HEIGHT}, f {FOCAL_PX:g} px", "marker": f"{DICTIONARY}, {SIZE_M * 1e3:g} mm"}
        work = _Progress(json, {"seed": seed, "trials": trials, "latency_frames": latency_frames, "block": BLOCK})
        if trials:
            work.part("detection", lambda: table(trials, seed))
        if latency_frames:
            work.part("latency", lambda: latency(latency_frames, seed))
        if false_frames:
            work.parts["false_rewards"] = false_rewards(false_frames, seed, work)
        write_result(json, "aruco", args, {**about, **work.parts})
        work.finish()
        return 0

    return tyro.cli(bench, args=args, prog="sac-gmm bench aruco", description=__doc__)


class _Progress:
    """Finished parts, kept beside the result file until that is written."""

    def __init__(self, json: Path | None, job: dict[str, Any]) -> None:
        self._path = None if json is None else json.with_name(f".{json.stem}.progress.json")
        self._job = job
        self.parts: dict[str, Any] = {}
        if self._path is not None and self._path.exists():
            kept = json_.loads(self._path.read_text())
            if kept["job"] == job:
                self.parts = kept["parts"]
                print(f"resuming with the parts in {self._path}: {', '.join(self.parts)}")

    def part(self, name: str, measure: Callable[[], Any]) -> None:
        """Measure a part, unless that has been done."""
        if name not in self.parts:
            self.keep(name, measure())

    def keep(self, name: str, value: Any) -> None:
        """Save what has been measured so far."""
        from sac_gmm.core.files import write_json

        self.parts[name] = value
        if self._path is not None:
            write_json(self._path, {"job": self._job, "parts": self.parts})

    def finish(self) -> None:
        """Clean up once the result has been written."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def table(trials: int, seed: int) -> list[dict[str, Any]]:
    """Detection and pose errors of ours and of plain OpenCV, one row per condition."""
    import numpy as np

    from sac_gmm.perception.render import clutter

    ours, peer = our_finder(), opencv_finder()
    print("                       detected %   position mm, median / 95 %        turn deg, median / 95 %    flips")
    print(
        "condition              ours opencv            ours         opencv            ours         opencv  o/unfl./cv"
    )
    rows = []
    for index, (name, condition, distance_m, tilt_deg) in enumerate(CONDITIONS):
        rng = np.random.default_rng([seed, index])
        backgrounds = [clutter(rng, HEIGHT, WIDTH) for _ in range(10)]
        errors: dict[str, list[tuple[float, float, bool]]] = {"ours": [], "opencv": []}
        for trial in range(trials):
            picture, position, rotation = view(rng, backgrounds[trial % 10], distance_m, tilt_deg, BASE | condition)
            for side, find in (("ours", ours), ("opencv", peer)):
                found = find(picture)
                if found is not None:
                    turn = float(np.arccos(np.clip((np.trace(found[1].T @ rotation) - 1.0) / 2.0, -1.0, 1.0)))
                    errors[side].append((float(np.linalg.norm(found[0] - position)) * 1e3, turn, found[2]))
        row: dict[str, Any] = {"condition": name, "trials": trials}
        for side, list_ in errors.items():
            mm, turns = [error[0] for error in list_], [error[1] for error in list_]
            row[side] = {
                "detected": round(len(list_) / trials, 4),
                "position_mm_median": _quantile(mm, 0.5),
                "position_mm_p95": _quantile(mm, 0.95),
                "turn_deg_median": _quantile(np.degrees(turns), 0.5),
                "turn_deg_p95": _quantile(np.degrees(turns), 0.95),
                "flips": sum(turn > FLIP_RAD for turn in turns),
                "flips_unflagged": sum(turn > FLIP_RAD and not flagged for _, turn, flagged in list_),
            }
        rows.append(row)
        a, b = row["ours"], row["opencv"]
        errors_text = "  ".join(
            f"{side[f'{name}_median']!s:>6} {side[f'{name}_p95']!s:>7}"
            for name in ("position_mm", "turn_deg")
            for side in (a, b)
        )
        print(
            f"{row['condition']:<21} {100 * a['detected']:6.1f} {100 * b['detected']:6.1f}  {errors_text}  "
            f"{a['flips']}/{a['flips_unflagged']}/{b['flips']}",
            flush=True,
        )
    return rows


def latency(frames: int, seed: int) -> list[dict[str, Any]]:
    """Milliseconds per RGB picture, from picture to pose, on one thread: wall time and processor time."""
    import numpy as np

    from sac_gmm.perception.render import clutter

    sides = {"ours": our_finder(), "opencv": opencv_finder()}
    print("\nms per picture, median of wall (processor)    ours            opencv")
    rows = []
    for marker in (True, False):
        for noise in (0.0, 5.0, 10.0, 20.0, 40.0, 60.0):
            rng = np.random.default_rng([seed, 1000, marker, int(noise)])
            times: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
            for _ in range(frames):
                background = clutter(rng, HEIGHT, WIDTH)
                condition = BASE | {"noise": noise}
                picture, *_ = view(rng, background, NEAR, TILTED, condition, marker)
                rgb = np.repeat(picture[..., None], 3, axis=2)
                for side, find in sides.items():
                    wall, processor = time.perf_counter(), time.process_time()
                    find(rgb)
                    times[side].append((time.perf_counter() - wall, time.process_time() - processor))
            row: dict[str, Any] = {"marker": marker, "noise": noise, "frames": frames}
            for side, spent in times.items():
                wall_s, processor_s = (list(column) for column in zip(*spent, strict=True))
                row[side] = {
                    "wall_ms_median": _quantile(np.multiply(wall_s, 1e3), 0.5),
                    "wall_ms_p99": _quantile(np.multiply(wall_s, 1e3), 0.99),
                    "processor_ms_median": _quantile(np.multiply(processor_s, 1e3), 0.5),
                }
            rows.append(row)
            text = "  ".join(
                f"{row[side]['wall_ms_median']:6.2f} ({row[side]['processor_ms_median']:5.2f})" for side in sides
            )
            print(
                f"{'with the marker' if marker else 'without':<16} noise {noise:2.0f}                   {text}",
                flush=True,
            )
    return rows


def false_rewards(frames: int, seed: int, work: _Progress) -> dict[str, Any]:
    """Count the frames without the marker that each stage of the reward mistakes for it."""
    import numpy as np
    from tqdm import tqdm

    from sac_gmm.perception import MarkerGate, RewardDebouncer

    nothing = {
        "frames": 0,
        "taken_for_the_marker": 0,
        "counted": 0,
        "rewards": 0,
        "opencv_frames": 0,
        "opencv_saw_it": 0,
    }
    done = {name: work.parts.get("false_rewards", nothing)[name] for name in nothing}
    detector, peer, gate = our_detector(), opencv_ids(), MarkerGate()
    others = other_markers()
    noise_fields = np.random.default_rng(seed).standard_normal((8, HEIGHT * 3 // 2, WIDTH * 3 // 2), np.float32)
    start = time.monotonic()
    bar = tqdm(total=frames, initial=min(done["frames"], frames), desc="false rewards", unit=" frames", mininterval=5.0)
    while done["frames"] < frames:
        rng = np.random.default_rng([seed, 2000, done["frames"] // BLOCK])
        debouncer = RewardDebouncer(3, 3)
        for i in range(min(BLOCK, frames - done["frames"])):
            picture = false_frame(rng, others, noise_fields)
            marker = detector.detect(picture)
            counts = gate.counts(marker)
            done["taken_for_the_marker"] += marker is not None
            done["counted"] += counts
            done["rewards"] += debouncer.update(counts)
            if i % 10 == 0:  # OpenCV takes longer than everything else
                done["opencv_frames"] += 1
                done["opencv_saw_it"] += MARKER_ID in peer(picture)
            bar.update()
        done["frames"] += i + 1
        work.keep("false_rewards", done)
    bar.close()
    from sac_gmm.evaluation import wilson_interval  # after the measurement: it loads torch

    print(
        f"{done['frames']} frames without the marker: {done['taken_for_the_marker']} were taken for it, "
        f"{done['counted']} counted, {done['rewards']} rewards ({time.monotonic() - start:.0f} s); OpenCV read its id "
        f"in {done['opencv_saw_it']} of {done['opencv_frames']}"
    )
    low, high = wilson_interval(done["counted"], done["frames"])
    return {**done, "false_rate": done["counted"] / done["frames"], "wilson_95": [low, high]}


def _quantile(values: Any, share: float) -> float | None:
    import numpy as np

    return round(float(np.quantile(values, share)), 3) if len(values) else None
