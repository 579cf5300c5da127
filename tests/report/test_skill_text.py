"""What is printed about a fitted skill."""

from dataclasses import replace
from pathlib import Path

from sac_gmm.demos import find_bags
from sac_gmm.methods.sac_gmm.fit_bags import fit_bags
from sac_gmm.report.skill_text import describe_certificate, describe_fit

DEMOS = Path(__file__).parents[2] / "demos"


def test_a_fit_is_described_with_its_errors_and_its_certificate():
    fitted = fit_bags(find_bags((DEMOS / "door",)), "lpv_ds", 5)
    text = describe_fit(fitted)
    assert f"lpv_ds with 5 Gaussians from 5 demonstrations ({len(fitted.x)} samples)" in text
    assert f"after {3 * max(fitted.lengths) / 30:.1f} s" in text and fitted.skill.model_id in text
    assert "% of the way shown, and pass every point of it within" in text
    assert "certificate      holds: from everywhere to the attractor" in text


def test_a_skill_says_what_it_guarantees():
    skill = fit_bags(find_bags((DEMOS / "door",)), "lpv_ds", 5).skill
    weak = replace(skill.certificate, decay_rate_1_s=0.0, margin_1_s=0.5, holds=False)
    assert describe_certificate(replace(skill, certificate=weak)) == "does not hold: decay rate 0 1/s, required 0.5 1/s"
    assert "no stability" in describe_certificate(fit_bags(find_bags((DEMOS / "door",)), "gmm", 5).skill)
