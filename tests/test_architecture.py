"""Who may import whom (docs/design.md): the rules that keep the house in order, read off the source."""

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIBRARY = ROOT / "src" / "sac_gmm" / "sac_gmm"
NODES = ROOT / "src" / "sac_gmm_nodes" / "sac_gmm_nodes"

# Each room of the library and the rooms it may import; `core` is open to all. `test_every_door_is_used` keeps the list
# to the doors in use.
MAY_IMPORT = {
    "core": set(),
    "models": set(),
    "tasks": set(),
    "rl": set(),
    "perception": set(),
    "launcher": set(),
    "control": {"models"},
    "demos": {"perception"},
    "methods": {"rl", "models", "control", "demos", "tasks"},
    "training": {"methods", "rl", "tasks"},
    "gym": {"methods", "rl", "tasks"},
    "evaluation": {"training", "methods", "rl", "models", "tasks"},
    "report": {"evaluation", "training", "methods", "rl", "models", "perception", "tasks"},
    "view": {"methods", "models", "control", "perception", "demos", "tasks"},
    "bench": {
        *("view", "evaluation", "training", "methods", "rl", "models", "perception", "demos", "tasks", "launcher"),
    },
    "cli": {
        *(
            "bench",
            "report",
            "view",
            "evaluation",
            "training",
            "methods",
            "rl",
            "models",
            "perception",
            "demos",
            "tasks",
        ),
        "launcher",
    },
}
MODELS_MAY_IMPORT = {"numpy", "scipy", "numba", "clarabel"}
WITHOUT_TORCH = ("models", "tasks", "control", "demos", "perception")
PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
ROS = re.compile(r"rcl\w+|\w+_msgs|\w+_interfaces|std_srvs|ament_\w+|launch\w*|tf2_\w+|rosbag2_py|sac_gmm_nodes")
ABSOLUTE_NAMES = {"/clock", "/diagnostics", "/tf", "/tf_static"}


def sources(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.py"))
    assert found, f"no Python source in {folder}"
    return found


def imports(path: Path) -> Iterator[str]:
    """Full dotted names of all that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the full name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(path: Path) -> str:
    """The library's module that a file belongs to."""
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py")


def violations(folder: Path, forbidden: Callable[[Path, str], object]) -> list[str]:
    """All imports below `folder` for which `forbidden(path, name)` holds."""
    pairs = [(path, name) for path in sources(folder) for name in imports(path)]
    return [f"{path.relative_to(ROOT)} imports {name}" for path, name in pairs if forbidden(path, name)]


def test_every_module_has_its_rules():
    assert {module_of(path) for path in sources(LIBRARY)} - {"__init__"} <= set(MAY_IMPORT)


def test_arrows_point_one_way():
    def forbidden(path: Path, name: str) -> bool:
        if not name.startswith("sac_gmm."):
            return False
        own, other = module_of(path), name.split(".")[1]
        return other not in {own, "core", "__version__"} | MAY_IMPORT.get(own, set())

    assert violations(LIBRARY, forbidden) == []


def test_every_door_is_used():
    used = {own: set() for own in MAY_IMPORT}
    for path in sources(LIBRARY):
        for name in (name for name in imports(path) if name.startswith("sac_gmm.")):
            used.setdefault(module_of(path), set()).add(name.split(".")[1])
    unused = {own: sorted(doors - used[own]) for own, doors in MAY_IMPORT.items() if doors - used[own]}
    assert unused == {}


def test_the_arrows_make_no_circle():
    order = list(graphlib.TopologicalSorter(MAY_IMPORT).static_order())
    assert order[-1] == "cli"


def test_the_library_imports_no_ros():
    assert violations(LIBRARY, lambda _, name: ROS.fullmatch(name.split(".")[0])) == []


def test_models_import_numerics_only():
    allowed = MODELS_MAY_IMPORT | sys.stdlib_module_names | {"sac_gmm"}
    assert violations(LIBRARY / "models", lambda _, name: name.split(".")[0] not in allowed) == []


def test_nodes_import_no_command_line():
    assert violations(NODES, lambda _, name: name.startswith("sac_gmm.cli")) == []


@pytest.mark.parametrize("folder", [LIBRARY, NODES], ids=["library", "nodes"])
def test_no_pickle(folder):
    assert violations(folder, lambda _, name: name.split(".")[0] in PICKLES) == []
    for path in sources(folder):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            called = ast.unparse(call.func)
            where = f"{path.relative_to(ROOT)}:{call.lineno}"
            assert called not in ("torch.load", "torch.save"), f"{where}: {called} is pickle; use safetensors"
            for keyword in call.keywords:
                refused = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                assert keyword.arg != "allow_pickle" or refused, f"{where}: allow_pickle"


def test_nodes_use_relative_topic_names():
    def is_absolute_name(node: ast.AST) -> bool:
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        return is_text and re.fullmatch(r"/\w[\w/]*", node.value) is not None and node.value not in ABSOLUTE_NAMES

    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.value}"
        for path in sources(NODES)
        for node in ast.walk(ast.parse(path.read_text()))
        if is_absolute_name(node)
    ]
    assert found == []


