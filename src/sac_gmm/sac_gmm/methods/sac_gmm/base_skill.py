"""The base skill of a task, fitted to its demonstrations."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from sac_gmm.methods.sac_gmm.settings import CONTROL_RATE_HZ
from sac_gmm.models import Kind, SkillModel
from sac_gmm.tasks import task_class


@dataclass(frozen=True)
class BaseSkill:
    """How a task's base skill is fitted.

    Attributes:
        bags: The task's folder below the folder of all demonstrations.
        components: Number of Gaussians.
    """

    bags: str
    components: int | Literal["auto"]


def base_skill(task: str) -> BaseSkill:
    """Return how to fit the base skill of a task, as its class defines.

    Raises:
        UserError: There is no such task.
    """
    chosen = task_class(task)
    return BaseSkill(chosen.demonstrations_folder(), chosen.components)


@cache
def fit_base_skill(task: str, kind: Kind = "lpv_ds", demonstrations: Path = Path("demos")) -> SkillModel:
    """Fit the base skill of a task; the same demonstrations always give the same skill.

    Args:
        task: The task's name.
        kind: How to fit; the agent adapts skills of kind `lpv_ds`.
        demonstrations: Folder that holds one folder of bags per task.

    Raises:
        UserError: There is no such task, or its bags are missing or bad.
    """
    from sac_gmm.demos import find_bags
    from sac_gmm.methods.sac_gmm.fit_bags import fit_bags

    chosen = base_skill(task)
    paths = find_bags((demonstrations / chosen.bags,))
    fitted = fit_bags(paths, kind, chosen.components, task=task, rate_hz=CONTROL_RATE_HZ)
    for problem in fitted.problems:
        print(f"problem of the base skill: {problem}", file=sys.stderr)
    return fitted.skill
