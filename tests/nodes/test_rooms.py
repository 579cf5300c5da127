"""Each room of sac_gmm_nodes says which of its modules are nodes and which are helpers."""

import ast
import re
from pathlib import Path

import pytest

NODES = Path(__file__).parents[2] / "src" / "sac_gmm_nodes" / "sac_gmm_nodes"
ROOMS = sorted(path.parent for path in NODES.glob("*/__init__.py"))


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_tells_its_nodes_from_its_helpers(room):
    text = ast.get_docstring(ast.parse((room / "__init__.py").read_text()))
    nodes, _, helpers = text.partition("Helper")
    modules = {path.stem: path.read_text() for path in room.glob("*.py") if path.stem != "__init__"}
    runnable = {name for name, source in modules.items() if "\ndef main(" in source}
    assert set(re.findall(r"`(\w+)`", nodes)) == runnable
    assert {name for name in re.findall(r"`(\w+)`", helpers) if name in modules} == modules.keys() - runnable
