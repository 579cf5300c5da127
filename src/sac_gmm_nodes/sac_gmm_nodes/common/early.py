"""What holds for an executable of this package before its node is there: its imports take seconds.

Ctrl-C ends it quietly then, and what in the shell keeps every node from running is said in one sentence.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

_PACKAGE = "sac_gmm_nodes"
_PACKAGES = ("numpy", "scipy", "cv2", "yaml", "torch", "rclpy")  # that another environment brings along in PYTHONPATH


def prepare() -> None:
    """Prepare this process, if it runs an executable of this package."""
    if not runs_an_executable(sys.argv, sys.orig_argv) or multiprocessing.parent_process() is not None:
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)  # until run_node takes over
    from sac_gmm.core.ros_shell import objections

    for found, remedy, fatal in objections(os.environ):
        if fatal and found.startswith(("RMW_IMPLEMENTATION", "ROS_DOMAIN_ID")):  # ROS ends the process without a remedy
            print(f"{found}: {remedy}", file=sys.stderr, flush=True)
            sys.exit(2)
    sys.excepthook = _explain


def runs_an_executable(argv: Sequence[str], orig_argv: Sequence[str]) -> bool:
    """Whether a process was started as lib/sac_gmm_nodes/NAME, or as python -m sac_gmm_nodes.ROOM.NAME."""
    as_module = any(flag == "-m" and name.startswith(f"{_PACKAGE}.") for flag, name in itertools.pairwise(orig_argv))
    return as_module or (bool(argv) and Path(argv[0]).parent.name == _PACKAGE)


def _leave(_number: int, _frame: Any) -> None:
    os._exit(0)  # nothing has been opened yet; an exception would pass through the imports of others


def _explain(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Name a package that PYTHONPATH puts before ours, in place of the traceback through it."""
    if issubclass(kind, ImportError) and (found := shell_to_blame(error)):
        print(f"{error}: {found}", file=sys.stderr, flush=True)
    else:
        sys.__excepthook__(kind, error, trace)


def shell_to_blame(error: BaseException) -> str:
    """What in this shell keeps every node from running, and what to do about it; empty where nothing does."""
    from sac_gmm.core.ros_shell import foreign_packages, objections

    found = [objection for objection in objections(os.environ) if objection.fatal]
    if isinstance(error, ImportError):
        with contextlib.suppress(ImportError, ValueError):  # of a package that is broken in another way
            found += foreign_packages(_PACKAGES, os.environ)
    return "; ".join(f"{objection.found}: {objection.remedy}" for objection in found)
