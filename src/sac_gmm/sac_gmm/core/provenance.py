"""The origin of a result, as recorded in every result file."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("numpy", "scipy", "torch", "pybullet", "opencv-python-headless", "ros-rclpy")


def provenance() -> dict[str, object]:
    """Git revision of the source, and the versions of Python and packages."""
    return {"git": git_revision(), "python": platform.python_version(), "packages": _package_versions()}


def git_revision() -> str:
    """The commit of this source tree, with `-dirty` if files differ from it; `unknown` outside a checkout."""
    try:
        result = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=Path(__file__).resolve().parent,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return result.stdout.strip() or "unknown"


def _package_versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # ROS from apt, for example, is not a Python distribution
    return found
