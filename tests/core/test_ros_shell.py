"""Which settings of a shell stop nodes, or keep them from finding each other."""

import sys
from pathlib import Path

import pytest

from sac_gmm.core.ros_shell import foreign_packages, objections, telling_line


@pytest.fixture
def shell(tmp_path):
    """A shell in which all is well: home, and a ROS with two middlewares."""
    for name in ("rmw_fastrtps_cpp", "rmw_zenoh_cpp", "rmw_fastrtps_shared_cpp", "rmw_dds_common__typesupport_cpp"):
        library = tmp_path / "ros" / "lib" / f"lib{name}.so"
        library.parent.mkdir(parents=True, exist_ok=True)
        library.touch()
    return {"HOME": str(tmp_path), "AMENT_PREFIX_PATH": f"/nowhere:{tmp_path / 'ros'}"}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"ROS_DOMAIN_ID": "0"},
        {"ROS_DOMAIN_ID": "101"},
        {"ROS_DOMAIN_ID": "232"},
        {"ROS_DOMAIN_ID": ""},
        {"RMW_IMPLEMENTATION": "rmw_zenoh_cpp"},
        {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"},
    ],
)
def test_nothing_is_wrong_with_good_settings(shell, settings):
    assert objections(shell | settings) == []


@pytest.mark.parametrize(
    ("settings", "fatal", "words"),
    [
        ({"ROS_DOMAIN_ID": "12a"}, True, "ROS_DOMAIN_ID=12a is not a whole number"),
        ({"ROS_DOMAIN_ID": "1.5"}, True, "not a whole number"),
        ({"ROS_DOMAIN_ID": "233"}, True, "expected 0 to 232"),
        ({"ROS_DOMAIN_ID": "-1"}, True, "expected 0 to 232"),
        ({"ROS_DOMAIN_ID": "150"}, False, "another program"),
        ({"RMW_IMPLEMENTATION": "rmw_connextdds_cpp"}, True, "which has rmw_fastrtps_cpp, rmw_zenoh_cpp"),
        ({"HOME": "/proc/nobody"}, True, "HOME=/proc/nobody: nodes cannot write their logs in /proc/nobody/.ros/log"),
        ({"ROS_HOME": "/proc/x"}, True, "ROS_HOME=/proc/x"),
        ({"ROS_LOG_DIR": "/dev/null"}, True, "ROS_LOG_DIR=/dev/null"),
        ({"ROS_DISCOVERY_SERVER": ";10.0.0.9:11811"}, False, "ROS_DISCOVERY_SERVER=;10.0.0.9:11811"),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "HOST"}, False, "is not known"),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}, False, "do not look for each other"),
        ({"FASTRTPS_DEFAULT_PROFILES_FILE": "/no.xml"}, False, "/no.xml: there is no such file"),
    ],
)
def test_what_is_wrong_is_named_with_a_remedy(shell, settings, fatal, words):
    (found,) = objections(shell | settings)
    assert words in found.found and found.fatal is fatal and found.remedy


def test_what_stops_everything_comes_first(shell):
    found = objections(shell | {"ROS_DISCOVERY_SERVER": "a:1", "HOME": "/proc/nobody", "ROS_DOMAIN_ID": "999"})
    assert [objection.fatal for objection in found] == [True, True, False]


def test_a_package_that_pythonpath_brings_along_is_foreign(tmp_path, monkeypatch):
    (tmp_path / "brought_along.py").write_text("raise ImportError('built for another Python')")
    monkeypatch.syspath_prepend(tmp_path)
    shell = {"PYTHONPATH": f"{tmp_path}:/nowhere"}
    (found,) = foreign_packages(["brought_along", "json", "not_there_at_all"], shell)
    assert f"brought_along is taken from {tmp_path}" in found.found and str(tmp_path) in found.remedy
    assert foreign_packages(["brought_along"], {"PYTHONPATH": ""}) == []
    assert foreign_packages(["numpy"], {"PYTHONPATH": str(Path(sys.prefix) / "lib")}) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("loading\nready\n", "ready"),
        ("Traceback\n  File x\nValueError: no\n\nsee the manual\n", "ValueError: no"),
        (
            "\x1b[31m[ERROR] [rcl]: Expected a but found b, at /src/check.c:154\x1b[m\n\n",
            "[ERROR] [rcl]: Expected a but found b",
        ),
    ],
)
def test_the_line_that_says_most_is_picked(text, line):
    assert telling_line(text) == line
