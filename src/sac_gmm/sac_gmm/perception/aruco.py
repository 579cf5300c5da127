"""Square ArUco markers: drawing them, finding one in a picture, and its pose in the camera's optical frame.

Two things beyond OpenCV's detector make it fit to pay rewards:

* A candidate with the right id is compared with the drawn marker, quiet zone included, at four times the resolution
  of its bits. Clutter and markers of other dictionaries can match 16 bits by chance, but not the picture.
* IPPE_SQUARE gives two poses, and NaN or a wrong one when the marker faces the camera exactly
  (it happens in simulation). Every pose is checked by its reprojection error, and SQPNP stands in where it is better.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sac_gmm.errors import SacGmmError
from sac_gmm.perception.camera import Camera

# Pixels per module (one bit of the marker) of the picture that a candidate is compared with.
_MODULE_PX = 4
# A marker with smaller modules cannot be read; not trying saves time in clutter.
_MIN_MODULE_PX = 2.0
# The corners may miss their reprojection by this share of the marker's side, but one pixel is always allowed.
_MAX_REPROJECTION_SHARE = 0.03
# No corner is located better than this, so two poses whose errors differ by less are equally good.
_CORNER_NOISE_PX = 0.05


def dictionary_names() -> list[str]:
    """The names of the predefined dictionaries, such as DICT_4X4_50."""
    return sorted(name for name in vars(cv2.aruco) if name.startswith("DICT_"))


def marker_image(dictionary: str, marker_id: int, pixels: int, quiet_modules: int = 1) -> npt.NDArray[np.uint8]:
    """Draw a marker with the white quiet zone that detection needs.

    Args:
        dictionary: Name of a predefined dictionary.
        marker_id: Which marker of it.
        pixels: Side of the picture, quiet zone included: a multiple of the number of modules along it, so that every
            module has the same size. A 4x4 marker with one quiet module has 4 + 2 (black border) + 2 = 8.
        quiet_modules: Width of the quiet zone in modules.

    Returns:
        (pixels, pixels) uint8, 0 black and 255 white. The black square, whose side is the marker's size, takes
        `(bits + 2) / (bits + 2 + 2 * quiet_modules)` of the side: 0.75 for 4x4 and one quiet module.

    Raises:
        SacGmmError: Unknown dictionary or id, or a side that does not divide.
    """
    table = _dictionary(dictionary, marker_id)
    if quiet_modules < 1:
        raise SacGmmError(f"a quiet zone of {quiet_modules} modules hides the marker's edge: use 1 or more")
    modules = table.markerSize + 2
    total = modules + 2 * quiet_modules
    if pixels < total or pixels % total:
        raise SacGmmError(f"marker picture of {pixels} px: the side must be a multiple of {total}, e.g. {32 * total}")
    module_px = pixels // total
    margin = quiet_modules * module_px
    picture = np.full((pixels, pixels), 255, np.uint8)
    picture[margin:-margin, margin:-margin] = table.generateImageMarker(marker_id, modules * module_px)
    return picture


@dataclass(frozen=True)
class MarkerPose:
    """Pose of a marker in the optical frame (x right, y down, z forward).

    The marker's own axes: x to the right along its top edge, y up, z out of the marker, origin in its centre.

    Attributes:
        position_m: (3,) centre of the marker.
        rotation: (3, 3) marker to camera.
        reprojection_px: Root mean square distance of the projected from the seen corners.
        ambiguity: Reprojection error of this pose over that of the other one, near 1 when both explain the picture
            equally well and the tilt must not be trusted; 0 when there is no second pose.
    """

    position_m: npt.NDArray[np.float64]
    rotation: npt.NDArray[np.float64]
    reprojection_px: float
    ambiguity: float

    @property
    def tilt_rad(self) -> float:
        """Angle between the marker's normal and the line of sight: 0 faces the camera, pi/2 is seen edge-on."""
        cosine = -float(self.rotation[:, 2] @ self.position_m) / float(np.linalg.norm(self.position_m))
        return float(np.arccos(np.clip(cosine, -1.0, 1.0)))


