"""The page about a run: of a demo, of a training run; whole, alone, and with everything that it promises."""

import json
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from sac_gmm.cli.main import main
from sac_gmm.core.files import write_json
from sac_gmm.models import GaussianMixture, SkillModel, save_model
from sac_gmm.report import run_page as report
from sac_gmm.report.run_page import write_report, write_summary

ROOT = Path(__file__).parents[2]
# Short: few updates, small networks, no pictures.
SMALL = ["critic_hidden=[16,16]", "actor_hidden=[8]", "updates_per_decision=1", "base_episodes=2", "image=null"]


class Reader(HTMLParser):
    """What is in a page, and where it points to."""

    def __init__(self, page):
        super().__init__()
        self.sections, self.targets, self.kinds, self.squares, self._open = [], [], [], [], []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.targets += [given[name] for name in ("src", "href") if name in given]
        if tag == "img":
            assert given["alt"]
            self.kinds.append(given["src"].split(";")[0].removeprefix("data:image/"))
        if tag == "span" and given.get("class") in ("yes", "no"):
            self.squares.append(given["title"])
        if tag not in ("img", "meta", "link"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open[-1:] == ["h2"]:
            self.sections.append(data)

    @property
    def needs_nothing_else(self):
        return all(target.startswith(("data:", "#")) for target in self.targets)


@pytest.fixture
def demo_dir(tmp_path):
    result = {
        "task": "door",
        "seed": 0,
        "base": {"successes": 1, "episodes": 4},
        "adapted": {"successes": 3, "episodes": 4},
        "training_episodes": 30,
        "wall_s": 61.0,
        "reward_source": "aruco",
        "git": "abc",
    }
    write_json(tmp_path / "result.json", result)
    write_json(tmp_path / "config.json", {"seed": 0})
    rng = np.random.default_rng(0)
    episodes = [
        {"mode": mode, "seed": seed, "success": bool(rng.random() < 0.5), "duration_s": 7.0, "wall_s": 1.0}
        for mode, count in (("base", 4), ("train", 30), ("evaluate", 4))
        for seed in range(count)
    ]
    (tmp_path / "episodes.jsonl").write_text("".join(json.dumps(e) + "\n" for e in episodes))
    fitted = GaussianMixture(np.ones(1), np.zeros((1, 6)), np.eye(6)[None])
    save_model(tmp_path / "skill.npz", SkillModel("gmm", fitted, np.zeros(3)))
    for mode, outcome in (("base", "failure"), ("evaluate", "success"), ("evaluate", "failure")):
        (tmp_path / "films" / mode).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "films" / mode / f"12_{outcome}.jpg"), np.zeros((60, 80, 3), np.uint8))
    shutil.copy(tmp_path / "skill.npz", tmp_path / "films" / "evaluate" / "12_success.npz")
    return tmp_path


def test_the_report_of_a_demo(demo_dir):
    page = Reader(write_report(demo_dir).read_text())
    assert page.needs_nothing_else
    assert page.kinds == ["png", "jpeg", "jpeg", "png", "jpeg"]  # curve, before, after, mixture, a failure
    assert len(page.squares) == 38
    assert page.sections == [
        "Learning curve",
        "Against baselines",
        "Before and after, seen by the fixed camera",
        "What the agent did to the mixture",
        "Failures of the adapted skill",
        "Every episode",
        "Timing",
        "Configuration",
    ]
    assert write_summary(demo_dir).stat().st_size > 5000


@pytest.fixture(scope="module")
def training_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "door <0>"  # a name that HTML must not take for its own
    demos, config = ["--demonstrations", str(ROOT / "demos")], ["--config", str(ROOT / "config/methods")]
    arguments = ["train", "door", "--episodes", "6", "--out", str(folder), *demos, *config, "--set", *SMALL]
    assert main(arguments) == 0
    return folder


