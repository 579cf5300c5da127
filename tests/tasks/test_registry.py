"""Tasks of one's own: found in the files that the environment names, and what is said when they are not right."""

import os

import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.tasks import TASKS, ScriptedTeleoperator, make_task
from sac_gmm.tasks.registry import OWN_TASKS, add_own_tasks

LOW_DOOR = """
from sac_gmm.tasks.scenes.door import DoorTask

class LowDoor(DoorTask):
    name = "{name}"
    time_limit_s = 3.0
"""


@pytest.fixture(autouse=True)
def only_for_the_test(monkeypatch):
    kept = dict(TASKS)
    yield
    TASKS.clear()
    TASKS.update(kept)


def add(monkeypatch, *files):
    monkeypatch.setenv(OWN_TASKS, os.pathsep.join(map(str, files)))
    add_own_tasks()


def test_a_task_in_a_file_is_a_task_like_the_others(tmp_path, monkeypatch):
    for name in ("low_door", "another"):
        (tmp_path / f"{name}.py").write_text(LOW_DOOR.format(name=name))
    add(monkeypatch, tmp_path / "low_door.py", tmp_path / "another.py")
    assert {"low_door", "another", "door"} <= set(TASKS)
    task = make_task("low_door", target_noise_std_m=0.0)
    assert task.name == "low_door" and task.time_limit_s == 3.0
    assert not ScriptedTeleoperator("another", seed=0).done
    task.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no Python file"),
        ("x = 1", "holds no task"),
        ("import nothing_of_that_name", "fails: ModuleNotFoundError"),
        ("def f(:", "fails: SyntaxError"),
        (LOW_DOOR.format(name="door"), "already"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(text, words, tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError, match=words) as raised:
        add(monkeypatch, file)
    assert "mine.py" in str(raised.value)
