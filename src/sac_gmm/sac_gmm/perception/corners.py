"""Corners of a black square to a few hundredths of a pixel: fits straight lines to its edges and intersects them.

Blur rounds a corner, so a corner located on its own is drawn inward; a blurred edge stays in place. The position of an
edge is read from the grey values across it: the further out the edge, the more of the profile is dark. That is linear
in the grey values, so noise causes no bias.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_SAMPLES = 24  # profiles across each edge
_PROFILE = 15  # grey values in a profile
_REACH_MODULES = 0.7  # how far a profile reaches to either side: black border and quiet zone are one module wide
_REACH_PX = (1.0, 5.0)
_MARGIN = 0.12  # share of an edge left out at either end, where the corner is rounded
_MIN_CONTRAST = 10.0  # grey values between inside and outside
_MAX_RESIDUAL_PX = 0.7  # RMS distance of the edge points from their line
_PASSES = 6
_SETTLED_PX = 0.05
# Constants of every pass, computed once: this runs several times per marker and picture.
_SHARE = np.linspace(_MARGIN, 1.0 - _MARGIN, _SAMPLES)  # position along the edge of each profile
_ACROSS = np.linspace(-1.0, 1.0, _PROFILE)  # position in the reach of each grey value
_NEXT, _OPPOSITE, _LAST = np.array([1, 2, 3, 0]), np.array([2, 3, 0, 1]), np.array([3, 0, 1, 2])
_CLOCKWISE = np.array([1.0, -1.0])


def refine_corners(grey: npt.NDArray[np.uint8], corners_px: npt.ArrayLike, modules: int) -> Array:
    """Move the corners of a marker to the intersections of its edges.

    Args:
        grey: (H, W) picture, not smoothed.
        corners_px: (4, 2) clockwise in the picture, within about two pixels of the truth.
        modules: Modules along the marker's side, border included: 6 for a 4x4 marker.

    Returns:
        (4, 2) corners. If an edge cannot be made out, the given corners, each refined on its own.
    """
    given = np.array(corners_px, np.float32).reshape(4, 1, 2)
    given = given.clip(0, np.array([grey.shape[1] - 1, grey.shape[0] - 1], np.float32))
    sides_px = np.linalg.norm(np.roll(given, -1, axis=0) - given, axis=2)
    window = int(np.clip(round(0.3 * float(sides_px.min()) / modules), 1, 5))
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.01)
    start = np.asarray(cv2.cornerSubPix(grey, given.copy(), (window, window), (-1, -1), criteria), np.float64)
    start = start.reshape(4, 2)
    corners, move_px = start, np.inf
    for _ in range(_PASSES):  # each pass centres the profiles on the edges found so far
        refined = _intersections(grey, corners, modules)
        if refined is None:
            return start
        move_px = float(np.abs(refined - corners).max())
        corners = refined
        if move_px < _SETTLED_PX:
            break
    limit_px = 1.5 * float(sides_px.mean()) / modules
    settled = move_px < 10.0 * _SETTLED_PX and float(np.abs(corners - start).max()) < limit_px
    return corners if settled else start


def _intersections(grey: npt.NDArray[np.uint8], corners: Array, modules: int) -> Array | None:
    """Intersections (4, 2) of the lines through the four edges; None if an edge cannot be made out."""
    ends = corners[_NEXT]
    along = ends - corners
    length = np.sqrt((along * along).sum(axis=1, keepdims=True))
    along = along / length
    outward = along[:, ::-1] * _CLOCKWISE  # y points down, and the corners run clockwise
    # Reach of a profile: the width of a module across this edge, allowing for the perspective.
    across = ((corners - corners[_OPPOSITE]) * outward).sum(axis=1)
    across = np.minimum(across, ((ends - ends[_OPPOSITE]) * outward).sum(axis=1))
    reach_px = np.clip(_REACH_MODULES * across / modules, *_REACH_PX)
    offset = reach_px[:, None] * _ACROSS  # (4, T)
    feet = corners[:, None, :] + _SHARE[None, :, None] * (ends - corners)[:, None, :]  # (4, S, 2)
    # (4, S, T) positions at which grey values are read: columns and rows.
    columns, rows = (
        (feet[:, :, None, axis] + (offset * outward[:, None, axis])[:, None, :]).astype(np.float32) for axis in (0, 1)
    )
    flat = (4 * _SAMPLES, _PROFILE)
    profiles = cv2.remap(
        grey, columns.reshape(flat), rows.reshape(flat), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    profile = profiles.reshape(4, _SAMPLES, _PROFILE).astype(np.float64)
    inside = profile[:, :, :2].mean(axis=(1, 2))
    outside = profile[:, :, -2:].mean(axis=(1, 2))
    contrast = outside - inside
    if contrast.min() < _MIN_CONTRAST:
        return None
    white = (profile - inside[:, None, None]) / contrast[:, None, None]
    white[:, :, [0, -1]] *= 0.5  # trapezoidal rule
    step_px = 2.0 * reach_px / (_PROFILE - 1)
    edge = reach_px[:, None] - white.sum(axis=2) * step_px[:, None]  # (4, S) offset of the edge from the assumed one
    at = _SHARE * length  # (4, S) along the edge
    # Fit a line to each edge, offset = a + b * at: once with all points, then without the outliers.
    weight = np.ones_like(edge)
    for _ in range(2):
        total = weight.sum(axis=1)
        mean_at = (weight * at).sum(axis=1) / total
        mean_edge = (weight * edge).sum(axis=1) / total
        d, off = at - mean_at[:, None], edge - mean_edge[:, None]
        weighted = weight * d
        b = (weighted * off).sum(axis=1) / (weighted * d).sum(axis=1)
        residual = off - b[:, None] * d
        spread = np.sqrt((weight * residual**2).sum(axis=1) / total)
        weight = (np.abs(residual) <= 2.0 * spread[:, None] + 1e-9).astype(np.float64)
    if spread.max() > _MAX_RESIDUAL_PX:
        return None
    foot = corners + mean_at[:, None] * along + mean_edge[:, None] * outward
    direction = along + b[:, None] * outward
    normal = direction[:, ::-1] * -_CLOCKWISE
    distance = (normal * foot).sum(axis=1)
    before, behind = normal[_LAST], distance[_LAST]
    determinant = before[:, 0] * normal[:, 1] - before[:, 1] * normal[:, 0]
    if np.abs(determinant).min() < 1e-3:
        return None
    x = (behind * normal[:, 1] - before[:, 1] * distance) / determinant
    y = (before[:, 0] * distance - behind * normal[:, 0]) / determinant
    return np.column_stack([x, y])
