"""The skill that each task begins with: which demonstrations, how many Gaussians."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from sac_gmm.methods.sac_gmm.settings import CONTROL_RATE_HZ
from sac_gmm.models import Kind, SkillModel, fit_skill
from sac_gmm.tasks import task_class


@dataclass(frozen=True)
class BaseSkill:
    """How a task's base skill is fitted.

    Attributes:
        bags: Folder of its demonstrations, below the folder of all demonstrations.
        components: Gaussians: as few as follow the demonstrations without noise (`sac-gmm calibrate` shows it).
    """

    bags: str
    components: int | Literal["auto"]


BASE_SKILLS = {
    "door": BaseSkill("door", 8),
    "lever": BaseSkill("lever", 7),
    "peg": BaseSkill("peg", 5),
    "peg_medium": BaseSkill("peg", 5),
    "peg_easy": BaseSkill("peg", 5),
}


def base_skill(task: str) -> BaseSkill:
    """How the base skill of a task is fitted: of a task of one's own to the bags in its folder, components chosen.

    Raises:
        UserError: There is no such task.
    """
    if task in BASE_SKILLS:
        return BASE_SKILLS[task]
    return BaseSkill(task_class(task).name, "auto")


@cache
def fit_base_skill(task: str, kind: Kind = "lpv_ds", demonstrations: Path = Path("demos")) -> SkillModel:
    """Fit the base skill of a task, the same one every time.

    Args:
        task: The task's name.
        kind: Of the fit; `lpv_ds` is what the agent adapts.
        demonstrations: Folder with one folder of bags per task.

    Raises:
        UserError: There is no such task, or its bags are missing or bad.
    """
    from sac_gmm.demos import find_bags, read_demonstration, to_training_set

    chosen = base_skill(task)
    paths = find_bags((demonstrations / chosen.bags,))
    episodes = [read_demonstration(path) for path in paths]
    x, v, lengths = to_training_set(episodes, CONTROL_RATE_HZ)
    skill = fit_skill(kind, x, v, lengths.tolist(), chosen.components)
    skill.meta.update(
        task=task, frame=episodes[0].frame_id, rate_hz=CONTROL_RATE_HZ, demonstrations=[path.name for path in paths]
    )
    return skill
