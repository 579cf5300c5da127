"""The table of docs/faults.md: every test that breaks something adds a row.

`make faults` writes the page; every other run checks that the page knows the fault and says the same of the status.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"

INTRODUCTION = """# What happens when something breaks

Written by `make faults`, which starts the real nodes, breaks one thing after the other and watches the command topic;
`make test` breaks them all again and compares. Limits: 0.25 m/s, 2 m/s², 40 m/s³. Times and ways are counted from the
first tick that gives a reason to stop, on the commands at the controller's own period.

| what is broken | what the arm does | what the status says |
|---|---|---|
"""


class Table:
    """The rows of docs/faults.md, written or compared."""

    def __init__(self) -> None:
        self.write = bool(os.environ.get("FAULTS_TABLE"))
        self.rows: list[tuple[str, str, str]] = []
        lines = PAGE.read_text().splitlines() if PAGE.exists() else []
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
        self._known = {row[0]: row[2] for row in cells if len(row) == 3}

    def add(self, fault: str, arm: str, status: str) -> None:
        """Add a row; where the page is not being written, it must hold this fault with this status."""
        self.rows.append((fault, arm, status))
        if not self.write:
            assert self._known.get(fault) == status, (
                f"docs/faults.md is not up to date for {fault!r}: run `make faults`"
            )

    def close(self) -> None:
        """Write the page."""
        if self.write:
            PAGE.write_text(INTRODUCTION + "".join(f"| {a} | {b} | {c} |\n" for a, b, c in self.rows))


@pytest.fixture(scope="session")
def table():
    """The table of the whole run."""
    table = Table()
    yield table
    table.close()