def test_the_report_of_a_training_run(training_dir, tmp_path, capsys):
    assert main(["report", str(training_dir), "--films", "0"]) == 0
    text = (training_dir / "report.html").read_text()
    assert Reader(text).kinds == ["png"] and "has not been measured" in text

    result = training_dir / "test.json"
    assert main(["evaluate", str(training_dir), "--episodes", "3", "--sigma", "0.02", "--json", str(result)]) == 0
    # Whatever they were: one episode that was won, two that were not.
    found = json.loads(result.read_text())
    found["outcomes"], found["base"]["outcomes"] = "100", "000"
    write_json(result, found)
    table = {"rows": [{"task": "door", "title": "GMM, tuned blind spiral", "variant": "", "tests": {}}]}
    table["rows"][0]["tests"]["test"] = {"successes": 70, "episodes": 100}
    write_json(tmp_path / "table.json", table)
    assert main(["report", str(training_dir), "--films", "1", "--table", str(tmp_path / "table.json")]) == 0
    text = (training_dir / "report.html").read_text()
    page = Reader(text)
    assert page.needs_nothing_else
    assert page.kinds == ["png", "gif", "gif", "png", "gif"]  # curve, before, after, mixture, failure
    assert {"Before and after", "What the agent did to the mixture", "Failures of the adapted skill"} <= set(
        page.sections
    )
    assert len(page.squares) == 2 + 6 + 3 + 3
    assert "70/100 = 70 %" in text and "in its own scene" in text and "settings.skill.interval" in text
    assert "has not been measured" not in text


@pytest.mark.parametrize("measured", [False, True])
def test_films_have_the_noise_of_what_they_show(training_dir, tmp_path, monkeypatch, measured):
    """A run that practised with more noise is filmed with that until it is measured: then as it was measured."""
    run = shutil.copytree(training_dir, tmp_path / "run")
    for path in run.glob("test*.json"):
        path.unlink()
    config = json.loads((run / "config.json").read_text())
    write_json(run / "config.json", config | {"task_options": {"target_noise_std_m": 0.03}})
    if measured:
        assert main(["evaluate", str(run), "--episodes", "1", "--json", str(run / "test.json")]) == 0
        result = json.loads((run / "test.json").read_text())
        result["outcomes"], result["base"]["outcomes"] = "1", "0"
        write_json(run / "test.json", result)
    filmed = []

    class EnoughError(Exception):
        pass

    def note(candidate, seed, sigma_m, options):
        filmed.append((sigma_m, options))
        raise EnoughError

    monkeypatch.setattr(report, "watch_skill", note)
    with pytest.raises(EnoughError):
        write_report(run, 1)
    assert filmed == [(None, {} if measured else {"target_noise_std_m": 0.03})]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_browser_shows_it_from_disk_without_a_network(demo_dir, tmp_path):
    write_report(demo_dir)
    shot = tmp_path / "report.png"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1000,3500", "--proxy-server=127.0.0.1:9"]
    options += [f"--user-data-dir={tmp_path / 'browser'}", f"--screenshot={shot}"]
    page = (demo_dir / "report.html").as_uri()
    subprocess.run(["chromium", *options, page], check=True, capture_output=True, timeout=300)
    picture = cv2.imread(str(shot))
    assert picture.shape[:2] == (3500, 1000)
    green = (np.abs(picture.astype(int) - [87, 139, 46]).max(axis=2) < 8).sum()
    assert green > 14 * 14 * 5  # the squares of episodes that succeeded


CONFIG = '{"task": "door", "skill": "gmm", "seed": 0, "git": "", "task_options": {}}'
TRAINING = {"skill.npz": "", "episodes.jsonl": "", "config.json": CONFIG}
MEASURED = '{"seed_bank": "test", "episodes": 3, "outcomes": "101", "base": {"outcomes": "00"}}'


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "holds no run"),
        ({"result.json": "{}"}, "result.json: the field 'task' is missing"),
        ({"skill.npz": "", "episodes.jsonl": ""}, "config.json: No such file"),
        ({**TRAINING, "episodes.jsonl": "{\n"}, "episodes.jsonl is not a log of episodes"),
        ({"table.json": "no"}, "not valid JSON"),
        ({"table.json": "{}"}, "'rows'"),
        ({"table.json": "[1]"}, "table.json: expected an object"),
        ({"table.json": '{"rows": [], "episodes": 1, "missing": [], "git": ""}'}, "table.json: 'rows' is empty"),
        ({"table.json": '{"rows": [1], "episodes": 1, "missing": [], "git": ""}'}, "table.json is not what"),
        ({"result.json": "[1]"}, "result.json: expected an object"),
        ({"skill.npz": "", "episodes.jsonl": "", "config.json": "[1]"}, "config.json: expected an object"),
        (
            {**TRAINING, "episodes.jsonl": "[1]\n"},
            "episodes.jsonl is not a log of episodes: line 1 must be a JSON object with mode, seed",
        ),
        ({**TRAINING, "test.json": MEASURED}, "test.json is not what this version writes (2 outcomes of 3 episodes)"),
        ({**TRAINING, "config.json": CONFIG.replace("gmm", "nope")}, "there is no method 'nope'; choose one of: gmm"),
    ],
)
def test_a_folder_without_a_run_is_named(files, words, tmp_path, capsys):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert main(["report", str(tmp_path)]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()
