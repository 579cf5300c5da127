"""From bags to a skill: one way for `sac-gmm fit` and for the base skills."""

from pathlib import Path

import numpy as np
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.demos import find_bags
from sac_gmm.methods.sac_gmm.base_skill import fit_base_skill
from sac_gmm.methods.sac_gmm.fit_bags import fit_bags

DEMOS = Path(__file__).parents[3] / "demos"


def test_a_base_skill_is_what_its_bags_give():
    paths = find_bags((DEMOS / "door",))
    fitted = fit_bags(paths, "gmm", 8)
    assert fitted.skill.meta == fit_base_skill("door", "gmm", DEMOS).meta
    assert fitted.skill.checksum == fit_base_skill("door", "gmm", DEMOS).checksum
    assert fitted.skill.meta["task"] == "door" and fitted.skill.meta["demonstrations"] == [path.name for path in paths]
    assert len(fitted.lengths) == len(paths) and fitted.lengths.sum() == len(fitted.x) == len(fitted.v)
    assert np.allclose(fitted.x[-1], fitted.skill.attractor, atol=0.02)


def test_bags_of_different_tasks_make_no_skill():
    paths = [find_bags((DEMOS / task,))[0] for task in ("door", "peg")]
    with pytest.raises(UserError, match=r"different tasks \(door, peg\): .* give only its bags"):
        fit_bags(paths, "gmm", 4)
    assert fit_bags(paths, "gmm", 4, task="both").skill.meta["task"] == "both"
