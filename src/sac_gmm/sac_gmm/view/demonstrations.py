"""Loads demonstrations for display."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from sac_gmm.demos import check_set, find_bags, read_demonstration
from sac_gmm.view.snapshot import Array

_MOST = 20
_POINTS = 200  # points per demonstration


def _print(text: str) -> None:
    print(text, file=sys.stderr)


def relative_paths(folder: Path | None, tell: Callable[[str], object] = _print) -> tuple[Array, ...]:
    """The demonstrations in a folder of bags as paths (T, 3) relative to their targets; empty if there are none.

    Args:
        folder: The folder, if there is one.
        tell: Called with each problem of the demonstrations, as `sac-gmm demos check` finds them.

    Raises:
        UserError: A bag in it cannot be read.
    """
    if folder is None or not folder.is_dir():
        return ()
    demonstrations = [read_demonstration(bag) for bag in find_bags((folder,))[:_MOST]]
    for problem in check_set(demonstrations).all_problems:
        tell(f"the demonstrations: {problem}")
    paths = [demonstration.relative_m for demonstration in demonstrations]
    return tuple(path[:: max(1, len(path) // _POINTS)] for path in paths)
