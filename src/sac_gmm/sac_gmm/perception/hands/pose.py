"""From the landmarks of a hand to its pose in the camera's optical frame (x right, y down, z forward).

One picture gives the line of sight of every landmark and the shape of the hand, but not its size: a small hand nearby
looks like a large one further away. The size comes from a depth image, otherwise from the person's measured palm, and
measured palm, or, where there is neither, from the model's typical hand. A person's hand has one size: what the
pictures so far say about it together is taken, because a single one is far off when the hand stands edge on.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from sac_gmm.core.errors import UserError
from sac_gmm.perception.camera import Camera
from sac_gmm.perception.hands.observation import (
    INDEX_KNUCKLE,
    INDEX_TIP,
    LITTLE_KNUCKLE,
    MIDDLE_KNUCKLE,
    PALM,
    THUMB_TIP,
    WRIST,
    HandObservation,
    Side,
)
from sac_gmm.perception.hands.palm import GOOD_FIT, PalmScale, PalmSize, palm_width_m, plausible_width_m
from sac_gmm.perception.image_encodings import metres_array

Array = npt.NDArray[np.float64]
SizeFrom = Literal["depth", "palm width", "model", "marker", "recording"]
HandPoint = Literal["pinch", "palm", "wrist"]

_NEAREST_M, _FURTHEST_M = 0.05, 5.0
_MIN_DEPTH_POINTS = 3  # of the five palm points
_MAX_DEPTH_SPREAD = 0.15  # of the distance; a larger spread means that something else is in front of the hand
_GOOD_REPROJECTION = 0.1  # relative to the hand's size in the picture; confidence halves there
_REMEMBERED_WIDTHS = 60


@dataclass(frozen=True)
class HandPose:
    """A hand, or the marker on it, in the optical frame.

    Attributes:
        position_m: (3,) centre of the palm, or of the marker.
        rotation: (3, 3) hand to camera: x from the wrist to the fingers, z out of the back of the hand; for a marker,
            the marker's own axes.
        confidence: 0 to 1.
        size_from: What determined the distance.
        opening_m: Distance between the tips of thumb and index finger; NaN for a marker.
        landmarks_m: (21, 3); None for a marker.
        side: Which hand the picture was taken to show; None for a marker. The other side would turn `rotation` half a
            turn about its x axis.
        fit: 0 to 1, how well the shape that the model drew explains the picture.
    """

    position_m: Array
    rotation: Array
    confidence: float
    size_from: SizeFrom
    opening_m: float = float("nan")
    landmarks_m: Array | None = None
    side: Side | None = None
    fit: float = 1.0

    @property
    def palm_width_m(self) -> float:
        """Distance between the knuckles of index and little finger; NaN for a marker."""
        return float("nan") if self.landmarks_m is None else palm_width_m(self.landmarks_m)

    def enlarged(self, factor: float) -> HandPose:
        """A hand so many times as large and as far away, which looks the same to the camera."""
        return replace(
            self,
            position_m=factor * self.position_m,
            opening_m=factor * self.opening_m,
            landmarks_m=None if self.landmarks_m is None else factor * self.landmarks_m,
        )

    def at(self, point: HandPoint) -> Array:
        """(3,) a point of the hand: midway between the tips of thumb and index finger, the palm, or the wrist."""
        if self.landmarks_m is None or point == "palm":
            return self.position_m
        if point == "wrist":
            return np.asarray(self.landmarks_m[WRIST], np.float64)
        return np.asarray(0.5 * (self.landmarks_m[THUMB_TIP] + self.landmarks_m[INDEX_TIP]), np.float64)


class HandPoseEstimator:
    """Estimates the poses of the hands seen by one camera.

    Args:
        camera: The calibrated camera.
        palm_width_m: Width of the person's palm, from the middle of the index finger's knuckle to that of the little
            finger's. None: the model's typical hand.

    Raises:
        UserError: The palm width is impossible for a person.
    """

    def __init__(self, camera: Camera, palm_width_m: float | None = None) -> None:
        if palm_width_m is not None and not 0.03 <= palm_width_m <= 0.12:
            raise UserError(f"the palm width is {palm_width_m} m, expected 0.03 to 0.12 m between the knuckles")
        self._camera = camera
        self._palm_width_m = palm_width_m
        self._palm = PalmSize()
        self._contradicting = self._collapsed = 0  # pictures
        self._measured_widths_m: deque[float] = deque(maxlen=_REMEMBERED_WIDTHS)  # of the palm, by depth

    def estimate(self, hand: HandObservation, depth_m: npt.NDArray[np.float32] | None = None) -> HandPose | None:
        """Estimate the pose of a hand.

        Args:
            hand: A hand found in the picture.
            depth_m: (H, W) distance along the optical axis, for the same pixels, NaN if unknown.

        Returns:
            The pose; None if no pose explains the landmarks.

        Raises:
            UserError: The depth image has another size than the calibration.
        """
        camera = self._camera
        if depth_m is not None and depth_m.shape != (camera.height, camera.width):
            raise UserError(
                f"the depth image is {depth_m.shape[1]}x{depth_m.shape[0]} but the calibration is for "
                f"{camera.width}x{camera.height}: publish depth registered to the colour image"
            )
        placed = self._place(hand.shape_m, hand.landmarks_px)
        if placed is None:
            return None
        landmarks, error_px = placed
        fit = 1.0 / (1.0 + (error_px / (_GOOD_REPROJECTION * max(hand.size_px, 1.0))) ** 2)
        self._palm.take(hand.shape_m, fit)
        scale, size_from = self._scale(hand.shape_m, fit)
        too_near = 1.0 if size_from == "model" else self._palm.too_near(landmarks, fit)
        self._collapsed += too_near != 1.0
        landmarks = scale * too_near * landmarks
        if landmarks[:, 2].min() <= _NEAREST_M or landmarks[:, 2].max() >= _FURTHEST_M:
            return None
        confidence = hand.score * fit
        factor = None if depth_m is None else _depth_factor(landmarks, hand, depth_m)
        if factor is not None:
            landmarks, size_from = landmarks * factor, "depth"  # growing about the camera moves no pixel
        elif size_from == "palm width":
            agreement = self._palm.agreement(hand.shape_m)
            self._contradicting += agreement < 1.0
            confidence *= agreement
        pose = _pose_of(landmarks, hand.side, confidence, size_from, fit)
        if pose is not None and factor is not None and fit >= GOOD_FIT:  # a collapsed palm has not this hand's size
            self._measured_widths_m.append(scale * factor * plausible_width_m(hand.shape_m))
        return pose

    @property
    def palm_scale(self) -> PalmScale | None:
        """The scale by the person's palm, over all pictures so far; None without one."""
        if self._palm_width_m is None or not self._palm.pictures:
            return None
        return self._palm.scale_to(self._palm_width_m, self._contradicting, self._collapsed)

    def _scale(self, shape_m: Array, fit: float) -> tuple[float, SizeFrom]:
        """The hand's size over the model's, by all pictures so far, and what it rests on."""
        if self._palm_width_m is not None and self._palm.pictures:
            return self._palm_width_m / self._palm.width_m, "palm width"
        if self._palm_width_m is None and self._measured_widths_m:  # depth has shown how large this hand is
            drawn_m = plausible_width_m(shape_m) if fit >= GOOD_FIT else self._palm.width_m
            return float(np.median(self._measured_widths_m)) / drawn_m, "palm width"
        return 1.0, "model"

    def _place(self, shape_m: Array, landmarks_px: Array) -> tuple[Array, float] | None:
        """Landmarks (21, 3) on their lines of sight, and the RMS reprojection error of the rigid shape in pixels."""
        camera = self._camera
        try:
            found, vector, translation = cv2.solvePnP(
                shape_m, landmarks_px, camera.matrix, camera.distortion, flags=cv2.SOLVEPNP_SQPNP
            )
        except cv2.error:  # all points in one line, or not finite
            return None
        if not found or not (np.isfinite(vector).all() and np.isfinite(translation).all()):
            return None
        in_camera = shape_m @ np.asarray(cv2.Rodrigues(vector)[0], np.float64).T + translation.ravel()
        if in_camera[:, 2].min() <= 0.0:
            return None
        seen, _ = cv2.projectPoints(shape_m, vector, translation, camera.matrix, camera.distortion)
        error_px = float(np.sqrt(np.mean(np.sum((seen.reshape(-1, 2) - landmarks_px) ** 2, axis=1))))
        rays = cv2.undistortPoints(landmarks_px.reshape(-1, 1, 2), camera.matrix, camera.distortion).reshape(-1, 2)
        return np.column_stack((rays, np.ones(len(rays)))) * in_camera[:, 2:], error_px


