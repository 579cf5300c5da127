"""Where a target is, from the marker on it: a pose for each picture, averaged, and refused where it is not certain."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from sac_gmm.core.errors import UserError
from sac_gmm.core.settings import check_settings, number
from sac_gmm.perception.extrinsics import RigidTransform
from sac_gmm.perception.marker_pose import MarkerPose

Array = npt.NDArray[np.float64]
_MM = 1e3


@dataclass(frozen=True)
class TargetSettings:
    """What a target must be to be believed, and what is known of the marker on it."""

    pictures: int = number(10, 1, 200, "", "pictures that are averaged")
    max_spread_m: float = number(0.005, 0.0001, 0.5, "m", "no picture may be further than this from their mean")
    max_spread_rad: float = number(
        0.1, 0.001, 3.2, "rad", "the same for the turn; 3.2 where the position alone matters"
    )
    max_window_s: float = number(2.0, 0.05, 60.0, "s", "the pictures that are averaged come from no longer than this")
    target_in_marker_m: tuple[float, ...] = number(
        (0.0, 0.0, 0.0), -2.0, 2.0, "m", "the target in the marker's or board's axes: x right, y up, z out of it"
    )
    mounting_normal: tuple[float, ...] = number(
        (0.0, 0.0, 0.0), -1.0, 1.0, "", "where the marker faces, base axes, by its mounting; 0, 0, 0: unknown"
    )
    mounting_tolerance_rad: float = number(
        0.35, 0.01, 1.6, "rad", "how far from there it may face, as the task moves or is put back"
    )

    def __post_init__(self) -> None:
        check_settings(self)
        norm = float(np.linalg.norm(self.mounting_normal))
        if norm != 0.0 and norm < 0.1:
            raise UserError(f"mounting_normal = {list(self.mounting_normal)} is no direction: give one of length 1")


def target_of(pose: MarkerPose, camera: RigidTransform, settings: TargetSettings) -> RigidTransform:
    """The target's pose in the base frame, from a marker's or a board's in one picture.

    A square seen from the front has two poses that explain it nearly as well (opencv 8813). The mounting decides
    between them where it is known. Two that cannot be told apart are refused, unless the target is nearly the same
    with both.

    Args:
        pose: As the picture shows it, with the second pose if there is one.
        camera: Pose of the camera's optical frame in the base frame.
        settings: What is known of the mounting, and what uncertainty is allowed.

    Raises:
        UserError: It is not clear which of two poses is right, or none is as the mounting says.
    """
    unclear = pose.ambiguous and pose.other is not None
    both = [pose, pose.other] if unclear and pose.other is not None else [pose]
    fitting = [one for one in both if _off_mounting_rad(one, camera, settings) <= settings.mounting_tolerance_rad]
    if not fitting:
        off_deg = np.degrees(min(_off_mounting_rad(one, camera, settings) for one in both))
        raise UserError(
            f"the marker faces {off_deg:.0f} degrees away from mounting_normal "
            f"(at most {np.degrees(settings.mounting_tolerance_rad):.0f}): mount it as that says, correct "
            "mounting_normal, or calibrate the camera again"
        )
    targets = [_target(one, camera, settings) for one in fitting]
    if len(targets) == 2:
        apart_m = float(np.linalg.norm(targets[0].position_m - targets[1].position_m))
        apart_rad = _turn_rad(targets[0].rotation, targets[1].rotation)
        if apart_m > settings.max_spread_m or apart_rad > settings.max_spread_rad:
            raise UserError(
                f"two poses of the marker fit the picture equally well, {_MM * apart_m:.0f} mm and "
                f"{np.degrees(apart_rad):.0f} degrees apart: use a board of markers, turn the marker away from the "
                "camera, or say with mounting_normal where it faces"
            )
    return targets[0]


def _target(pose: MarkerPose, camera: RigidTransform, settings: TargetSettings) -> RigidTransform:
    in_marker = RigidTransform(np.array(settings.target_in_marker_m))
    return camera @ RigidTransform(pose.position_m, pose.rotation) @ in_marker


def _off_mounting_rad(pose: MarkerPose, camera: RigidTransform, settings: TargetSettings) -> float:
    """Angle between where the marker faces and where its mounting has it face; 0 where that is not known."""
    wanted = np.array(settings.mounting_normal)
    if not wanted.any():
        return 0.0
    normal = camera.rotation @ pose.rotation[:, 2]
    return float(np.arccos(np.clip(normal @ wanted / np.linalg.norm(wanted), -1.0, 1.0)))


def _turn_rad(a: Array, b: Array) -> float:
    """Angle of the rotation from `a` to `b`, both (3, 3)."""
    return float(np.linalg.norm(Rotation.from_matrix(a.T @ b).as_rotvec()))


@dataclass(frozen=True)
class TargetEstimate:
    """A target, averaged over pictures.

    Attributes:
        pose: Its mean pose in the base frame.
        spread_m: The largest distance of a picture's target from the mean.
        spread_rad: The same for the turn.
        covariance: (6, 6) of the mean's position [m] and of a small rotation about the base axes [rad], from how the
            pictures scatter, as in geometry_msgs/PoseWithCovariance.
        stamp_ns: Stamp of the newest of the pictures.
        pictures: How many there are.
    """

    pose: RigidTransform
    spread_m: float
    spread_rad: float
    covariance: Array
    stamp_ns: int
    pictures: int


class TargetAverage:
    """The newest targets, one per picture, as long as the arm stands."""

    def __init__(self, settings: TargetSettings) -> None:
        self._settings = settings
        self._seen: deque[tuple[int, RigidTransform]] = deque(maxlen=settings.pictures)
        self._too_slow = False  # whether a picture became too old before there were enough

    def clear(self) -> None:
        """Forget all pictures: arm or task may have moved."""
        self._seen.clear()
        self._too_slow = False

    def take(self, stamp_ns: int, target: RigidTransform) -> None:
        """Add the target of one picture; a repeated or late one is left out, one of a clock set back begins anew."""
        if self._seen and stamp_ns <= (last_ns := self._seen[-1][0]):
            if last_ns - stamp_ns < self._settings.max_window_s * 1e9:
                return
            self.clear()
        self._seen.append((stamp_ns, target))
        oldest_ns = stamp_ns - round(self._settings.max_window_s * 1e9)
        while self._seen[0][0] < oldest_ns:
            self._seen.popleft()
            self._too_slow = True

    def estimate(self) -> TargetEstimate | None:
        """The mean of the newest pictures; None while there are not enough yet.

        Raises:
            UserError: They come too seldom, or they disagree.
        """
        settings, count = self._settings, len(self._seen)
        if count < settings.pictures:
            if not self._too_slow:
                return None
            raise UserError(
                f"the marker was seen in {count} of {settings.pictures} pictures of the last "
                f"{settings.max_window_s:g} s: mend light, focus or rate of the camera, or lower the parameter pictures"
            )
        positions = np.array([target.position_m for _, target in self._seen])
        turns = Rotation.from_matrix([target.rotation for _, target in self._seen])
        middle, mean_turn = positions.mean(axis=0), turns.mean()
        off_m, off_rad = positions - middle, (turns * mean_turn.inv()).as_rotvec()
        spread_m = float(np.linalg.norm(off_m, axis=1).max())
        spread_rad = float(np.linalg.norm(off_rad, axis=1).max())
        if spread_m > settings.max_spread_m or spread_rad > settings.max_spread_rad:
            raise UserError(
                f"the pictures disagree on the target by {_MM * spread_m:.1f} mm and {np.degrees(spread_rad):.1f} "
                f"degrees (at most {_MM * settings.max_spread_m:g} mm and {np.degrees(settings.max_spread_rad):.1f} "
                "degrees): let the task come to rest, mend light and focus, or use a larger marker or a board"
            )
        off = np.column_stack((off_m, off_rad))
        covariance = off.T @ off / max(count * (count - 1), 1)
        pose = RigidTransform(middle, np.asarray(mean_turn.as_matrix(), np.float64))
        return TargetEstimate(pose, spread_m, spread_rad, covariance, self._seen[-1][0], count)
