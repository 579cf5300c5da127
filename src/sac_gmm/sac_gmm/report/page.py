"""The page of a report: headings, pictures, tables and outcomes in one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from sac_gmm.core.files import atomic_file
from sac_gmm.evaluation.rates import SuccessRate


class Page:
    """Collects sections in their order. Text is escaped; nothing refers to a place outside the file.

    Args:
        title: Of the window and of the page.
        summary: What a reader in a hurry reads.
    """

    def __init__(self, title: str, summary: str = "") -> None:
        self._title = title
        self._parts: list[str] = []
        self._sections: list[str] = []
        if summary:
            self.text(summary)

    def section(self, title: str) -> None:
        """Begin a section; the page lists them at its top."""
        self._sections.append(title)
        self._add("section", len(self._sections), title)

    def text(self, text: str) -> None:
        """A paragraph."""
        self._add("text", text)

    def picture(self, data: bytes, caption: str, kind: str = "png") -> None:
        """A picture above its caption; `kind` is png, jpeg or gif."""
        self.pictures([(data, caption)], kind)

    def pictures(self, pictures: Iterable[tuple[bytes, str]], kind: str = "png") -> None:
        """Pictures side by side if there is room, each with its caption."""
        encoded = [(base64.b64encode(data).decode("ascii"), caption) for data, caption in pictures]
        self._add("figures", [(f"data:image/{kind};base64,{data}", caption) for data, caption in encoded])

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A table; a `SuccessRate` in it is drawn as well as written."""
        self._add("table", heads, list(rows))

    def outcomes(self, title: str, episodes: Sequence[tuple[bool, str]]) -> None:
        """A square for each episode, in order: whether it succeeded, and a text shown when the mouse is over it."""
        self._add("outcomes", title, SuccessRate(sum(success for success, _ in episodes), len(episodes)), episodes)

    def configuration(self, values: dict[str, Any]) -> None:
        """Nested values as a table of their paths."""
        self.table(("setting", "value"), _flat(values))

    def write(self, path: Path) -> None:
        """Write the page."""
        page = _templates().get_template("page.html")
        with atomic_file(path) as partial:
            text = page.render(title=self._title, sections=self._sections, parts=self._parts)
            partial.write_text(text, encoding="utf-8")

    def _add(self, part: str, *values: object) -> None:
        """Add a part by the name of its macro in `templates/parts.html`."""
        self._parts.append(getattr(_templates().get_template("parts.html").module, part)(*values))


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("sac_gmm.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.tests["success_rate"] = lambda value: isinstance(value, SuccessRate)
    return environment


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for name, value in values.items():
        if isinstance(value, dict) and value:
            rows += _flat(value, f"{prefix}{name}.")
        else:
            rows.append((prefix + name, value if isinstance(value, str) else json.dumps(value)))
    return rows