def _depth_factor(landmarks: Array, hand: HandObservation, depth_m: npt.NDArray[np.float32]) -> float | None:
    """Ratio of the palm's measured distance to its estimated one; None if the depth image does not tell."""
    radius = max(1, round(0.03 * hand.size_px))
    factors = []
    for point in PALM:
        u, v = np.rint(hand.landmarks_px[point]).astype(int).tolist()
        window = depth_m[max(v - radius, 0) : max(v + radius + 1, 0), max(u - radius, 0) : max(u + radius + 1, 0)]
        known = window[np.isfinite(window) & (window > _NEAREST_M) & (window < _FURTHEST_M)]
        if known.size and known.size >= 0.3 * window.size:
            factors.append(float(np.median(known)) / landmarks[point, 2])
    if len(factors) < _MIN_DEPTH_POINTS:
        return None
    middle = float(np.median(factors))
    spread = float(np.median(np.abs(np.array(factors) - middle)))
    return middle if spread <= _MAX_DEPTH_SPREAD * middle else None


def _pose_of(landmarks: Array, side: Side, confidence: float, size_from: SizeFrom, fit: float) -> HandPose | None:
    """The pose of the palm from landmarks (21, 3)."""
    wrist, index, little = landmarks[WRIST], landmarks[INDEX_KNUCKLE], landmarks[LITTLE_KNUCKLE]
    forward = landmarks[MIDDLE_KNUCKLE] - wrist
    out = np.cross(little - wrist, index - wrist) * (1.0 if side == "right" else -1.0)
    across = np.cross(out, forward)
    if min(np.linalg.norm(forward), np.linalg.norm(out), np.linalg.norm(across)) < 1e-9:
        return None
    x, y = forward / np.linalg.norm(forward), across / np.linalg.norm(across)
    centre = landmarks[list(PALM)].mean(axis=0)
    opening_m = float(np.linalg.norm(landmarks[THUMB_TIP] - landmarks[INDEX_TIP]))
    rotation = np.column_stack((x, y, np.cross(x, y)))
    return HandPose(centre, rotation, confidence, size_from, opening_m, landmarks, side, fit)


def depth_image(
    data: bytes | bytearray | memoryview | npt.NDArray[np.uint8], height: int, width: int, step: int, encoding: str
) -> npt.NDArray[np.float32]:
    """Decode the bytes of a depth image to metres.

    Args:
        data: Row by row, little endian.
        height: Rows.
        width: Columns.
        step: Bytes per row.
        encoding: `16UC1` or `mono16` (millimetres, 0 for unknown), or `32FC1` (metres).

    Returns:
        (height, width) float32, NaN if unknown.

    Raises:
        UserError: Unknown encoding, or fewer bytes than the size requires.
    """
    metres = metres_array(data, height, width, step, encoding)
    metres[~(metres > 0.0)] = np.nan
    return metres
