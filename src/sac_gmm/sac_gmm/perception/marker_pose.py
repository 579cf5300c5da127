"""Pose of a flat pattern of known points from where they are seen: both solutions, checked, with a covariance.

IPPE_SQUARE gives the two poses that an observed square can have. When the marker faces the camera exactly (which
happens in simulation) it gives NaN or a wrong pose. Every pose is therefore checked by its reprojection error, and
SQPNP replaces it where it is better (Collins and Bartoli, "Infinitesimal Plane-based Pose Estimation", 2014; Terzakis
and Lourakis, "A Consistently Fast and Globally Optimal Solution to the Perspective-n-Point Problem", 2020).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sac_gmm.perception.camera import Camera

Array = npt.NDArray[np.float64]

# Allowed reprojection error of the corners, as a share of the pattern's size; one pixel is always allowed.
_MAX_REPROJECTION_SHARE = 0.03
# No corner is located better than this, so two poses whose errors differ by less fit equally well.
_CORNER_NOISE_PX = 0.05
# The best accuracy of a corner in a real picture; a lower bound for the covariance.
_CORNER_STD_PX = 0.2
# Above this ratio of the errors, the second pose may be the right one.
AMBIGUOUS = 0.6


@dataclass(frozen=True)
class MarkerPose:
    """Pose of a marker or a board in the optical frame (x right, y down, z forward).

    A marker's own axes: x right along its top edge, y up, z out of the marker, origin at its centre.

    Attributes:
        position_m: (3,) its origin.
        rotation: (3, 3) marker to camera.
        reprojection_px: Root mean square distance between projected and seen corners.
        ambiguity: Reprojection error of the better pose divided by that of the other one: near 1 if both explain the
            picture equally well and the tilt must not be trusted; 0 if there is no second pose.
        covariance: (6, 6) of position [m] and of a small rotation about the camera's axes [rad], in this order, as in
            geometry_msgs/PoseWithCovariance; zeros if it was not requested.
        other: The second pose, if there is one that also explains the corners.
    """

    position_m: Array
    rotation: Array
    reprojection_px: float
    ambiguity: float
    covariance: Array
    other: MarkerPose | None = None

    @property
    def tilt_rad(self) -> float:
        """Angle between the marker's normal and the line of sight: 0 faces the camera, pi/2 is seen edge-on."""
        cosine = -float(self.rotation[:, 2] @ self.position_m) / float(np.linalg.norm(self.position_m))
        return float(np.arccos(np.clip(cosine, -1.0, 1.0)))

    @property
    def ambiguous(self) -> bool:
        """Whether the other pose is as likely to be right."""
        return self.other is not None and self.ambiguity > AMBIGUOUS

    @property
    def largest_tilt_rad(self) -> float:
        """The tilt, or the larger of the two if it is unclear which pose is right."""
        return max(self.tilt_rad, self.other.tilt_rad) if self.ambiguous and self.other else self.tilt_rad


