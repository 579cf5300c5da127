"""The skills that are compared, by name: task, decoder and observer put together, and who decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sac_gmm.control import SafetyLimits
from sac_gmm.core.errors import UserError
from sac_gmm.methods import (
    Decoder,
    Gmm,
    MacroEnv,
    ResidualGmm,
    Sac,
    SacGmm,
    WindowObserver,
    make_adaptation,
)
from sac_gmm.methods.baselines.search import RandomSearch, SpiralSearch
from sac_gmm.methods.episodes import Policy
from sac_gmm.methods.sac_gmm.settings import AgentSettings, SkillSettings
from sac_gmm.models import Regressor, SkillModel
from sac_gmm.rl import Observation
from sac_gmm.tasks import Task, make_task

# Authority of the residual: the fair one, and the paper's 0.1 x 5 mm per step of 1/30 s.
RESIDUAL_M_S = 0.05
PAPER_RESIDUAL_M_S = 0.015


@dataclass(frozen=True)
class Contender:
    """A skill of the comparison.

    Attributes:
        learns: Whether an agent is trained.
        title: For tables.
        changes: Settings of the agent in which it differs from `sac_gmm`, and why it must.
        demonstrates: Whether its base episodes are demonstrations: the fitted skill's motion with an exact target, as
            velocities that the agent commands. The base skill itself has no place in it.
    """

    learns: bool
    title: str
    changes: dict[str, Any]
    demonstrates: bool = False


# What a task sets for SAC-GMM because its first action already is the skill where the target is seen: a pull towards
# that, critics first, little exploration, no memory of a search. A skill whose zero action is something else gets the
# general values, in which all of them learned more (docs/learning.md).
_UNTUNED: dict[str, Any] = {
    "anchor_weight": 0.0,
    "critic_head_start": 0,
    "initial_std": 0.3,
    "target_entropy_per_action": -1.0,
    "last_action": True,
    "touch": True,
    "memory": True,
}
CONTENDERS = {
    "gmm": Contender(False, "GMM", {}),
    # A search that learns nothing has a pace of its own; a spiral wants finer steps than a decision.
    "random_gmm": Contender(False, "GMM, random translations", {"interval": 16, "blend_s": SkillSettings().blend_s}),
    "spiral_gmm": Contender(False, "GMM, tuned blind spiral", {"interval": 8}),
    # Velocities for a few control steps: as often as memory and time for the same pictures allow.
    "sac": Contender(
        True, "SAC with demonstrations", {**_UNTUNED, "interval": 4, "replay_capacity": 50_000}, demonstrates=True
    ),
    "residual_gmm": Contender(True, "residual SAC on GMM (ours, fair)", {**_UNTUNED, "interval": 4}),
    # The published authority and pace: 0.5 mm a step, one critic update a step, a discount that forgets the reward.
    "residual_gmm_paper": Contender(
        True,
        "Res-GMM (published authority)",
        {
            **_UNTUNED,
            "replay_capacity": 300_000,
            "interval": 1,
            "image": None,
            "gamma": 0.99,
            "updates_per_decision": 1,
            "n_critics": 2,
            "n_proposals": 0,
            "layer_norm": False,
            "shift_std": 0.0,
        },
    ),
    "sac_gmm": Contender(True, "SAC-GMM", {}),
}


def contender(skill: str) -> Contender:
    """A skill by its name.

    Raises:
        UserError: There is none of that name.
    """
    if skill not in CONTENDERS:
        raise UserError(f"there is no skill '{skill}'; choose one of: {', '.join(CONTENDERS)}")
    return CONTENDERS[skill]


def settings_for(skill: str, settings: AgentSettings) -> AgentSettings:
    """The settings of a skill: those of `sac_gmm`, but for what its own action makes necessary."""
    return settings.changed(**contender(skill).changes)


def make_env(task: str, skill: str, settings: AgentSettings, model: SkillModel, options: dict[str, Any]) -> MacroEnv:
    """Task, decoder and observer of a skill.

    Args:
        task: The task's name.
        skill: A key of `CONTENDERS`.
        settings: As `settings_for` gives them.
        model: The base skill.
        options: Keyword arguments of the task; `start_shift_m` (3,) moves the pose in which the arm starts.
    """
    chosen, own = contender(skill), settings.skill
    made = _made(task, **options)
    adaptation = make_adaptation(own.adaptation, model, own.reach_m)
    decoder: Decoder
    if skill == "gmm":
        decoder = Gmm(model, interval=own.interval)
    elif skill == "sac":
        decoder = Sac()
    elif skill.startswith("residual_gmm"):
        decoder = ResidualGmm(model, authority_m_s=PAPER_RESIDUAL_M_S if "paper" in skill else RESIDUAL_M_S)
    else:
        decoder = SacGmm(model, adaptation, blend_s=own.blend_s)
    decoder.interval = own.interval
    shift = adaptation.action_shift if skill == "sac_gmm" and adaptation.action_shift.any() else None
    observer = WindowObserver(
        decoder.action_dim,
        made.time_limit_s,
        own.image if chosen.learns else None,
        memory=own.memory,
        history=own.history,
        touch=own.touch,
        last_action=own.last_action,
        camera=own.camera,
        action_shift=shift,
    )
    return MacroEnv(made, decoder, observer)


def _made(task: str, start_shift_m: tuple[float, ...] = (), **options: Any) -> Task:
    made = make_task(task, **options)
    if start_shift_m:
        usual, shift = made.start_offset_m, np.array(start_shift_m)
        made.start_offset_m = lambda rng: usual(rng) + shift  # type: ignore[method-assign]
    return made


def demonstrated_action(model: SkillModel) -> Policy:
    """The velocities of the fitted skill as actions of `Sac`."""
    field, largest_m_s = Regressor(model.mixture), SafetyLimits().max_speed_m_s

    def act(observation: Observation) -> NDArray[np.float64]:
        return np.clip(field(observation["vector"][:3].astype(np.float64)) / largest_m_s, -1.0, 1.0)

    return act


# The spiral, tuned on each task over speed, pitch and lift, 40 episodes each (docs/learning.md): the same was best.
_WIDE = SpiralSearch(start_s=2.0, speed_m_s=0.04, pitch_m=0.012)
SPIRALS = {"door": _WIDE, "lever": _WIDE, "peg": _WIDE}


def searcher(task: str, skill: str, settings: AgentSettings) -> Callable[[], Policy] | None:
    """The policy of a skill that searches without learning; None where there is nothing to decide."""
    if skill == "random_gmm":
        return partial(RandomSearch, std=0.01 / settings.skill.reach_m)
    if skill == "spiral_gmm":
        spiral = SPIRALS.get(task.split("_")[0], SpiralSearch())
        return partial(_same, replace(spiral, reach_m=settings.skill.reach_m))
    return None


def _same(policy: Policy) -> Policy:
    return policy


def still(action_dim: int) -> Policy:
    """The policy that leaves the skill as it is."""
    action = np.zeros(action_dim, np.float32)
    return lambda _: action
