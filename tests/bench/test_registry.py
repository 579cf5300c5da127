"""The list of benchmarks: what it names is there, and the pages agree with it."""

import importlib.util
import sys
from pathlib import Path

import pytest

from sac_gmm import bench
from sac_gmm.bench.registry import BENCHMARKS, command_of, module_of

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import results  # noqa: E402 - a tool, not a module of a package

README = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_has_a_module_a_result_and_a_line_in_the_readme(name):
    benchmark = BENCHMARKS[name]
    assert importlib.util.find_spec(module_of(name)) is not None
    assert list((ROOT / "benchmarks" / "results").glob(benchmark.result.replace("TASK", "*")))
    assert f"| `results/{benchmark.result}` | `{command_of(name)}`" in README
    assert benchmark.title and benchmark.text


def test_every_module_that_is_a_command_is_listed():
    """A benchmark has `main(args) -> int`; other modules are their helpers."""
    folder = Path(bench.__file__).parent
    found = {
        ".".join(path.relative_to(folder).with_suffix("").parts)
        for path in folder.rglob("*.py")
        if "def main(args: list[str]) -> int:" in path.read_text(encoding="utf-8")
    }
    assert found == {benchmark.module for benchmark in BENCHMARKS.values()}


def test_the_page_of_results_has_sentences_of_benchmarks_alone():
    assert set(results.SENTENCES) <= set(BENCHMARKS)


def test_a_command_has_the_options_that_made_the_result():
    assert command_of("gmr") == "sac-gmm bench gmr --json FILE"
    assert command_of("soak") == "sac-gmm bench soak --minutes 10 --json FILE"
