"""Tasks in a user's files: found where the environment variable says, with clear errors when they are wrong."""

import os

import pytest
from gymnasium.utils.env_checker import check_env

from sac_gmm.core.errors import UserError
from sac_gmm.tasks import TASKS, ScriptedTeleoperator, make_scene, make_task
from sac_gmm.tasks.registry import OWN_TASKS, add_own_tasks

LOW_DOOR = """
from sac_gmm.tasks.scenes.door import DoorTask

class LowDoor(DoorTask):
    name = "{name}"
    time_limit_s = 3.0
"""


COUNTER = """
import numpy as np
from gymnasium import spaces
from sac_gmm.tasks import JointVelocities, Scene

class Counter(Scene):
    name = "counter"
    action = JointVelocities(2)
    vector_groups = {"proprio": {"joint_position_rad": spaces.Box(-10.0, 10.0, (2,), np.float64)}}

    def __init__(self):
        super().__init__(control_dt_s=0.1)
        self.q = np.zeros(2)
        self.finish(None)

    def begin(self, rng, options):
        self.q = np.zeros(2)

    def advance(self, action):
        self.q = self.q + self.control_dt_s * action
        self.elapsed_steps += 1

    def measure(self):
        return {"joint_position_rad": self.q.copy()}

    def truth(self):
        return {"success": float(self.q[0] > 0.25)}
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


def test_so_is_a_scene_without_an_engine_and_with_other_actions(tmp_path, monkeypatch):
    (tmp_path / "counter.py").write_text(COUNTER)
    add(monkeypatch, tmp_path / "counter.py")
    scene = make_scene("counter")
    check_env(scene, skip_render_check=True)
    scene.reset(seed=0)
    over = [scene.step([1.0, 0.0])[2] for _ in range(3)]
    assert over == [False, False, True]
    for build in (make_task, lambda name: ScriptedTeleoperator(name, seed=0)):
        with pytest.raises(UserError, match="not commanded by a twist"):
            build("counter")


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
