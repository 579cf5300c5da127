"""Determines what a path is, and opens it."""

from __future__ import annotations

from pathlib import Path

from sac_gmm.core.errors import UserError
from sac_gmm.demos.bags.bag_reader import is_bag
from sac_gmm.demos.bags.other_kinds import explain
from sac_gmm.view.snapshot import Source


def open_source(path: Path, demonstrations: Path = Path("demos"), skill: Path | None = None) -> Source:
    """Open the source for a run folder or a bag.

    Args:
        path: The folder of the run, or the bag.
        demonstrations: Folder with one folder of bags per task.
        skill: The skill, for a bag that does not contain it.

    Raises:
        UserError: It is neither, or it cannot be read.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist: give the folder of a run, a bag, or nothing for what runs over ROS 2")
    if (path / "config.json").exists():
        from sac_gmm.view.run_source import RunSource

        return RunSource(path, demonstrations)
    if is_bag(path):
        from sac_gmm.view.bag_source import BagSource

        return BagSource(path, skill)
    raise UserError(
        explain(path)
        or f"{path} is neither a run (config.json is missing) nor a bag (no metadata.yaml, no .mcap): give one of these"
    )
