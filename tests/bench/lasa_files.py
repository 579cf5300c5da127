"""Writes motions as the LASA data set has them."""

from pathlib import Path

import numpy as np

from sac_gmm.bench.models.lasa_data import Motion


def save_motions(folder: Path | str, motions: list[Motion]) -> None:
    """Write motions as a folder in the LASA format."""
    from scipy.io import savemat

    Path(folder).mkdir(parents=True, exist_ok=True)
    for motion in motions:
        demos = np.empty((1, len(motion.positions_mm)), dtype=object)
        for i, (x, v, dt) in enumerate(
            zip(motion.positions_mm, motion.velocities_mm_s, motion.time_step_s, strict=True)
        ):
            demos[0, i] = {"pos": x.T, "vel": v.T, "t": dt * np.arange(len(x))[None], "dt": dt}
        savemat(Path(folder) / f"{motion.name}.mat", {"demos": demos, "dt": motion.time_step_s[0]})
