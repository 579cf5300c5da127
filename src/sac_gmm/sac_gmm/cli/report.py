"""Write a self-contained page about one run: curves, films, mixture, every episode.

    sac-gmm report runs/demo
    sac-gmm report runs/door_0 --films 3
    sac-gmm report benchmarks/results/table --films 0

The folder is one from `sac-gmm demo`, `sac-gmm train` (including any result files from `sac-gmm evaluate --json`), or
`sac-gmm table`. The page is report.html in that folder.
"""

from __future__ import annotations

from pathlib import Path

import tyro

from sac_gmm.core.command_line import help_text
from sac_gmm.core.errors import UserError


def main(args: list[str]) -> int:
    """Write a report."""
    return tyro.cli(report, args=args, prog="sac-gmm report", description=help_text(__doc__))


def report(
    folder: tyro.conf.Positional[Path],
    films: int = 2,
    table: Path = Path("benchmarks/results/table/table.json"),
) -> int:
    """Write report.html into the folder of a run.

    Args:
        folder: Folder of the run.
        films: For a trained skill: episodes to film before and after, and failures; 0 for none. Each takes 3 s.
        table: Results to show beside those of a trained skill, if the file exists.
    """
    from sac_gmm.report.run_page import write_report

    if films < 0:
        raise UserError(f"{films} films cannot be made: give a number from 0 up")
    print(f"wrote {write_report(folder, films, table)}")
    return 0
