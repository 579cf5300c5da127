"""docs/design.md says what the code does: its arrows are the imports, its topics are the nodes'."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "design.md").read_text()
NODES = ROOT / "src" / "sac_gmm_nodes" / "sac_gmm_nodes"
LIBRARY = ROOT / "src" / "sac_gmm" / "sac_gmm"


def diagram(heading):
    found = re.search(rf"## {heading}\n.*?```mermaid\n(.*?)```", TEXT, flags=re.DOTALL)
    assert found is not None
    return found[1]


def test_every_module_is_drawn():
    drawn = set(re.findall(r"\w+", diagram("Modules")))
    folders = {path.name for path in LIBRARY.iterdir() if (path / "__init__.py").exists()}
    assert folders <= drawn


def test_every_arrow_between_modules_is_an_import():
    for start, end in re.findall(r"^  (\w+)(?:\[\w+\])? --> (\w+)", diagram("Modules"), flags=re.MULTILINE):
        folder = NODES if start == "nodes" else LIBRARY / start
        package = "sac_gmm_interfaces" if end == "interfaces" else f"sac_gmm.{end}"
        sources = "\n".join(path.read_text() for path in folder.rglob("*.py"))
        assert re.search(rf"(from|import) {re.escape(package)}\b", sources), f"{start} does not import {end}"


def test_every_topic_in_the_graph_is_in_the_code():
    sources = "\n".join(path.read_text() for path in NODES.glob("*.py")).replace('f"{name}_camera', '"fixed_camera')
    names = set()
    for label in re.findall(r"(?:--|==|-\.) ([\w/, -]+?) (?:--|==|\.-)[>&]?", diagram("The graph")):
        names |= {name.strip() for name in label.split(",")} - {"lock-step only"}
    assert {"command/twist", "model_update", "reward", "reset_task"} <= names
    for name in sorted(names):
        assert f'"{name}"' in sources, f"no node speaks of {name}"
