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
from sac_gmm.models import Kind, SkillModel, fit_skill


@dataclass(frozen=True)
class FittedSkill:
    """A skill and the samples that it was fitted to.

    Attributes:
        skill: The skill; its `meta` names task, frame, sampling rate and demonstrations.
        x: (N, 3) positions relative to the target, base axes, m.
        v: (N, 3) velocities, m/s.
        lengths: (n,) samples of each demonstration, in order.
        rate_hz: Samples per second.
    """

    skill: SkillModel
    x: npt.NDArray[np.float64]
    v: npt.NDArray[np.float64]
    lengths: npt.NDArray[np.int64]
    rate_hz: float


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
        task: The task's name; None for what the bags say.
        rate_hz: Samples per second taken from the demonstrations.
        seed: For the random parts of the fit.
        names: Topics of the bags; None for those of our own recorder.

    Raises:
        UserError: A bag is missing or bad, the bags show different tasks, or the fit is impossible.
    """
    demonstrations = [read_demonstration(path, names or TopicNames()) for path in paths]
    task = _task(demonstrations) if task is None else task
    x, v, lengths = to_training_set(demonstrations, rate_hz)
    skill = fit_skill(kind, x, v, lengths.tolist(), components, seed)
    skill.meta.update(
        task=task, frame=demonstrations[0].frame_id, rate_hz=rate_hz, demonstrations=[path.name for path in paths]
    )
    return FittedSkill(skill, x, v, lengths, rate_hz)


def _task(demonstrations: Sequence[Demonstration]) -> str:
    """The task that the demonstrations show; those that name none go with any."""
    tasks = sorted({demonstration.task for demonstration in demonstrations if demonstration.task})
    if len(tasks) > 1:
        raise UserError(
            f"the bags show different tasks ({', '.join(tasks)}): a skill is for one task, so give only its bags"
        )
    return tasks[0] if tasks else ""
