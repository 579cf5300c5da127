"""Skills: opened from what a person names, and run whatever their method is."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sac_gmm.control import SafetyLimits
from sac_gmm.core.errors import UserError
from sac_gmm.methods import make_env, method, open_skill, run_episode
from sac_gmm.methods.sac_gmm import Gmm, SacGmm
from sac_gmm.models import load_model, save_model, translate

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models"
CONFIG = ROOT / "config" / "methods"


def test_a_trained_skill_says_what_it_is():
    skill = open_skill(str(MODELS / "peg" / "sac_gmm"))
    assert (skill.task, skill.method, skill.settings.interval) == ("peg", method("sac_gmm"), 4)
    assert skill.about["episodes_trained"] == 500
    assert skill.prior.model_id == skill.about["model_id"]
    assert open_skill(str(MODELS / "peg" / "sac_gmm" / "policy.bin"), "peg_medium").task == "peg_medium"
    assert skill.limits == SafetyLimits()
    assert replace(skill, about=skill.about | {"limits": {"max_speed_m_s": 0.1}}).limits.max_speed_m_s == 0.1


def test_as_fitted_it_is_the_same_prior_without_practice():
    skill = open_skill(str(MODELS / "door" / "sac_gmm"))
    plain = skill.as_fitted()
    assert (plain.method, plain.policy, plain.prior, plain.settings) == (
        method("gmm"),
        None,
        skill.prior,
        skill.settings,
    )
    assert plain.as_fitted() is plain and plain.make_act() is None


def test_it_is_played_by_what_it_holds():
    skill = open_skill(str(MODELS / "door" / "sac_gmm"))
    for one, decoder in ((skill, SacGmm), (skill.as_fitted(), Gmm)):
        env = make_env(one.task, one.method, one.settings, one.prior)
        assert type(env.decoder) is decoder
        assert run_episode(env, one.act(env), 3_000_000, {"target_noise_std_m": 0.0}).success
        env.task.close()


def test_a_start_can_be_moved():
    skill = open_skill(str(MODELS / "door" / "sac_gmm")).as_fitted()
    tips_m = []
    for options in ({}, {"start_shift_m": (0.0, 0.03, 0.02)}):
        env = make_env(skill.task, skill.method, skill.settings, skill.prior, options)
        env.reset(seed=1)
        tips_m.append(env.task.arm.position_m.copy())
        env.task.close()
    np.testing.assert_allclose(tips_m[1] - tips_m[0], [0.0, 0.03, 0.02], atol=1e-3)


def test_what_a_rule_decides_is_built_from_its_settings():
    prior = load_model(MODELS / "door" / "sac_gmm" / "skill.npz")
    skill = open_skill("spiral_gmm", "door", CONFIG, ROOT / "demos")
    assert skill.prior.model_id == prior.model_id, "the door's base skill, fitted anew"
    make_act = skill.make_act()
    assert make_act is not None and make_act().reach_m == skill.settings.skill.reach_m == 0.05


@pytest.mark.parametrize(
    ("name", "task", "told"),
    [
        (str(MODELS / "door"), None, "there is no policy .*policy.bin: give .*door/sac_gmm"),
        ("nothing", None, "give a folder, a file or one of: gmm, random_gmm, spiral_gmm"),
        ("sac_gmm", "door", "must be trained first"),
        ("gmm", None, "give a task for 'gmm': --task"),
        ("gmm", "window", "no task 'window'"),
    ],
)
def test_what_cannot_be_opened_is_said_with_a_way_out(name, task, told):
    with pytest.raises(UserError, match=told):
        open_skill(name, task, CONFIG, ROOT / "demos")


def test_a_policy_beside_another_prior_is_refused(tmp_path):
    folder = shutil.copytree(MODELS / "door" / "sac_gmm", tmp_path / "door")
    save_model(folder / "skill.npz", translate(load_model(folder / "skill.npz"), np.array([0.01, 0.0, 0.0])))
    with pytest.raises(UserError, match=r"adapts the skill .*, found .*: put its skill\.npz beside it"):
        open_skill(str(folder))
