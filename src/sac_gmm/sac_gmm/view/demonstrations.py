"""Loads demonstrations for display."""

from __future__ import annotations

from pathlib import Path

from sac_gmm.demos import find_bags, read_demonstration
from sac_gmm.view.snapshot import Array

_MOST = 20
_POINTS = 200  # points per demonstration


def relative_paths(folder: Path | None) -> tuple[Array, ...]:
    """The demonstrations in a folder of bags as paths (T, 3) relative to their targets; empty if there are none.

    Raises:
        UserError: A bag in it cannot be read.
    """
    if folder is None or not folder.is_dir():
        return ()
    paths = [read_demonstration(bag).relative_m for bag in find_bags((folder,))[:_MOST]]
    return tuple(path[:: max(1, len(path) // _POINTS)] for path in paths)
