"""What holds for an executable before its node is there: while it imports, and in a shell in which nothing can run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from tests.nodes.executables import module_of

from sac_gmm_nodes.common.early import runs_an_executable

pytestmark = pytest.mark.ros
SLOW_IMPORT = "import time\nprint('importing', flush=True)\ntime.sleep(300)\n"
CONSTRUCTED = """
import time
from sac_gmm_nodes.common.node import run_node

def node():
    print("importing", flush=True)
    time.sleep(300)

run_node(node)
"""


def interrupt(command, number, env):
    """Start a program, send it a signal once it says that it imports; code and all that it has printed."""
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while (line := process.stdout.readline()) != "importing\n":
        assert line, "it ended by itself"
    process.send_signal(number)
    rest, _ = process.communicate(timeout=300)
    return process.returncode, rest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("executable", ["gmm_controller", "sac_adapter", "aruco_reward", "lifecycle_manager"])
def test_ctrl_c_while_it_imports_ends_it_without_a_word(tmp_path, executable, number):
    (tmp_path / "rclpy").mkdir()
    (tmp_path / "rclpy" / "__init__.py").write_text(SLOW_IMPORT)
    env = os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    assert interrupt([sys.executable, "-m", module_of(executable)], number, env) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_so_it_does_while_the_node_is_made(ros_domain, number):
    assert interrupt([sys.executable, "-c", CONSTRUCTED], number, os.environ) == (0, "")


@pytest.mark.parametrize(
    ("argv", "orig_argv", "expected"),
    [
        (["/ws/install/sac_gmm_nodes/lib/sac_gmm_nodes/aruco_reward"], ["python", "aruco_reward"], True),
        (["-m"], ["/usr/bin/python3", "-X", "dev", "-m", "sac_gmm_nodes.reward.aruco_reward", "--ros-args"], True),
        (["/ws/.venv/bin/pytest"], ["python", "-m", "pytest", "tests/nodes"], False),
        (["/ws/.venv/bin/sac-gmm"], ["python", "/ws/.venv/bin/sac-gmm", "up"], False),
        (["-c"], ["python", "-c", "import sac_gmm_nodes"], False),
        ([], [], False),
    ],
)
def test_only_executables_of_the_package_are_prepared(argv, orig_argv, expected):
    assert runs_an_executable(argv, orig_argv) is expected


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("ROS_DOMAIN_ID", "seven", ["ROS_DOMAIN_ID=seven is not a whole number", "export ROS_DOMAIN_ID=0"]),
        ("ROS_DOMAIN_ID", "-3", ["ROS_DOMAIN_ID=-3 is out of range: expected 0 to 232"]),
        ("RMW_IMPLEMENTATION", "rmw_zenoh_cpp", ["RMW_IMPLEMENTATION=rmw_zenoh_cpp", "unset RMW_IMPLEMENTATION"]),
        ("ROS_LOG_DIR", "/proc/no/log", ["ROS_LOG_DIR=/proc/no/log", "cannot write", "export ROS_LOG_DIR=/tmp"]),
        ("PYTHONPATH", "OTHER", ["yaml is taken from", "out of PYTHONPATH"]),
    ],
)
def test_a_shell_in_which_no_node_runs_is_told_so_in_a_sentence(tmp_path, ros_domain, setting, value, words):
    if value == "OTHER":
        (tmp_path / "yaml").mkdir()
        (tmp_path / "yaml" / "__init__.py").write_text("raise ImportError('built for another Python')")
        value = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, "-m", module_of("aruco_reward")],
        env=os.environ | {setting: value},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode != 0
    for part in words:
        assert part in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and "--ros-args" not in done.stderr
