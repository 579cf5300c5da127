"""The page of a report: headings, pictures, tables and outcomes in one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sac_gmm.core.files import atomic_file
from sac_gmm.evaluation.rates import SuccessRate


class Page:
    """Takes sections in their order. Text is escaped; nothing refers to a place outside the file.

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
        self._parts.append(f'<h2 id="s{len(self._sections)}">{html.escape(title)}</h2>')

    def text(self, text: str) -> None:
        """A paragraph."""
        self._parts.append(f"<p>{html.escape(text)}</p>")

    def picture(self, data: bytes, caption: str, kind: str = "png") -> None:
        """A picture over its caption; `kind` is png, jpeg or gif."""
        self.pictures([(data, caption)], kind)

    def pictures(self, pictures: Iterable[tuple[bytes, str]], kind: str = "png") -> None:
        """Pictures side by side where there is room, each with its caption."""
        figures = [
            f'<figure><img alt="{html.escape(caption)}" src="data:image/{kind};base64,'
            f'{base64.b64encode(data).decode("ascii")}"><figcaption>{html.escape(caption)}</figcaption></figure>'
            for data, caption in pictures
        ]
        self._parts.append(f'<div class="figures">{"".join(figures)}</div>')

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A table; a `SuccessRate` in it is drawn as well as written."""
        head = "".join(f"<th>{html.escape(name)}</th>" for name in heads)
        body = "".join("<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>" for row in rows)
        self._parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")

    def outcomes(self, title: str, episodes: Sequence[tuple[bool, str]]) -> None:
        """A square per episode, in their order: whether it succeeded, and what is said when the mouse is over it."""
        rate = SuccessRate(sum(success for success, _ in episodes), len(episodes))
        squares = "".join(
            f'<span class="{"yes" if success else "no"}" title="{html.escape(text)}"></span>'
            for success, text in episodes
        )
        self._parts.append(f'<p>{html.escape(title)}: {rate}</p><div class="episodes">{squares}</div>')

    def configuration(self, values: dict[str, Any]) -> None:
        """Nested values as a table of their paths."""
        self.table(("setting", "value"), _flat(values))

    def write(self, path: Path) -> None:
        """Write the page."""
        listed = " · ".join(f'<a href="#s{i}">{html.escape(title)}</a>' for i, title in enumerate(self._sections, 1))
        title = html.escape(self._title)
        body = f"<h1>{title}</h1>\n<nav>{listed}</nav>\n" + "\n".join(self._parts)
        with atomic_file(path) as partial:
            partial.write_text(_PAGE.replace("{title}", title).replace("{body}", body), encoding="utf-8")


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><link rel="icon" href="data:,"><style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { margin-bottom: .2rem; } h2 { margin-top: 2.4rem; border-bottom: 1px solid #ddd; } nav, figcaption { color: #555; }
nav a { color: #1f5fa8; text-decoration: none; } img { max-width: 100%; height: auto; display: block; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: .5rem 0; flex: 0 1 auto; max-width: 100%; }
.figures figure:not(:only-child) { max-width: 30rem; } figcaption { font-size: 14px; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 15px; }
td, th { padding: .2rem .9rem .2rem 0; text-align: left; vertical-align: middle; border-bottom: 1px solid #eee; }
.episodes { display: flex; flex-wrap: wrap; gap: 2px; } .episodes span { width: 14px; height: 14px; }
.yes { background: #2e8b57; } .no { background: #d9d9d9; }
.nobreak { white-space: nowrap; }
.rate { display: inline-block; position: relative; width: 200px; height: 14px; background: #f0f0f0; margin-right: .7rem;
  vertical-align: middle; } .rate i { position: absolute; top: 4px; height: 6px; background: #8fc3a6; }
.rate b { position: absolute; top: 0; width: 3px; height: 14px; background: #2e8b57; }
</style></head><body>
{body}
</body></html>
"""


def _cell(value: object) -> str:
    if not isinstance(value, SuccessRate):
        return html.escape(str(value))
    low, high = (100.0 * bound for bound in value.interval)
    bar = f'<i style="left:{low:.1f}%;width:{high - low:.1f}%"></i><b style="left:{100 * value.rate:.1f}%"></b>'
    return f'<span class="nobreak"><span class="rate">{bar}</span>{value}</span>'


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for name, value in values.items():
        if isinstance(value, dict) and value:
            rows += _flat(value, f"{prefix}{name}.")
        else:
            rows.append((prefix + name, value if isinstance(value, str) else json.dumps(value)))
    return rows
