"""CITATION.cff, CHANGELOG.md and the packages agree with each other."""

import ast
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
VERSIONS = {ET.parse(path).getroot().findtext("version") for path in (ROOT / "src").glob("*/package.xml")}


def test_the_citation_has_what_the_format_asks_for():
    """Fields and types that schema 1.2.0 requires, of the software and of the paper."""
    assert CITATION["cff-version"] == "1.2.0" and CITATION["type"] == "software"
    assert {"message", "title", "authors", "version", "license"} <= set(CITATION)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", CITATION["date-released"])
    paper = CITATION["preferred-citation"]
    assert {"title", "authors", "type", "year"} <= set(paper) and isinstance(paper["year"], int)
    assert all(set(author) == {"given-names", "family-names"} for author in paper["authors"])


def test_it_cites_the_paper_that_the_readme_cites():
    readme = " ".join((ROOT / "README.md").read_text().split())
    paper = CITATION["preferred-citation"]
    assert " ".join(paper["title"].split()) in readme.replace("*", "")
    for author in paper["authors"]:
        assert author["family-names"] in readme


def test_there_is_one_version_and_one_licence():
    assert {CITATION["version"]} == VERSIONS
    assert f"## {CITATION['version']}" in CHANGELOG
    licences = {ET.parse(path).getroot().findtext("license") for path in (ROOT / "src").glob("*/package.xml")}
    assert licences == {CITATION["license"]} and "Apache License" in (ROOT / "LICENSE").read_text()


def test_the_changelog_begins_with_what_is_not_released_yet():
    headings = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", heading) for heading in headings[1:])


@pytest.mark.parametrize("folder", ["src", "tools"])
def test_what_another_program_says_need_not_be_utf_8(folder):
    strict = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in (ROOT / folder).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and "text" in (given := {keyword.arg for keyword in call.keywords})
        and given & {"capture_output", "stdout", "stderr"}
        and "errors" not in given
    ]
    assert strict == []


@pytest.mark.parametrize("plugin", ["launch_testing", "launch_pytest", "launch_ros"])
def test_pytest_starts_where_an_old_plugin_of_ros_is_installed(tmp_path, plugin):
    """Those of Jazzy take hooks that a newer pytest calls in another way; a sourced ROS 2 puts them on the path."""
    site = tmp_path / "site"
    (site / f"{plugin}-3.4.2.dist-info").mkdir(parents=True)
    (site / f"{plugin}-3.4.2.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {plugin}\nVersion: 1\n")
    (site / f"{plugin}-3.4.2.dist-info" / "entry_points.txt").write_text(f"[pytest11]\n{plugin} = old_{plugin}\n")
    (site / f"old_{plugin}.py").write_text("def pytest_collect_file(path, parent):\n    return None\n")
    (tmp_path / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": f"{site}:{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(
        [*command, f"--rootdir={tmp_path}", str(tmp_path / "test_nothing.py")],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_docstring_of_contributing_is_one_that_the_checks_accept(tmp_path):
    """The template in CONTRIBUTING.md passes the linter's rules."""
    block = re.search(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    assert block is not None
    (tmp_path / "template.py").write_text(
        f'"""A module."""\n\nfrom numpy.typing import NDArray as Array\n\n\n{block[1]}'
    )
    command = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
