"""The one configuration file."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from sac_gmm.core.errors import UserError
from sac_gmm.methods.baselines.search import RandomSearch, SpiralSearch
from sac_gmm.methods.sac_gmm.settings import AgentSettings, SkillSettings, load_settings, parse_changes
from sac_gmm.rl import SacConfig

CONFIG = Path(__file__).parents[3] / "config" / "agent.json"


def test_the_file_says_what_the_defaults_say():
    """One configuration, whether a command is given the file or not."""
    value = json.loads(CONFIG.read_text())
    assert AgentSettings.from_json({"agent": value["agent"], "skill": value["skill"]}) == AgentSettings()


def test_tasks_differ_only_where_a_reason_is_given():
    for task, differs in json.loads(CONFIG.read_text())["tasks"].items():
        assert len(differs["why"]) > 10, task
    assert load_settings(CONFIG, "door").skill.image == "rgb"
    assert load_settings(CONFIG, "peg").agent == AgentSettings().agent


def test_changes_go_where_they_belong():
    changed = AgentSettings().changed(history=3, gamma=0.9)
    assert (changed.skill.history, changed.agent.gamma) == (3, 0.9)
    assert AgentSettings.from_json(json.loads(json.dumps(changed.to_json()))) == changed
    assert parse_changes(("history=3", "image=null", "adaptation=full")) == {
        "history": 3,
        "image": None,
        "adaptation": "full",
    }


@pytest.mark.parametrize(
    ("content", "told"),
    [({"agent": {"gama": 1}}, "gama"), ({"skill": {"reach": 1}}, "reach"), ({"agents": {}}, "agents")],
)
def test_mistakes_are_named_with_their_file(tmp_path, content, told):
    path = tmp_path / "agent.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=told) as error:
        load_settings(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[1]", r'must hold a JSON object with "agent", .* not \[1\]'),
        ('{"tasks": null}', '"tasks" is None, expected an object'),
        ('{"tasks": []}', r'"tasks" is \[\], expected an object'),
        ('{"tasks": {"door": null}}', '"door" is None, expected an object'),
        ('{"tasks": {"door": "rgb"}}', "\"door\" is 'rgb', expected an object"),
        ('{"agent": null}', '"agent" is None, expected an object'),
        ('{"skill": [1]}', r'"skill" is \[1\], expected an object'),
        ('{"agent": {"anchor_weight": Infinity}}', "anchor_weight is inf, expected a number"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_a_part_of_another_kind_is_named(tmp_path, content, told):
    path = tmp_path / "agent.json"
    path.write_text(content)
    with pytest.raises(UserError, match=told) as error:
        load_settings(path, "door")
    assert str(path) in str(error.value)


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


def seen_at(share):
    vector = np.zeros(16, np.float32)
    vector[15] = share
    return {"vector": vector}


def test_the_spiral_waits_then_winds_outwards_with_equal_pitch():
    search = SpiralSearch(time_limit_s=10.0, start_s=2.0, speed_m_s=0.03, pitch_m=0.008, radius_m=0.02)
    assert not search(seen_at(0.19)).any()
    path_m = 0.03 * np.array([search(seen_at(share))[:2] for share in np.linspace(0.2, 0.7, 400)])
    radius_m = np.linalg.norm(path_m, axis=1)
    assert 0.015 < radius_m.max() <= 0.0201
    steps_m = np.linalg.norm(np.diff(path_m, axis=0), axis=1)
    assert np.median(steps_m) == pytest.approx(0.03 * 5.0 / 399, rel=0.1)  # at the speed asked for
    nearest_m = np.linalg.norm(path_m[:, None] - path_m[None], axis=2)
    far_apart = np.abs(np.arange(400)[:, None] - np.arange(400)[None]) > 60
    assert nearest_m[far_apart & (radius_m > 0.004)[:, None] & (radius_m > 0.004)[None]].min() > 0.003


def test_random_search_depends_on_nothing_but_what_it_sees():
    search = RandomSearch(std=0.3)
    rng = np.random.default_rng(0)
    seen = [{"vector": rng.normal(size=16).astype(np.float32)} for _ in range(300)]
    actions = np.array([search(observation) for observation in seen])
    np.testing.assert_array_equal(actions, [search(observation) for observation in seen])
    np.testing.assert_allclose(actions.std(axis=0), 0.3, atol=0.05)


def test_the_controller_allows_what_the_agent_may_ask_for():
    """The largest translation, along all axes at once, is within the bound on which the controller refuses."""
    parameters = yaml.safe_load((CONFIG.parent / "controller.yaml").read_text())
    bound_m = parameters["/**/gmm_controller"]["ros__parameters"]["max_position_change_m"]
    tasks = json.loads(CONFIG.read_text())["tasks"]
    assert max(load_settings(CONFIG, task).skill.reach_m for task in tasks) * np.sqrt(3) < bound_m
