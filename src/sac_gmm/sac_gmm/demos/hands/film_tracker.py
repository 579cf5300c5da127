"""`sac-gmm hands track`: turns one film into one demonstration bag. Progress is saved, so tracking can be resumed."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from tqdm import tqdm

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import atomic_file
from sac_gmm.demos import EpisodeInfo
from sac_gmm.demos.bags.bag_file import SIDECAR
from sac_gmm.demos.hands.hand_bag import read_hand_track
from sac_gmm.demos.hands.hand_recorder import HandRecorder
from sac_gmm.perception.camera import Camera
from sac_gmm.perception.camera_file import guess_camera, load_camera
from sac_gmm.perception.film_file import Film
from sac_gmm.perception.hands import (
    CleaningSettings,
    HandPoint,
    HandPose,
    HandPoseEstimator,
    Retargeting,
)
from sac_gmm.perception.hands.marker import MarkerHandTracker
from sac_gmm.perception.hands.palm_scale import PalmScale, scale_to_palm
from sac_gmm.perception.hands.unseen import Unseen

_KEEP_EVERY_S = 10.0  # of wall time between two saves
_WARM_UP = 15  # pictures repeated when tracking resumes, so that the hand is already being followed
_VERSION = 3
MIN_NOTICED_SHARE = 0.1  # of the frames; what is noticed less often is not said
_AMBIGUOUS = (
    "the marker may be turned in two ways that fit equally well (it is small, or faces the camera): its place is "
    "right, but what --tool-offset-m adds may not be; show it larger, or a little from the side"
)
END_OF_MOTION = "end of the motion"  # the sidecar's entry for a target that nobody gave

Tracker = Callable[[npt.NDArray[np.uint8], float], HandPose | None]


@dataclass(frozen=True)
class Seeing:
    """How to look for the hand; see `sac-gmm hands track --help`."""

    side: Any
    palm_width_m: float | None
    marker: str
    camera: Path | None
    focal_px: float | None
    model: Path | None
    min_confidence: float

    def as_dict(self) -> dict[str, Any]:
        """The settings for a sidecar."""
        return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}


@dataclass
class _Seen:
    """What the pictures have shown so far: times, and a pose or None for each; of this run, what else was noticed."""

    time_s: list[float] = field(default_factory=list)
    poses: list[HandPose | None] = field(default_factory=list)
    unseen: Unseen = field(default_factory=Unseen)
    notices: Counter[str] = field(default_factory=Counter)


class FilmTracker:
    """Tracks films, all with the same settings.

    Raises:
        UserError: A setting makes no sense, or a file it names cannot be read.
    """

    def __init__(
        self,
        seeing: Seeing,
        folder: Path,
        retargeting: Retargeting,
        point: HandPoint,
        cleaning: CleaningSettings,
        target_m: npt.NDArray[np.float64] | None,
    ) -> None:
        self._seeing = seeing
        self._folder = folder
        self._retargeting = retargeting
        self._point = point
        self._cleaning = cleaning
        self._target_m = target_m
        self._camera = load_camera(seeing.camera) if seeing.camera is not None else None
        self._marker = _marker(seeing.marker)
        if self._marker is None:
            from sac_gmm.perception.hands.model_files import find_model

            find_model(seeing.model)  # fail before the first film is read
            HandPoseEstimator(guess_camera(640, 480), seeing.palm_width_m)
            if not 0.0 <= seeing.min_confidence <= 1.0:
                raise UserError(f"--min-confidence is {seeing.min_confidence}, expected 0 to 1")

    def track(self, path: Path, bag: Path, task: str, operator: str) -> str:
        """Make the bag of one film, unless it exists already, and return a line about the result.

        Raises:
            UserError: The film cannot be read or shows no hand, or `bag` belongs to something else.
        """
        with Film(path) as film:
            camera = self._camera_of(film)
            setup = self._setup(film, camera)
            recorder = HandRecorder(self._retargeting, self._point, self._cleaning, setup)
            if bag.exists():
                return self._say_done(bag, recorder.setup)
            began_s = time.perf_counter()
            seen, looked_at = self._see(film, camera, setup)
        per_s = looked_at / max(time.perf_counter() - began_s, 1e-9)
        poses, scale = self._scaled(seen.poses)
        extra = {"film": path.name, "film_sha256": setup["film_sha256"], "tracking_frames_per_s": round(per_s, 1)}
        if scale is not None and self._seeing.palm_width_m is not None:
            extra["palm_scale"] = scale.as_dict()
        recorder.start(bag, EpisodeInfo(task, operator, extra), allow_mixed=True)
        try:
            origin_ns = path.stat().st_mtime_ns
            for time_s, pose in zip(seen.time_s, poses, strict=True):
                recorder.take(origin_ns + round(time_s * 1e9), pose)
            recording = recorder.save(self._target_m, "--target", seen.unseen.why())
        except BaseException:
            recorder.abandon()
            raise
        self._checkpoint(bag.name).unlink(missing_ok=True)
        notes = [recording.summary(), f"{per_s:.0f} frames/s"]
        if scale is not None:
            notes += scale.notes() if self._seeing.palm_width_m is None else [scale.summary()]
        least = MIN_NOTICED_SHARE * len(seen.time_s)
        notes += [f"in {count} frames {text}" for text, count in seen.notices.most_common() if count >= least]
        if film.declared_frames and len(seen.time_s) < 0.95 * film.declared_frames:
            notes.append(f"the film is truncated: {len(seen.time_s)} of {film.declared_frames} frames could be read")
        if self._camera is None and self._seeing.focal_px is None:
            notes.append("the focal length was guessed: distances need --camera or --focal-px")
        return "; ".join(notes)

    def _camera_of(self, film: Film) -> Camera:
        if self._camera is None:
            return guess_camera(film.width, film.height, self._seeing.focal_px)
        if (self._camera.width, self._camera.height) != (film.width, film.height):
            raise UserError(film.other_size(self._camera, str(self._seeing.camera)))
        return self._camera

    def _setup(self, film: Film, camera: Camera) -> dict[str, Any]:
        """Everything that affects what is seen, including the film's content."""
        with film.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {
            "tracker": "marker" if self._marker else "mediapipe 0.10.31",
            **self._seeing.as_dict(),
            "focal_px": round(float(camera.matrix[0, 0]), 3),
            "film_sha256": digest,
        }

    def _say_done(self, bag: Path, setup: dict[str, Any]) -> str:
        """Report the bag as done if it has this film and these settings; otherwise refuse to overwrite it."""
        try:
            before = yaml.safe_load((bag / SIDECAR).read_text(encoding="utf-8"))
            same = all(before["setup"].get(name) == value for name, value in setup.items())
            same = same and before["cleaning"] == asdict(self._cleaning)
            at_end = before["target_from"] == END_OF_MOTION
        except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError):
            same = at_end = False
        if same:
            target_m = None if at_end else read_hand_track(bag)[2]
            same = _listed(target_m) == _listed(self._target_m)
        if not same:
            raise UserError(
                f"{bag} exists and is of another film or other settings; it is never overwritten: choose another folder"
            )
        return f"{bag}: done before"

    def _see(self, film: Film, camera: Camera, setup: dict[str, Any]) -> tuple[_Seen, int]:
        """Look at all remaining pictures; also return the number of pictures that were already done."""
        checkpoint = self._checkpoint(film.path.stem)
        wanted = json.dumps(setup, sort_keys=True)
        seen = _load(checkpoint, wanted)
        done = len(seen.time_s)
        looked_at = 0
        kept_s = time.monotonic()
        total = film.declared_frames or None
        seen.unseen = Unseen("any" if self._marker else self._seeing.side, self._seeing.marker)
        tracker, close = self._tracker(camera, seen)
        try:
            with tqdm(
                total=total, initial=done, desc=film.path.name, unit="frame", disable=not sys.stderr.isatty()
            ) as bar:
                for number, time_s, picture in film.frames(max(done - _WARM_UP, 0)):
                    pose = tracker(picture, time_s)
                    looked_at += 1
                    if number < done:
                        continue
                    seen.time_s.append(time_s)
                    seen.poses.append(pose)
                    bar.update()
                    if time.monotonic() - kept_s > _KEEP_EVERY_S:
                        _store(checkpoint, wanted, seen)
                        kept_s = time.monotonic()
        except KeyboardInterrupt:
            _store(checkpoint, wanted, seen)
            raise
        finally:
            close()
        return seen, looked_at

    def _scaled(self, poses: list[HandPose | None]) -> tuple[list[HandPose | None], PalmScale | None]:
        """The poses with the size of the person's hand, where that is known: one for the whole film."""
        if self._marker is not None:
            return poses, None
        return scale_to_palm(poses, self._seeing.palm_width_m)

    def _tracker(self, camera: Camera, seen: _Seen) -> tuple[Tracker, Callable[[], None]]:
        """What finds the pose in a picture and notes in `seen` what else is in it, and what to call in the end."""
        if self._marker is not None:
            marker = MarkerHandTracker(*self._marker, camera)

            def follow_marker(picture: npt.NDArray[np.uint8], time_s: float) -> HandPose | None:
                pose = marker.track(picture, time_s)
                seen.unseen.take(picture, placed=pose is not None, near_miss=marker.near_miss)
                doubt = _AMBIGUOUS if pose is not None and marker.ambiguous else ""
                seen.notices.update(filter(None, (marker.repeated, doubt)))
                return pose

            return follow_marker, lambda: None
        from sac_gmm.perception.hands.tracker import HandTracker

        seeing = self._seeing
        # In the model's size: the person's is found from the film as a whole, see `_scaled`.
        hand = HandTracker(camera, side=seeing.side, model=seeing.model, min_confidence=seeing.min_confidence)

        def follow_hand(picture: npt.NDArray[np.uint8], time_s: float) -> HandPose | None:
            pose = hand.track(picture, time_s)
            seen.unseen.take(picture, placed=pose is not None, sides=hand.sides)
            return pose

        return follow_hand, hand.close

    def _checkpoint(self, name: str) -> Path:
        return self._folder / f".{name}.track.npz"


