"""Benchmark this project against a peer in the same run.

    sac-gmm bench gmr --json benchmarks/results/models/gmr.json
    sac-gmm bench lasa --data /path/to/lasaDataset/DataSet --json lasa.json

`sac-gmm bench NAME --help` says what a benchmark measures.
"""

from __future__ import annotations

import importlib
from itertools import pairwise

from sac_gmm.bench.registry import BENCHMARKS, module_of
from sac_gmm.core.errors import UserError
from sac_gmm.core.files import check_output


def main(args: list[str]) -> int:
    """Run one benchmark."""
    if not args or args[0] in ("-h", "--help"):
        print(usage())
        return 0
    name, *rest = args
    if name not in BENCHMARKS:
        raise UserError(f"there is no benchmark '{name}'; choose one of: {', '.join(BENCHMARKS)}")
    for option, value in pairwise(rest):
        if option == "--json":
            check_output(value, ".json")
    return importlib.import_module(module_of(name)).main(rest)


def usage() -> str:
    """The list of benchmarks, one line each."""
    width = max(map(len, BENCHMARKS))
    lines = [f"  sac-gmm bench {name:<{width}}  {benchmark.text}" for name, benchmark in BENCHMARKS.items()]
    return f"{__doc__}\n" + "\n".join(lines)
