"""Drawing of ArUco markers, and the dictionaries they come from."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from sac_gmm.core.errors import UserError


def dictionary_names() -> list[str]:
    """The names of the predefined dictionaries, such as DICT_4X4_50."""
    return sorted(name for name in vars(cv2.aruco) if name.startswith("DICT_"))


def marker_image(dictionary: str, marker_id: int, pixels: int, quiet_modules: int = 1) -> npt.NDArray[np.uint8]:
    """Draw a marker with the white quiet zone that detection needs.

    Args:
        dictionary: Name of a predefined dictionary.
        marker_id: Id of the marker within the dictionary.
        pixels: Side of the picture, quiet zone included: a multiple of the number of modules along it, so that all
            modules have the same size. A 4x4 marker with one quiet module has 4 + 2 (black border) + 2 = 8.
        quiet_modules: Width of the quiet zone in modules.

    Returns:
        (pixels, pixels) uint8, 0 black and 255 white. The black square, whose side is the marker's size, takes
        `(bits + 2) / (bits + 2 + 2 * quiet_modules)` of the side: 0.75 for 4x4 and one quiet module.

    Raises:
        UserError: Unknown dictionary or id, or a side that is not such a multiple.
    """
    table = marker_dictionary(dictionary, marker_id)
    if quiet_modules < 1:
        raise UserError(f"a quiet zone of {quiet_modules} modules hides the marker's edge: use 1 or more")
    modules = table.markerSize + 2
    total = modules + 2 * quiet_modules
    if pixels < total or pixels % total:
        raise UserError(f"marker picture of {pixels} px: the side must be a multiple of {total}, e.g. {32 * total}")
    module_px = pixels // total
    margin = quiet_modules * module_px
    picture = np.full((pixels, pixels), 255, np.uint8)
    picture[margin:-margin, margin:-margin] = table.generateImageMarker(marker_id, modules * module_px)
    return picture


def marker_dictionary(name: str, marker_id: int) -> cv2.aruco.Dictionary:
    """Look up a dictionary and check that it has the marker.

    Raises:
        UserError: Unknown dictionary or id.
    """
    if name not in dictionary_names():
        raise UserError(f"there is no marker dictionary '{name}'; choose one of: {', '.join(dictionary_names())}")
    table = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name))
    count = table.bytesList.shape[0]
    if not 0 <= marker_id < count:
        raise UserError(f"marker id {marker_id} is not in {name}: choose 0 to {count - 1}")
    return table