@dataclass(frozen=True)
class Marker:
    """The marker as seen in one picture.

    Attributes:
        corners_px: (4, 2) top left, top right, bottom right, bottom left as printed.
        similarity: Correlation with the drawn marker, -1 to 1.
        pose: None when no pose explains the corners.
    """

    corners_px: npt.NDArray[np.float64]
    similarity: float
    pose: MarkerPose | None


class ArucoDetector:
    """Looks for one marker of one dictionary in pictures of one camera.

    Args:
        dictionary: Name of a predefined dictionary.
        marker_id: The marker to look for; others are ignored.
        size_m: Side of its black square in metres.
        camera: The calibrated camera.
        min_similarity: A candidate less alike the drawn marker than this is not the marker.

    Raises:
        SacGmmError: Unknown dictionary or id, or a size or similarity out of range.
    """

    def __init__(
        self, dictionary: str, marker_id: int, size_m: float, camera: Camera, *, min_similarity: float = 0.65
    ) -> None:
        table = _dictionary(dictionary, marker_id)
        if not 0.0 < size_m < 10.0:
            raise SacGmmError(f"marker size {size_m} m: expected the side of its black square, 0 to 10 m")
        if not -1.0 <= min_similarity <= 1.0:
            raise SacGmmError(f"min_similarity is {min_similarity}, expected -1 to 1")
        self._camera = camera
        self._marker_id = marker_id
        self._min_similarity = min_similarity
        parameters = cv2.aruco.DetectorParameters()
        parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
        parameters.adaptiveThreshWinSizeStep = 20  # windows of 3 and 23 px find as much as all three do, a third faster
        smallest_px = _MIN_MODULE_PX * (table.markerSize + 2)
        parameters.minMarkerPerimeterRate = 4.0 * smallest_px / max(camera.width, camera.height)
        self._detector = cv2.aruco.ArucoDetector(table, parameters)

        modules = table.markerSize + 4  # black border and one quiet module on either side
        self._drawn = marker_image(dictionary, marker_id, modules * _MODULE_PX).astype(np.float32)
        edge = _MODULE_PX - 0.5  # corner of the black square; pixel centres lie on whole numbers
        far = (modules - 1) * _MODULE_PX - 0.5
        self._drawn_corners = np.array([[edge, edge], [far, edge], [far, far], [edge, far]], np.float32)
        half = size_m / 2.0
        self._corners_m = np.array([[-half, half, 0], [half, half, 0], [half, -half, 0], [-half, -half, 0]], np.float64)

    def detect(self, image: npt.NDArray[np.uint8], previous: MarkerPose | None = None) -> Marker | None:
        """Find the marker.

        Args:
            image: (H, W, 3) RGB or (H, W) grey, uint8, of the calibrated size.
            previous: Pose in the picture before; decides between the two poses when they are equally good.

        Returns:
            The marker, or None where it is not in the picture. Of several, the one most alike the drawn marker.

        Raises:
            SacGmmError: The picture has another size than the calibration.
        """
        height, width = image.shape[:2]
        if (width, height) != (self._camera.width, self._camera.height):
            raise SacGmmError(
                f"the image is {width}x{height} but the calibration is for {self._camera.width}x{self._camera.height}: "
                "publish the camera_info of this image size"
            )
        grey = np.ascontiguousarray(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        corners, ids, _ = self._detector.detectMarkers(grey)
        if ids is None:
            return None
        candidates = [
            c.reshape(4, 2) for c, found in zip(corners, ids.ravel(), strict=True) if found == self._marker_id
        ]
        if not candidates:
            return None
        scores = [self._similarity(grey, c) for c in candidates]
        best = int(np.argmax(scores))
        if scores[best] < self._min_similarity:
            return None
        points = candidates[best].astype(np.float64)
        return Marker(points, scores[best], self._pose(points, previous))

    def _similarity(self, grey: npt.NDArray[np.uint8], corners: npt.NDArray[Any]) -> float:
        """Correlation of the flattened candidate with the drawn marker; blur and light leave it nearly alone."""
        side = self._drawn.shape[0]
        flatten = cv2.getPerspectiveTransform(corners, self._drawn_corners)
        patch = cv2.warpPerspective(
            grey, flatten, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return float(cv2.matchTemplate(patch.astype(np.float32), self._drawn, cv2.TM_CCOEFF_NORMED)[0, 0])

    def _pose(self, corners_px: npt.NDArray[np.float64], previous: MarkerPose | None) -> MarkerPose | None:
        """The best pose that explains the corners, or None."""
        side_px = float(np.linalg.norm(np.roll(corners_px, -1, axis=0) - corners_px, axis=1).max())
        limit_px = max(1.0, _MAX_REPROJECTION_SHARE * side_px)
        both = self._solve(corners_px, cv2.SOLVEPNP_IPPE_SQUARE)
        check = self._solve(corners_px, cv2.SOLVEPNP_SQPNP)
        if check and (not both or check[0].reprojection_px < 0.5 * both[0].reprojection_px):
            both = check + both  # IPPE_SQUARE went wrong, as it does when the marker faces the camera exactly
        poses = [pose for pose in both if pose.reprojection_px <= limit_px]
        return _choose(poses, previous) if poses else None

    def _solve(self, corners_px: npt.NDArray[np.float64], method: int) -> list[MarkerPose]:
        """All finite poses in front of the camera, the best first."""
        camera = self._camera
        try:
            _, rotations, translations, _ = cv2.solvePnPGeneric(
                self._corners_m, corners_px, camera.matrix, camera.distortion, flags=method
            )
        except cv2.error:  # degenerate corners: a square seen edge-on
            return []
        poses = []
        for vector, translation in zip(rotations, translations, strict=True):
            position = np.asarray(translation, np.float64).ravel()
            if not (np.isfinite(vector).all() and np.isfinite(position).all() and position[2] > 0.0):
                continue
            seen, _ = cv2.projectPoints(self._corners_m, vector, translation, camera.matrix, camera.distortion)
            error = float(np.sqrt(np.mean(np.sum((seen.reshape(4, 2) - corners_px) ** 2, axis=1))))
            if np.isfinite(error):
                rotation = np.asarray(cv2.Rodrigues(vector)[0], np.float64)
                poses.append(MarkerPose(position, rotation, error, ambiguity=0.0))
        return sorted(poses, key=lambda pose: pose.reprojection_px)


def _choose(poses: list[MarkerPose], previous: MarkerPose | None) -> MarkerPose:
    """The pose with the smaller error, unless both are about equal and the other one is nearer to the last pose."""
    if len(poses) == 1:
        return poses[0]
    ambiguity = (poses[0].reprojection_px + _CORNER_NOISE_PX) / (poses[1].reprojection_px + _CORNER_NOISE_PX)
    chosen = poses[0]
    if previous is not None and ambiguity > 0.6:
        chosen = max(poses, key=lambda pose: float(np.trace(previous.rotation.T @ pose.rotation)))
    return replace(chosen, ambiguity=ambiguity)


def _dictionary(name: str, marker_id: int) -> cv2.aruco.Dictionary:
    """Look a dictionary up and check that it holds the marker."""
    if name not in dictionary_names():
        raise SacGmmError(f"there is no marker dictionary '{name}'; choose one of: {', '.join(dictionary_names())}")
    table = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name))
    count = table.bytesList.shape[0]
    if not 0 <= marker_id < count:
        raise SacGmmError(f"marker id {marker_id} is not in {name}: choose 0 to {count - 1}")
    return table
