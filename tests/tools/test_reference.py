"""docs/reference says what the code says; `make reference` writes it anew."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import reference  # noqa: E402 - a tool, not a module of a package

ANEW = "run `make reference`"


def test_the_messages_are_those_of_the_package():
    assert (ROOT / "docs/reference/messages.md").read_text() == reference.messages_page(), ANEW


@pytest.mark.slow
def test_the_nodes_are_as_they_are_made():
    assert (ROOT / "docs/reference/nodes.md").read_text() == reference.nodes_page(), ANEW


def test_no_node_is_left_out():
    setup = (ROOT / "src/sac_gmm_nodes/setup.py").read_text()
    assert set(re.findall(r'"(\w+) = sac_gmm_nodes\.', setup)) == set(reference.NODES)


def test_a_message_is_read_whole(tmp_path):
    path = tmp_path / "Thing.srv"
    path.write_text(
        "# What it is.\n# In two lines.\nuint8 KIND_A=1   # the first\nfloat64[3] at_m  # where, m\n---\nbool success\n"
    )
    assert reference._interface(path, "srv") == [
        *("### Thing", "", "What it is. In two lines.", "", "**Request**", ""),
        *("| field | type | |", "|---|---|---|", "| `at_m` | `float64[3]` | where, m |", ""),
        *("| constant | value | |", "|---|---|---|", "| `KIND_A` | 1 | the first |", ""),
        *("**Response**", "", "| field | type | |", "|---|---|---|", "| `success` | `bool` |  |", ""),
    ]


def test_a_page_that_is_stale_is_found_and_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(reference, "ROOT", tmp_path)
    monkeypatch.setattr(reference, "FOLDER", tmp_path / "docs")
    monkeypatch.setattr(reference, "nodes_page", lambda: "nodes\n")
    monkeypatch.setattr(sys, "argv", ["reference.py", "--check"])
    assert reference.main() == 1 and not (tmp_path / "docs").exists()
    monkeypatch.setattr(sys, "argv", ["reference.py"])
    assert reference.main() == 0 and (tmp_path / "docs/nodes.md").read_text() == "nodes\n"
    monkeypatch.setattr(sys, "argv", ["reference.py", "--check"])
    assert reference.main() == 0
    assert capsys.readouterr().out.splitlines()[0] == "stale: docs/messages.md, docs/nodes.md"
