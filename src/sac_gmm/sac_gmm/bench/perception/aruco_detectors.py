"""The detectors of the marker benchmark: ours and OpenCV's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sac_gmm.bench.perception.aruco_pictures import DICTIONARY, MARKER_ID, SIZE_M, camera

Finder = Callable[[Any], "tuple[Any, Any, bool] | None"]  # picture -> position, rotation, ambiguous


def our_detector() -> Any:
    """Our detector, for the marker of the benchmark."""
    from sac_gmm.perception import ArucoDetector

    return ArucoDetector(DICTIONARY, MARKER_ID, SIZE_M, camera())


def our_finder() -> Finder:
    """Our detector as a function from a picture to a pose."""
    detector = our_detector()

    def find(picture: Any) -> tuple[Any, Any, bool] | None:
        marker = detector.detect(picture)
        if marker is None or marker.pose is None:
            return None
        return marker.pose.position_m, marker.pose.rotation, marker.pose.ambiguous

    return find


def _opencv_detector() -> Any:
    import cv2

    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    table_ = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, DICTIONARY))
    return cv2.aruco.ArucoDetector(table_, parameters)


def opencv_ids() -> Callable[[Any], list[int]]:
    """OpenCV's detector as a function from a picture to the detected ids."""
    detector = _opencv_detector()

    def ids_in(picture: Any) -> list[int]:
        _, ids, _ = detector.detectMarkers(picture)
        return [] if ids is None else ids.ravel().tolist()

    return ids_in


def opencv_finder() -> Finder:
    """OpenCV's detector as a function from a picture to a pose."""
    import cv2

    from sac_gmm.perception.aruco import square_corners

    detector, seen_by, corners_m = _opencv_detector(), camera(), square_corners(SIZE_M)

    def find(picture: Any) -> tuple[Any, Any, bool] | None:
        grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        corners, ids, _ = detector.detectMarkers(grey)
        if ids is None or MARKER_ID not in ids:
            return None
        seen = corners[ids.ravel().tolist().index(MARKER_ID)].reshape(4, 2)
        _, turns, positions, _ = cv2.solvePnPGeneric(
            corners_m, seen, seen_by.matrix, seen_by.distortion, flags=cv2.SOLVEPNP_IPPE_SQUARE
        )
        return positions[0].ravel(), cv2.Rodrigues(turns[0])[0], False

    return find