@pytest.mark.parametrize(
    "modules",
    [
        [f"sac_gmm.{name}" for name in WITHOUT_TORCH],
        ["sac_gmm_nodes.control.gmm_controller", "sac_gmm_nodes.control.guard"],
        ["sac_gmm.view.run_source"],
    ],
    ids=["library", "controller", "page"],
)
def test_torch_is_not_loaded(modules):
    """Not even by way of somebody else's package: learning never runs where the arm is controlled.

    The page opens before it: what plays a policy loads it then.
    """
    script = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr or f"{modules} load torch"


def test_the_command_line_starts_without_heavy_imports():
    """`sac-gmm --help` answers at once."""
    script = "import sys, sac_gmm.cli.main; sys.exit(bool({'torch', 'numpy', 'pybullet'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


# What may know methods and tasks by name: their own folders, and numerics, which have a kind of fit called gmm.
OWN_ROOMS = ("methods/sac_gmm/", "methods/baselines/", "tasks/scenes/", "models/")
# Tables of published and agreed numbers, and the lists that lead to methods and benchmarks.
TABLES = ("evaluation/published.py", "evaluation/noise_sweep.py", "evaluation/table.py", "methods/registry.py")


def names_tested(tree: ast.AST, names: set[str]) -> Iterator[ast.expr]:
    """Expressions that compare something with one of these names, or take a name apart."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            operands = node.args if node.func.attr in ("startswith", "endswith", "get", "partition") else []
        elif isinstance(node, ast.MatchValue):
            operands = [node.value]
        else:
            continue
        constants = (leaf.value for operand in operands for leaf in ast.walk(operand) if isinstance(leaf, ast.Constant))
        if names & {value for value in constants if isinstance(value, str)}:
            yield node


@pytest.fixture(scope="module")
def all_names():
    from sac_gmm.methods.registry import METHODS
    from sac_gmm.tasks import TASKS

    return set(METHODS) | set(TASKS)


def shared_sources() -> Iterator[tuple[Path, ast.Module]]:
    for folder in (LIBRARY, NODES):
        for path in sources(folder):
            if not str(path.relative_to(folder)).startswith(OWN_ROOMS):
                yield path, ast.parse(path.read_text())


def test_nothing_shared_tests_the_name_of_a_method_or_task(all_names):
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for path, tree in shared_sources()
        for node in names_tested(tree, all_names)
    ]
    assert found == [], "ask the Method or the Scene instead: give it an attribute"


def test_nothing_shared_is_tabled_by_the_name_of_a_method_or_task(all_names):
    def keys(node: ast.Dict) -> set[object]:
        return {key.value for key in node.keys if isinstance(key, ast.Constant)}

    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in shared_sources()
        if not str(path).endswith(TABLES)
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict) and len(keys(node) & all_names) > 1
    ]
    assert found == [], "what a task or method says of itself belongs to its class or value"


def test_no_name_is_taken_apart():
    pattern = re.compile(r"""(task|skill|method|name)\w*(\(\))?\.(split|partition)\(["']_["']""")
    found = [str(path) for folder in (LIBRARY, NODES) for path in sources(folder) if pattern.search(path.read_text())]
    assert found == []
