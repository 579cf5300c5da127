"""What the commands print about a fitted skill."""

from __future__ import annotations

import numpy as np

from sac_gmm.methods.sac_gmm.fit_bags import FittedSkill
from sac_gmm.models import Regressor, SkillModel
from sac_gmm.models.fields import metrics


def describe_fit(fitted: FittedSkill) -> str:
    """A few lines on how well a skill follows its demonstrations."""
    skill, x = fitted.skill, fitted.x
    predicted = Regressor(skill.mixture).batch(x)
    likeness = fitted.likeness
    miss_mm, share = 1e3 * likeness.miss_m, 100.0 * np.minimum(likeness.way_share, 99.0)
    return "\n".join(
        [
            f"{skill.kind} with {skill.mixture.n_components} Gaussians from {len(fitted.lengths)} demonstrations "
            f"({len(x)} samples)",
            f"  velocity error   {1e3 * metrics.velocity_rmse(predicted, fitted.v):.1f} mm/s (RMSE), "
            f"direction error {metrics.direction_error(predicted, fitted.v):.3f} (0..2)",
            f"  rollouts         end {miss_mm.min():.1f} to {miss_mm.max():.1f} mm from the attractor "
            f"after {likeness.duration_s:.1f} s",
            f"                   go {share.min():.0f} to {share.max():.0f} % of the way shown, and pass every point of "
            f"it within {1e3 * likeness.off_m.max():.0f} mm",
            f"  certificate      {describe_certificate(skill)}",
            f"  model id         {skill.model_id}",
        ]
    )


def describe_certificate(skill: SkillModel) -> str:
    """One line about the stability of a skill."""
    certificate = skill.certificate
    if certificate is None:
        return "none: this kind of model guarantees no stability"
    if not certificate.holds:
        return (
            f"does not hold: decay rate {certificate.decay_rate_1_s:.3g} 1/s, required {certificate.margin_1_s:.3g} 1/s"
        )
    return f"holds: from everywhere to the attractor, decay rate at least {certificate.decay_rate_1_s:.3g} 1/s"
