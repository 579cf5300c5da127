"""Where settings come from: a folder of YAML files, general ones and a task's."""

from pathlib import Path

import pytest
import yaml

from sac_gmm.core.errors import UserError
from sac_gmm.methods import method, method_names
from sac_gmm.methods.settings import load_settings
from sac_gmm.tasks import TASKS

CONFIG = Path(__file__).parents[2] / "config" / "methods"


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_every_file_belongs_to_a_method_and_a_task():
    files = sorted(path.relative_to(CONFIG).with_suffix("") for path in CONFIG.rglob("*.yaml"))
    assert {path.parts[0] for path in files} <= set(method_names())
    assert {path.parts[1] for path in files if len(path.parts) > 1} == set(TASKS)


def test_a_tasks_file_differs_in_something_and_says_why():
    for path in CONFIG.glob("*/*.yaml"):
        assert path.read_text().startswith("# "), path
        general = load_settings(method(path.parent.name), None, CONFIG)
        assert load_settings(method(path.parent.name), path.stem, CONFIG) != general, path


def test_a_method_that_extends_another_takes_its_files_first(tmp_path):
    folder = write(
        tmp_path,
        {
            "sac_gmm.yaml": "skill: {history: 1, interval: 10, memory: false}",
            "sac_gmm/door.yaml": "skill: {interval: 11, reach_m: 0.04}",
            "residual_gmm.yaml": "skill: {interval: 12}\nagent: {gamma: 0.5}",
            "residual_gmm/door.yaml": "skill: {touch: false}",
        },
    )
    settings = load_settings(method("residual_gmm"), "door", folder)
    own = settings.skill
    assert (own.history, own.memory, own.reach_m, own.interval, own.touch) == (1, False, 0.04, 12, False)
    assert settings.discount == 0.5
    assert load_settings(method("residual_gmm"), "peg", folder).skill.reach_m == 0.03


def test_baselines_are_not_tuned_like_ours():
    """A pull towards a zero action, and critics first, are for a skill whose zero action is the skill itself."""
    for name in ("sac", "residual_gmm", "residual_gmm_paper"):
        for task in TASKS:
            settings = load_settings(method(name), task, CONFIG)
            assert settings.agent.anchor_weight == settings.agent.critic_head_start == 0
            assert settings.skill.last_action and settings.skill.touch and settings.skill.memory


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("agent: {gama: 1}", "gama"),
        ("skill: {reach: 1}", "reach"),
        ("agents: {}", "agents"),
        ("[1]", r"holds \[1\], expected names and values"),
        ("agent: null", '"agent" is None, expected an object'),
        ("skill: [1]", r'"skill" is \[1\], expected an object'),
        ("agent: {anchor_weight: .inf}", "anchor_weight is inf, expected a number"),
        ("agent: {gamma: 1e-3}", "gamma is '1e-3', expected a number"),  # YAML's numbers need a point
        ("agent: {", "is not YAML"),
    ],
)
@pytest.mark.parametrize("name", ["sac_gmm.yaml", "sac_gmm/door.yaml"])
def test_mistakes_are_named_with_their_file(tmp_path, name, content, told):
    with pytest.raises(UserError, match=told) as error:
        load_settings(method("sac_gmm"), "door", write(tmp_path, {name: content}))
    assert str(tmp_path / name) in str(error.value)


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not a folder of settings: run this in the workspace"):
        load_settings(method("sac_gmm"), None, tmp_path / "nowhere")
    (tmp_path / "agent.json").write_text("{}")
    with pytest.raises(UserError, match=r"YAML files now.*--config config/methods"):
        load_settings(method("sac_gmm"), None, tmp_path / "agent.json")


def test_settings_survive_json():
    for name in method_names():
        chosen = method(name)
        for task in TASKS:
            settings = load_settings(chosen, task, CONFIG)
            assert chosen.settings.from_json(settings.to_json()) == settings
            assert yaml.safe_load(yaml.safe_dump(settings.changed(interval=9).to_json()))["skill"]["interval"] == 9
