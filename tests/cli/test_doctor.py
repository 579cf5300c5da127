"""`sac-gmm doctor` on this machine as it is, and on one that is broken on purpose."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sac_gmm.cli import doctor
from sac_gmm.core.errors import UserError

pytestmark = pytest.mark.usefixtures("ros_domain")
ROOT = Path(__file__).parents[2]


def run(tmp_path, **environment):
    command = [sys.executable, "-m", "sac_gmm.cli.main", "doctor", "--json", str(tmp_path / "doctor.json")]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=300)
    result = json.loads((tmp_path / "doctor.json").read_text())
    return done, result["ok"], {finding["subject"]: finding for finding in result["findings"]}


def test_a_machine_that_runs_these_tests_is_well(tmp_path):
    done, ok, found = run(tmp_path)
    assert done.returncode == 0 and ok, done.stdout + done.stderr
    subjects = {
        "machine",
        "python",
        "packages",
        "ros",
        "workspace",
        "dds",
        "camera",
        "hand model",
        "kernel",
        "priority",
    }
    assert subjects <= set(found)
    assert found["dds"]["status"] != "fail" and "20 of 20 small messages" in found["dds"]["found"]
    for finding in found.values():
        assert finding["status"] in ("ok", "warn"), finding
        assert bool(finding["remedy"]) == (finding["status"] != "ok"), f"a warning says what to do: {finding}"
        assert finding["found"] in done.stdout


def test_processes_that_do_not_find_each_other_are_found_out(tmp_path):
    done, ok, found = run(tmp_path, ROS_AUTOMATIC_DISCOVERY_RANGE="OFF")
    assert done.returncode == 1 and not ok
    assert [name for name, finding in found.items() if finding["status"] == "fail"] == ["dds"]
    assert "ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST" in found["dds"]["remedy"]


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("ROS_DOMAIN_ID", "240", "too high"),
        ("ROS_DOMAIN_ID", "lab", "not an integral number"),
        ("ROS_LOG_DIR", "/proc/no/log", "Failed to create log directory"),
        ("RMW_IMPLEMENTATION", "rmw_connextdds", "rmw_connextdds"),
    ],
)
def test_a_setting_that_stops_every_node_is_judged_first_and_the_probe_is_quoted(tmp_path, setting, value, said):
    done, ok, found = run(tmp_path, **{setting: value})
    assert done.returncode == 1 and not ok
    assert found["ros settings"]["status"] == "fail" and f"{setting}={value}" in found["ros settings"]["found"]
    assert done.stdout.index("ros settings") < done.stdout.index("\nfail  dds")
    later = [found[name] for name in ("ros", "dds") if found[name]["status"] == "fail"]
    assert later and any(said in finding["found"] or setting in finding["found"] for finding in later)
    for finding in later:
        assert finding["remedy"] == found["ros settings"]["remedy"], "no other remedy than that of the cause"


def test_a_discovery_server_that_nobody_reaches_is_named(tmp_path):
    _, ok, found = run(tmp_path, ROS_DISCOVERY_SERVER="192.0.2.77:11811")
    assert found["ros settings"]["status"] == "warn" and "192.0.2.77" in found["ros settings"]["found"]
    assert ok or "ROS_DISCOVERY_SERVER" in found["dds"]["remedy"]


def test_a_package_of_another_python_is_named_and_nothing_else_blamed(tmp_path):
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy" / "__init__.py").write_text("raise ImportError('built for another Python')")
    done, ok, found = run(tmp_path, PYTHONPATH=f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    assert done.returncode == 1 and not ok
    assert f"numpy is taken from {tmp_path}" in found["packages"]["found"]
    assert found["pybullet"]["status"] == "fail" and "compiled without" not in done.stdout
    assert found["dds"]["remedy"] == found["packages"]["remedy"]


def test_a_shell_without_the_workspace_is_told_to_source_it(tmp_path):
    done, ok, found = run(tmp_path, AMENT_PREFIX_PATH="/nowhere")
    assert done.returncode == 1 and not ok
    assert found["workspace"]["status"] == "fail" and "source install/setup.bash" in found["workspace"]["remedy"]


@pytest.mark.parametrize(
    "small, large, status, words",
    [
        ((20, 20, 0.001), (5, 5, 0.01), "ok", "in 1.0 ms"),
        ((20, 20, 0.001), (5, 3, 0.01), "warn", "large messages are lost"),
        ((20, 19, 0.001), (5, 5, 0.01), "fail", "messages are lost"),
        ((20, 0, None), (5, 0, None), "fail", "messages are lost"),
        ((20, 20, 0.2), (5, 5, 0.3), "warn", "busy"),
    ],
)
def test_what_was_measured_is_judged(small, large, status, words):
    names = ("sent", "came_back", "median_s")
    measured = {
        "found_s": 0.4,
        "small": dict(zip(names, small, strict=True)),
        "large": dict(zip(names, large, strict=True)),
    }
    finding = doctor.judge_discovery(measured)
    assert finding.status == status and words in finding.found + finding.remedy


def test_a_check_that_stumbles_is_a_finding_and_the_others_go_on(monkeypatch):
    def stumble():
        raise OSError("no such device")

    monkeypatch.setattr(doctor, "machine", stumble)
    monkeypatch.setattr(doctor, "discovery", lambda: iter(()))
    found = {finding.subject: finding for finding in doctor.examine()}
    assert found["machine"].status == "warn" and "no such device" in found["machine"].found
    assert "kernel" in found


def test_the_packages_it_asks_for_are_those_of_the_project():
    asked = (ROOT / "requirements.in").read_text()
    assert [name for name in doctor.PACKAGES if not re.search(rf"^{name}\b", asked, re.MULTILINE)] == []


def test_a_pybullet_without_numpy_is_a_warning(monkeypatch):
    assert "pybullet" not in {finding.subject for finding in doctor.python()}
    monkeypatch.setattr(doctor, "_FAST_PICTURES", "import sys; sys.exit(1)")
    *_, finding = doctor.python()
    assert (finding.subject, finding.status) == ("pybullet", "warn") and "make clean ALL=1 setup" in finding.remedy


def test_a_camera_that_is_not_there_is_a_warning():
    found = {finding.subject: finding for finding in doctor.cameras(97)}
    assert found["picture"].status == "warn" and "97" in found["picture"].found


def test_a_camera_below_zero_is_refused():
    with pytest.raises(UserError, match="--camera -1: expected"):
        doctor.doctor(camera=-1)