def _marker(text: str) -> tuple[str, int, float] | None:
    if not text:
        return None
    parts = text.split(":")
    try:
        dictionary, marker_id, size_m = parts[0], int(parts[1]), float(parts[2])
    except (IndexError, ValueError) as error:
        raise UserError(f"--marker {text}: expected DICTIONARY:ID:SIZE_M, such as DICT_4X4_50:7:0.06") from error
    MarkerHandTracker(dictionary, marker_id, size_m, guess_camera(640, 480))  # raises if any of it is invalid
    return dictionary, marker_id, size_m


def _listed(target_m: npt.NDArray[np.float64] | None) -> list[float] | None:
    return None if target_m is None else target_m.tolist()


def _store(path: Path, setup: str, seen: _Seen) -> None:
    """Save what has been seen so far."""
    nothing = HandPose(np.full(3, np.nan), np.full((3, 3), np.nan), 0.0, "model")
    poses = [pose or nothing for pose in seen.poses]
    landmarks = [np.full((21, 3), np.nan) if pose.landmarks_m is None else pose.landmarks_m for pose in poses]
    with atomic_file(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            version=_VERSION,
            setup=setup,
            time_s=np.array(seen.time_s),
            position_m=np.array([pose.position_m for pose in poses]),
            rotation=np.array([pose.rotation for pose in poses]),
            confidence=np.array([pose.confidence for pose in poses]),
            size_from=np.array([pose.size_from for pose in poses]),
            opening_m=np.array([pose.opening_m for pose in poses]),
            landmarks_m=np.array(landmarks),
            side=np.array([pose.side or "" for pose in poses]),
            fit=np.array([pose.fit for pose in poses]),
        )


def _load(path: Path, setup: str) -> _Seen:
    """Load what was seen earlier with the same film and settings; empty if there is nothing."""
    if not path.exists():
        return _Seen()
    try:
        with np.load(path, allow_pickle=False) as kept:
            if int(kept["version"]) != _VERSION or str(kept["setup"]) != setup:
                return _Seen()
            values = {name: kept[name] for name in kept.files}
    except Exception:  # damaged: numpy can raise anything, and the film is still there to start over
        return _Seen()
    poses: list[HandPose | None] = []
    for i, position in enumerate(values["position_m"]):
        landmarks = values["landmarks_m"][i]
        pose = HandPose(
            position,
            values["rotation"][i],
            float(values["confidence"][i]),
            str(values["size_from"][i]),  # type: ignore[arg-type]
            float(values["opening_m"][i]),
            landmarks if np.isfinite(landmarks).all() else None,
            str(values["side"][i]) or None,  # type: ignore[arg-type]
            float(values["fit"][i]),
        )
        poses.append(pose if np.isfinite(position).all() else None)
    return _Seen(values["time_s"].tolist(), poses)
