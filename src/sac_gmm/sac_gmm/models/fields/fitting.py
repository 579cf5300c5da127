"""The three ways to fit a skill, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

from numpy.typing import ArrayLike

from sac_gmm.core.errors import UserError
from sac_gmm.models.fields.gmm import fit_gmm
from sac_gmm.models.fields.lpv_ds import fit_lpv_ds
from sac_gmm.models.fields.model import SkillModel
from sac_gmm.models.fields.seds import fit_seds

Kind = Literal["gmm", "seds", "lpv_ds"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_FITS: dict[str, Any] = {"gmm": fit_gmm, "seds": fit_seds, "lpv_ds": fit_lpv_ds}


def fit_skill(
    kind: Kind,
    x: ArrayLike,
    v: ArrayLike,
    lengths: Sequence[int],
    components: int | Literal["auto"] = "auto",
    seed: int = 0,
) -> SkillModel:
    """Fit a skill to samples.

    Args:
        kind: gmm: free mixture; seds: stable, all parameters fitted at once; lpv_ds: stable, the most accurate.
        x: (N, d) states, demonstration after demonstration.
        v: (N, d) velocities.
        lengths: Samples per demonstration, summing to N.
        components: Number of Gaussians, or auto.
        seed: For the random parts of the fit.

    Raises:
        UserError: There is no such kind, or the samples cannot be fitted.
    """
    if kind not in _FITS:
        raise UserError(f"there is no kind of skill '{kind}'; choose one of: {', '.join(KINDS)}")
    return _FITS[kind](x, v, [int(length) for length in lengths], components, seed)
