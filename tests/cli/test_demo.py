"""`sac-gmm demo` with few episodes, over ROS 2: result, report, interruption, resumption, nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sac_gmm.cli import demo
from sac_gmm.rl import ObservationSpec, SacAgent, save_checkpoint

# In lock-step no wall clock is kept, so that this need not run alone.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(290)]

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
            demo.communicate(timeout=60)


def start(run_dir, *options):
    # A domain of its own, away from those of the other tests.
    environment = {**os.environ, "ROS_DOMAIN_ID": str(60 + os.getpid() % 20)}
    command = [sys.executable, "-m", "sac_gmm.cli.main", "demo", "--run-dir", str(run_dir), *FEW, *options]
    demo = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
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
        deadline = time.monotonic() + 120
        while len(episodes(run_dir)) < len(before) + 2 and demo.poll() is None:
            assert time.monotonic() < deadline, "no two episodes within two minutes"
            time.sleep(0.1)
        demo.send_signal(number)
        said, _ = demo.communicate(timeout=60)
        assert demo.returncode == 130, said
        assert "Traceback" not in said
        assert processes_of(run_dir) == []
        assert episodes(run_dir)[: len(before)] == before
        before = episodes(run_dir)
    assert 4 <= len(before) < 7
    assert not (run_dir / "result.json").exists()

    demo = start(run_dir, "--resume")
    said, _ = demo.communicate(timeout=200)
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
    assert result["reward_source"] == "aruco"
    assert result["wall_s"] > 0 and result["git"]
    page = (run_dir / "report.html").read_text()
    assert page.count("data:image/png") >= 2
    assert len(list((run_dir / "films" / "base").glob("*.jpg"))) == 2
    assert len(list((run_dir / "films" / "evaluate").glob("*.npz"))) == 2  # the skill in force at their ends
    assert all(0.0 < e["tick_ms_median"] <= e["tick_ms_most"] for e in episodes(run_dir))
    assert "tick, ms" in page


def test_the_run_before_is_kept(tmp_path):
    run_dir = tmp_path / "demo"
    run_dir.mkdir()
    (run_dir / "result.json").write_text("{}")
    demo = start(run_dir, "--bags", str(tmp_path / "nowhere"))
    said, _ = demo.communicate(timeout=60)
    assert demo.returncode == 2 and "nowhere" in said and "Traceback" not in said
    assert (tmp_path / "demo-1" / "result.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--resume"], "no run to resume"), (["--colour", "red"], "colour")],
)
def test_bad_input_is_one_sentence(tmp_path, options, words):
    demo = start(tmp_path / "demo", *options)
    said, _ = demo.communicate(timeout=60)
    assert demo.returncode == 2 and words in said and "Traceback" not in said
    assert not (tmp_path / "demo").exists()


def test_episodes_after_the_last_checkpoint_are_run_again(tmp_path):
    log = demo._EpisodeLog(tmp_path / "episodes.jsonl")
    for mode in ("base", "base", "train", "train", "evaluate"):
        log.add({"mode": mode})
    checkpoint = tmp_path / "agent.checkpoint"
    for learned, kept in (({"base": 2, "train": 2}, 5), ({"base": 2, "train": 1}, 3), ({"base": 1, "train": 0}, 1)):
        save_checkpoint(checkpoint, SacAgent(ObservationSpec(1), 1), None, {"episodes": learned})
        demo._forget_what_was_lost(log, checkpoint)
        assert len(log.episodes) == len(episodes(tmp_path)) == kept
    checkpoint.unlink()
    demo._forget_what_was_lost(log, checkpoint)
    assert episodes(tmp_path) == []
