"""Help texts and progress bars shared by the commands."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress


def help_text(doc: str | None) -> str:
    """Turn a module's docstring into the description of its command, with examples on separate lines."""
    return (doc or "").replace("    sac-gmm", "    $ sac-gmm")  # tyro joins lines that begin with a letter


def show_examples(prog: str, commands: dict[str, Callable[..., int]], doc: str | None) -> None:
    """Copy each subcommand's examples from the help of the whole command to the subcommand's help.

    Args:
        prog: The command, for example `sac-gmm demos`.
        commands: Its subcommands; their docstrings are changed.
        doc: The docstring with the examples.
    """
    for name, function in commands.items():
        summary, _, rest = (function.__doc__ or "").partition("\n")
        lines = re.findall(rf"^    {prog} {name}\b.*$", doc or "", re.MULTILINE)
        if "$ sac-gmm" not in rest:
            function.__doc__ = "\n".join([summary, "", *map(help_text, lines), rest])


def counting_progress(title_width: int) -> Progress:
    """Progress bars with a title, a count and the elapsed time."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    return Progress(_title(title_width), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())


def success_progress(title_width: int) -> Progress:
    """Progress bars for episodes: count, the text in the field `success`, elapsed and remaining time."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        _title(title_width),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[success]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )


class EpisodeBar:
    """The bar of one phase of episodes, with the success rate of the last twenty.

    Args:
        progress: From `success_progress`.
        title: Of the phase.
        total: Episodes in all.
        done: Of these, how many there are already.
    """

    def __init__(self, progress: Progress, title: str, total: int, done: int = 0) -> None:
        self._progress, self._title, self._total = progress, title, total
        self._bar = progress.add_task(title, total=total, completed=done, success="")

    def advance(self, successes: Sequence[bool]) -> None:
        """Count one more episode; `successes` are the outcomes of all, this one included."""
        recent = successes[-20:]
        rate = 100 * sum(recent) / len(recent)
        self._progress.update(self._bar, advance=1, success=f"success {rate:3.0f} % of the last {len(recent):2d}")
        if not self._progress.console.is_terminal and len(successes) % 10 == 0:
            print(f"{self._title}: {len(successes)}/{self._total} episodes, {rate:.0f} %")


def _title(width: int) -> Any:
    from rich.progress import TextColumn

    return TextColumn(f"{{task.description:<{width}}}")
