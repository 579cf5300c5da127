"""Write docs/results.md from the result files below benchmarks/results; run by `make docs`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sac_gmm.bench.registry import BENCHMARKS, command_of
from sac_gmm.methods import method
from sac_gmm.methods.registry import METHODS

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"

HEAD = """# Measured

Each row is made of the result file beside it, in `benchmarks/results/`; the command measures it anew, ours and the peer
in the same run. Two cores, no GPU. `make docs` writes this page.

How often skills succeed as fitted is in [Scenes and sensors](gallery.md), what was tried while learning in
[Train, measure, compare](learning.md); what the names mean in [What the numbers mean](metrics.md).

| what | found | command | file |
|---|---|---|---|
"""

# For each result, a sentence filled in from the file's values.
DEMO = (
    "The whole chain over ROS 2",
    "demo/seed_0.json",
    "make demo SEED=0",
    "{task}: {base[successes]}/{base[episodes]} as fitted, {adapted[successes]}/{adapted[episodes]} after "
    "{training_episodes} episodes; {wall_s:.0f} s in all",
)
SENTENCES = {
    "gmr": "a velocity in {rows[4][ours_us]:.2f} µs; `gmr` {rows[4][gmr_us]:.0f} µs",
    "em": "{n} samples in {ours_ms:.1f} ms; scikit-learn {sklearn_ms:.1f} ms ({ratio:.1f} times)",
    "lpv": (
        "gains of {k} Gaussians in {lmi_ms:.1f} ms, the whole fit in {fit_ms:.0f} ms; a change projected and certified "
        "in {update_project_certify_us:.0f} µs"
    ),
    "lasa": (
        "SEDS {seds[certified]}, LPV-DS {lpv_ds[certified]} of {seds[n_motions]} motions certified; velocity error "
        "{seds[mean][rmse]:.1f} and {lpv_ds[mean][rmse]:.1f} mm/s, a fit in {seds[mean][fit_s]:.1f} and "
        "{lpv_ds[mean][fit_s]:.1f} s"
    ),
    "sac": (
        "{rows[0][ours_updates_per_s]:.0f} a second (nets of {rows[0][width]}, batch {rows[0][batch]}); {peer} "
        "{rows[0][sb3_updates_per_s]:.0f} ({rows[0][ratio]:.1f} times)"
    ),
    "async": "a decision in {decision_ms_median:.1f} ms; {deadlines_missed} of {ticks} deadlines missed",
    "loop": (
        "{rates[2][rate_hz]:.0f} Hz: {rates[2][ours][on_time_share]:.2%} of ticks within {on_time_ms:.0f} ms with a "
        "real-time priority, {rates[0][ours][on_time_share]:.2%} without (rclpy timer "
        "{rates[2][rclpy_timer][on_time_share]:.2%}, {rates[0][rclpy_timer][on_time_share]:.2%}); a command "
        "{rates[2][ours][latency_ms_median]:.1f} ms after its state, timer "
        "{rates[2][rclpy_timer][latency_ms_median]:.1f} ms"
    ),
    "soak": (
        "{episodes} episodes in {seconds:.0f} s; memory of the controller {processes[gmm_controller][growth]:+.1%}, of "
        "the learner {processes[learner][growth]:+.1%}"
    ),
    "aruco": (
        "{latency[1][ours][wall_ms_median]:.1f} ms a picture with a noise of {latency[1][noise]:.0f} grey values, "
        "OpenCV {latency[1][opencv][wall_ms_median]:.1f} ms; {false_rewards[rewards]} false rewards in "
        "{false_rewards[frames]} pictures without the marker"
    ),
    "bag": (
        "{recordings[0][missing]} of {recordings[0][sent]} messages lost ({recordings[0][case]}), at "
        "{recordings[0][processor_share]:.0%} of {recordings[0][cores]} cores"
    ),
    "hands": "{frames_per_s:.0f} pictures a second, a hand placed in {placed_share:.0%}",
    "hand_demos": "{recordings[from_true_way_mm_mean]:.1f} mm from the true way (mean)",
}

TABLE_HEAD = """
## Skills compared

