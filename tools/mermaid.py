"""The documentation's mermaid diagrams as pictures, so that the site shows them without network access.

The site builder (mkdocs.yml names this file as a hook) replaces each block with its picture. `make pictures` draws
them. A picture's file name derives from the diagram's text, so no picture is ever out of date: if a text was changed
but not drawn yet, the site shows the text.
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
    """The file name of a diagram."""
    return hashlib.sha256(text.encode()).hexdigest()[:12] + ".svg"


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Replace the diagrams of a page with pictures; called by MkDocs."""
    folder = posixpath.relpath(FOLDER, posixpath.dirname(page.file.src_uri) or ".")

    def picture(block: re.Match[str]) -> str:
        name = diagram_name(block[1])
        drawn = (Path(config["docs_dir"]) / FOLDER / name).exists()
        return f"![diagram]({folder}/{name})" if drawn else block[0].replace("```mermaid", "```text", 1)

    return BLOCK.sub(picture, markdown)
