"""The README and every page of docs/: their commands run, their options, files and links exist, the site is built."""

import ast
import importlib
import re
import subprocess
import sys
from functools import cache

import pytest
from tests.newcomer.walk import WAY
from tests.pages import PAGES, README, ROOT, blocks, script

from sac_gmm.cli.main import COMMANDS
from sac_gmm.launcher.launch_yaml import declared_arguments

# The others are run in a fresh clone: tests/newcomer.
RUN = [page for page in PAGES if blocks(page, "bash") and str(page.relative_to(ROOT)) not in WAY]


@pytest.fixture
def checkout(tmp_path):
    """A folder like the checkout, in which runs and what else is written stay by themselves."""
    folder = tmp_path / "sac_gmm"
    folder.mkdir()
    for entry in ROOT.iterdir():
        if entry.name not in ("runs", "site", ".git", ".pytest_cache"):
            (folder / entry.name).symlink_to(entry)
    return folder


@pytest.mark.slow
@pytest.mark.usefixtures("ros_domain")
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_the_commands_of_a_page_work_one_after_the_other(page, checkout):
    done = subprocess.run(["bash", "-c", script(page)], cwd=checkout, capture_output=True, text=True, timeout=850)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_something_is_run():
    assert len(RUN) >= 4 and all(blocks(ROOT / page, "bash") for page in WAY)
    assert sum(len(block.commands) for block in blocks(README, "bash")) >= 8


CONSOLE = sorted({(page.name, line) for page in PAGES for block in blocks(page, "console") for line in block.commands})


@cache
def help_of(*command):
    arguments = [sys.executable, "-m", "sac_gmm.cli.main", *command, "--help"]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=600, check=True).stdout


@pytest.mark.parametrize(("page", "line"), CONSOLE)
def test_what_is_not_run_names_commands_options_and_files_that_exist(page, line):
    words = line.split()
    if words[0] == "sac-gmm":
        assert words[1] in COMMANDS
        options = {word.split("=")[0] for word in words if word.startswith("--")} - {"--help"}
        with_subcommand = words[1] in ("demos", "hands", "robot", "bench") and not words[2].startswith("-")
        said = help_of(*words[1 : 3 if with_subcommand else 2]) if options else ""
        assert [option for option in options if option not in said] == []
    if launched := re.search(r"(\w+\.launch\.yaml)", line):
        known = {argument.name for argument in declared_arguments(ROOT / "launch" / launched[1])}
        assert set(re.findall(r"(\w+):=", line)) <= known
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for kind, name in re.findall(r"sac_gmm_interfaces/(msg|srv|action)/(\w+)", line):
        assert (ROOT / f"src/sac_gmm_interfaces/{kind}/{name}.{kind}").exists()
    for path in re.findall(r"(?:^|[\s=])((?:config|launch|tools|demos)/[\w./-]+)", line):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_python_is_python_and_imports_what_there_is(page):
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block.text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sac_gmm"):
                module = importlib.import_module(node.module)
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for path in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        assert path.startswith("https://") or (page.parent / path).exists(), path


def test_every_node_that_the_readme_names_exists():
    row = next(line for line in README.read_text().splitlines() if line.startswith("| `src/sac_gmm_nodes`"))
    nodes = re.findall(r"`(\w+)`", row.split("|")[2])
    assert len(nodes) >= 8
    assert [n for n in nodes if not [*(ROOT / "src/sac_gmm_nodes").rglob(f"{n}.py")]] == []


@pytest.mark.slow
def test_the_site_is_built_and_asks_for_nothing(tmp_path):
    """Strictly: a broken link is an error. What a page needs to be shown lies beside it."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = [page for page in tmp_path.rglob("*.html") if page.name != "404.html"]  # that one is for servers
    assert len(pages) == len(PAGES) - 1
    for page in pages:
        needed = re.findall(r"<(?:link|script|img|iframe)[^>]*?(?:src|href)=[\"']?([^\"'\s>]+)", page.read_text())
        needed = [target for target in needed if not target.startswith(("data:", "#"))]
        assert needed
        assert [target for target in needed if re.match(r"\w+:|//", target)] == [], page.name
        missing = [target for target in needed if not (page.parent / re.sub(r"[?#].*", "", target)).exists()]
        assert missing == [], page.name
