"""docs/troubleshooting.md quotes what the programs say, and names things that exist."""

import re
from pathlib import Path

import pytest
import yaml

from sac_gmm.cli.main import COMMANDS
from sac_gmm.control import Answer, Reason

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "troubleshooting.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("| ")]
SOURCES = [*(ROOT / "src").rglob("*.py"), *(ROOT / "tools").iterdir()]
FROM_OTHERS = {"sac-gmm: command not found", ".NAME.partial", "torch"}


def quoted(text):
    return re.findall(r"`([^`]+)`", text)


def test_what_it_quotes_is_what_is_said():
    said = " ".join(path.read_text() for path in SOURCES if path.is_file())
    said = re.sub(r'"\s*f?"', "", re.sub(r"\{[^{}\n]*\}", "", said))  # a sentence goes on over lines
    codes = {code.name for kind in (Reason, Answer) for code in kind}
    for row in ROWS:
        for text in quoted(row[0]):
            assert text in codes | FROM_OTHERS or text in said, f"nobody says '{text}'"


def test_every_reason_is_there():
    assert [reason.name for reason in Reason if reason is not Reason.NONE and f"`{reason.name}`" not in TEXT] == []


def test_commands_files_and_pages_exist():
    used = set(re.findall(r"`sac-gmm (\w+)", TEXT))
    assert "doctor" in used and used <= set(COMMANDS)
    named = set(re.findall(r"`((?:config|launch|docker)/[\w.]+)`", TEXT))
    assert named and [name for name in named if not (ROOT / name).exists()] == []
    for page, anchor in re.findall(r"\]\(([\w/.]+\.md)(?:#([\w-]+))?\)", TEXT):
        content = (ROOT / "docs" / page).read_text()
        assert not anchor or re.search(rf"^#+ {anchor}$", content, re.MULTILINE | re.IGNORECASE), f"{page}#{anchor}"


def test_parameters_it_names_are_parameters():
    known = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs/reference/nodes.md").read_text(), re.MULTILINE))
    arguments = set()
    for path in (ROOT / "launch").glob("*.yaml"):
        arguments |= {action["arg"]["name"] for action in yaml.safe_load(path.read_text())["launch"] if "arg" in action}
    named = {name for row in ROWS for name in quoted(row[-1]) if re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", name)}
    assert {"cpu_affinity", "workspace_min_m"} <= named
    others = {"calibrate_speed", "pybullet_bridge", "robot_state_publisher", "use_sim_time", "lbr_link_0"}
    assert named - known - arguments - others == set()


@pytest.mark.parametrize("heading", ["Setting up", "Reward", "Learning", "Containers"])
def test_it_is_by_symptom(heading):
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert section is not None and section[1].strip().startswith("| you see | it is | do |")
