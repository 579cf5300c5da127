"""Square ArUco markers: finding them in a picture, and estimating the pose in the optical frame.

Two additions make OpenCV's detector reliable enough to pay rewards. A candidate with the right id is compared with the
drawn marker, quiet zone included, at four times the resolution of its bits: clutter and markers of other dictionaries
can match 16 bits by chance, but not the picture. And every pose is checked (`marker_pose`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sac_gmm.core.errors import UserError
from sac_gmm.perception.camera import Camera
from sac_gmm.perception.corners import refine_corners
from sac_gmm.perception.marker_image import marker_dictionary, marker_image
from sac_gmm.perception.marker_pose import MarkerPose, PoseSolver

MIN_SIMILARITY = 0.8  # readable markers reach 0.9, except the steepest and the most blurred

# Pixels per module (one bit of the marker) in the picture that candidates are compared with.
_MODULE_PX = 4
# A marker with smaller modules cannot be read; not trying saves time in clutter.
_MIN_MODULE_PX = 2.0
_SEARCHED = 0.05  # smallest perimeter of another kind of marker that is looked for, over the picture's longer side
_MOST_OTHERS = 4  # candidates that are looked at to say what is in the marker's place
_FIRST_SEARCH = 5  # pictures without any marker, after which other kinds are looked for, and again at twice as many
# Where markers that people print come from; the smaller dictionaries of a kind are the beginning of the largest.
FAMILIES = (
    "DICT_4X4_1000",
    "DICT_5X5_1000",
    "DICT_6X6_1000",
    "DICT_7X7_1000",
    "DICT_ARUCO_ORIGINAL",
    "DICT_APRILTAG_36h11",
)
# Above this noise (in grey values) a picture is smoothed before the search for markers, by this much (in pixels).
# Less noise costs little time, and smoothing loses the smallest markers.
_SMOOTHING = ((45.0, 1.5), (25.0, 1.0), (7.0, 0.8))
# A pixel counts as black if it is this much darker than its surroundings, in grey values. In a picture with contrast
# (standard deviation of its grey values) the edges of a marker are steep, and the larger step leaves less than half of
# the specks caused by slight noise. In a dim picture it would leave nothing of the marker.
_CONTRAST, _STEP, _DIM_STEP = 40.0, 12.0, 7.0


@dataclass(frozen=True)
class Sighting:
    """A marker found in a picture, before its pose is known.

    Attributes:
        marker_id: Its id.
        corners_px: (4, 2) top left, top right, bottom right, bottom left as printed.
        similarity: Correlation with the drawn marker, -1 to 1.
    """

    marker_id: int
    corners_px: npt.NDArray[np.float64]
    similarity: float

    @property
    def centre_px(self) -> npt.NDArray[np.float64]:
        """(2,) mean of its corners."""
        return np.asarray(self.corners_px.mean(axis=0), np.float64)

    @property
    def side_px(self) -> float:
        """Length of its first edge."""
        return float(np.linalg.norm(self.corners_px[1] - self.corners_px[0]))


@dataclass(frozen=True)
class Marker(Sighting):
    """A marker as seen in one picture, or a board of markers (represented by the best one seen).

    Attributes:
        pose: None if no pose explains the corners.
        sightings: All markers used for the pose.
    """

    pose: MarkerPose | None
    sightings: tuple[Sighting, ...]

    @classmethod
    def of(cls, sightings: Sequence[Sighting], pose: MarkerPose | None) -> Marker:
        """Combine sightings with the pose found from them."""
        best = max(sightings, key=lambda sighting: sighting.similarity)
        return cls(best.marker_id, best.corners_px, best.similarity, pose, tuple(sightings))


class MarkerFinder:
    """Looks for markers of one dictionary in pictures of one size.

    Args:
        dictionary: Name of a predefined dictionary.
        marker_ids: The markers to look for; others are ignored.
        camera: The calibrated camera.
        min_similarity: A candidate less alike the drawn marker than this is not the marker.

    Attributes:
        near_miss: What was in the last picture in place of the markers; empty where that is nothing or they are found.
        repeated: Which markers were in the last picture more than once, and what was made of it; empty if none.

    Raises:
        UserError: Unknown dictionary or id, or a similarity out of range.
    """

    def __init__(
        self, dictionary: str, marker_ids: Iterable[int], camera: Camera, *, min_similarity: float = MIN_SIMILARITY
    ) -> None:
        if not -1.0 <= min_similarity <= 1.0:
            raise UserError(f"min_similarity is {min_similarity}, expected -1 to 1")
        self._camera = camera
        self._min_similarity = min_similarity
        self._dictionary = dictionary
        self._drawn = {marker_id: self._draw(marker_id) for marker_id in marker_ids}
        table = marker_dictionary(dictionary, min(self._drawn))
        modules = table.markerSize + 4  # black border and one quiet module on either side
        self._modules = modules - 2
        self.near_miss = self.repeated = ""
        self._missed: int | None = 0  # pictures so far, while no marker was ever found
        self._instead = ""  # what other kind of marker was found in one of these
        smallest_px = _MIN_MODULE_PX * (table.markerSize + 2)
        smallest = 4.0 * smallest_px / max(camera.width, camera.height)
        self._detector = _opencv_detector(table, smallest, _STEP)
        self._dim_detector = _opencv_detector(table, smallest, _DIM_STEP)
        edge = _MODULE_PX - 0.5  # corner of the black square; pixel centres are at whole numbers
        far = (modules - 1) * _MODULE_PX - 0.5
        self._drawn_corners = np.array([[edge, edge], [far, edge], [far, far], [edge, far]], np.float32)

    def find(self, image: npt.NDArray[np.uint8], near_px: npt.NDArray[np.float64] | None = None) -> list[Sighting]:
        """Find the markers.

        Args:
            image: (H, W, 3) RGB or (H, W) grey, uint8, of the calibrated size.
            near_px: (2,) where a marker was in the previous picture.

        Returns:
            The markers found, in order of their ids; at most one per id: of several the one nearest to `near_px`, or
            without it the one most similar to the drawn marker.

        Raises:
            UserError: The picture has another size than the calibration.
        """
        height, width = image.shape[:2]
        if (width, height) != (self._camera.width, self._camera.height):
            raise UserError(
                f"the image is {width}x{height} but the calibration is for {self._camera.width}x{self._camera.height}: "
                "publish the camera_info of this image size"
            )
        grey = np.ascontiguousarray(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        smooth = _without_specks(grey)
        contrast = float(cv2.meanStdDev(grey[::8])[1][0, 0])
        detector = self._detector if contrast >= _CONTRAST else self._dim_detector
        corners, ids, _ = detector.detectMarkers(smooth)
        self.near_miss = self.repeated = ""
        seen: dict[int, list[Sighting]] = {}
        narrow: list[int] = []  # the markers themselves, with too narrow a margin
        others: list[tuple[int, npt.NDArray[np.float32]]] = []
        for quad, number in zip(corners, () if ids is None else map(int, ids.ravel()), strict=True):
            if number not in self._drawn:
                others.append((number, np.asarray(quad, np.float32)))
                continue
            drawn = self._drawn[number]
            points = refine_corners(grey, quad, self._modules)
            patch = self._flattened(smooth, points.astype(np.float32))
            similarity = _alike(patch, drawn)
            if similarity >= self._min_similarity:
                seen.setdefault(number, []).append(Sighting(number, points, similarity))
            elif _alike(_without_margin(patch), _without_margin(drawn)) >= self._min_similarity:
                narrow.append(number)
        if seen:
            self._missed = None
            self.repeated = "; ".join(_is_repeated(number, seen[number]) for number in sorted(seen)).strip("; ")
        else:
            self.near_miss = _too_narrow(narrow[0]) if narrow else self._in_its_place(smooth, others)
            self.near_miss = self.near_miss or self._of_another_kind(smooth)
        return [_chosen(seen[number], near_px) for number in sorted(seen)]

    def _flattened(self, grey: npt.NDArray[np.uint8], corners: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """A candidate with its quiet zone, seen from the front."""
        side = (self._modules + 2) * _MODULE_PX
        flatten = cv2.getPerspectiveTransform(corners, self._drawn_corners)
        patch = cv2.warpPerspective(
            grey, flatten, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return patch.astype(np.float32)

    def _in_its_place(self, grey: npt.NDArray[np.uint8], others: list[tuple[int, npt.NDArray[np.float32]]]) -> str:
        """Which other markers are in the picture; what only has the bits of one by chance is none."""
        found = set()
        for number, quad in others[:_MOST_OTHERS]:
            patch = self._flattened(grey, quad.reshape(4, 2))
            if _alike(patch, self._draw(number)) >= self._min_similarity:
                found.add(number)
        if not found:
            return ""
        wanted = ", ".join(map(str, sorted(self._drawn)[:5])) + (", ..." if len(self._drawn) > 5 else "")
        return f"marker {', '.join(map(str, sorted(found)))} of {self._dictionary} is in the image, not {wanted}"

    def _of_another_kind(self, grey: npt.NDArray[np.uint8]) -> str:
        """What other kind of marker was there while none of these was ever found; looks for it now and then."""
        if self._missed is None:
            return ""
        self._missed += 1
        if self._missed % _FIRST_SEARCH == 0 and (self._missed // _FIRST_SEARCH).bit_count() == 1:
            self._instead = what_else(grey, self._dictionary, list(self._drawn), self._camera)
        return self._instead

    def _draw(self, marker_id: int) -> npt.NDArray[np.float32]:
        """A marker with one quiet module, as candidates are compared with it."""
        modules = marker_dictionary(self._dictionary, marker_id).markerSize + 4
        return marker_image(self._dictionary, marker_id, modules * _MODULE_PX).astype(np.float32)


def _too_narrow(marker_id: int) -> str:
    return (
        f"marker {marker_id} is in the image, but its white margin is narrower than three quarters of a module (a "
        "bit's width) or covered: print it with a margin of one module"
    )


def what_else(grey: npt.NDArray[np.uint8], dictionary: str, marker_ids: Sequence[int], camera: Camera) -> str:
    """Look for what may be in the place of markers: their mirror image, a negative, or one of another dictionary.

    Args:
        grey: (H, W) picture of the calibrated size in which the markers are not.
        dictionary: Name of their dictionary.
        marker_ids: The markers.
        camera: The calibrated camera.

    Returns:
        What is there and what to do; empty if it is nothing known.
    """
    mirrored, negative = np.ascontiguousarray(grey[:, ::-1]), 255 - grey
    if found := _verified(mirrored, dictionary, marker_ids, camera):
        return (
            f"marker {found[0]} of {dictionary} is in the image as in a mirror: switch off the camera's mirroring, "
            "turn a film back (`ffmpeg -i FILM -vf hflip NEW.mp4`), or print it from the other side"
        )
    if found := _verified(negative, dictionary, marker_ids, camera):
        return f"marker {found[0]} of {dictionary} is in the image in white on black: print it in black on white"
    for family in FAMILIES:
        _, ids, _ = _opencv_detector(marker_dictionary(family, 0), _SEARCHED, _STEP).detectMarkers(grey)
        if ids is not None and (
            found := _verified(grey, family, [int(number) for number in ids.ravel()[:_MOST_OTHERS]], camera)
        ):
            wanted = ", ".join(map(str, marker_ids[:5]))
            return f"marker {found[0]} of {family} is in the image, not {wanted} of {dictionary}: name its dictionary"
    return ""


def _verified(picture: npt.NDArray[np.uint8], dictionary: str, marker_ids: Sequence[int], camera: Camera) -> list[int]:
    """Which of some markers are in a picture, so that it looks like them."""
    return [sighting.marker_id for sighting in MarkerFinder(dictionary, marker_ids, camera).find(picture)]


def _chosen(sightings: Sequence[Sighting], near_px: npt.NDArray[np.float64] | None) -> Sighting:
    if near_px is None:
        return max(sightings, key=lambda sighting: sighting.similarity)
    return min(sightings, key=lambda sighting: float(np.linalg.norm(sighting.centre_px - near_px)))


def _is_repeated(marker_id: int, sightings: Sequence[Sighting]) -> str:
    """What to say of a marker that is at several places; the same one is sometimes found twice at one place."""
    first = sightings[0]
    places = 1 + sum(bool(np.linalg.norm(s.centre_px - first.centre_px) > 0.5 * first.side_px) for s in sightings[1:])
    if places == 1:
        return ""
    return f"marker {marker_id} is in the image {places} times: leave one of them in view"


def _alike(patch: npt.NDArray[np.float32], drawn: npt.NDArray[np.float32]) -> float:
    """Correlation of a flattened candidate with the drawn marker; blur and light leave it nearly alone."""
    return float(cv2.matchTemplate(patch, drawn, cv2.TM_CCOEFF_NORMED)[0, 0])


def _without_margin(picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(picture[_MODULE_PX:-_MODULE_PX, _MODULE_PX:-_MODULE_PX])


class ArucoDetector:
    """Looks for one marker of one dictionary in pictures of one camera.

    Args:
        dictionary: Name of a predefined dictionary.
        marker_id: The marker to look for; others are ignored.
        size_m: Side of its black square in metres.
        camera: The calibrated camera.
        min_similarity: A candidate less alike the drawn marker than this is not the marker.

    Raises:
        UserError: Unknown dictionary or id, or a size or similarity out of range.
    """

    def __init__(
        self, dictionary: str, marker_id: int, size_m: float, camera: Camera, *, min_similarity: float = MIN_SIMILARITY
    ) -> None:
        self.corners_m = square_corners(size_m)
        self._finder = MarkerFinder(dictionary, [marker_id], camera, min_similarity=min_similarity)
        self._solver = PoseSolver(camera)
        self._camera = camera

    @property
    def near_miss(self) -> str:
        """See `MarkerFinder.near_miss`."""
        return self._finder.near_miss

    @property
    def repeated(self) -> str:
        """See `MarkerFinder.repeated`."""
        return self._finder.repeated

    def detect(self, image: npt.NDArray[np.uint8], previous: MarkerPose | None = None) -> Marker | None:
        """Find the marker.

        Args:
            image: (H, W, 3) RGB or (H, W) grey, uint8, of the calibrated size.
            previous: Pose in the previous picture; decides between two poses that fit equally well, and between
                several markers of the same id.

        Returns:
            The marker, or None if it is not in the picture. Of several, the one nearest to the previous pose, or
            without it the one most similar to the drawn marker.

        Raises:
            UserError: The picture has another size than the calibration.
        """
        near_px = None
        if previous is not None:
            x, y, z = (self._camera.matrix @ previous.position_m).tolist()
            near_px = np.array([x / z, y / z])
        found = self._finder.find(image, near_px)
        if not found:
            return None
        return Marker.of(found, self._solver.solve(self.corners_m, found[0].corners_px, previous))


def square_corners(size_m: float) -> npt.NDArray[np.float64]:
    """Corners (4, 3) of a marker's black square in its own frame, in detection order.

    Raises:
        UserError: The size is out of range.
    """
    if not 0.0 < size_m < 10.0:
        raise UserError(
            f"marker size {size_m} m: expected the side of its black square in metres, 0 to 10 m (60 mm are 0.06)"
        )
    half = size_m / 2.0
    return np.array([[-half, half, 0], [half, half, 0], [half, -half, 0], [-half, -half, 0]], np.float64)


def noise_std(grey: npt.NDArray[np.uint8]) -> float:
    """Standard deviation of the noise of a grey picture, in grey values; robust, from second differences along rows."""
    rows = grey[::8].astype(np.int16)
    differences = np.abs(rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]).ravel()
    # The median by counting: for so few distinct values it is twice as fast as sorting.
    up_to = np.cumsum(np.bincount(differences))
    middle = np.searchsorted(up_to, [(len(differences) - 1) // 2, len(differences) // 2], side="right")
    return float(middle.mean()) / 0.6745 / np.sqrt(6.0)


def _without_specks(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Smooth as much as the noise requires.

    Every speck left by thresholding becomes a contour to follow. Ten thousand of them took 10 ms without finding the
    marker any more often.
    """
    noise = noise_std(grey)
    for least, sigma_px in _SMOOTHING:
        if noise >= least:
            return np.asarray(cv2.GaussianBlur(grey, (0, 0), sigma_px), np.uint8)
    return grey


def _opencv_detector(table: cv2.aruco.Dictionary, smallest: float, step: float) -> cv2.aruco.ArucoDetector:
    """OpenCV's detector for markers whose perimeter is at least `smallest` times the picture's longer side."""
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_NONE  # `refine_corners` does that
    parameters.adaptiveThreshWinSizeStep = 20  # windows of 3 and 23 px find as much as all three, a third faster
    parameters.minMarkerPerimeterRate = smallest
    parameters.adaptiveThreshConstant = step
    return cv2.aruco.ArucoDetector(table, parameters)
