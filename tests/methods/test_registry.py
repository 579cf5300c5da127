"""Methods by name, and a task and a method that come from outside the package."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.methods import Method, method, method_names
from sac_gmm.methods.registry import METHODS, OWN_METHODS, own_methods

ROOT = Path(__file__).parents[2]
TASK = """
from sac_gmm.tasks.scenes.door import DoorTask


class PressButton(DoorTask):
    name = "press_button"
    demonstrations = "door"
"""
# Half speed: what the field says, scaled by what is decided. It learns nothing, and has settings of its own.
METHOD = """
from dataclasses import dataclass, replace

import numpy as np

from sac_gmm.core.settings import number
from sac_gmm.methods import MethodSettings
from sac_gmm.methods.baselines.method import GMM
from sac_gmm.methods.sac_gmm.decoder import Gmm


@dataclass(frozen=True)
class Settings(MethodSettings):
    share: float = number(1.0, 0.0, 1.0, "", "of the speed of the fitted skill")


class Slower(Gmm):
    action_dim = 1

    def decide(self, action):
        self.share = float(action[0])

    def command(self, state):
        return self.share * super().command(state)


def decoder(model, settings):
    return Slower(model, interval=settings.interval)


def observation(decoder, settings, time_limit_s):
    from sac_gmm.methods.sac_gmm import WindowObserver

    return WindowObserver(1, time_limit_s)


class Always:
    def __init__(self, settings):
        self.share = settings.share

    def __call__(self, observation):
        return np.array([self.share])


SLOWER = replace(
    GMM,
    name="slower",
    title="the field, slower",
    settings=Settings,
    decoder=decoder,
    observation=observation,
    rule=Always,
    extends="",
)
"""


def test_every_line_leads_to_a_method_of_that_name():
    for name in METHODS:
        found = method(name)
        assert isinstance(found, Method) and found.name == name and found.title
        assert method(found.as_fitted).as_fitted == found.as_fitted
    assert [name for name in METHODS if method(name).learns] == ["sac", "residual_gmm", "residual_gmm_paper", "sac_gmm"]


def test_an_unknown_name_is_refused_with_those_that_there_are():
    with pytest.raises(UserError, match=r"no method 'sac_gmn'; choose one of: gmm, .*sac_gmm"):
        method("sac_gmn")


@pytest.fixture
def outside(tmp_path):
    """A task and a method in files of their own, each with settings beside it."""
    (tmp_path / "press_button.py").write_text(TASK)
    (tmp_path / "slower.py").write_text(METHOD)
    (tmp_path / "slower.yaml").write_text("share: 0.5")
    (tmp_path / "press_button.slower.yaml").write_text("# The way is short.\ninterval: 3")
    (tmp_path / "press_button.sac_gmm.yaml").write_text("# Quick to try.\nskill: {base_episodes: 1, interval: 30}")
    return tmp_path


def sac_gmm(outside, *arguments):
    names = {"SAC_GMM_TASKS": str(outside / "press_button.py"), OWN_METHODS: str(outside / "slower.py")}
    command = [sys.executable, "-m", "sac_gmm.cli.main", *arguments]
    result = subprocess.run(
        command, cwd=ROOT, env=os.environ | names, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_task_and_a_method_from_outside_are_measured_and_trained_like_ours(outside):
    result_file = outside / "result.json"
    said = sac_gmm(
        outside,
        *("evaluate", "slower", "--task", "press_button", "--episodes", "2", "--workers", "2", "--sigma", "0"),
        *("--json", str(result_file)),
    )
    assert "press_button: slower" in said
    result = json.loads(result_file.read_text())
    assert (result["skill"], result["config"]["share"], result["config"]["interval"]) == ("slower", 0.5, 3)
    assert result["mean_steps"] > result["base"]["mean_steps"], "it is slower than the skill as fitted"
    run = outside / "run"
    sac_gmm(outside, "train", "press_button", "--episodes", "1", "--out", str(run))
    config = json.loads((run / "config.json").read_text())
    assert (config["task"], config["skill"], config["settings"]["skill"]["interval"]) == ("press_button", "sac_gmm", 30)
    assert "press_button: sac_gmm" in sac_gmm(outside, "evaluate", str(run), "--episodes", "1")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "names .*own.py, which is no Python file"),
        ("x = 1", "holds no method"),
        ("import nothing_of_that_name", "fails: ModuleNotFoundError"),
        ("from sac_gmm.methods.baselines.method import GMM", "holds no method"),
        (
            "import dataclasses as d\nfrom sac_gmm.methods.baselines.method import GMM\nM = d.replace(GMM, title='m')",
            "there is a method 'gmm' already",
        ),
    ],
)
def test_a_file_that_brings_no_method_is_refused(tmp_path, monkeypatch, text, told):
    file = tmp_path / "own.py"
    if text is not None:
        file.write_text(textwrap.dedent(text))
    monkeypatch.setenv(OWN_METHODS, str(file))
    own_methods.cache_clear()
    try:
        with pytest.raises(UserError, match=told):
            method_names()
    finally:
        monkeypatch.undo()
        own_methods.cache_clear()
