"""Judges the shell's settings on which every ROS 2 node depends, without ROS: `sac-gmm doctor` and nodes ask it."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_HIGHEST_DOMAIN = 232  # above it there are no ports
_FREE_DOMAINS = (range(102), range(215, 233))  # whose ports Linux does not lend to other programs
_RANGES = ("SUBNET", "LOCALHOST", "OFF", "SYSTEM_DEFAULT")
_PROFILES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
_MIDDLEWARE = re.compile(r"rmw_connextdds|rmw_(?!\w*(__|_shared_))\w+_cpp")
_COLOURS = re.compile(r"\x1b?\[[0-9;]*m")


class Objection(NamedTuple):
    """What is wrong with a setting.

    Attributes:
        found: The setting and what is wrong with it.
        remedy: What to do.
        fatal: Whether no node can run, or be found, with it.
    """

    found: str
    remedy: str
    fatal: bool = True


def objections(shell: Mapping[str, str]) -> list[Objection]:
    """All that is wrong with the variables of a shell, those first that stop every node."""
    judged = [
        *_domain(shell.get("ROS_DOMAIN_ID", "")),
        *_middleware(shell.get("RMW_IMPLEMENTATION", ""), shell),
        *_log_folder(shell),
        *_discovery(shell),
    ]
    return sorted(judged, key=lambda objection: not objection.fatal)


def foreign_packages(names: Sequence[str], shell: Mapping[str, str]) -> list[Objection]:
    """Packages that PYTHONPATH puts before those of this Python environment."""
    own = Path(sys.prefix).resolve()
    folders = [Path(entry).resolve() for entry in shell.get("PYTHONPATH", "").split(os.pathsep) if entry]
    foreign = [folder for folder in folders if not folder.is_relative_to(own)]
    found = []
    for name in names:
        spec = importlib.util.find_spec(name)
        place = Path(spec.origin).resolve() if spec is not None and spec.origin else None
        folder = next((folder for folder in foreign if place is not None and place.is_relative_to(folder)), None)
        if folder is not None:
            found.append(
                Objection(
                    f"{name} is taken from {folder}, which is in PYTHONPATH, and not from {own}",
                    f"take {folder} out of PYTHONPATH, or open a new shell and `source install/setup.bash` alone",
                )
            )
    return found


def telling_line(text: str) -> str:
    """The line of a program's error output that says most: the last one with an error in it, or else the last."""
    lines = [line.strip() for line in _COLOURS.sub("", text).splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"error|failed|expected|too high", line, re.IGNORECASE)]
    said = (errors or lines or [""])[-1]
    return re.sub(r",? at /\S+:\d+$", "", said)


def _domain(value: str) -> Iterator[Objection]:
    if not value:
        return
    remedy = "`export ROS_DOMAIN_ID=0`, or another number from 0 to 101"
    if not re.fullmatch(r"\s*[+-]?\d+", value):
        yield Objection(f"ROS_DOMAIN_ID={value} is not a whole number", remedy)
    elif not 0 <= int(value) <= _HIGHEST_DOMAIN:
        yield Objection(f"ROS_DOMAIN_ID={value} is out of range: expected 0 to {_HIGHEST_DOMAIN}", remedy)
    elif not any(int(value) in domains for domains in _FREE_DOMAINS):
        yield Objection(f"ROS_DOMAIN_ID={value}: another program may have been lent its ports", remedy, fatal=False)


def _middleware(name: str, shell: Mapping[str, str]) -> Iterator[Objection]:
    prefixes = [sys.prefix, *shell.get("AMENT_PREFIX_PATH", "").split(os.pathsep)]
    folders = {Path(prefix, "lib") for prefix in prefixes if prefix}
    folders |= {Path(entry) for entry in shell.get("LD_LIBRARY_PATH", "").split(os.pathsep) if entry}
    known = {path.stem.removeprefix("lib") for folder in folders for path in folder.glob("librmw_*.so")}
    if name and known and name not in known:
        there = ", ".join(sorted(entry for entry in known if _MIDDLEWARE.fullmatch(entry))) or "none"
        remedy = f"`unset RMW_IMPLEMENTATION`, or install {name} beside this ROS; on all machines the same one"
        yield Objection(f"RMW_IMPLEMENTATION={name} is not in this ROS, which has {there}", remedy)


def _log_folder(shell: Mapping[str, str]) -> Iterator[Objection]:
    """As rcl does: ROS_LOG_DIR, or log in ROS_HOME, or in .ros at home."""
    home = shell.get("HOME", "")
    folder = shell.get("ROS_LOG_DIR", "") or str(Path(shell.get("ROS_HOME", "") or str(Path(home, ".ros")), "log"))
    by = next(name for name in ("ROS_LOG_DIR", "ROS_HOME", "HOME") if shell.get(name) or name == "HOME")
    path = Path(re.sub(r"^~(?=/|$)", home, folder))
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        found = f"{by}={shell.get(by, '')}: nodes cannot write their logs in {path}: {error.strerror or error}"
        yield Objection(found, "`export ROS_LOG_DIR=/tmp/ros_log`, or let it be a folder that you may write in")


def _discovery(shell: Mapping[str, str]) -> Iterator[Objection]:
    server, range_ = shell.get("ROS_DISCOVERY_SERVER", ""), shell.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
    if server:
        found = f"ROS_DISCOVERY_SERVER={server}: nodes find each other through that server alone"
        yield Objection(found, "see that it runs and can be reached, or `unset ROS_DISCOVERY_SERVER`", fatal=False)
    if range_ and range_ not in _RANGES:
        found = f"ROS_AUTOMATIC_DISCOVERY_RANGE={range_} is not known: expected one of {', '.join(_RANGES)}"
        yield Objection(found, "`unset ROS_AUTOMATIC_DISCOVERY_RANGE`", fatal=False)
    if range_ == "OFF":
        found = "ROS_AUTOMATIC_DISCOVERY_RANGE=OFF: nodes do not look for each other"
        yield Objection(found, "`export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST`, or SUBNET", fatal=False)
    for name in _PROFILES:
        if shell.get(name) and not Path(shell[name]).is_file():
            yield Objection(f"{name}={shell[name]}: there is no such file", f"`unset {name}`", fatal=False)
