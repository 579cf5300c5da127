"""`sac-gmm noise-sweep`: the table of base rates, which continues where it stopped."""

import json

import pytest

from sac_gmm.cli.main import main
from sac_gmm.evaluation import noise_sweep


@pytest.fixture
def few_cells(monkeypatch):
    monkeypatch.setattr(
        noise_sweep, "cells", lambda tasks: [noise_sweep.Cell(tasks[0], "lpv_ds", sigma) for sigma in (0.0, 0.01)]
    )


def sweep(path, episodes=4):
    return main(
        [
            "noise-sweep",
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
    path = tmp_path / "noise_sweep.json"
    assert sweep(path) == 0
    assert "asked at 1 cm: 0-20" in capsys.readouterr().out
    result = json.loads(path.read_text())
    without_noise = result["cells"]["door/lpv_ds/0"]
    assert without_noise["episodes"] == 4 and without_noise["successes"] >= 3
    assert without_noise["mean_steps_to_success"] > 60 and without_noise["git"]
    assert path.with_suffix(".png").stat().st_size > 5000

    marked = {**result["cells"]["door/lpv_ds/0"], "successes": 2}
    del result["cells"]["door/lpv_ds/0.01"]
    path.write_text(json.dumps({**result, "cells": {"door/lpv_ds/0": marked}}))
    assert sweep(path) == 0
    again = json.loads(path.read_text())["cells"]
    assert again["door/lpv_ds/0"]["successes"] == 2  # was not measured again
    assert again["door/lpv_ds/0.01"]["episodes"] == 4


def test_a_file_begun_otherwise_is_refused(few_cells, tmp_path, capsys):
    path = tmp_path / "noise_sweep.json"
    path.write_text(json.dumps({"episodes": 500, "cells": {}}))
    assert sweep(path) == 2
    assert "episodes (was 500, now 4)" in capsys.readouterr().err
    for content in ("{}", "[1]", '{"cells": []}'):
        path.write_text(content)
        assert sweep(path) == 2
        assert "not the result of a noise sweep" in capsys.readouterr().err
    path.write_text(json.dumps({"episodes": 4, "other_episodes": 4, "cells": {"door/lpv_ds/0": 3}}))
    assert sweep(path) == 2
    assert "door/lpv_ds/0 is not a valid measurement" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["sweep.png", "sweep"])
def test_a_result_that_is_not_named_as_json_is_refused(name, tmp_path, capsys):
    assert sweep(tmp_path / name) == 2
    assert "must end in .json" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_unknown_task_is_named(tmp_path, capsys):
    assert main(["noise-sweep", "--tasks", "window", "--json", str(tmp_path / "c.json")]) == 2
    assert "window" in capsys.readouterr().err


def test_every_task_is_measured_under_every_noise():
    found = noise_sweep.cells(["door"])
    assert [cell.sigma_m for cell in found if cell.kind == "lpv_ds"] == list(noise_sweep.SIGMAS_M)
    assert {(cell.kind, cell.sigma_m) for cell in found} >= {("gmm", 0.01), ("seds", 0.01)}
    assert len({cell.key for cell in found}) == len(found)


def test_other_fits_are_measured_where_they_were_demonstrated():
    assert {cell.kind for cell in noise_sweep.cells(["peg_easy"])} == {"lpv_ds"}


def test_the_command_is_found_under_its_former_name(few_cells, tmp_path, capsys):
    assert main(["calibrate", "--tasks", "window", "--json", str(tmp_path / "c.json")]) == 2
    assert "there is no task 'window'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["calibrate", "--help"])
    assert "sac-gmm noise-sweep" in capsys.readouterr().out
    assert main(["--help"]) == 0
    assert "calibrate" not in capsys.readouterr().out
