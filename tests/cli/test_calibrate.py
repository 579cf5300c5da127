"""`sac-gmm calibrate`: the table of base rates, which goes on where it stopped."""

import json

import pytest

from sac_gmm.cli.main import main
from sac_gmm.evaluation import noise_sweep as calibration


@pytest.fixture
def few_cells(monkeypatch):
    monkeypatch.setattr(
        calibration, "cells", lambda tasks: [calibration.Cell(tasks[0], "lpv_ds", sigma) for sigma in (0.0, 0.01)]
    )


def calibrate(path, episodes=4):
    return main(
        [
            "calibrate",
            "--tasks",
            "door",
            "--episodes",
            str(episodes),
            "--other-episodes",
            str(episodes),
            "--workers",
            "1",
            "--json",
            str(path),
        ]
    )


def test_it_measures_saves_and_goes_on(few_cells, tmp_path, capsys):
    path = tmp_path / "calibration.json"
    assert calibrate(path) == 0
    assert "asked at 1 cm: 0-20" in capsys.readouterr().out
    result = json.loads(path.read_text())
    without_noise = result["cells"]["door/lpv_ds/0"]
    assert without_noise["episodes"] == 4 and without_noise["successes"] >= 3
    assert without_noise["mean_steps_to_success"] > 60 and without_noise["git"]
    assert path.with_suffix(".png").stat().st_size > 5000

    marked = {**result["cells"]["door/lpv_ds/0"], "successes": 2}
    del result["cells"]["door/lpv_ds/0.01"]
    path.write_text(json.dumps({**result, "cells": {"door/lpv_ds/0": marked}}))
    assert calibrate(path) == 0
    again = json.loads(path.read_text())["cells"]
    assert again["door/lpv_ds/0"]["successes"] == 2  # was not measured again
    assert again["door/lpv_ds/0.01"]["episodes"] == 4


def test_a_file_begun_otherwise_is_refused(few_cells, tmp_path, capsys):
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({"episodes": 500, "cells": {}}))
    assert calibrate(path) == 2
    assert "episodes (was 500, now 4)" in capsys.readouterr().err
    for content in ("{}", "[1]", '{"cells": []}'):
        path.write_text(content)
        assert calibrate(path) == 2
        assert "not a calibration" in capsys.readouterr().err
    path.write_text(json.dumps({"episodes": 4, "other_episodes": 4, "cells": {"door/lpv_ds/0": 3}}))
    assert calibrate(path) == 2
    assert "door/lpv_ds/0 does not hold what was measured" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["cal.png", "calibration"])
def test_a_result_that_is_not_named_as_json_is_refused(name, tmp_path, capsys):
    assert calibrate(tmp_path / name) == 2
    assert "must end in .json" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_unknown_task_is_named(tmp_path, capsys):
    assert main(["calibrate", "--tasks", "window", "--json", str(tmp_path / "c.json")]) == 2
    assert "window" in capsys.readouterr().err


def test_every_task_is_measured_under_every_noise():
    found = calibration.cells(["door"])
    assert [cell.sigma_m for cell in found if cell.kind == "lpv_ds"] == list(calibration.SIGMAS_M)
    assert {(cell.kind, cell.sigma_m) for cell in found} >= {("gmm", 0.01), ("seds", 0.01)}
    assert len({cell.key for cell in found}) == len(found)


def test_other_fits_are_measured_where_they_were_demonstrated():
    assert {cell.kind for cell in calibration.cells(["peg_easy"])} == {"lpv_ds"}
