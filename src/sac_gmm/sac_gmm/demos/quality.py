"""Quality of recordings: of one stream of stamps, of one demonstration, and of a set of demonstrations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sac_gmm.core.errors import UserError
from sac_gmm.core.stamps import MAX_GAP_S, is_uneven, usual_period_s
from sac_gmm.demos.bags.split import LONGEST_SPLIT_GAP_S
from sac_gmm.demos.demonstration import Demonstration

# Warning thresholds; chosen so that a healthy 30 Hz recording raises none.
MIN_DURATION_S = 0.5
MIN_RATE_HZ = 10.0
MAX_DROPPED_SHARE = 0.01
MAX_STEP_SPEED_M_S = 2.0
MIN_PATH_M = 0.02
MAX_REACH_M = 10.0  # from the target; longer than any arm
MAX_END_SPREAD_M = 0.05
STILL_M = 0.002  # what an arm at rest moves at most between two samples
MIN_CHORD_SHARE = 0.2  # of the way, from its start to its end
SPLIT_REMEDY = (
    "a skill is told its position alone, so it cannot come back to where it was: cut a motion that does where it turns "
    "back (`sac-gmm demos trim --start-s … --end-s …`) and fit a skill to each part"
)


@dataclass(frozen=True)
class StreamReport:
    """Statistics of one topic's stamps.

    Attributes:
        count: Number of messages.
        rate_hz: One over the median period, or count over duration if stamps come in bursts; 0 with fewer than two
            messages.
        dropped: Messages missing at that rate.
        longest_gap_s: Longest time between two messages.
    """

    count: int
    rate_hz: float
    dropped: int
    longest_gap_s: float

    def as_dict(self) -> dict[str, Any]:
        """Rounded values for YAML and JSON."""
        return {
            "count": self.count,
            "rate_hz": round(self.rate_hz, 3),
            "dropped": self.dropped,
            "longest_gap_s": round(self.longest_gap_s, 4),
        }


def check_stream(stamps_ns: npt.NDArray[np.int64]) -> StreamReport:
    """Count the messages missing from a stream that should be periodic.

    Args:
        stamps_ns: (n,) header stamps in nanoseconds, in order of arrival.
    """
    periods_s = np.asarray(np.diff(np.unique(stamps_ns)), np.float64) * 1e-9
    if periods_s.size == 0:
        return StreamReport(int(stamps_ns.size), 0.0, 0, 0.0)
    period_s = usual_period_s(periods_s)
    rate_hz = periods_s.size / float(periods_s.sum()) if is_uneven(periods_s) else 1.0 / period_s
    dropped = int(np.sum(np.maximum(np.rint(periods_s / period_s) - 1.0, 0.0)))
    return StreamReport(int(stamps_ns.size), rate_hz, dropped, float(periods_s.max()))


@dataclass(frozen=True)
class DemonstrationReport:
    """Quality of one demonstration.

    Attributes:
        name: The demonstration's name.
        n_samples: Number of samples.
        duration_s: Time from the first to the last sample.
        rate_hz: As in `StreamReport`.
        dropped: Samples missing at that rate.
        longest_gap_s: Longest time between two samples.
        jitter_s: Standard deviation of the period.
        path_m: Length of the path.
        top_speed_m_s: Fastest sample-to-sample speed.
        end_m: (3,) last position relative to the target.
        problems: What the user should know, in sentences; empty if all is well.
    """

    name: str
    n_samples: int
    duration_s: float
    rate_hz: float
    dropped: int
    longest_gap_s: float
    jitter_s: float
    path_m: float
    top_speed_m_s: float
    end_m: tuple[float, float, float]
    problems: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class SetReport:
    """Quality of several demonstrations of one skill.

    Attributes:
        demonstrations: The report on each.
        end_spread_m: Root mean square distance of the end points from their mean.
        start_spread_m: The same for the first points.
        problems: Problems of the set as a whole.
    """

    demonstrations: tuple[DemonstrationReport, ...]
    end_spread_m: float
    start_spread_m: float
    problems: tuple[str, ...]

    @property
    def all_problems(self) -> list[str]:
        """Problems of the set, then those of each demonstration with its name."""
        return [f"{report.name}: {text}" for report in self.demonstrations for text in report.problems] + list(
            self.problems
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def check_demonstration(demonstration: Demonstration) -> DemonstrationReport:
    """Measure a demonstration and list what looks wrong."""
    steps_m = np.linalg.norm(np.diff(demonstration.position_m, axis=0), axis=1)
    periods_s = np.diff(demonstration.time_s)
    stream = check_stream(np.rint(demonstration.time_s * 1e9).astype(np.int64))
    path_m = float(steps_m.sum())
    top_speed = float((steps_m / periods_s).max())
    problems = []
    if demonstration.duration_s < MIN_DURATION_S:
        problems.append(f"lasts only {demonstration.duration_s:.2f} s")
    if before := int(demonstration.meta.get("files_before", 0)):
        problems.append(
            f"is part {before + 1} of a recording in several files: put the files before it beside it, and name their "
            "folder"
        )
    if stream.rate_hz < MIN_RATE_HZ:
        problems.append(f"has only {stream.rate_hz:.1f} samples a second")
    if stream.dropped > MAX_DROPPED_SHARE * demonstration.n_samples:
        problems.append(f"lacks {stream.dropped} samples")
    if stream.longest_gap_s > MAX_GAP_S:
        at = int(np.argmax(periods_s))
        problems.append(f"has a gap of {stream.longest_gap_s:.2f} s after sample {at}")
    if path_m < MIN_PATH_M:
        problems.append(f"moves only {path_m * 1e3:.0f} mm")
    if top_speed > MAX_STEP_SPEED_M_S:
        at = int(np.argmax(steps_m / periods_s))
        problems.append(f"jumps {steps_m[at] * 1e3:.0f} mm after sample {at} ({top_speed:.1f} m/s)")
    in_bursts = int(demonstration.meta.get("in_bursts", 0))
    if in_bursts > MAX_DROPPED_SHARE * (demonstration.n_samples + in_bursts):
        problems.append(
            f"came in bursts: {in_bursts} of {demonstration.n_samples + in_bursts} samples are stamped at almost the "
            "same time as the next and were left out; stamp them when they are measured, not when they arrive"
        )
    same_stamp = int(demonstration.meta.get("same_stamp", 0))
    if same_stamp > MAX_DROPPED_SHARE * (demonstration.n_samples + same_stamp):
        problems.append(
            f"has {same_stamp} samples with the stamp of another one at another place, which were left out: are two "
            "recordings appended whose time begins anew, or are the stamps too coarse?"
        )
    reach_m = float(np.linalg.norm(demonstration.relative_m, axis=1).max())
    if reach_m > MAX_REACH_M:
        problems.append(
            f"reaches {reach_m:.0f} m from its target: positions must be in metres, are these in millimetres? Or are "
            "pose and target of two different frames?"
        )
    spread_m = float(demonstration.meta.get("target_spread_m", 0.0))
    if spread_m > 1e-3:
        problems.append(f"has a target that moved {spread_m * 1e3:.0f} mm; the last one is used")
    end = demonstration.relative_m[-1]
    return DemonstrationReport(
        demonstration.name,
        demonstration.n_samples,
        demonstration.duration_s,
        stream.rate_hz,
        stream.dropped,
        stream.longest_gap_s,
        float(periods_s.std()),
        path_m,
        top_speed,
        (float(end[0]), float(end[1]), float(end[2])),
        tuple(problems),
    )


def check_set(demonstrations: Sequence[Demonstration]) -> SetReport:
    """Measure several demonstrations of one skill.

    Raises:
        UserError: There are none.
    """
    if not demonstrations:
        raise UserError("there is no demonstration to check: name one bag or more")
    reports = tuple(check_demonstration(demonstration) for demonstration in demonstrations)
    end_spread = _spread_m([demonstration.relative_m[-1] for demonstration in demonstrations])
    start_spread = _spread_m([demonstration.relative_m[0] for demonstration in demonstrations])
    problems = _closed(reports, demonstrations)
    if end_spread > MAX_END_SPREAD_M:
        problems.append(f"the demonstrations end {end_spread * 1e3:.0f} mm apart: do they show the same skill?")
    problems += [
        f"{second} goes on where {first} ends: are they parts of one recording?"
        for first, second in parts_of_one(demonstrations)
    ]
    bags = Counter(str(Path(d.meta["bag"]).resolve()) for d in demonstrations if "bag" in d.meta)
    problems += [f"{bag} is there {count} times: name each bag once" for bag, count in bags.items() if count > 1]
    frames = sorted({demonstration.frame_id for demonstration in demonstrations})
    if len(frames) > 1:
        problems.append(f"the demonstrations are given in different frames: {', '.join(frames)}")
    tasks = sorted({demonstration.task for demonstration in demonstrations})
    if len(tasks) > 1:
        problems.append(f"the demonstrations are of different tasks: {', '.join(task or 'unknown' for task in tasks)}")
    return SetReport(reports, end_spread, start_spread, tuple(problems))


def parts_of_one(demonstrations: Sequence[Demonstration]) -> list[tuple[str, str]]:
    """Names of demonstrations of which the second begins when and where the first ends."""
    known = sorted((d for d in demonstrations if "start_ns" in d.meta), key=lambda d: d.meta["start_ns"])
    return [(a.name, b.name) for a, b in pairwise(known) if _goes_on(a, b)]


def _goes_on(first: Demonstration, second: Demonstration) -> bool:
    gap_s = 1e-9 * (second.meta["start_ns"] - first.meta["start_ns"]) - first.duration_s
    way_m = float(np.linalg.norm(second.position_m[0] - first.position_m[-1]))
    reach_m = 2.0 * gap_s * float(np.linalg.norm(np.diff(first.position_m[-5:], axis=0), axis=1).sum())
    moving_s = float(first.time_s[-1] - first.time_s[-5:][0])
    return 0.0 < gap_s <= LONGEST_SPLIT_GAP_S and way_m <= STILL_M + reach_m / moving_s


def _closed(reports: Sequence[DemonstrationReport], demonstrations: Sequence[Demonstration]) -> list[str]:
    """Motions that come back to where they began: good recordings, but no skill repeats them."""
    chords_m = [float(np.linalg.norm(d.relative_m[-1] - d.relative_m[0])) for d in demonstrations]
    closed = [
        f"{report.name} ends {1e3 * chord_m:.0f} mm from its start after {report.path_m:.2f} m of way"
        for report, chord_m in zip(reports, chords_m, strict=True)
        if report.path_m >= MIN_PATH_M and chord_m < MIN_CHORD_SHARE * report.path_m
    ]
    return [*closed, SPLIT_REMEDY] if closed else []


def _spread_m(points: list[npt.NDArray[np.float64]]) -> float:
    """Root mean square distance of (3,) points from their mean."""
    array = np.array(points)
    return float(np.sqrt(np.mean(np.sum((array - array.mean(axis=0)) ** 2, axis=1))))
