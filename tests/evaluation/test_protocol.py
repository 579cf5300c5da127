"""Seed banks that never meet, intervals that are right, pages that need no network."""

import json
import re

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from sac_gmm.errors import SacGmmError
from sac_gmm.evaluation import SEED_BANKS, SuccessRate, provenance, seed_bank, wilson_interval
from sac_gmm.evaluation.report import write_report
from sac_gmm.files import write_json


@given(st.integers(0, 300), st.integers(1, 300))
def test_wilson_agrees_with_scipy(successes, episodes):
    successes = min(successes, episodes)
    expected = binomtest(successes, episodes).proportion_ci(method="wilson")
    assert wilson_interval(successes, episodes) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_nothing_measured_says_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert SuccessRate(0, 0).rate == 0.0


def test_a_rate_reads_well():
    assert str(SuccessRate(43, 50)) == "43/50 = 86 % [74-93]"


def test_seed_banks_never_meet():
    seen: set[int] = set()
    for name in SEED_BANKS:
        for run in (0, 1, 99) if name in ("train", "select") else (0,):
            seeds = set(seed_bank(name, run, 10_000))
            assert not seeds & seen
            seen |= seeds


def test_all_runs_are_tested_on_the_same_episodes():
    assert seed_bank("test", 0, 50) == seed_bank("test", 7, 50)
    assert seed_bank("train", 0, 50) != seed_bank("train", 1, 50)


@pytest.mark.parametrize(("name", "run", "episodes"), [("exam", 0, 10), ("test", 0, 10_001), ("train", -1, 1)])
def test_bad_banks_are_refused(name, run, episodes):
    with pytest.raises(SacGmmError, match="seed bank"):
        seed_bank(name, run, episodes)


def test_provenance_names_the_commit():
    said = provenance()
    assert re.fullmatch(r"[0-9a-f]{7,}(-dirty)?|unknown", said["git"])
    assert "numpy" in said["packages"]


@pytest.fixture
def run_dir(tmp_path):
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
    for mode, outcome in (("base", "failure"), ("evaluate", "success")):
        (tmp_path / "films" / mode).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "films" / mode / f"12_{outcome}.jpg"), np.zeros((60, 80, 3), np.uint8))
    return tmp_path


def test_the_report_is_one_file_that_needs_nothing_else(run_dir):
    page = write_report(run_dir).read_text()
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert "http" not in page
    assert page.count("data:image/") == 3  # the curve and two strips
    assert page.count('class="yes"') + page.count('class="no"') == 38
    assert "aruco" in page


def test_a_report_without_a_result_says_what_is_missing(tmp_path):
    with pytest.raises(SacGmmError, match=r"result\.json"):
        write_report(tmp_path)
