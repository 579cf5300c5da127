"""The trained skills that come with the repository can be used at once."""

from pathlib import Path

import pytest

from sac_gmm.evaluation.measuring import Measurement, measure
from sac_gmm.methods import open_skill

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "models").glob("*/*/policy.bin"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}/{folder.name}")
def test_a_trained_skill_succeeds_more_often_than_the_skill_as_fitted(folder):
    skill = open_skill(str(folder))
    assert (skill.task, skill.method.name) == (folder.parent.name, folder.name)
    result = measure(skill, Measurement(20, "select"))
    assert result["successes"] >= 14
    assert result["success_rate"] > result["base_success_rate"]


def test_there_are_trained_skills():
    assert FOLDERS
