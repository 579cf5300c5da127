"""Where demonstrations begin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sac_gmm.core.errors import UserError
from sac_gmm.demos.demonstration import Demonstration


def mean_start(demonstrations: Sequence[Demonstration]) -> tuple[str, npt.NDArray[np.float64], float]:
    """The mean of the tip's first positions.

    Args:
        demonstrations: One or more, in the same frame.

    Returns:
        Their frame, the mean (3,) in m, and how far the farthest start is from it, m.

    Raises:
        UserError: There is no demonstration, or frames differ.
    """
    if not demonstrations:
        raise UserError("there is no demonstration to begin like: name one bag or more")
    frames = sorted({demonstration.frame_id for demonstration in demonstrations})
    if len(frames) > 1:
        raise UserError(f"the demonstrations are given in different frames ({', '.join(frames)}): use one base frame")
    starts = np.array([demonstration.position_m[0] for demonstration in demonstrations])
    mean = starts.mean(axis=0)
    return frames[0], mean, float(np.linalg.norm(starts - mean, axis=1).max())
