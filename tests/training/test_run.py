"""Training runs: stopped and gone on with, and what comes out is the same; measured afterwards."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sac_gmm.cli.main import main
from sac_gmm.control import SafetyLimits
from sac_gmm.core.errors import UserError
from sac_gmm.core.files import read_json
from sac_gmm.core.runs import locked_run
from sac_gmm.methods import Outcome, method, open_skill
from sac_gmm.methods.sac_gmm.settings import AgentSettings
from sac_gmm.models import load_model, save_model
from sac_gmm.rl import load_checkpoint, load_policy, read_extra
from sac_gmm.training import run as training

ROOT = Path(__file__).parents[2]
# Short: few updates, small networks, no pictures; with all else that an agent may see.
SMALL = ["critic_hidden=[16,16]", "actor_hidden=[8]", "updates_per_decision=2", "base_episodes=2"]
SMALL += ["image=null", "touch=true", "memory=true"]


def train(folder, episodes, *options):
    arguments = ["train", "door", "--seed", "1", "--episodes", str(episodes), "--out", str(folder)]
    return main([*arguments, "--config", str(ROOT / "config/methods"), *options, "--set", *SMALL])


def numbers(folder):
    tensors = load_checkpoint(folder / "agent.checkpoint").algorithm.state_dict().tensors
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def outcomes(folder):
    lines = [json.loads(line) for line in (folder / "episodes.jsonl").read_text().splitlines()]
    return [(line["seed"], line["success"], line["steps"]) for line in lines]


@pytest.mark.slow
def test_a_killed_run_that_goes_on_equals_an_unbroken_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(training, "CHECKPOINT_EPISODES", 2)
    assert train(tmp_path / "whole", 6) == 0

    script = (
        "import sys; from sac_gmm.training import run; run.CHECKPOINT_EPISODES = 2\n"
        "from sac_gmm.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    folder = tmp_path / "broken"
    arguments = ["train", "door", "--seed", "1", "--episodes", "6", "--out", str(folder), "--set", *SMALL]
    process = subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.DEVNULL)
    log = folder / "episodes.jsonl"
    deadline = time.monotonic() + 600
    while not (log.exists() and len(log.read_text().splitlines()) >= 5) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert read_extra(folder / "agent.checkpoint")["episodes"] >= 2
    assert train(folder, 6, "--resume") == 0
    assert "resuming after" in capsys.readouterr().out

    assert outcomes(folder) == outcomes(tmp_path / "whole")
    one, other = numbers(tmp_path / "whole"), numbers(folder)
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)

    # What was learned can be measured, and says what it is.
    result = tmp_path / "result.json"
    assert main(["evaluate", str(folder), "--episodes", "3", "--seed-bank", "77", "--json", str(result)]) == 0
    found = json.loads(result.read_text())
    assert found["task"] == "door" and found["skill"] == "sac_gmm" and found["episodes"] == 3
    assert found["training"] == {"seed": 1, "episodes_trained": 6, "task": "door"}
    assert 0.0 <= found["wilson95"][0] <= found["success_rate"] <= found["wilson95"][1] <= 1.0
    assert found["config"]["agent"]["critic_hidden"] == [16, 16] and found["git"]
    about = load_policy(folder / "policy.bin")[1]
    assert about["episodes_trained"] == 6 and SafetyLimits.from_json(about["limits"]) == SafetyLimits()

    probed = tmp_path / "probe.json"
    assert main(["probe", str(folder), "--episodes", "8", "--json", str(probed)]) == 0
    parts = json.loads(probed.read_text())["parts"]
    assert list(parts) == ["pose and action", "with touch", "with memory"]
    assert all(len(part["r2"]) == 3 and max(part["r2"]) <= 1.0 for part in parts.values())


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of three episodes."""
    folder = tmp_path_factory.mktemp("training") / "run"
    with contextlib.chdir(ROOT):
        assert train(folder, 1) == 0
    return folder


@pytest.fixture
def run(finished, tmp_path, monkeypatch):
    """A copy of it, to be spoilt."""
    monkeypatch.chdir(ROOT)
    return Path(shutil.copytree(finished, tmp_path / "run"))


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_mistakes_are_told_and_nothing_is_lost(run, tmp_path, capsys):
    before = contents(run)
    assert train(run, 1) == 2
    assert "--resume" in capsys.readouterr().err
    assert train(run, 1, "--resume", "--sigma", "0.02") == 2
    assert "task_options" in capsys.readouterr().err
    assert train(run, 0, "--resume") == 2
    assert "already has 3 episodes" in capsys.readouterr().err
    with locked_run(run):
        assert train(run, 1, "--resume") == 2
    assert "another program works in" in capsys.readouterr().err
    assert train(tmp_path / "none", 1, "--resume") == 2
    assert main(["train", "door", "--skill", "gmm", "--out", str(tmp_path / "gmm")]) == 2
    assert "does not learn" in capsys.readouterr().err
    for arguments in (["nowhere"], ["sac_gmm", "--task", "door"], ["gmm"], [str(tmp_path)]):
        assert main(["evaluate", *arguments]) == 2
    assert main(["evaluate", str(run), "--seed-bank", "mine"]) == 2
    assert "mine" in capsys.readouterr().err
    assert contents(run) == before
    assert os.listdir(tmp_path) == ["run"]


