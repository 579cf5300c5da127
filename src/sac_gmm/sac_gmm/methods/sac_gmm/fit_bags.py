"""From demonstration bags to a fitted skill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from sac_gmm.core.errors import UserError
from sac_gmm.demos import Demonstration, TopicNames, read_demonstration, to_training_set
from sac_gmm.demos.quality import SPLIT_REMEDY, check_set, parts_of_one
from sac_gmm.models import Kind, SkillModel, fit_skill
from sac_gmm.models.fields.likeness import Likeness, compare_ways

MIN_WAY_SHARE, MAX_WAY_SHARE = 0.75, 2.0  # of a demonstration's length, for a rollout that goes the same way
MAX_OFF_SHARE = 0.5  # of a demonstration's reach


@dataclass(frozen=True)
class FittedSkill:
    """A skill and the samples it was fitted to.

    Attributes:
        skill: The skill; its `meta` names task, frame, sampling rate and demonstrations.
        x: (N, 3) positions relative to the target, base axes, m.
        v: (N, 3) velocities, m/s.
        lengths: (n,) samples of each demonstration, in order.
        rate_hz: Samples per second.
        likeness: How the skill's ways compare with those shown.
        problems: What a person should know before the skill is used, in sentences; empty when all is well.
    """

    skill: SkillModel
    x: npt.NDArray[np.float64]
    v: npt.NDArray[np.float64]
    lengths: npt.NDArray[np.int64]
    rate_hz: float
    likeness: Likeness
    problems: tuple[str, ...]


def fit_bags(
    paths: Sequence[Path],
    kind: Kind,
    components: int | Literal["auto"],
    *,
    task: str | None = None,
    rate_hz: float = 30.0,
    seed: int = 0,
    names: TopicNames | None = None,
) -> FittedSkill:
    """Fit a skill to demonstration bags.

    Args:
        paths: The bags.
        kind: How to fit.
        components: Number of Gaussians.
        task: The task's name; None to take it from the bags.
        rate_hz: Samples per second taken from the demonstrations.
        seed: Seed of the random parts of the fit.
        names: Topics in the bags; None for those of this project's recorder.

    Raises:
        UserError: A bag is missing or bad, the bags show different tasks or are parts of one recording, or the fit is
            impossible.
    """
    demonstrations = [read_demonstration(path, names or TopicNames()) for path in paths]
    task = _task(demonstrations) if task is None else task
    for first, second in parts_of_one(demonstrations):
        raise UserError(
            f"{second} begins when and where {first} ends: they are parts of one recording, not two demonstrations; "
            "make one bag of them (`ros2 bag convert`, or their files in one folder without metadata.yaml)"
        )
    x, v, lengths = to_training_set(demonstrations, rate_hz)
    skill = fit_skill(kind, x, v, lengths.tolist(), components, seed)
    likeness = compare_ways(skill, x, lengths.tolist(), 1.0 / rate_hz)
    of_bags = check_set(demonstrations).all_problems
    problems = tuple(dict.fromkeys([*of_bags, *_way_problems(likeness, demonstrations)]))  # the remedy once
    skill.meta.update(
        task=task, frame=demonstrations[0].frame_id, rate_hz=rate_hz, demonstrations=[path.name for path in paths]
    )
    if problems:
        skill.meta["problems"] = list(problems)
    return FittedSkill(skill, x, v, lengths, rate_hz, likeness, problems)


def _way_problems(likeness: Likeness, demonstrations: Sequence[Demonstration]) -> list[str]:
    """Which demonstrations the skill does not repeat, though it may well arrive."""
    problems = []
    for demonstration, share, off_m, reach_m in zip(
        demonstrations, likeness.way_share, likeness.off_m, likeness.reach_m, strict=True
    ):
        if share < MIN_WAY_SHARE:
            problems.append(
                f"{demonstration.name}: from its start the skill goes {100 * share:.0f} % of the way that was shown, "
                f"and stays up to {1e3 * off_m:.0f} mm away from it"
            )
        elif share > MAX_WAY_SHARE or off_m > MAX_OFF_SHARE * reach_m:
            problems.append(
                f"{demonstration.name}: from its start the skill goes another way than was shown, "
                f"{min(share, 99.0):.1f} times as long and up to {1e3 * off_m:.0f} mm away from it: try another number "
                "of components or kind of model"
            )
    return [*problems, SPLIT_REMEDY] if problems else []


def _task(demonstrations: Sequence[Demonstration]) -> str:
    """The task in the demonstrations; those without a task name match any."""
    tasks = sorted({demonstration.task for demonstration in demonstrations if demonstration.task})
    if len(tasks) > 1:
        raise UserError(
            f"the bags show different tasks ({', '.join(tasks)}): a skill is for one task, so give only its bags"
        )
    return tasks[0] if tasks else ""
