"""The tasks for other people's learners: `import sac_gmm.gym`, then `gymnasium.make` builds them by name.

`sac_gmm/Door-v0` takes a normalised command at every control step; `sac_gmm/DoorSkill-v0` takes a decision, a change of
the skill that the demonstrations gave. There are two such names for every task, your own (SAC_GMM_TASKS) included.
"""

from __future__ import annotations

from gymnasium.envs.registration import register, registry

from sac_gmm.tasks import TASKS

__all__ = ["environment_name"]


def environment_name(task: str) -> str:
    """Name of a task in environment ids: `peg_easy` is `PegEasy`."""
    return task.title().replace("_", "")


def _register(name: str, environment: str, task: str) -> None:
    if (known_as := f"sac_gmm/{name}-v0") not in registry:
        register(known_as, entry_point=f"sac_gmm.gym.{environment}", kwargs={"task": task})


for _task in TASKS:
    _register(environment_name(_task), "control:ControlEnv", _task)
    _register(f"{environment_name(_task)}Skill", "skill:SkillEnv", _task)
