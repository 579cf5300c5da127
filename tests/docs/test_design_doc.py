"""docs/design.md says what the code does: its arrows are the imports, its topics are the nodes'."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "design.md").read_text()
NODES = ROOT / "src" / "sac_gmm_nodes" / "sac_gmm_nodes"
LIBRARY = ROOT / "src" / "sac_gmm" / "sac_gmm"


def diagram(heading):
    found = re.search(rf"## {heading}\n.*?```mermaid\n(.*?)```", TEXT, flags=re.DOTALL)
    assert found is not None
    return found[1]


def imported_rooms(folder):
    """The rooms of the library that the files below `folder` import."""
    sources = "\n".join(path.read_text() for path in folder.rglob("*.py"))
    return set(re.findall(r"(?:from|import) sac_gmm\.(\w+)", sources)) - {folder.name}


def arrows():
    """Who imports whom, without `core`, which all do, and without what follows from other arrows."""
    doors = {path.parent.name: imported_rooms(path.parent) - {"core"} for path in LIBRARY.glob("*/__init__.py")}
    doors["nodes"] = imported_rooms(NODES) - {"core"} | {"interfaces"}
    del doors["core"]

    def reached(room):
        return {far for near in doors.get(room, ()) for far in {near} | reached(near)}

    return {(own, other) for own, near in doors.items() for other in near if all(other not in reached(n) for n in near)}


def test_the_arrows_between_modules_are_the_imports():
    drawn = set(re.findall(r"^  (\w+)(?:\[\w+\])? --> (\w+)", diagram("Modules"), flags=re.MULTILINE))
    lines = "\n".join(f"  {start} --> {end}" for start, end in sorted(arrows()))
    assert drawn == arrows(), f"docs/design.md must draw\n{lines}"


def test_every_topic_in_the_graph_is_in_the_code():
    sources = "\n".join(path.read_text() for path in NODES.rglob("*.py")).replace('f"{name}_camera', '"fixed_camera')
    names = set()
    for label in re.findall(r"(?:--|==|-\.) ([\w/, -]+?) (?:--|==|\.-)[>&]?", diagram("The graph")):
        names |= {name.strip() for name in label.split(",")} - {"lock-step only"}
    assert {"command/twist", "model_update", "reward", "reset_task"} <= names
    for name in sorted(names):
        assert f'"{name}"' in sources, f"no node speaks of {name}"
