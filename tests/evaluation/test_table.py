"""The comparison: its cells, its ablations, its intervals."""

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

import pytest
import yaml

from sac_gmm.cli.main import main
from sac_gmm.core.errors import UserError
from sac_gmm.evaluation.table import (
    BUDGETS,
    Cell,
    Conditions,
    assemble,
    cells,
    result_file,
    run_cell,
    text_table,
    variants,
    window_rates,
)
from sac_gmm.methods import method
from sac_gmm.methods.registry import METHODS
from sac_gmm.methods.sac_gmm.settings import SkillSettings
from sac_gmm.methods.settings import load_settings, read_yaml

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config" / "methods"
COMMITTED = ROOT / "benchmarks/results/table/cells"


def copied_settings(folder):
    """A copy of the settings, to be changed."""
    return Path(shutil.copytree(CONFIG, folder / "methods"))


def change(path, **parts):
    value = read_yaml(path)
    for part, new in parts.items():
        value[part] = {**value.get(part, {}), **new}
    path.write_text(yaml.safe_dump(value))


@pytest.mark.slow
def test_a_table_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    config = copied_settings(tmp_path)
    change(config / "sac_gmm.yaml", agent={"critic_hidden": [16, 16], "actor_hidden": [8], "updates_per_decision": 1})
    change(config / "sac_gmm.yaml", skill={"base_episodes": 1})
    change(config / "sac_gmm" / "door.yaml", skill={"image": None})
    table = tmp_path / "table" / "table.json"
    arguments = ["table", "--json", str(table), "--tasks", "door", "--seeds", "1", "--episodes", "1", "--workers", "1"]
    arguments += ["--training-episodes", "2", "--config", str(config)]
    assert main([*arguments, "--skills", "sac_gmm"]) == 0
    cell = table.parent / "cells" / "door-sac_gmm-0.json"
    written = cell.stat().st_mtime_ns
    said = json.loads(cell.read_text())
    assert said["conditions"] == {"episodes": 1, "training_episodes": 2} and said["git"] and said["packages"]
    assert said["config"]["agent"]["critic_hidden"] == [16, 16]
    assert main([*arguments, "--skills", "sac_gmm", "--training-episodes", "3"]) == 2
    assert "training_episodes (was 2, now 3)" in capsys.readouterr().err
    assert main([*arguments, "--ablations", "no tuch"]) == 2
    assert "there is no ablation 'no tuch'; choose among: all, no picture" in capsys.readouterr().err
    assert main([*arguments, "--skills", "sac_gmm", "spiral_gmm"]) == 0
    assert cell.stat().st_mtime_ns == written
    result = json.loads(table.read_text())
    assert [row["skill"] for row in result["rows"]] == ["sac_gmm", "spiral_gmm"] and result["missing"] == []
    searched = json.loads((table.parent / "cells" / "door-spiral_gmm-0.json").read_text())
    assert searched["conditions"]["episodes"] == 5 and searched["search"]["pitch_m"] > 0 and searched["git"]
    learned, search = result["rows"]
    assert learned["training"]["episodes"] == 2 and search["tests"]["test"]["episodes"] == 5
    lead = search["lead_of_sac_gmm"]
    assert "lead_of_sac_gmm" not in learned and lead["interval95"][0] <= lead["mean"] <= lead["interval95"][1]
    assert {"test", "sigma 0.5 cm", "sigma 2 cm", "another start"} <= set(learned["tests"])
    assert "SAC-GMM" in capsys.readouterr().out
    for picture in ("learning.png", "noise.png"):
        assert (table.parent / picture).stat().st_size > 5000
    assert main(["report", str(table.parent), "--films", "1"]) == 0
    page = (table.parent / "report.html").read_text()
    assert "SAC-GMM" in page and "sigma 2 cm" in page and page.count("data:image/png") == 2


def test_windows_are_means_over_seeds():
    rates = window_rates(["0" * 25 + "1" * 25, "1" * 50])
    assert len(rates) == 26
    assert rates[[0, -1]] == pytest.approx([0.5, 1.0])
    assert len(window_rates(["1" * 10])) == 0


