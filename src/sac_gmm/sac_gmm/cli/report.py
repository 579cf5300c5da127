"""Write one page about one run, which opens from disk and needs nothing else: curves, films, mixture, every episode.

    sac-gmm report runs/demo
    sac-gmm report runs/door_0 --films 3
    sac-gmm report benchmarks/results/table --films 0

The folder is that of `sac-gmm demo`, of `sac-gmm train` (with the result files that `sac-gmm evaluate --json` put
there), or of `sac-gmm table`. The page is report.html in it.
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
        folder: Of the run.
        films: Of a trained skill: episodes filmed before and after, and failures; 0 for none. Each takes 3 s.
        table: Results that stand beside those of a trained skill, where the file exists.
    """
    from sac_gmm.report.run_page import write_report

    if films < 0:
        raise UserError(f"{films} films cannot be made: give a number from 0 up")
    print(f"wrote {write_report(folder, films, table)}")
    return 0
