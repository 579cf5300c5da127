"""Seed banks that never meet, intervals that are right, results that say where they come from."""

import math
import re
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sac_gmm.core.errors import UserError
from sac_gmm.evaluation import SuccessRate, provenance, wilson_interval
from sac_gmm.evaluation.rates import crossed_interval, crossed_lead
from sac_gmm.training.seeds import SEED_BANKS, seed_bank


@settings(deadline=None)  # the first example waits for the import of scipy.stats
@given(st.integers(0, 300), st.integers(1, 300), st.sampled_from([0.68, 0.95, 0.99]))
def test_wilson_agrees_with_the_closed_form(successes, episodes, confidence):
    """Wilson (JASA 1927): (p + z²/2n ± z sqrt(p(1 - p)/n + z²/4n²)) / (1 + z²/n)."""
    successes = min(successes, episodes)
    z, rate = NormalDist().inv_cdf(0.5 + 0.5 * confidence), successes / episodes
    centre = rate + z**2 / (2 * episodes)
    half = z * math.sqrt(rate * (1 - rate) / episodes + z**2 / (4 * episodes**2))
    expected = np.clip((centre + np.array([-half, half])) / (1 + z**2 / episodes), 0.0, 1.0)
    assert wilson_interval(successes, episodes, confidence) == pytest.approx(tuple(expected), abs=1e-12)


def test_nothing_measured_says_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert SuccessRate(0, 0).rate == 0.0


def test_a_rate_reads_well():
    assert str(SuccessRate(43, 50)) == "43/50 = 86 % [74-93]"


def width(interval):
    return interval[1] - interval[0]


def test_episodes_that_all_seeds_fail_at_are_not_counted_for_every_seed():
    one, five = wilson_interval(90, 100), crossed_interval(["1" * 90 + "0" * 10] * 5)
    assert five == pytest.approx(one, abs=0.02) and width(five) > 1.5 * width(wilson_interval(450, 500))
    assert five == crossed_interval(["1" * 90 + "0" * 10] * 5)
    assert crossed_interval(["1" * 100] * 5) == wilson_interval(100, 100)
    rng = np.random.default_rng(0)
    independent = ["".join("01"[won] for won in rng.integers(0, 2, 400)) for _ in range(5)]
    assert width(crossed_interval(independent)) < 1.8 * width(wilson_interval(1000, 2000))


def test_a_lead_on_the_same_episodes_is_known_better_than_either_rate():
    """Two skills that fail on the same hard episodes; one of them on every twentieth of the others as well."""
    rng = np.random.default_rng(0)
    hard = rng.random(200) < 0.3
    others = ["".join("0" if bad or i % 20 == seed else "1" for i, bad in enumerate(hard)) for seed in range(4)]
    ours = ["".join("0" if bad else "1" for bad in hard)] * 5
    lead = crossed_lead(ours, others)
    low, high = lead["interval95"]
    assert 0.0 < low < lead["mean"] < high < 0.1
    assert crossed_interval(ours)[0] < crossed_interval(others)[1], "the rates alone do not tell them apart"
    assert crossed_lead(ours, ours)["mean"] == 0.0
    longer = crossed_lead(ours, [others[0] + "1" * 100])
    assert longer["mean"] == pytest.approx(
        np.mean([a == "1" for a in ours[0]]) - np.mean([a == "1" for a in others[0]])
    )


def test_a_row_of_a_table_brings_its_own_interval():
    assert str(SuccessRate.from_json({"successes": 43, "episodes": 50})) == "43/50 = 86 % [74-93]"
    row = SuccessRate.from_json({"successes": 43, "episodes": 50, "interval95": [0.6, 0.99]})
    assert str(row) == "43/50 = 86 % [60-99]" and row.to_json()["wilson95"] == list(wilson_interval(43, 50))


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
    with pytest.raises(UserError, match="seed bank"):
        seed_bank(name, run, episodes)


def test_provenance_names_the_commit():
    said = provenance()
    assert re.fullmatch(r"[0-9a-f]{7,}(-dirty)?|unknown", said["git"])
    assert "numpy" in said["packages"]
