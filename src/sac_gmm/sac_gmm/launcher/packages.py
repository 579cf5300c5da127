"""Where ROS packages are installed, by the ament index."""

from __future__ import annotations

import os
from pathlib import Path

from sac_gmm.core.errors import UserError


def find_in_package(package: str, file_name: str) -> Path:
    """A launch file by package and name, as `ros2 launch PACKAGE FILE` finds it.

    Raises:
        UserError: The package is not there, or it has no such file or more than one.
    """
    share = find_package(package) / "share" / package
    found = sorted(share.rglob(file_name)) if file_name else []
    if len(found) != 1:
        number = "several files" if found else "no file"
        raise UserError(f"package '{package}' has {number} named '{file_name}' below {share}")
    return found[0]


def find_package(package: str) -> Path:
    """The prefix in which a package is installed, by the ament index.

    Raises:
        UserError: No prefix of AMENT_PREFIX_PATH has it.
    """
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        if prefix and Path(prefix, "share", "ament_index", "resource_index", "packages", package).is_file():
            return Path(prefix)
    raise UserError(f"ROS package '{package}' is not found: run `make setup`, then `source install/setup.bash`")
