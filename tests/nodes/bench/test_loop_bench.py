import json
import sys

import pytest

pytestmark = pytest.mark.slow
MEASURED = {
    "on_time_share",
    "late_ms_median",
    "late_ms_p999",
    "compute_us_median",
    "latency_ms_median",
    "latency_ms_p99",
}


def test_the_loop_is_measured_against_a_timer_in_the_same_run(graph, tmp_path):
    out = tmp_path / "loop.json"
    command = [sys.executable, "-m", "sac_gmm.cli.main", "bench", "loop", "--json", str(out)]
    process = graph.run("bench", [*command, "--seconds", "2", "--rates", "100", "--realtime-priorities", "0"])
    assert process.wait(120.0) == 0, graph.output("bench")
    result = json.loads(out.read_text())
    (at_100_hz,) = result["rates"]
    assert at_100_hz["realtime_priority"] == 0
    for side in ("ours", "rclpy_timer"):
        numbers = at_100_hz[side]
        assert numbers.keys() >= MEASURED
        assert numbers["ticks"] > 0
        assert 0 <= numbers["on_time_share"] <= 1
        assert 0 < numbers["latency_ms_median"] <= numbers["latency_ms_p99"]
        assert numbers["compute_us_median"] > 0
    assert result["origin"]["git"]
    assert "Traceback" not in graph.output("bench")
