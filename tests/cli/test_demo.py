"""`sac-gmm demo` with few episodes, over ROS 2: result, report, interruption, resumption, nothing left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sac_gmm.cli import demo
from sac_gmm.core.errors import UserError
from sac_gmm.core.runs import locked_run
from sac_gmm.rl import AlgorithmSpec, ObservationSpec, Sac, SacConfig, save_checkpoint

# In lock-step no wall clock is kept, so that this need not run alone.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ros_domain")]

ROOT = Path(__file__).parents[2]
FEW = ["--base-episodes", "2", "--training-episodes", "3", "--test-episodes", "2"]


started = []


@pytest.fixture(autouse=True)
def ends_what_it_started():
    """Also after a failure: a demo that goes on would disturb what is tested next."""
    yield
    while started:
        demo = started.pop()
        if demo.poll() is None:
            demo.send_signal(signal.SIGINT)
            demo.communicate(timeout=300)


def start(run_dir, *options):
    command = [sys.executable, "-m", "sac_gmm.cli.main", "demo", "--run-dir", str(run_dir), *FEW, *options]
    demo = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A test run in the background of a shell ignores Ctrl-C and would hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    started.append(demo)
    return demo


def episodes(run_dir):
    path = run_dir / "episodes.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def processes_of(run_dir):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue  # it has just ended
            if str(run_dir) in command:
                found.append(command.replace("\0", " "))
    return found


def test_a_demo_is_interrupted_resumed_and_finished(tmp_path):
    run_dir = tmp_path / "demo"
    before = []
    for number in (signal.SIGINT, signal.SIGTERM):
        demo = start(run_dir, *(["--resume"] if before else []))
        deadline = time.monotonic() + 600
        while len(episodes(run_dir)) < len(before) + 2 and demo.poll() is None:
            assert time.monotonic() < deadline, "no two episodes within ten minutes"
            time.sleep(0.1)
        demo.send_signal(number)
        said, _ = demo.communicate(timeout=300)
        assert demo.returncode == 130, said
        assert "Traceback" not in said
        assert processes_of(run_dir) == []
        assert episodes(run_dir)[: len(before)] == before
        before = episodes(run_dir)
    assert 4 <= len(before) < 7
    assert not (run_dir / "result.json").exists()

    demo = start(run_dir, "--resume")
    said, _ = demo.communicate(timeout=600)
    assert demo.returncode == 0, said
    assert processes_of(run_dir) == []
    assert episodes(run_dir)[: len(before)] == before
    assert [e["mode"] for e in episodes(run_dir)] == ["base"] * 2 + ["train"] * 3 + ["evaluate"] * 2
    assert len({e["seed"] for e in episodes(run_dir)}) == 7
    result = json.loads((run_dir / "result.json").read_text())
    assert result["task"] == "door"
    assert result["base"]["episodes"] == 2 and 0 <= result["base"]["successes"] <= 2
    assert result["adapted"]["episodes"] == 2 and 0 <= result["adapted"]["successes"] <= 2
    assert result["training_episodes"] == 3
    assert (result["reward_source"], result["pace"]) == ("marker", "lock-step")
    assert result["wall_s"] > 0 and result["git"]
    page = (run_dir / "report.html").read_text()
    assert page.count("data:image/png") >= 2
    assert len(list((run_dir / "films" / "base").glob("*.jpg"))) == 2
    assert len(list((run_dir / "films" / "evaluate").glob("*.npz"))) == 2  # the skill in force at their ends
    assert all(0.0 < e["tick_ms_median"] <= e["tick_ms_most"] for e in episodes(run_dir))
    assert "tick, ms" in page


@pytest.fixture
def run_dir(tmp_path):
    """Of a demo that was begun."""
    run_dir = tmp_path / "demo"
    run_dir.mkdir()
    demo._prepare_folder(demo.Demo(run_dir=run_dir))
    return run_dir


def test_the_run_before_is_kept(run_dir, capsys):
    demo._keep_older(run_dir)
    assert not run_dir.exists() and (run_dir.with_name("demo-1") / "config.json").exists()
    assert "kept the run before as" in capsys.readouterr().out


@pytest.mark.parametrize("text", [None, '{"task": "door"}', "[1]"])
def test_a_folder_of_something_else_is_never_renamed(tmp_path, text):
    (tmp_path / "demo").mkdir()
    demo._keep_older(tmp_path / "demo")  # an empty one may be used
    (tmp_path / "demo" / "notes.txt").write_text("mine")
    if text is not None:
        (tmp_path / "demo" / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"something other than a demo|expected a JSON object"):
        demo._keep_older(tmp_path / "demo")
    assert (tmp_path / "demo" / "notes.txt").exists()


@pytest.mark.parametrize("name", [".", "..", "below/.."])
def test_a_run_that_is_not_named_is_not_renamed(run_dir, monkeypatch, name):
    (run_dir / "below").mkdir()
    monkeypatch.chdir(run_dir / "below" if name == ".." else run_dir)
    with pytest.raises(UserError, match="give --run-dir the folder's own name"):
        demo._keep_older(Path(name))


def test_a_run_goes_on_at_the_pace_it_began_with(run_dir):
    with pytest.raises(UserError, match="real_time"):
        demo._prepare_folder(demo.Demo(run_dir=run_dir, resume=True, real_time=True))
    config = json.loads((run_dir / "config.json").read_text())
    del config["real_time"]  # as in runs from before there was a choice
    (run_dir / "config.json").write_text(json.dumps(config))
    demo._prepare_folder(demo.Demo(run_dir=run_dir, resume=True))


def test_a_running_demo_is_left_alone(run_dir, monkeypatch):
    monkeypatch.chdir(ROOT)
    with locked_run(run_dir):
        for resume in (False, True):
            with pytest.raises(UserError, match="another program works in"):
                demo.run(demo.Demo(run_dir=run_dir, resume=resume))
    assert os.listdir(run_dir) == ["config.json"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": "nope"}, "there is no task 'nope'"),
        ({"seed": -1}, "give a seed of 0 to 99"),
        ({"test_episodes": -1}, "0 to 10000 episodes"),
        ({"components": 0}, "--components is 0"),
        ({"bags": Path("nowhere")}, "nowhere"),
    ],
)
def test_what_is_refused_moves_nothing(run_dir, monkeypatch, changes, words):
    monkeypatch.chdir(ROOT)
    with pytest.raises(UserError, match=words):
        demo.run(demo.Demo(run_dir=run_dir, **changes))
    assert os.listdir(run_dir.parent) == ["demo"]


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--resume"], "no run to resume"), (["--colour", "red"], "colour")],
)
def test_bad_input_is_one_sentence(tmp_path, options, words):
    demo = start(tmp_path / "demo", *options)
    said, _ = demo.communicate(timeout=300)
    assert demo.returncode == 2 and words in said and "Traceback" not in said
    assert not (tmp_path / "demo").exists()


@pytest.fixture
def log(tmp_path):
    log = demo._open_log(tmp_path)
    for mode in ("base", "base", "train", "train", "evaluate"):
        log.append({"mode": mode, "success": True, "wall_s": 10.0})
    return log


def untrained():
    return AlgorithmSpec(Sac, ObservationSpec(1), 1, SacConfig(replay_capacity=10)).build()


def test_episodes_after_the_last_checkpoint_are_run_again(log, tmp_path):
    checkpoint = tmp_path / "agent.checkpoint"
    for learned, kept in (({"base": 2, "train": 2}, 5), ({"base": 2, "train": 1}, 3), ({"base": 1, "train": 0}, 1)):
        save_checkpoint(checkpoint, untrained(), {"episodes": learned})
        demo._forget_what_was_lost(log, checkpoint)
        assert len(log.episodes) == len(episodes(tmp_path)) == kept


def test_without_a_checkpoint_the_log_is_put_aside(log, tmp_path):
    before = (tmp_path / "episodes.jsonl").read_text()
    demo._forget_what_was_lost(log, tmp_path / "agent.checkpoint")
    assert log.episodes == episodes(tmp_path) == []
    assert (tmp_path / "episodes.jsonl-1").read_text() == before


def test_a_checkpoint_that_was_lost_is_missed(log, tmp_path):
    log.append({"mode": "evaluate", "success": True, "wall_s": 60.0})
    with pytest.raises(UserError, match=r"agent\.checkpoint is missing, though the run had 6 episodes"):
        demo._forget_what_was_lost(log, tmp_path / "agent.checkpoint")
    for learned, words in ((20, "not the checkpoint of a demo"), ({"base": 2, "train": 6}, "2 base and 2 training")):
        save_checkpoint(tmp_path / "agent.checkpoint", untrained(), {"episodes": learned})
        with pytest.raises(UserError, match=words):
            demo._forget_what_was_lost(log, tmp_path / "agent.checkpoint")
    assert len(episodes(tmp_path)) == 6


def test_a_finished_demo_needs_no_checkpoint(log, run_dir, monkeypatch):
    monkeypatch.chdir(ROOT)
    (run_dir / "config.json").unlink()
    counts = {"base_episodes": 2, "training_episodes": 2, "test_episodes": 1}
    demo._prepare_folder(demo.Demo(run_dir=run_dir, **counts))
    shutil.copy(log.path, run_dir)
    written = []
    monkeypatch.setattr(demo, "_write_result", lambda asked, log: written.append(len(log.episodes)))
    assert demo.run(demo.Demo(run_dir=run_dir, resume=True, **counts)) == 0
    assert written == [5] and len(episodes(run_dir)) == 5


@pytest.mark.parametrize("line", ["[1]", '{"mode": "base"}', "{"])
def test_a_log_of_something_else_is_refused(tmp_path, line):
    (tmp_path / "episodes.jsonl").write_text(line + "\n")
    with pytest.raises(UserError, match="line 1 must be a JSON object with mode, success, wall_s"):
        demo._open_log(tmp_path)
