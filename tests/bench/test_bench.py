"""The benchmarks run, compare with their peers and write result files; how fast is for `benchmarks/results` to say."""

import json

import pytest
from lasa_files import save_motions

from sac_gmm.bench.models import em as bench_em
from sac_gmm.bench.models import gmr as bench_gmr
from sac_gmm.bench.models import lasa as bench_lasa
from sac_gmm.bench.models import lpv as bench_lpv
from sac_gmm.bench.models.lasa_data import make_motion
from sac_gmm.bench.tasks import sim as bench_sim
from sac_gmm.cli import bench
from sac_gmm.cli.main import main
from sac_gmm.core.errors import UserError


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
    assert result["edit_certified"] and result["update_project_certify_us"] > 0


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
    assert row["raw_us"] > 0 and 0 < row["ours_us"] < 3 * row["raw_us"]
    assert row["frames_per_s"]["sensor rgb"] > 0


def test_the_simulation_benchmark_names_the_tasks_there_are():
    with pytest.raises(UserError, match="door"):
        bench_sim.main(["--tasks", "window"])


def test_the_marker_benchmark_goes_on_where_it_was_stopped(tmp_path, capsys, monkeypatch):
    from sac_gmm.bench.perception import aruco as bench_aruco

    monkeypatch.setattr(bench_aruco, "CONDITIONS", bench_aruco.CONDITIONS[:1])
    monkeypatch.setattr(bench_aruco, "BLOCK", 10)
    result = tmp_path / "aruco.json"
    arguments = ["--trials", "5", "--latency-frames", "1", "--json", str(result)]
    counted = bench_aruco.false_frame
    frames = []

    def stopped_after(rng, others, noise):
        frames.append(None)
        if len(frames) == 25:
            raise KeyboardInterrupt
        return counted(rng, others, noise)

    monkeypatch.setattr(bench_aruco, "false_frame", stopped_after)
    with pytest.raises(KeyboardInterrupt):
        bench_aruco.main([*arguments, "--false-frames", "30"])
    assert not result.exists()
    assert bench_aruco.main([*arguments, "--false-frames", "30"]) == 0
    assert len(frames) == 25 + 10, "the blocks that were counted are not counted again"
    written = json.loads(result.read_text())
    assert written["false_rewards"]["frames"] == 30 and written["false_rewards"]["counted"] == 0
    row = written["detection"][0]
    assert row["ours"]["detected"] == 1.0
    assert row["ours"]["position_mm_median"] < 0.5 * row["opencv"]["position_mm_median"]
    assert list(tmp_path.iterdir()) == [result]


@pytest.mark.ros
def test_the_bag_benchmark_counts_what_is_missing(tmp_path):
    from sac_gmm.bench.recording import bag as bench_bag

    row = bench_bag.recording(tmp_path, 1.0, "images profile", "none", True, True)
    assert row["sent"] == 4 * 30 + 3 * 120 + 1
    assert row["missing"] == sum(row["missing_by_topic"].values()) < row["sent"]
    assert row["megabytes"] > 0 and list(tmp_path.rglob("*.mcap")) == []
