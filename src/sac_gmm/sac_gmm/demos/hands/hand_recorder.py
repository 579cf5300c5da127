"""Records demonstrations made with a hand: idle, recording, paused, saving. The node without its topics."""

from __future__ import annotations

import datetime
import enum
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from sac_gmm.core.errors import UserError
from sac_gmm.core.late_stamps import in_order, is_late
from sac_gmm.core.stamps import usual_period_s
from sac_gmm.demos.bags.bag_file import SIDECAR
from sac_gmm.demos.bags.bag_reader import read_demonstration
from sac_gmm.demos.bags.bag_writer import EpisodeBagWriter, EpisodeInfo
from sac_gmm.demos.hands.hand_bag import HAND_TOPICS, write_motion, write_seen
from sac_gmm.demos.quality import DemonstrationReport, check_demonstration
from sac_gmm.demos.recorder import set_back_problem
from sac_gmm.perception.hands import CleaningSettings, HandMotion, HandPoint, HandPose, HandTrack, Retargeting, clean

MAX_MOVED_WHILE_PAUSED_M = 0.05
MIN_SEEN_SHARE = 0.9  # below this, the user is warned
MAX_OTHER_SIDE_SHARE = 0.2  # above this, the user is asked which hand it is
MIN_DEPTH_SHARE = 0.5  # the same for the share of seen hands with a measured distance, if depth was requested

Array = npt.NDArray[np.float64]


class RecorderState(enum.Enum):
    """The recorder's state."""

    IDLE = "idle"
    RECORDING = "recording"
    PAUSED = "paused"
    SAVING = "saving"


@dataclass(frozen=True)
class HandRecording:
    """A finished recording.

    Attributes:
        path: The bag.
        motion: The hand's motion in the camera's frame, and its quality.
        report: Report on the demonstration; None if the bag cannot be read as one.
        problems: What the user should know, in sentences.
    """

    path: Path
    motion: HandMotion
    report: DemonstrationReport | None
    problems: tuple[str, ...]

    def summary(self) -> str:
        """The recording in one line."""
        quality = self.motion.quality
        text = f"{self.path}: {self.motion.time_s.size} samples in {quality.kept_s:.1f} s; {quality.summary()}"
        return "; ".join([text, *self.problems])


