"""The settings of SAC-GMM: one value, whoever gives it."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from sac_gmm.core.errors import UserError
from sac_gmm.methods import method
from sac_gmm.methods.sac_gmm.settings import AgentSettings, SkillSettings
from sac_gmm.methods.settings import load_settings, parse_changes
from sac_gmm.rl.sac.config import SacConfig
from sac_gmm.tasks import TASKS

CONFIG = Path(__file__).parents[3] / "config" / "methods"


def test_the_general_file_says_what_the_defaults_say():
    """The same settings, whether a node is given the folder or not."""
    assert load_settings(method("sac_gmm"), None, CONFIG) == AgentSettings()


def test_a_task_differs_in_what_its_file_says():
    door, peg = (load_settings(method("sac_gmm"), task, CONFIG) for task in ("door", "peg"))
    assert (door.skill.image, door.interval, door.skill.training_noise_m) == ("rgb", 8, 0.014)
    assert peg.agent == AgentSettings().agent and (peg.interval, peg.skill.blend_s) == (4, 0.12)


def test_changes_go_where_they_belong():
    changed = AgentSettings().changed(history=3, gamma=0.9)
    assert (changed.skill.history, changed.agent.gamma) == (3, 0.9)
    assert AgentSettings.from_json(json.loads(json.dumps(changed.to_json()))) == changed
    assert parse_changes(("history=3", "image=null", "adaptation=full")) == {
        "history": 3,
        "image": None,
        "adaptation": "full",
    }


def test_values_out_of_range_are_refused():
    with pytest.raises(UserError, match="reach_m"):
        SkillSettings(reach_m=1.0)
    with pytest.raises(UserError, match="nothing"):
        AgentSettings().changed(nothing=1)
    with pytest.raises(UserError, match="="):
        parse_changes(("history",))
    assert SacConfig().zero_init


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("touch=no", "touch is 'no', expected true or false"),
        ("touch=0", "touch is 0, expected true or false"),
        ("interval=7.5", "interval is 7.5, expected a whole number"),
        ("interval=abc", "interval is 'abc'"),
        ("reach_m=abc", "reach_m is 'abc', expected a number"),
        ("n_step=1.5", "n_step is 1.5"),
        ("actor_hidden=64", "actor_hidden is 64, expected a list of whole numbers"),
        ("training_noise_m=much", "expected a number or null"),
        ("adaptation=foo", "translation, positions"),
        ("image=smell", "rgb, depth, tactile"),
        ("camera=rgb", "camera is 'rgb', expected an object with focal_px"),
        ('camera={"focal_px": 3}', "camera is .*rides"),
    ],
)
def test_a_value_of_another_kind_is_named(change, told):
    with pytest.raises(UserError, match=told):
        AgentSettings().changed(**parse_changes((change,)))


def test_true_and_false_are_read_as_people_write_them():
    changes = parse_changes(("touch=False", "memory=TRUE", "image=Null", "reach_m=1e-2"))
    assert changes == {"touch": False, "memory": True, "image": None, "reach_m": 0.01}
    assert AgentSettings().changed(**changes).skill.touch is False


def test_the_controller_allows_what_the_agent_may_ask_for():
    """The largest translation, along all axes at once, is within the bound on which the controller refuses."""
    parameters = yaml.safe_load((CONFIG.parent / "controller.yaml").read_text())
    bound_m = parameters["/**/gmm_controller"]["ros__parameters"]["max_position_change_m"]
    reaches_m = [load_settings(method("sac_gmm"), task, CONFIG).skill.reach_m for task in TASKS]
    assert max(reaches_m) * np.sqrt(3) < bound_m