def lose_checkpoint(folder):
    (folder / "agent.checkpoint").unlink()


def lose_lines(folder):
    log = folder / "episodes.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))


def swap_skill(folder):
    skill = load_model(folder / "skill.npz")
    save_model(folder / "skill.npz", replace(skill, attractor=skill.attractor + 0.001, certificate=None))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lose_checkpoint, "agent.checkpoint is missing, though the run had 3 episodes"),
        (lose_lines, "episodes.jsonl has 2 episodes"),
        (swap_skill, "agent.checkpoint adapts skill"),
        (lambda folder: (folder / "config.json").write_text("[1]"), "config.json holds [1], expected a JSON object"),
        (lambda folder: (folder / "episodes.jsonl").write_text("[1]\n"), "line 1 must be a JSON object with number"),
    ],
)
def test_a_run_that_lacks_a_part_does_not_go_on(run, capsys, spoil, words):
    spoil(run)
    before = contents(run)
    assert train(run, 1, "--resume") == 2
    assert words in capsys.readouterr().err
    assert contents(run) == before


@pytest.mark.slow
def test_a_run_killed_before_its_first_checkpoint_begins_anew_and_keeps_its_log(run, capsys):
    before = (run / "episodes.jsonl").read_text()
    for name in ("agent.checkpoint", "policy.bin", "skill.npz"):
        (run / name).unlink()
    assert train(run, 1, "--resume") == 0
    assert "starts again" in capsys.readouterr().out
    assert (run / "episodes.jsonl-1").read_text() == before
    assert [json.loads(line)["steps"] for line in before.splitlines()] == [steps for *_, steps in outcomes(run)]


@pytest.mark.parametrize("part", ["skill.npz", "agent.checkpoint", "episodes.jsonl", "policy.bin"])
def test_a_new_run_takes_over_nothing(tmp_path, capsys, part):
    (tmp_path / part).write_text("of another run")
    assert train(tmp_path, 1) == 2
    assert f"holds {part} of another run" in capsys.readouterr().err
    assert os.listdir(tmp_path) == [part]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--demonstrations", "nowhere"], "nowhere"),
        (["--sigma", "-1"], "target_noise_std_m is -1.0"),
        (["--sigma", "nan"], "target_noise_std_m is nan"),
        (["--set", 'image="tactile"', "base_episodes=2"], "tactile"),
    ],
)
def test_what_is_refused_leaves_no_run_behind(tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.chdir(ROOT)
    arguments = ["train", "door", "--out", str(tmp_path / "run"), *options]
    assert main(arguments) == 2
    assert words in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_what_the_user_sets_decides_over_what_a_baseline_sets(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    run = tmp_path / "run"
    wanted = [*SMALL, "interval=16", "memory=false"]
    arguments = ["train", "door", "--skill", "residual_gmm", "--episodes", "1", "--out", str(run), "--set", *wanted]
    assert main(arguments) == 0
    settings = read_json(run / "config.json")["settings"]
    assert (settings["skill"]["interval"], settings["skill"]["memory"]) == (16, False)
    assert settings["agent"]["anchor_weight"] == 0.0  # the baseline's own, of which nothing was said
    assert open_skill(str(run)).settings == AgentSettings.from_json(settings)


@pytest.mark.slow
@pytest.mark.parametrize("skill", ["sac", "residual_gmm", "residual_gmm_paper"])
def test_the_other_skills_train_too(tmp_path, monkeypatch, skill):
    monkeypatch.chdir(ROOT)
    assert train(tmp_path / "run", 1, "--skill", skill) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "episodes.jsonl").read_text().splitlines()]
    base = [line["success"] for line in lines if line["mode"] == "base"]
    if skill == "sac":
        assert any(base)  # they are demonstrations, with an exact target
    assert main(["evaluate", str(tmp_path / "run"), "--episodes", "1"]) == 0


@pytest.mark.parametrize(("seed", "episodes"), [(-1, 1), (100, 1), (0, -30), (0, 20_000)])
def test_what_no_bank_has_episodes_for_is_refused_before_anything_is_written(tmp_path, monkeypatch, seed, episodes):
    monkeypatch.chdir(ROOT)
    arguments = ["--seed", str(seed), "--episodes", str(episodes), "--out", str(tmp_path / "run")]
    assert main(["train", "door", *arguments]) == 2
    assert not (tmp_path / "run").exists()


def test_a_plan_that_learns_nothing_is_refused():
    with pytest.raises(UserError, match="does not learn"):
        training.Plan("door", method("spiral_gmm"), 0, 1, AgentSettings())


@pytest.mark.parametrize(("options", "noise_m"), [((), 0.014), (("--sigma", "0.02"), None)])
def test_a_task_practises_with_its_own_noise_unless_another_is_asked_for(tmp_path, monkeypatch, options, noise_m):
    monkeypatch.chdir(ROOT)
    played = []

    def practise(env, agent, mode, seed, given):
        played.append((mode.name, given.get("target_noise_std_m"), env.task.target_noise_std_m))
        return Outcome(seed, False, 1, 1)

    monkeypatch.setattr(training, "practise", practise)
    assert train(tmp_path / "run", 1, *options) == 0
    assert played[-1] == ("TRAIN", noise_m, float(options[1]) if options else 0.01)
