"""Runs an executable of our ROS package that does one thing and ends: the library imports no ROS."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping

from sac_gmm.core.errors import UserError
from sac_gmm.launcher.packages import find_package

_PACKAGE = "sac_gmm_nodes"


def run_node_program(name: str, parameters: Mapping[str, str | bool | float]) -> str:
    """Run it to its end and return what it printed.

    Args:
        name: The executable.
        parameters: Its ROS parameters.

    Raises:
        UserError: It failed; the sentence is its own.
    """
    command = [str(find_package(_PACKAGE) / "lib" / _PACKAGE / name), "--ros-args"]
    for key, value in parameters.items():
        command += ["-p", f"{key}:={json.dumps(value)}"]  # which is YAML, too
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        own = [line.partition(": ")[2] for line in lines if line.partition(": ")[0].isidentifier()]
        raise UserError((own or lines or [f"{name} ended with exit code {done.returncode}"])[-1])
    return done.stdout
