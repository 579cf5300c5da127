"""docs/results.md says what the result files say; `make docs` writes it anew."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import results  # noqa: E402 - a tool, not a module of a package


def row(task, skill, rate, interval, worst=None, **tests):
    value = {"task": task, "skill": skill, "title": skill.upper(), "variant": "", "seeds": 5}
    value["tests"] = {"test": {"rate": rate, "interval95": interval}}
    value["tests"] |= {name.replace("_", " "): {"rate": r, "interval95": [r, r]} for name, r in tests.items()}
    return value if worst is None else {**value, "training": {"episodes": 300, "worst_window_of_25": worst}}


def test_the_page_is_made_of_the_files_beside_it():
    assert (ROOT / "docs/results.md").read_text() == results.page(), "run `python tools/results.py`"


def test_what_was_promised_is_judged_by_the_table():
    rows = [
        row("lever", "gmm", 0.5, [0.45, 0.55], another_start=0.25),
        row("lever", "spiral_gmm", 0.9, [0.85, 0.95]),
        row("lever", "sac_gmm", 0.92, [0.9, 0.96], 0.39, after_200_episodes=0.8, another_start=0.75),
    ]
    text = "".join(results.promises({"rows": rows, "missing": [f"lever-sac-{seed}" for seed in range(5)]}))
    line, elsewhere = (line for line in text.splitlines() if line.startswith("| lever"))
    _, _, last, early, worst, others, _ = (cell.strip() for cell in line.split("|"))
    assert last == "92% [90%–96%] after 300, promised 92%: kept" and early.endswith("after 200: kept")
    assert worst == "39%, GMM 50%: **not kept**"
    assert others == "**not** above GMM, tuned blind spiral; missing: SAC with demonstrations (5 of 5 seeds)"
    assert elsewhere == "| lever | 75% [75%–75%] (25%) |"


def test_every_task_has_its_line():
    table = json.loads((results.RESULTS / "table" / "table.json").read_text())
    text = "".join(results.promises(table))
    assert all(text.count(f"| {task} |") == 2 for task in results.GOALS)