class PoseSolver:
    """Estimates the pose of known points in pictures of one camera."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera

    def solve(self, points_m: Array, seen_px: Array, previous: MarkerPose | None = None) -> MarkerPose | None:
        """The best pose that explains the seen points.

        Args:
            points_m: (n, 3) the pattern in its own frame, n >= 4; for n = 4 a square in the order top left, top right,
                bottom right, bottom left around its origin.
            seen_px: (n, 2) where they are seen.
            previous: Pose in the previous picture; decides between two poses that fit equally well.

        Returns:
            The pose, or None if none explains the corners.
        """
        size_px = float(np.linalg.norm(seen_px.max(axis=0) - seen_px.min(axis=0)))
        limit_px = max(1.0, _MAX_REPROJECTION_SHARE * size_px / np.sqrt(2.0))
        if len(points_m) == 4:
            both = self.candidates(points_m, seen_px, cv2.SOLVEPNP_IPPE_SQUARE)
        elif np.ptp(points_m[:, 2]) < 1e-9:
            both = self.candidates(points_m, seen_px, cv2.SOLVEPNP_IPPE)
        else:
            both = []
        check = self.candidates(points_m, seen_px, cv2.SOLVEPNP_SQPNP)
        if check and (not both or check[0].reprojection_px < 0.5 * both[0].reprojection_px):
            both = check + both  # IPPE failed, as it does when the marker faces the camera exactly
        poses = [pose for pose in both if pose.reprojection_px <= limit_px]
        if not poses:
            return None
        chosen = _choose(poses, previous)
        return replace(chosen, covariance=self.covariance(chosen, points_m))

    def candidates(self, points_m: Array, seen_px: Array, method: int) -> list[MarkerPose]:
        """All finite poses in front of the camera that an OpenCV method finds, best first."""
        camera = self._camera
        try:
            _, rotations, translations, _ = cv2.solvePnPGeneric(
                points_m, seen_px, camera.matrix, camera.distortion, flags=method
            )
        except cv2.error:  # degenerate corners: a square seen edge-on
            return []
        poses = []
        for vector, translation in zip(rotations, translations, strict=True):
            position = np.asarray(translation, np.float64).ravel()
            if not (np.isfinite(vector).all() and np.isfinite(position).all() and position[2] > 0.0):
                continue
            projected, _ = cv2.projectPoints(points_m, vector, translation, camera.matrix, camera.distortion)
            error = float(np.sqrt(np.mean(np.sum((projected.reshape(-1, 2) - seen_px) ** 2, axis=1))))
            if np.isfinite(error):
                rotation = np.asarray(cv2.Rodrigues(vector)[0], np.float64)
                poses.append(MarkerPose(position, rotation, error, 0.0, np.zeros((6, 6))))
        return sorted(poses, key=lambda pose: pose.reprojection_px)

    def covariance(self, pose: MarkerPose, points_m: Array) -> Array:
        """Covariance (6, 6) of a pose, to first order: s^2 (J^T J)^-1 with the corners' standard deviation s.

        If the other pose may be the right one, half the rotation between the two is added to the rotational part: the
        spread of a coin flip between them.
        """
        camera = self._camera
        vector = cv2.Rodrigues(pose.rotation)[0]
        _, jacobian = cv2.projectPoints(points_m, vector, pose.position_m, camera.matrix, camera.distortion)
        by_position = jacobian[:, 3:6]
        by_turn = jacobian[:, 0:3] @ np.linalg.inv(_left_jacobian(vector.ravel()))
        J = np.column_stack([by_position, by_turn])
        std_px = max(_CORNER_STD_PX, pose.reprojection_px)
        spread = std_px**2 * np.linalg.pinv(J.T @ J, hermitian=True)
        if pose.ambiguous and pose.other is not None:
            half = np.asarray(cv2.Rodrigues(pose.other.rotation @ pose.rotation.T)[0], np.float64).ravel() / 2.0
            spread[3:, 3:] += np.outer(half, half)
        return (spread + spread.T) / 2.0


def _choose(poses: list[MarkerPose], previous: MarkerPose | None) -> MarkerPose:
    """The pose with the smaller error; if both are about equal, the one nearer to the last pose."""
    if len(poses) == 1:
        return poses[0]
    first, second = poses[:2]
    ambiguity = (first.reprojection_px + _CORNER_NOISE_PX) / (second.reprojection_px + _CORNER_NOISE_PX)
    if previous is not None and ambiguity > AMBIGUOUS and _turn(previous, second) < _turn(previous, first):
        first, second = second, first
    return replace(first, ambiguity=ambiguity, other=second)


def _turn(a: MarkerPose, b: MarkerPose) -> float:
    """Trace-based distance of two rotations: smaller is nearer."""
    return -float(np.trace(a.rotation.T @ b.rotation))


def _left_jacobian(vector: npt.NDArray[Any]) -> Array:
    """Left Jacobian of SO(3): a change dr of a rotation vector r turns by J dr about fixed axes (Sola et al., 2018)."""
    angle = float(np.linalg.norm(vector))
    x, y, z = vector.tolist()
    skew = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    if angle < 1e-6:
        return np.eye(3) + skew / 2.0
    a = (1.0 - np.cos(angle)) / angle**2
    b = (angle - np.sin(angle)) / angle**3
    return np.asarray(np.eye(3) + a * skew + b * skew @ skew, np.float64)