class HandRecorder:
    """Takes the pose of the hand in every picture and writes one bag per episode.

    Args:
        retargeting: Maps the hand to the end-effector.
        point: The point of the hand that represents the end-effector; for a marker, its centre.
        cleaning: Settings for outliers, gaps and smoothing.
        setup: What all episodes of a folder must have in common: tracker, its settings, picture size. Stored in the
            sidecar, and compared with that of the newest episode in the same folder.
        extra_topics: Further topics (name -> message type) that `attach` will write, such as the pictures.
        use_depth: Depth images should give the distance; if they do not, that is reported as a problem.
    """

    def __init__(
        self,
        retargeting: Retargeting,
        point: HandPoint = "pinch",
        cleaning: CleaningSettings | None = None,
        setup: Mapping[str, Any] | None = None,
        extra_topics: Mapping[str, str] | None = None,
        *,
        use_depth: bool = False,
    ) -> None:
        self._retargeting = retargeting
        self._point: HandPoint = point
        self._cleaning = cleaning or CleaningSettings()
        self.setup = {**dict(setup or {}), "point": point, **retargeting.as_dict()}
        self._topics = {**HAND_TOPICS, **dict(extra_topics or {})}
        self._use_depth = use_depth
        self.state = RecorderState.IDLE
        self._writer: EpisodeBagWriter | None = None

    @property
    def path(self) -> Path | None:
        """The bag in progress."""
        return None if self._writer is None else self._writer.path

    @property
    def frames(self) -> int:
        """Number of pictures in the current episode."""
        return len(self._stamps_ns) if self._writer is not None else 0

    @property
    def set_back(self) -> int:
        """Pictures left out of the current episode because an earlier picture has a later stamp."""
        return self._set_back if self._writer is not None else 0

    def start(self, path: Path | str, info: EpisodeInfo | None = None, *, allow_mixed: bool = False) -> None:
        """Start an episode.

        Args:
            path: The future bag.
            info: Task, operator, and anything else for the sidecar.
            allow_mixed: Skip the comparison with the folder's newest episode.

        Raises:
            UserError: An episode is in progress, `path` exists or cannot be written, or the folder's episodes were
                recorded with other settings.
        """
        self._expect("start an episode", RecorderState.IDLE)
        info = info or EpisodeInfo()
        if not allow_mixed:
            check_same_setup(Path(path).parent, self.setup)
        self._extra: dict[str, Any] = {"source": "hand", **dict(info.extra), "setup": self.setup}
        self._extra["cleaning"] = asdict(self._cleaning)
        self._writer = EpisodeBagWriter(path, self._topics, EpisodeInfo(info.task, info.operator, self._extra))
        self._stamps_ns: list[int] = []  # in order of arrival
        self._newest_ns = 0
        self._set_back = 0
        self._parts: list[int] = []  # for each pause, the number of pictures before it
        self._rows: list[tuple[Array, Array, float, float, float]] = []
        self._sizes: Counter[str] = Counter()
        self.state = RecorderState.RECORDING

    def take(self, stamp_ns: int, pose: HandPose | None) -> None:
        """Take one picture's pose; None if no hand was seen. Ignored unless recording, and if the stamp is old.

        Raises:
            UserError: The disk does not take it; the recording has ended then and what there is was kept.
        """
        if self.state is not RecorderState.RECORDING or self._writer is None:
            return
        if self._stamps_ns and stamp_ns <= self._newest_ns and not is_late(stamp_ns, self._newest_ns):
            self._set_back += stamp_ns < self._newest_ns  # the same stamp is a picture that was sent again
            return
        self._newest_ns = max(stamp_ns, self._newest_ns) if self._stamps_ns else stamp_ns
        self._stamps_ns.append(stamp_ns)
        if pose is None:
            self._rows.append((np.full(3, np.nan), np.full((3, 3), np.nan), np.nan, 0.0, np.nan))
            return
        point = pose.at(self._point)
        right = np.nan if pose.side is None else float(pose.side == "right")
        self._rows.append((point, pose.rotation, pose.opening_m, pose.confidence, right))
        self._sizes[pose.size_from] += 1
        try:
            write_seen(self._writer, stamp_ns, self._retargeting.camera_frame, pose, point)
        except UserError:
            self._end()
            raise

    def attach(self, topic: str, data: bytes) -> None:
        """Write a serialised message of one of the extra topics, while recording.

        Raises:
            UserError: The disk does not take it; the recording has ended then and what there is was kept.
        """
        if self.state is RecorderState.RECORDING and self._writer is not None:
            try:
                self._writer.write(topic, data)
            except UserError:
                self._end()
                raise

    def pause(self) -> None:
        """Ignore pictures until `resume`; the pause is cut out of the motion."""
        self._expect("pause", RecorderState.RECORDING)
        self._parts.append(len(self._stamps_ns))
        self.state = RecorderState.PAUSED

    def resume(self) -> None:
        """Continue after `pause`."""
        self._expect("resume", RecorderState.PAUSED)
        self.state = RecorderState.RECORDING

    def save(
        self, target_m: npt.ArrayLike | None = None, target_from: str = "", seen_instead: str = ""
    ) -> HandRecording:
        """Clean the motion, transform it to the base frame, and complete the bag.

        Args:
            target_m: (3,) in the base frame; None for the end of the motion.
            target_from: Where the target came from; for the sidecar.
            seen_instead: What the pictures show where no hand was seen in any of them.

        Raises:
            UserError: No episode is in progress, the episode shows no hand (it is then deleted), or the disk refuses
                the data.
        """
        self._expect("save", RecorderState.RECORDING, RecorderState.PAUSED)
        assert self._writer is not None
        self.state = RecorderState.SAVING
        writer = self._writer
        try:
            track, origin_ns, problems = self._track()
            motion = clean(track, self._cleaning)
        except UserError as error:
            kept = "was not kept"
            if any(count for topic, count in writer.counts.items() if topic not in HAND_TOPICS):
                writer.abandon()  # the pictures are worth keeping even without the hand
                kept = f"is not complete; its pictures are kept in {writer.partial_path}"
            else:
                writer.discard()
            self._end()
            instead = f": {seen_instead}" if seen_instead and self._stamps_ns and not self._sizes else ""
            raise UserError(f"{writer.path} {kept}: {error}{instead}") from error
        if self._set_back:
            quality = replace(motion.quality, dropped=motion.quality.dropped + self._set_back)
            motion = replace(motion, quality=quality)
            problems.append(set_back_problem(self._set_back, "pictures"))
        problems += self._depth_problems()
        tool = self._retargeting.apply(motion)
        target = tool.position_m[-1] if target_m is None else np.array(target_m, np.float64)
        self._extra["target_from"] = "end of the motion" if target_m is None else target_from
        self._extra["quality"] = motion.quality.as_dict()
        self._extra["size_from"] = dict(self._sizes)
        # The stamp of the first picture after each pause: the bag's own stamps still contain the pauses.
        self._extra["resumed_ns"] = [self._stamps_ns[first] for first in self._parts if first < len(self._stamps_ns)]
        stamps_ns = origin_ns + np.rint(motion.time_s * 1e9).astype(np.int64)
        grip = (motion.opening_m, motion.closed) if np.isfinite(motion.opening_m).all() else None
        try:
            write_motion(writer, stamps_ns, self._retargeting.base_frame, tool, grip, target)
            path = writer.close()
        finally:
            self._end()
        report = None
        problems += quality_problems(motion)
        try:
            report = check_demonstration(read_demonstration(path))
            problems += report.problems
        except UserError as error:
            problems.append(f"not usable as a demonstration ({error})")
        return HandRecording(path, motion, report, tuple(problems))

    def discard(self) -> None:
        """Delete the episode."""
        self._expect("discard", RecorderState.RECORDING, RecorderState.PAUSED)
        assert self._writer is not None
        self._writer.discard()
        self._end()

    def abandon(self) -> Path | None:
        """Stop without completing the bag; return where the data so far is."""
        if self._writer is None:
            return None
        self._writer.abandon()
        left = self._writer.partial_path
        self._end()
        return left

    def _track(self) -> tuple[HandTrack, int, list[str]]:
        """All rows, with pauses cut out of the time; the stamp of time 0; problems found in the pauses."""
        if not self._stamps_ns:
            raise UserError("no picture came: is the camera running?")
        order = in_order(self._stamps_ns)
        stamps = np.array(self._stamps_ns, np.int64)[order]
        columns = [np.array(column)[order] for column in zip(*self._rows, strict=True)]
        problems = []
        period_ns = round(1e9 * usual_period_s(np.diff(stamps) * 1e-9)) if stamps.size > 1 else 0
        for part in self._parts:
            first = sum(i < part for i in order)
            if not 0 < first < stamps.size:
                continue
            stamps[first:] -= stamps[first] - stamps[first - 1] - period_ns
            seen = np.isfinite(columns[0][:, 0])
            before, after = np.flatnonzero(seen[:first]), np.flatnonzero(seen[first:])
            if before.size and after.size:
                moved_m = float(np.linalg.norm(columns[0][first + after[0]] - columns[0][before[-1]]))
                if moved_m > MAX_MOVED_WHILE_PAUSED_M:
                    problems.append(f"the hand moved {moved_m * 1e3:.0f} mm while the recording was paused")
        position, rotation, opening, confidence, right = columns
        time_s = (stamps - stamps[0]) * 1e-9
        return HandTrack(time_s, position, rotation, opening, confidence, right), int(stamps[0]), problems

    def _depth_problems(self) -> list[str]:
        seen, measured = self._sizes.total(), self._sizes["depth"]
        if not self._use_depth or measured >= MIN_DEPTH_SHARE * seen:
            return []
        return [
            f"depth was asked for, but the distance of the hand came from it in only {100 * measured / seen:.0f} % of "
            "the frames with the hand"
        ]

    def _expect(self, what: str, *states: RecorderState) -> None:
        if self.state not in states:
            wanted = " or ".join(state.value for state in states)
            raise UserError(f"cannot {what} while {self.state.value}: the recorder must be {wanted}")

    def _end(self) -> None:
        self._writer = None
        self.state = RecorderState.IDLE


