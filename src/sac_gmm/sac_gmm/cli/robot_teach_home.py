"""`sac-gmm robot teach-home`: the pose that episodes begin from."""

from __future__ import annotations

from pathlib import Path

import tyro


def teach_home(output: tyro.conf.Positional[Path], overwrite: bool = False, timeout_s: float = 30.0) -> int:
    """Store where the arm stands as the pose that episodes begin from: its tip, and its joints if they are known.

    Args:
        output: File to write, a name ending in .json; `home_reset` reads it (home_file).
        overwrite: Replace the file if it exists.
        timeout_s: How long to wait for an arm that stands.
    """
    from sac_gmm.launcher.node_program import run_node_program

    given: dict[str, str | bool | float] = {"file": str(output), "overwrite": overwrite, "timeout_s": timeout_s}
    print(run_node_program("teach_home", given), end="")
    return 0
