"""The mermaid diagrams of the documentation as pictures, so that the site needs no network to show them.

The site's builder (mkdocs.yml names this file as a hook) puts the picture in the place of each block. `make pictures`
draws them. A picture is named by the text of its diagram, so that none is ever out of date: where a text was changed
and not drawn yet, the site shows the text.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"^```mermaid\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
FOLDER = "images/diagrams"


def diagram_name(text: str) -> str:
    """The file of a diagram."""
    return hashlib.sha256(text.encode()).hexdigest()[:12] + ".svg"


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Put pictures in the place of the diagrams of a page; MkDocs calls it."""
    folder = posixpath.relpath(FOLDER, posixpath.dirname(page.file.src_uri) or ".")

    def picture(block: re.Match[str]) -> str:
        name = diagram_name(block[1])
        drawn = (Path(config["docs_dir"]) / FOLDER / name).exists()
        return f"![diagram]({folder}/{name})" if drawn else block[0].replace("```mermaid", "```text", 1)

    return BLOCK.sub(picture, markdown)
