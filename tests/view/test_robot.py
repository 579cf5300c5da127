"""The arm on the live page carries what it carries in the task."""

from xml.etree import ElementTree

import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.tasks import TASKS
from sac_gmm.tasks.scenes.lever import LeverTask
from sac_gmm.view.robot import iiwa_urdf


def links(task):
    return {link.get("name") for link in ElementTree.fromstring(iiwa_urdf(task)).iter("link")}


@pytest.mark.parametrize(
    ("task", "carried"), [("door", {"finger"}), ("lever", {"left_jaw", "right_jaw"}), ("peg_easy", {"peg"})]
)
def test_each_task_shows_its_tool(task, carried):
    assert carried <= links(task)


def test_so_does_a_task_of_ones_own(monkeypatch):
    own = type("PullKnob", (LeverTask,), {"name": "pull_knob"})
    monkeypatch.setitem(TASKS, "pull_knob", own)
    assert "left_jaw" in links("pull_knob")


def test_an_unknown_task_is_named():
    with pytest.raises(UserError, match="no task 'window'"):
        iiwa_urdf("window")
