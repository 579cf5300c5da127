"""The benchmarks run, compare with their peers and write result files; how fast is for `benchmarks/results` to say."""

import json

import pytest

from sac_gmm.cli import bench, bench_em, bench_gmr, bench_lasa, bench_lpv, bench_sim
from sac_gmm.cli.main import main
from sac_gmm.errors import SacGmmError
from sac_gmm.models.handwriting import make_motion, save_motions


def test_every_benchmark_is_listed(capsys):
    assert main(["bench"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in bench.BENCHMARKS)
    assert main(["bench", "nothing"]) == 2
    assert "choose one of" in capsys.readouterr().err


def test_a_row_of_the_regression_benchmark():
    pytest.importorskip("gmr")
    row = bench_gmr.measure(3, 7)
    assert {"d", "k", "ours_us", "numpy_us", "gmr_us", "ratio"} <= set(row)
    assert row["ratio"] > 50 and row["largest_error"] < 1e-10


def test_the_fit_benchmark_compares_equal_work():
    pytest.importorskip("sklearn")
    result = bench_em.measure()
    assert (result["n"], result["dim"], result["k"]) == (4000, 6, 7)
    assert result["ours_log_likelihood"] >= result["sklearn_log_likelihood"]


def test_the_certificate_benchmark():
    result = bench_lpv.measure()
    assert result["edit_certified"] and result["update_project_certify_us"] < 5000


def test_the_handwriting_benchmark_reads_a_folder(tmp_path, capsys):
    save_motions(tmp_path / "data", [make_motion("line")])
    arguments = ["--data", str(tmp_path / "data"), "--json", str(tmp_path / "r.json"), "--methods", "seds"]
    assert bench_lasa.main(arguments) == 0
    assert "line" in capsys.readouterr().out
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["seds"]["n_motions"] == result["seds"]["certified"] == result["seds"]["converged"] == 1
    assert result["command"].startswith("sac-gmm bench lasa --data") and "git" in result["origin"]


def test_the_simulation_benchmark_does_the_same_physics_on_both_sides():
    row = bench_sim.measure("door", 1)
    assert row["identical"]
    assert row["control_steps"] > 100
    assert 0 < row["raw_us"] < row["ours_us"] < 2 * row["raw_us"]
    assert row["frames_per_s"]["sensor rgb"] > 50


def test_the_simulation_benchmark_names_the_tasks_there_are():
    with pytest.raises(SacGmmError, match="door"):
        bench_sim.main(["--tasks", "window"])