def quality_problems(motion: HandMotion) -> list[str]:
    """What the user should know about the tracking."""
    quality = motion.quality
    problems = []
    if quality.seen < MIN_SEEN_SHARE * quality.frames:
        problems.append(f"the hand was seen in only {100 * quality.seen / quality.frames:.0f} % of the frames")
    if quality.other_side > MAX_OTHER_SIDE_SHARE * quality.seen:
        problems.append(
            f"in {quality.other_side} of {quality.seen} frames it was taken for the other hand, not the {quality.side} "
            "one: set the side to the hand that it is"
        )
    if quality.lost_s > 0.0:
        problems.append(f"{quality.lost_s:.1f} s of motion were left out: a gap or a jump separates them from the rest")
    return problems


def next_episode_path(folder: Path, task: str, today: datetime.date | None = None) -> Path:
    """`folder/task/DATE_NUMBER`, one after the newest of the day, complete or not."""
    date = (today or datetime.date.today()).strftime("%Y%m%d")
    parent = folder / (task or "untitled")
    taken = [-1]
    for path in parent.glob(f"*{date}_*") if parent.is_dir() else ():
        number = path.name.removeprefix(".").removeprefix(f"{date}_").split(".")[0]
        if number.isdigit():
            taken.append(int(number))
    return parent / f"{date}_{max(taken) + 1:03d}"


def check_same_setup(folder: Path, setup: Mapping[str, Any]) -> None:
    """Refuse to add to a folder whose newest episode was recorded with other settings.

    Raises:
        UserError: Names the first setting that differs.
    """
    sidecars = sorted(folder.glob(f"*/{SIDECAR}"), key=lambda path: path.stat().st_mtime) if folder.is_dir() else []
    for path in reversed(sidecars):
        try:
            before = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue  # not a bag of ours, so nothing to compare
        if not isinstance(before, dict) or before.get("source") != "hand" or not isinstance(before.get("setup"), dict):
            continue
        now = yaml.safe_load(yaml.safe_dump(dict(setup)))  # the form it has after being written and read back
        for name in sorted({*before["setup"], *now}):
            if before["setup"].get(name) != now.get(name):
                raise UserError(
                    f"{path.parent} was recorded with {name} = {before['setup'].get(name)}, now it is {now.get(name)}: "
                    "choose another folder, set it back, or allow mixed episodes"
                )
        return