def test_an_ablation_that_changes_nothing_is_none():
    ours = method("sac_gmm")
    door, peg = (variants(ours, load_settings(ours, task, CONFIG)) for task in ("door", "peg"))
    assert "with touch" in door and "no touch" not in door  # it has none
    assert "neither picture nor touch" not in door  # the same as "no picture"
    assert "no touch" in peg and "with touch" not in peg
    assert "sight alone" in door and not {"sight alone", "autoencoder"} & set(peg)  # which no camera sees
    assert len(cells(("door",), ("gmm", "sac_gmm"), 2, lambda task: ["priors"])) == 5


@pytest.fixture
def conditions(tmp_path):
    """Those of the committed cells, of which a test may copy some."""
    (tmp_path / "cells").mkdir()
    return Conditions(tmp_path, CONFIG, ROOT / "demos")


def test_a_cell_measured_otherwise_is_not_taken_for_what_is_asked(conditions):
    cell, search = Cell("door", "sac_gmm", 0), Cell("door", "spiral_gmm", 0)
    for one in (cell, search):
        shutil.copy(COMMITTED / f"{one.key}.json", conditions.folder / "cells")
        assert run_cell(one, conditions).exists()
        with pytest.raises(UserError, match=r"episodes \(was .*, now .*\); give .*another path"):
            run_cell(one, replace(conditions, episodes=7))
    with pytest.raises(UserError, match=r"training_episodes \(was 100, now 30\)"):
        run_cell(cell, replace(conditions, training_episodes=30))
    config = copied_settings(conditions.folder)
    change(config / "sac_gmm" / "door.yaml", skill={"touch": True, "camera": None})
    with pytest.raises(UserError, match=r"config.skill.camera \(was .*config.skill.touch \(was false, now true\)"):
        assemble(replace(conditions, config=config), [cell])


def test_the_committed_cells_are_of_todays_configuration():
    today, ours = Conditions(COMMITTED.parent, CONFIG, ROOT / "demos"), method("sac_gmm")
    wanted = cells(BUDGETS, METHODS, 5, lambda task: variants(ours, load_settings(ours, task, CONFIG)))
    known = {result_file(cell, today).stem for cell in wanted}
    assert {path.stem for path in COMMITTED.glob("*.json")} <= known


def test_decisions_that_are_far_apart_take_over_as_slowly_as_by_default():
    ours = method("sac_gmm")
    peg = load_settings(ours, "peg", CONFIG)
    slow = peg.changed(**ours.ablations(peg)["N = 16"])
    assert peg.skill.blend_s < slow.skill.blend_s == SkillSettings().blend_s


def test_several_seeds_have_an_interval_over_seeds_and_episodes(conditions):
    wanted = cells(("lever",), ("gmm", "sac_gmm"), 5)
    for cell in wanted:
        shutil.copy(COMMITTED / f"{cell.key}.json", conditions.folder / "cells")
    base, ours = assemble(conditions, wanted)["rows"]
    test = base["tests"]["test"]
    assert test["interval95"] == test["wilson95"]
    (low, high), wilson = ours["tests"]["test"]["interval95"], ours["tests"]["test"]["wilson95"]
    assert low < wilson[0] < wilson[1] < high
    assert f"[{100 * low:.0f}-{100 * high:.0f}]" in text_table({"rows": [ours]})


@pytest.mark.slow
def test_the_workers_of_a_killed_table_end_with_it(tmp_path):
    arguments = ["--tasks", "door", "--skills", "gmm", "random_gmm", "--json", str(tmp_path / "table.json")]
    command = [sys.executable, "-m", "sac_gmm.cli.main", "table", *arguments, "--demonstrations", str(ROOT / "demos")]
    table = subprocess.Popen([*command, "--config", str(ROOT / "config/methods")], start_new_session=True)
    children = Path(f"/proc/{table.pid}/task/{table.pid}/children")
    try:
        wait_for(lambda: len(children.read_text().split()) >= 3)  # two workers, and what watches over their memory
        workers = children.read_text().split()
        table.kill()
        table.wait()
        wait_for(lambda: not any(Path(f"/proc/{worker}/cmdline").exists() for worker in workers))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(table.pid, signal.SIGKILL)


def wait_for(condition, patience_s=300.0):
    give_up = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.05)
