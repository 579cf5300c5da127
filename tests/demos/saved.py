"""What would be left of a recording if its recorder were killed now."""

import shutil
import tempfile
from pathlib import Path

from sac_gmm.core.errors import UserError
from sac_gmm.demos import salvage


def saved_so_far(partial: Path, topic: str) -> int:
    """How many messages of a topic a recording in progress has on the disk."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / partial.name
        try:
            shutil.copytree(partial, copy)  # a copy, because what is being recorded is not salvaged
            return salvage(copy, Path(folder) / "saved").recovered.get(topic, 0)
        except (OSError, shutil.Error, UserError):
            return 0  # it has not begun
