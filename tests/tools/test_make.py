"""The verbs of the Makefile, with programs in place of Python and the checks that note how they are called."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTES = """#!/bin/bash
echo "$(basename $0) $*" >> calls.txt
[[ "$*" != *$FAILS* ]]
"""


@pytest.fixture
def make(tmp_path):
    """Run a verb in a folder that has a Makefile, a workspace and nothing else; gives the calls and what was said."""
    (tmp_path / "Makefile").symlink_to(ROOT / "Makefile")
    for name in ("tools/setup", "bin/python", "bin/sac-gmm", "bin/ruff", "bin/mypy"):
        program = tmp_path / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(NOTES)
        program.chmod(0o755)
    (tmp_path / "install").mkdir()
    (tmp_path / "install" / "setup.bash").write_text('export PATH="$PWD/bin:$PATH"\n')

    def run(*arguments, fails="nothing fails"):
        own = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        done = subprocess.run(
            ["make", *arguments], cwd=tmp_path, env=own | {"FAILS": fails}, capture_output=True, text=True, check=False
        )
        calls = (tmp_path / "calls.txt").read_text().splitlines()
        return done.returncode, [call for call in calls if call.startswith(("python", "sac-gmm"))], done.stderr

    return run


def test_make_test_runs_both_halves(make):
    code, (first, second), _ = make("test")
    assert code == 0
    assert "-m not ros" in first and "-m ros" in second


@pytest.mark.parametrize("half", ["not ros", "-m ros"])
def test_a_failure_in_one_half_does_not_keep_the_other_from_running(make, half):
    code, calls, said = make("test", fails=half)
    assert code != 0 and len(calls) == 2
    assert f"failures among the tests marked '{half.removeprefix('-m ')}', listed above" in said


def test_a_part_of_the_tests_runs_alone(make):
    code, calls, _ = make("test", "PYTEST_ARGS=tests/models -x")
    assert code == 0 and calls == ["python -m pytest tests/models -x"]


def test_make_demo_passes_its_settings_on(make):
    assert make("demo")[:2] == (0, ["sac-gmm demo --seed 0"])
    assert make("demo", "SEED=3", "RESUME=1")[1][-1] == "sac-gmm demo --seed 3 --resume"
