"""Sections and films that the pages about several kinds of runs have in common."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import read_json
from sac_gmm.core.runs import EpisodeLog
from sac_gmm.evaluation.published import PUBLISHED
from sac_gmm.evaluation.rates import SuccessRate
from sac_gmm.methods import Skill, make_env, method
from sac_gmm.report.figures import learning_curve
from sac_gmm.report.film import Watched, watch, write_film
from sac_gmm.report.page import Page

Episode = dict[str, Any]  # a line of episodes.jsonl

_MODES = {"base": "as fitted", "train": "adapting", "evaluate": "adapted"}
_FILM_WIDTH, _FRAME_INTERVAL = 480, 3


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn errors about the content of `path` in this block into one that names the file.

    Raises:
        UserError: A field is missing, or is not of the kind that this version writes.
    """
    try:
        yield
    except KeyError as error:
        raise UserError(f"{path}: the field {error} is missing: make the file again") from error
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise UserError(f"{path} is not what this version writes ({error}): make it again") from error


def read_fields(path: Path, *fields: str) -> dict[str, Any]:
    """Read a JSON file that must be an object with at least these fields.

    Raises:
        UserError: The file cannot be read, is something else, or lacks one of them.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected an object with names and values, found {str(value)[:40]}")
    with naming(path):
        for field in fields:
            value[field]
    return value


def read_episodes(folder: Path) -> list[Episode]:
    """The episodes in the log of a run.

    Raises:
        UserError: There is no log, or a line is not an episode.
    """
    log = EpisodeLog(folder / "episodes.jsonl", ("mode", "seed", "success", "wall_s"))
    log.read()
    if not log.path.exists():
        raise UserError(f"{log.path} is missing: give the folder of a run")
    for number, episode in enumerate(log.episodes, 1):
        if not {"steps", "duration_s"} & episode.keys():
            raise UserError(f"{log.path}: line {number} has neither steps nor duration_s: run the episodes again")
    return log.episodes


def successes(episodes: Sequence[Episode], mode: str) -> list[bool]:
    """Outcomes of the episodes of a mode: base, train or evaluate."""
    return [bool(episode["success"]) for episode in episodes if episode["mode"] == mode]


def rate_of(episodes: Sequence[Episode], mode: str) -> SuccessRate:
    """How many episodes of a mode succeeded."""
    outcomes = successes(episodes, mode)
    return SuccessRate(sum(outcomes), len(outcomes))


def learning_section(page: Page, episodes: Sequence[Episode], base: SuccessRate, adapted: SuccessRate) -> None:
    """The success rate over the training episodes."""
    page.section("Learning curve")
    page.picture(
        learning_curve(successes(episodes, "train"), base, adapted),
        "Success against training episodes. The exploring policy is noisy; the dashed lines are measured without.",
    )


def published_section(
    page: Page,
    task: str,
    ours: Sequence[tuple[str, SuccessRate]],
    table: Path | None = None,
) -> None:
    """This run compared with others on the task: the rows of a table, and the paper in its own scene."""
    rows: list[tuple[object, ...]] = [
        (name, rate if rate.episodes else "not measured", "this run") for name, rate in ours
    ]
    if table is not None and table.exists():
        with naming(table):
            for row in read_fields(table, "rows")["rows"]:
                if row["task"] == task and not row["variant"]:
                    test = row["tests"]["test"]
                    rows.append((row["title"], SuccessRate.from_json(test), str(table)))
    for name, rate in PUBLISHED.get(task, {}).items():
        rows.append((method(name).title, f"{100 * rate:.0f} %", "the paper, in its own scene"))
    page.section("Against baselines")
    page.table(("skill", "success", "from"), rows)


def skill_section(page: Page, run_dir: Path) -> None:
    """The picture that `sac-gmm fit` drew, if there is one."""
    picture = run_dir / "skill.png"
    if picture.exists():
        page.section("The skill as fitted")
        page.picture(picture.read_bytes(), "Demonstrations, field, Gaussians and rollouts, plane by plane.")


def episodes_section(page: Page, episodes: Sequence[Episode]) -> None:
    """A square for each logged episode."""
    page.section("Every episode")
    page.text("Green: success. Grey: failure. Point at a square for its seed and length.")
    for mode, title in _MODES.items():
        mine = [episode for episode in episodes if episode["mode"] == mode]
        if mine:
            page.outcomes(title, [(bool(episode["success"]), _tell(episode)) for episode in mine])


def _tell(episode: Episode) -> str:
    length = f"{episode['steps']} steps" if "steps" in episode else f"{episode['duration_s']:.1f} s"
    return f"episode {episode['seed']}: {'success' if episode['success'] else 'failure'}, {length}"


def timing_section(page: Page, episodes: Sequence[Episode]) -> None:
    """How long the episodes took in each phase."""
    page.section("Timing")
    rows = []
    for mode, title in _MODES.items():
        mine = [episode for episode in episodes if episode["mode"] == mode]
        if mine:
            walls_s = np.array([episode["wall_s"] for episode in mine])
            unit, field = ("steps", "steps") if "steps" in mine[0] else ("s simulated", "duration_s")
            lengths = np.array([episode[field] for episode in mine])
            ticks_ms = np.array([(e["tick_ms_median"], e["tick_ms_most"]) for e in mine if "tick_ms_most" in e])
            rows.append(
                (
                    title,
                    len(mine),
                    f"{np.median(walls_s):.2f} / {np.quantile(walls_s, 0.95):.2f} / {walls_s.max():.2f}",
                    f"{lengths.mean():.1f} {unit}",
                    f"{lengths.sum() / walls_s.sum():.1f} {unit} per s",
                    f"{walls_s.sum() / 60:.1f}",
                    f"{np.median(ticks_ms[:, 0]):.2f} / {ticks_ms[:, 1].max():.2f}" if len(ticks_ms) else "–",
                )
            )
    page.table(
        (
            "phase",
            "episodes",
            "wall time of an episode, s: median / 95 % / most",
            "mean length",
            "pace",
            "minutes",
            "controller's tick, ms: median / most",
        ),
        rows,
    )


def watch_skill(skill: Skill, seed: int, sigma_m: float | None, options: dict[str, Any]) -> Watched:
    """Play and film one episode of a skill; `sigma_m` and `options` as in `measuring.Measurement`."""
    env = make_env(skill.task, skill.method, skill.settings, skill.prior, options)
    try:
        return watch(env, skill.act(env), seed, sigma_m, frame_interval=_FRAME_INTERVAL, width=_FILM_WIDTH)
    finally:
        env.task.close()  # type: ignore[attr-defined]


def show_films(page: Page, films: Iterable[tuple[str, Watched]]) -> None:
    """Films side by side, each with a title and its outcome."""
    page.pictures([(_gif(watched), f"{title}{_outcome(watched)}") for title, watched in films], "gif")


def _gif(watched: Watched) -> bytes:
    frames_per_s = (len(watched.frames) - 1) / watched.duration_s
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.gif"
        write_film(path, watched.frames, frames_per_s)
        return path.read_bytes()


def _outcome(watched: Watched) -> str:
    how = "success" if watched.outcome.success else "no success"
    return f"episode {watched.outcome.seed}: {how} after {watched.duration_s:.1f} s"


def named_outcomes(outcomes: str, seeds: Sequence[int]) -> list[tuple[bool, str]]:
    """A string of 0 and 1 for `Page.outcomes`.

    Raises:
        ValueError: The number of outcomes is not the number of seeds.
    """
    if len(outcomes) != len(seeds):
        raise ValueError(f"{len(outcomes)} outcomes of {len(seeds)} episodes")
    return [
        (won == "1", f"episode {seed}: {'success' if won == '1' else 'failure'}")
        for won, seed in zip(outcomes, seeds, strict=True)
    ]
