"""What a base skill is fitted to: as the task's class says, whatever its name."""

import pytest

from sac_gmm.methods.sac_gmm.base_skill import BaseSkill, base_skill
from sac_gmm.tasks import TASKS
from sac_gmm.tasks.scenes.door import DoorTask


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("door", BaseSkill("door", 8)),
        ("lever", BaseSkill("lever", 7)),
        ("peg", BaseSkill("peg", 5)),
        ("peg_medium", BaseSkill("peg", 5)),
        ("peg_easy", BaseSkill("peg", 5)),
    ],
)
def test_the_shipped_tasks_keep_their_base_skills(task, expected):
    assert base_skill(task) == expected


def test_a_task_of_ones_own_has_its_own_folder_and_the_fit_chooses(monkeypatch):
    own = type("PressButton", (DoorTask.__base__,), {"name": "press_button"})
    monkeypatch.setitem(TASKS, "press_button", own)
    assert base_skill("press_button") == BaseSkill("press_button", "auto")
