"""Renders pictures of a marker at a known pose, to measure detection: a planar warp without lens distortion."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from sac_gmm.perception.camera import Camera
from sac_gmm.perception.marker_image import marker_image


def facing_rotation(tilt_rad: float, axis_rad: float = 0.0, roll_rad: float = 0.0) -> npt.NDArray[np.float64]:
    """Rotation (3, 3) of a marker that faces the camera, tilted about an axis in the picture plane.

    Args:
        tilt_rad: 0 faces the camera exactly; at pi/2 it is seen edge-on.
        axis_rad: Direction of the tilt axis in the picture.
        roll_rad: Rotation about the marker's own normal.
    """
    facing = np.diag([1.0, -1.0, -1.0])  # marker x right, y up, z towards the camera
    axis = np.array([np.cos(axis_rad), np.sin(axis_rad), 0.0])
    tilt = np.asarray(cv2.Rodrigues(axis * tilt_rad)[0], np.float64)
    roll = np.asarray(cv2.Rodrigues(np.array([0.0, 0.0, roll_rad]))[0], np.float64)
    return tilt @ facing @ roll


def render_marker(
    background: npt.NDArray[np.uint8],
    camera: Camera,
    dictionary: str,
    marker_id: int,
    size_m: float,
    position_m: npt.ArrayLike,
    rotation: npt.NDArray[np.float64],
) -> npt.NDArray[np.uint8]:
    """Paste a marker with its quiet zone into a grey picture.

    Args:
        background: (H, W) grey picture of the camera's size; left unchanged.
        camera: The camera; its distortion is not applied.
        dictionary: Name of a predefined dictionary.
        marker_id: Marker to draw.
        size_m: Side of the black square.
        position_m: (3,) centre of the marker in the optical frame.
        rotation: (3, 3) marker to camera.

    Returns:
        (H, W) uint8, four times oversampled.
    """
    drawn = _smallest_marker(dictionary, marker_id)
    outer = size_m / 2.0 * drawn.shape[0] / (drawn.shape[0] - 2 * _QUIET_PX)  # half the side, quiet zone included
    corners_m = np.array([[-outer, outer, 0], [outer, outer, 0], [outer, -outer, 0], [-outer, -outer, 0]])
    points = (corners_m @ rotation.T + np.asarray(position_m, np.float64)) @ camera.matrix.T
    corners_px = points[:, :2] / points[:, 2:]
    # Only the part that the marker covers is drawn, for speed.
    size = np.array([camera.width, camera.height])
    low = np.clip(np.floor(corners_px.min(axis=0)).astype(int) - 1, 0, size)
    high = np.clip(np.ceil(corners_px.max(axis=0)).astype(int) + 2, 0, size)
    picture = background.copy()
    if (high <= low).any():
        return picture  # the marker is outside the picture
    over = 4
    side = drawn.shape[0]
    source = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32) - 0.5
    target = ((corners_px - low + 0.5) * over - 0.5).astype(np.float32)
    warp = cv2.getPerspectiveTransform(source, target)
    width, height = (high - low).tolist()
    large = (width * over, height * over)
    marker = cv2.warpPerspective(drawn, warp, large, flags=cv2.INTER_NEAREST)
    mask = cv2.warpPerspective(np.full_like(drawn, 255), warp, large, flags=cv2.INTER_NEAREST)
    share = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    pasted = cv2.resize(marker, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)  # times `share`
    covered = picture[low[1] : high[1], low[0] : high[0]]
    covered[:] = np.clip(np.rint(covered * (1.0 - share) + pasted), 0, 255).astype(np.uint8)
    return picture


def clutter(rng: np.random.Generator, height: int, width: int, shapes: int = 60) -> npt.NDArray[np.uint8]:
    """A grey picture (height, width) full of boxes, quadrilaterals, circles, text and chequered patches."""
    picture = np.full((height, width), int(rng.integers(60, 200)), np.uint8)
    for _ in range(shapes):
        shade = int(rng.integers(0, 256))
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        size = int(rng.integers(6, 120))
        match int(rng.integers(0, 5)):
            case 0:
                cv2.rectangle(picture, (x, y), (x + size, y + int(rng.integers(6, 120))), shade, -1)
            case 1:
                quad = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * size + rng.integers(
                    -size // 4, size // 4 + 1, (4, 2)
                )
                cv2.fillPoly(picture, [(quad + np.array([x, y])).astype(np.int32)], shade)
            case 2:
                cv2.circle(picture, (x, y), size // 2, shade, int(rng.integers(-1, 8)))
            case 3:
                cv2.putText(picture, "SAC GMM 0815", (x, y), cv2.FONT_HERSHEY_SIMPLEX, size / 60, shade, 2)
            case _:
                patch = cv2.resize(
                    (rng.integers(0, 2, (8, 8)) * 255).astype(np.uint8), (size, size), interpolation=cv2.INTER_NEAREST
                )
                room = picture[y : y + size, x : x + size]
                room[:] = patch[: room.shape[0], : room.shape[1]]
    return picture


def degrade(
    image: npt.NDArray[np.uint8],
    rng: np.random.Generator,
    *,
    blur_px: float = 0.0,
    motion_px: float = 0.0,
    noise: float = 0.0,
    gain: float = 1.0,
) -> npt.NDArray[np.uint8]:
    """Darken, blur and add noise, as a camera would.

    Args:
        image: (H, W) grey picture; left unchanged.
        rng: Source of the noise and of the motion's direction.
        blur_px: Standard deviation of a Gaussian blur, in pixels.
        motion_px: Length of a motion blur in a random direction, in pixels.
        noise: Standard deviation of Gaussian noise, in grey values.
        gain: Brightness factor; 1 leaves the picture unchanged.

    Returns:
        (H, W) uint8.
    """
    picture = image.astype(np.float32) * gain
    if blur_px > 0.0:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), blur_px), np.float32)
    if motion_px > 1.0:
        side = round(motion_px)
        line = np.zeros((side, side), np.float32)
        middle = (side - 1) / 2.0
        angle = rng.uniform(0.0, np.pi)
        reach = np.array([np.cos(angle), np.sin(angle)]) * middle
        ends = [tuple(np.rint(middle + sign * reach).astype(int).tolist()) for sign in (-1, 1)]
        cv2.line(line, ends[0], ends[1], 1.0)
        picture = np.asarray(cv2.filter2D(picture, -1, line / line.sum()), np.float32)
    if noise > 0.0:
        picture = picture + noise * rng.standard_normal(picture.shape, np.float32)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


_QUIET_PX = 8


def _smallest_marker(dictionary: str, marker_id: int) -> npt.NDArray[np.uint8]:
    """The marker with one quiet module, at 8 pixels per module."""
    side = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, dictionary)).markerSize + 4
    return marker_image(dictionary, marker_id, side * _QUIET_PX)