`sac-gmm table --json FILE`; in brackets the 95 % interval, over training seeds and episodes where there are several
seeds, else Wilson's ([how](metrics.md#success)).

No policy was trained on the episodes of the bank `test`, but figures on them helped to choose the configuration
([what was tried](learning.md)): on the hard peg three configurations were measured on them with five training seeds
each (92, 92 and 95 %), and the best is the one below; the door got its critics' choice, found on another bank, after
93 % had missed its goal. So the rates of SAC-GMM are somewhat in its own favour.

"""

# The promises for SAC-GMM: success after each task's training episodes, and the same bounds on the way for every task.
GOALS = {"door": 0.95, "peg": 0.90, "peg_easy": 0.95, "lever": 0.92}
EARLY = 0.80  # within 200 training episodes
REGRET = 0.10  # 25 consecutive training episodes may be this far below the fitted skill

PROMISES_HEAD = f"""
## Promised and reached

SAC-GMM, from the same `table.json`. A promise is kept where the rate reaches it; the interval says how sure that is.
The worst 25 training episodes in a row are a mean over training seeds.

| task | success in the end | at least {EARLY:.0%} within 200 training episodes \
| no 25 training episodes in a row more than {100 * REGRET:.0f} points below GMM \
| interval above that of every other skill |
|---|---|---|---|---|
"""

ELSEWHERE_HEAD = """
The same policies where they were not trained ([what the names mean](metrics.md#training)); in round brackets GMM as
fitted:

"""

PROBE_HEAD = """`sac-gmm probe models/TASK/sac_gmm --json FILE` (`benchmarks/results/probe/`): the hidden error of
the detected target, 10 mm in each axis, regressed at every decision of the trained policy on what it sees; judged on
episodes that the regression has not seen. Each row has all that the row above has. Pose and action tell something
because the policy has already acted upon the rest. What the door and the lever see, they see at once; on the pegs
nothing can be told before the first touch.

| task | seen | share of the error told (R2; x, y, z) | in the last quarter of the decisions | left of it, mm |
|---|---|---|---|---|
"""


def _benchmarks() -> Iterator[tuple[str, str, str, str]]:
    """The benchmarks that have a sentence: title, result file, command and sentence."""
    for name, benchmark in BENCHMARKS.items():
        if name in SENTENCES:
            yield benchmark.title, benchmark.result, command_of(name), SENTENCES[name]


def _rate(test: dict[str, Any]) -> str:
    low, high = test["interval95"]
    return f"{test['rate']:.0%} [{low:.0%}–{high:.0%}]"


def _lead(row: dict[str, Any]) -> str:
    lead = row.get("lead_of_sac_gmm")
    if lead is None:
        return "–"
    low, high = lead["interval95"]
    return f"{100 * lead['mean']:+.0f} [{100 * low:+.0f}, {100 * high:+.0f}]"


def _kept(kept: bool) -> str:
    return "kept" if kept else "**not kept**"


def promises(table: dict[str, Any]) -> list[str]:
    """Lines of the tables with the goals of SAC-GMM, and its results elsewhere."""
    rows = {(row["task"], row["skill"]): row for row in table["rows"] if not row["variant"]}
    tasks = [task for task in GOALS if {(task, "sac_gmm"), (task, "gmm")} <= set(rows)]
    lines = [PROMISES_HEAD]
    for task in tasks:
        ours, base = rows[task, "sac_gmm"], rows[task, "gmm"]["tests"]["test"]["rate"]
        test, training = ours["tests"]["test"], ours["training"]
        episodes, worst = training["episodes"], training["worst_window_of_25"]
        marked = ours["tests"].get("after 200 episodes")  # a shorter training has no such mark
        early, when = (test, episodes) if marked is None else (marked, 200)
        cells = [
            f"{_rate(test)} after {episodes}, promised {GOALS[task]:.0%}: {_kept(test['rate'] >= GOALS[task])}",
            f"{_rate(early)} after {when}: {_kept(when <= 200 and early['rate'] >= EARLY)}",
            f"{worst:.0%}, GMM {base:.0%}: {_kept(worst >= base - REGRET)}",
            _against_others(task, table, rows),
        ]
        lines.append(f"| {task} | {' | '.join(cells)} |\n")
    measured = dict.fromkeys(name for task in tasks for name in rows[task, "sac_gmm"]["tests"])
    names = [name for name in measured if name != "test" and not name.startswith("after ")]
    lines += [ELSEWHERE_HEAD, f"| task | {' | '.join(names)} |\n", f"|---{'|---' * len(names)}|\n"]
    for task in tasks:
        ours, base = (rows[task, skill]["tests"] for skill in ("sac_gmm", "gmm"))
        cells = [f"{_rate(ours[n])} ({base[n]['rate']:.0%})" if n in ours and n in base else "–" for n in names]
        lines.append(f"| {task} | {' | '.join(cells)} |\n")
    return lines


def _against_others(task: str, table: dict[str, Any], rows: dict[Any, Any]) -> str:
    """Whether SAC-GMM's interval on a task lies above all others; lists those it is not above, and the unknown ones."""
    low = rows[task, "sac_gmm"]["tests"]["test"]["interval95"][0]
    not_above, missing = [], []
    for skill in METHODS:
        if skill == "sac_gmm":
            continue
        seeds = rows[task, skill]["seeds"] if (task, skill) in rows else 0
        if seeds and low <= rows[task, skill]["tests"]["test"]["interval95"][1]:
            not_above.append(method(skill).title)
        if unknown := sum(bool(re.fullmatch(rf"{task}-{skill}-\d+", key)) for key in table["missing"]):
            missing.append(f"{method(skill).title} ({unknown} of {seeds + unknown} seeds)")
    said = f"**not** above {', '.join(not_above)}" if not_above else "above all that are measured"
    return said + (f"; missing: {', '.join(missing)}" if missing else "")


def page() -> str:
    """The text of the page."""
    lines = []
    for title, name, command, sentence in (DEMO, *_benchmarks()):
        value = json.loads((RESULTS / name).read_text(encoding="utf-8"))
        lines.append(f"| {title} | {sentence.format(**value)} | `{command}` | `{name}` |\n")
    table = RESULTS / "table" / "table.json"
    if table.exists():
        known = json.loads(table.read_text(encoding="utf-8"))
        head = "| task | skill | success | training seeds | SAC-GMM's lead on the same episodes, points |\n"
        lines += [TABLE_HEAD, head, "|---|---|---|---|---|\n"]
        for row in known["rows"]:
            title = f"{row['title']}, {row['variant']}" if row["variant"] else row["title"]
            success, lead = _rate(row["tests"]["test"]), _lead(row)
            lines.append(f"| {row['task']} | {title} | {success} | {row['seeds']} | {lead} |\n")
        lines += promises(known)
    lines += ["\n## What the agent's view tells\n\n", PROBE_HEAD]
    for task in ("door", "lever", "peg", "peg_easy"):
        value = json.loads((RESULTS / "probe" / f"{task}.json").read_text(encoding="utf-8"))
        for name, part in value["parts"].items():
            by_decision = sorted((int(k), r2) for k, r2 in part["r2_by_decision"].items())
            late = [r2 for _, r2 in by_decision[-max(1, len(by_decision) // 4) :]]
            at_last = [sum(axis) / len(late) for axis in zip(*late, strict=True)]
            shares = [", ".join(f"{share:.2f}" for share in r2) for r2 in (part["r2"], at_last)]
            left = ", ".join(f"{error:.1f}" for error in part["rms_error_mm"])
            lines.append(f"| {task} | {name} | {shares[0]} | {shares[1]} | {left} |\n")
    return HEAD + "".join(lines)


if __name__ == "__main__":
    (Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs" / "results.md").write_text(page(), encoding="utf-8")
