"""One page about one run: settings, learning, before and after, every episode, in one file.

It knows three kinds of folders: a run of `sac-gmm train`, a run of `sac-gmm demo`, and a table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import image
from matplotlib.figure import Figure

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import atomic_file, read_json
from sac_gmm.evaluation.measuring import episode_seeds
from sac_gmm.evaluation.rates import SuccessRate
from sac_gmm.methods import method, open_skill
from sac_gmm.models import load_model
from sac_gmm.report.figures import draw_curve, mixture_figure, png
from sac_gmm.report.page import Page
from sac_gmm.report.sections import (
    episodes_section,
    learning_section,
    named_outcomes,
    naming,
    published_section,
    rate_of,
    read_episodes,
    read_fields,
    show_films,
    skill_section,
    successes,
    timing_section,
    watch_skill,
)
from sac_gmm.report.table_page import table_page
from sac_gmm.training.seeds import seed_bank

_FAILURES = 6  # number of failures that are shown


def write_report(folder: Path | str, films: int = 2, table: Path | None = None) -> Path:
    """Write `report.html` into the folder of a run.

    Args:
        folder: Of a run of `sac-gmm train` or `sac-gmm demo`, or of a table.
        films: For a trained skill: how many episodes are filmed before and after, and how many failures; 0 for none.
        table: A `table.json` whose results are shown beside those of a trained skill.

    Returns:
        The page's path.

    Raises:
        UserError: The folder is none of these, or a file in it is damaged.
    """
    folder = Path(folder)
    try:
        page = _page(folder, films, table)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise UserError(f"{folder}: a file of the run is not what this version writes ({error!r})") from error
    path = folder / "report.html"
    page.write(path)
    return path


def _page(folder: Path, films: int, table: Path | None) -> Page:
    if (folder / "table.json").exists():
        return table_page(folder, films)
    if (folder / "result.json").exists():
        return _demo_page(folder)
    if (folder / "skill.npz").exists() and (folder / "episodes.jsonl").exists():
        return _training_page(folder, films, table)
    raise UserError(
        f"{folder} holds no run: expected table.json, or result.json (a demo that has ended), or skill.npz and "
        "episodes.jsonl (a training run)"
    )


def write_summary(run_dir: Path) -> Path:
    """Write a summary of a demo as `summary.png`: pictures before and after, and the learning curve."""
    episodes = read_episodes(run_dir)
    strips = [(strips[0], caption) for strips, caption in _strips(run_dir) if strips]
    figure = Figure(figsize=(8.5, 4.0 + 1.2 * len(strips)), layout="constrained")
    axes = figure.subplots(1 + len(strips), 1, squeeze=False, height_ratios=[1.0] * len(strips) + [3.2])[:, 0]
    for panel, (strip, caption) in zip(axes, strips, strict=False):
        panel.imshow(image.imread(strip))
        panel.set_title(caption, loc="left", fontsize=10)
        panel.axis("off")
    draw_curve(axes[-1], successes(episodes, "train"), rate_of(episodes, "base"), rate_of(episodes, "evaluate"))
    path = run_dir / "summary.png"
    with atomic_file(path) as partial:
        partial.write_bytes(png(figure))
    return path


# A demo over ROS 2 -------------------------------------------------------------------------------------------------


def _demo_page(run_dir: Path) -> Page:
    result = read_fields(run_dir / "result.json", "task", "training_episodes", "reward_source", "seed", "wall_s", "git")
    config = read_fields(run_dir / "config.json")
    episodes = read_episodes(run_dir)
    base, adapted = rate_of(episodes, "base"), rate_of(episodes, "evaluate")
    page = Page(
        f"{result['task']}: {100 * base.rate:.0f} % → {100 * adapted.rate:.0f} %",
        f"Success of the skill as fitted: {base}. After {result['training_episodes']} episodes of adaptation: "
        f"{adapted}. In brackets the Wilson 95 % interval. The only reward was a marker seen by a camera "
        f"({result['reward_source']}). Run number {result['seed']}, {result['wall_s'] / 60:.1f} minutes, source "
        f"{result['git']}.",
    )
    learning_section(page, episodes, base, adapted)
    published_section(page, result["task"], [("as fitted", base), ("SAC-GMM", adapted)])
    strips = _strips(run_dir)
    if any(found for found, _ in strips):
        page.section("Before and after, seen by the fixed camera")
        for found, text in strips:
            if found:
                page.picture(found[0].read_bytes(), f"{text} (episode {found[0].stem}).", "jpeg")
    skill_section(page, run_dir)
    changed = sorted((run_dir / "films" / "evaluate").glob("*_success.npz"))
    if changed:
        page.section("What the agent did to the mixture")
        page.picture(
            mixture_figure(load_model(run_dir / "skill.npz"), load_model(changed[0]), None, None),
            f"Episode {changed[0].stem}: the mixture as fitted, and as it was when the door stood open; from the side "
            "and from the front.",
        )
    failed = sorted((run_dir / "films" / "evaluate").glob("*_failure.jpg"))
    if failed:
        page.section("Failures of the adapted skill")
        page.text(f"{len(failed)} episodes; the first {min(len(failed), _FAILURES)} of them, seen by the fixed camera.")
        for strip in failed[:_FAILURES]:
            page.picture(strip.read_bytes(), f"episode {strip.stem}", "jpeg")
    episodes_section(page, episodes)
    timing_section(page, episodes)
    page.section("Configuration")
    page.configuration({**config, **result})
    return page


def _strips(run_dir: Path) -> list[tuple[list[Path], str]]:
    """Pictures of failures before and successes after, by the fixed camera, each with its caption."""
    wanted = (
        ("base", "failure", "Before: the skill as fitted misses the handle"),
        ("evaluate", "success", "After: the adapted skill opens the door, and the marker comes into view"),
    )
    return [(sorted((run_dir / "films" / mode).glob(f"*_{outcome}.jpg")), text) for mode, outcome, text in wanted]


# A training run ----------------------------------------------------------------------------------------------------


def _training_page(run_dir: Path, films: int, table: Path | None) -> Page:
    config = read_fields(run_dir / "config.json", "task", "skill", "seed", "git", "task_options")
    episodes = read_episodes(run_dir)
    measured = _measurements(run_dir)
    name, test = next(iter(measured.items()), ("", None))
    base, adapted = rate_of(episodes, "base"), SuccessRate(0, 0)
    said = f"It has not been measured: sac-gmm evaluate {run_dir} --json {run_dir / 'test.json'}."
    if test is not None:
        base = SuccessRate(test["base"]["successes"], test["base"]["episodes"])
        adapted = SuccessRate(test["successes"], test["episodes"])
        said = (
            f"Success of the skill as fitted: {base}; adapted: {adapted}, deterministic, on the seeds "
            f"'{test['seed_bank']}' ({name}). In brackets the Wilson 95 % interval."
        )
    with naming(run_dir / "config.json"):
        title = method(config["skill"]).title
    trained = len(successes(episodes, "train"))
    page = Page(
        f"{config['task']}: {title} after {trained} episodes",
        f"{said} Training run number {config['seed']}, source {config['git']}.",
    )
    learning_section(page, episodes, base, adapted)
    published_section(page, config["task"], [("as fitted", base), (title, adapted)], table)
    if films and (run_dir / "policy.bin").exists():
        _film_section(page, run_dir, films, test)
    skill_section(page, run_dir)
    episodes_section(page, episodes)
    for file, result in measured.items():
        seeds = episode_seeds(result["seed_bank"], result["episodes"])
        page.outcomes(f"adapted, {file}", named_outcomes(result["outcomes"], seeds))
        page.outcomes(f"as fitted, {file}", named_outcomes(result["base"]["outcomes"], seeds))
    timing_section(page, episodes)
    page.section("Configuration")
    page.configuration(config)
    return page


def _measurements(run_dir: Path) -> dict[str, dict[str, Any]]:
    """Results of `sac-gmm evaluate` in the folder by their file names, those on the test bank first.

    Raises:
        UserError: A result has another number of outcomes than of episodes.
    """
    found = {}
    for path in sorted(run_dir.glob("*.json")):
        value = read_json(path)
        if isinstance(value, dict) and {"seed_bank", "outcomes", "base"} <= value.keys() and value["outcomes"]:
            with naming(path):
                seeds = episode_seeds(value["seed_bank"], value["episodes"])
                for outcomes in (value["outcomes"], value["base"]["outcomes"]):
                    named_outcomes(outcomes, seeds)
            found[path.name] = value
    return dict(sorted(found.items(), key=lambda item: item[1]["seed_bank"] != "test"))


def _film_section(page: Page, run_dir: Path, films: int, test: dict[str, Any] | None) -> None:
    """Films of episodes that adapting won and of failures, and what the agent did to the mixture."""
    skill = open_skill(str(run_dir))
    chosen = _seeds_to_film(test, films)
    # As in the measurement, so that the films show its outcomes; without one as in training.
    sigma_m = None if test is None else test["sigma_m"]
    options = {} if test is not None else read_fields(run_dir / "config.json", "task_options")["task_options"]
    fitted = skill.as_fitted()
    pairs = [
        (watch_skill(fitted, seed, sigma_m, options), watch_skill(skill, seed, sigma_m, options))
        for seed in chosen["won by adapting"]
    ]
    failures = [watch_skill(skill, seed, sigma_m, options) for seed in chosen["failed"]]
    if pairs:
        page.section("Before and after")
        page.text("The same episodes with the skill as fitted and with the adapted skill; right, what its sensors see.")
        show_films(page, [film for pair in pairs for film in zip(("as fitted, ", "adapted, "), pair, strict=True)])
        before, after = next((pair for pair in pairs if pair[1].outcome.success), pairs[0])
        if after.models:
            page.section("What the agent did to the mixture")
            page.picture(
                mixture_figure(skill.prior, after.models[-1][1], before, after),
                f"Episode {after.outcome.seed}: the mixture as fitted and after the last decision, seen from the side "
                "and from the front. The detected target is off by an error that nobody is told. Right: how far each "
                "decision moved the skill; at the dotted lines the error would be undone.",
            )
    if failures:
        page.section("Failures of the adapted skill")
        show_films(page, [("", watched) for watched in failures])


def _seeds_to_film(test: dict[str, Any] | None, films: int) -> dict[str, list[int]]:
    """Episodes that adapting won and that failed in a measurement; without one, the first of the test bank."""
    if test is None:
        return {"won by adapting": list(seed_bank("test", 0, films)), "failed": []}
    seeds = episode_seeds(test["seed_bank"], test["episodes"])
    both = list(zip(seeds, test["base"]["outcomes"], test["outcomes"], strict=True))
    won = [seed for seed, before, after in both if (before, after) == ("0", "1")]
    return {
        "won by adapting": (won or [seed for seed, _, after in both if after == "1"])[:films],
        "failed": [seed for seed, _, after in both if after == "0"][:films],
    }
