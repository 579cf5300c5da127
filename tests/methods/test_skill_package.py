"""Skills that travel: the package gives the same skill back, and whatever was changed is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from sac_gmm.cli.main import main
from sac_gmm.core.errors import UserError
from sac_gmm.methods import open_skill
from sac_gmm.methods.skill_package import CARD_FILE, CONFIG_FILE, RESULT, TENSORS_FILE, export_skill, import_skill

TRAINED = Path(__file__).parents[2] / "models" / "door" / "sac_gmm"


@pytest.fixture(scope="module")
def skill():
    return open_skill(str(TRAINED))


@pytest.fixture
def package(skill, tmp_path):
    export_skill(skill, tmp_path / "package")
    return tmp_path / "package"


def result_of(skill, **changed):
    values = dict.fromkeys(RESULT, 0) | {"seed_bank": "test", "episodes": 100, "successes": 98, "success_rate": 0.98}
    values |= {"wilson95": [0.93, 0.994], "base_success_rate": 0.26, "task": skill.task, "skill": skill.method.name}
    return values | {"config": skill.settings.to_json()} | changed


def test_what_comes_back_is_the_same_skill(skill, package, tmp_path):
    back = import_skill(package, tmp_path / "back")
    assert (back.task, back.method, back.settings, back.about) == (
        skill.task,
        skill.method,
        skill.settings,
        skill.about,
    )
    assert back.prior.model_id == skill.prior.model_id and back.limits == skill.limits
    act, same = skill.make_act()(), back.make_act()()
    rng = np.random.default_rng(0)
    for _ in range(5):
        observation = {
            "vector": rng.standard_normal(19).astype(np.float32),
            "image": rng.integers(0, 256, (3, 64, 64), np.uint8),
        }
        np.testing.assert_array_equal(act(observation), same(observation))


def test_the_card_has_task_method_and_figures(skill, tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(result_of(skill)))
    export_skill(skill, tmp_path / "package", [tmp_path / "result.json"])
    card = (tmp_path / "package" / CARD_FILE).read_text()
    assert card.startswith("---\nlibrary_name: sac_gmm\n")
    assert "| 100 | 98 % | 93 to 99 % | 26 % | `test` |" in card
    assert f"# {skill.task}: {skill.method.title}" in card


@pytest.mark.parametrize("name", [TENSORS_FILE, "skill.npz"])
def test_a_changed_file_is_refused(package, tmp_path, name):
    content = bytearray((package / name).read_bytes())
    content[-1] ^= 1
    (package / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name} was changed since it was exported"):
        import_skill(package, tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda config: config.update(format="other"), "not of a skill's package"),
        (lambda config: config.update(version=9), "version 9"),
        (lambda config: config.pop("sha256"), "lacks the checksums"),
        (lambda config: config["sha256"].update({"../evil": "0"}), "outside the package"),
    ],
)
def test_a_config_that_is_none_is_refused(package, tmp_path, change, said):
    config = json.loads((package / CONFIG_FILE).read_text())
    change(config)
    (package / CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(UserError, match=said):
        import_skill(package, tmp_path / "back")


def test_a_missing_file_is_named(package, tmp_path):
    (package / TENSORS_FILE).unlink()
    with pytest.raises(UserError, match=r"model\.safetensors cannot be read .* not complete"):
        import_skill(package, tmp_path / "back")


def test_nothing_is_overwritten(skill, package, tmp_path):
    with pytest.raises(UserError, match="exists already"):
        export_skill(skill, package)
    with pytest.raises(UserError, match="exists already"):
        import_skill(package, TRAINED)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"task": "lever"}, "of 'sac_gmm' on 'lever', not of"),
        ({"config": {}}, "with other settings"),
        ({"episodes": None, "wilson95": None}, None),
    ],
)
def test_a_result_of_another_skill_is_refused(skill, tmp_path, changed, said):
    value = result_of(skill, **changed)
    if said is None:
        del value["wilson95"]
        said = "not a result of `sac-gmm evaluate"
    (tmp_path / "result.json").write_text(json.dumps(value))
    with pytest.raises(UserError, match=said):
        export_skill(skill, tmp_path / "package", [tmp_path / "result.json"])


def test_a_method_that_learns_nothing_has_nothing_to_export(tmp_path):
    with pytest.raises(UserError, match="learns nothing"):
        export_skill(open_skill("gmm", "door"), tmp_path / "package")


def test_the_commands(tmp_path, capsys):
    assert main(["export", str(TRAINED), "-o", str(tmp_path / "package")]) == 0
    assert "'not measured'" in capsys.readouterr().out
    assert main(["import", str(tmp_path / "package"), "-o", str(tmp_path / "back")]) == 0
    assert "door, sac_gmm" in capsys.readouterr().out
    assert main(["import", str(tmp_path / "none"), "-o", str(tmp_path / "other")]) == 2
