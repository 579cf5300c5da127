"""A small ROS package whose executables a launch file can start, and launch files that start them."""

import os
from pathlib import Path

import pytest

EXECUTABLES = {
    # prints what a node is started with
    "show": 'echo "ARGS $@"; for a in "$@"; do [ -f "$a" ] && cat "$a"; done; echo "PET=$PET"',
    # ends well on SIGINT, as our nodes do
    "patient": 'trap "echo bye; exit 0" INT; echo ready; while :; do sleep 0.05; done',
    # the same, and says so all the time; counts how often in a file beside it
    "chatty": 'trap "exit 0" INT; while :; do echo >> "$0.said"; echo here; sleep 0.02; done',
    # ends on nothing but SIGKILL
    "stubborn": 'trap "echo no" INT TERM; echo ready; while :; do sleep 0.05; done',
    "fail": "echo oh; exit 3",
    "finish": "sleep 0.2; exit 0",
    # leaves a helper behind
    "parent": 'sleep 300 & echo "helper $!"; exit 1',
}


@pytest.fixture(autouse=True)
def package(tmp_path, monkeypatch):
    """A ROS package `pets` with small executables, found by the ament index like any other."""
    prefix = tmp_path / "prefix"
    marker = prefix / "share" / "ament_index" / "resource_index" / "packages" / "pets"
    marker.parent.mkdir(parents=True)
    marker.touch()
    (prefix / "share" / "pets" / "launch").mkdir(parents=True)
    (prefix / "lib" / "pets").mkdir(parents=True)
    for name, script in EXECUTABLES.items():
        path = prefix / "lib" / "pets" / name
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{prefix}:{os.environ.get('AMENT_PREFIX_PATH', '')}")
    return prefix


@pytest.fixture
def launch_file(tmp_path):
    """Write a launch file from the lines below `launch:`."""

    def write(text: str, name: str = "pets.launch.yaml") -> Path:
        path = tmp_path / name
        path.write_text("launch:\n" + text)
        return path

    return write
