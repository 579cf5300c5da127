"""What the README and the pages in docs/ tell a reader to type, taken out of them.

* ```bash: commands, run one after the other in one shell, as a reader does.
* ```console: commands that need a robot, a camera, ROS 2 from apt or much time: looked at, not run.
* ```python title="FILE": a file that the reader writes before the commands that follow it.
"""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").rglob("*.md")))
_BLOCK = re.compile(r"^( *)```(bash|console|python)([^\n]*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of a page."""

    language: str
    title: str  # the file that it is; empty where it is none
    text: str

    @property
    def commands(self) -> list[str]:
        """Its lines, without comments; those that end with a backslash joined to the next."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [re.sub(r"\s+#\s.*", "", line).strip() for line in lines if line.strip() and not line.startswith("#")]


def blocks(page: Path, *languages: str) -> list[Block]:
    """The blocks of a page in these languages, in their order."""
    found = []
    for indent, language, rest, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        title = re.search(r'title="([^"]+)"', rest)
        text = "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))
        found.append(Block(language, title[1] if title else "", text))
    return [block for block in found if block.language in languages]


def script(page: Path, without: Iterable[str] = (), announced: bool = False) -> str:
    """Everything that a reader of the page writes and runs, as one shell script that stops at the first failure.

    Args:
        page: With such blocks.
        without: Commands that are left out.
        announced: Each command is said before it is run.
    """
    parts = ["set -e"]
    for block in blocks(page, "bash", "python"):
        if block.language == "bash":
            for command in block.commands:
                if command not in without:
                    parts += [f"echo {shlex.quote('$ ' + command)}"] * announced + [command]
        elif block.title:
            parts += [
                f"mkdir -p $(dirname {block.title})",
                f"cat > {block.title} <<'END_OF_FILE'\n{block.text}END_OF_FILE",
            ]
    return "\n".join(parts)
