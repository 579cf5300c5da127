"""The baselines: the skill as fitted, two searches, residual SAC, and SAC without a skill.

They use SAC-GMM's settings for the task, except where their own action requires others (`config/methods`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from sac_gmm.methods.agent import Mode
from sac_gmm.methods.baselines.search import RandomSearch, SpiralSearch
from sac_gmm.methods.baselines.velocity import ResidualGmm, Sac, demonstrated_action
from sac_gmm.methods.decoder import Decoder
from sac_gmm.methods.method import Method
from sac_gmm.methods.sac_gmm import method as ours
from sac_gmm.methods.sac_gmm.decoder import Gmm
from sac_gmm.methods.sac_gmm.observer import WindowObserver
from sac_gmm.methods.sac_gmm.settings import AgentSettings
from sac_gmm.models import SkillModel

# Authority of the residual: a fair value, and the paper's 0.1 x 5 mm per step of 1/30 s.
RESIDUAL_M_S = 0.05
PAPER_RESIDUAL_M_S = 0.015
RANDOM_STD_M = 0.01  # standard deviation of a random translation, per axis


def fitted(model: SkillModel, settings: AgentSettings) -> Gmm:
    """The mixture's field, with nothing to decide."""
    return Gmm(model, interval=settings.interval)


def residual(model: SkillModel, settings: AgentSettings, authority_m_s: float) -> Decoder:
    """The mixture's field plus the agent's velocity."""
    return _at_pace(ResidualGmm(model, authority_m_s=authority_m_s), settings)


def velocity(model: SkillModel, settings: AgentSettings) -> Decoder:
    """The agent's velocity alone."""
    return _at_pace(Sac(), settings)


def _at_pace(decoder: Decoder, settings: AgentSettings) -> Decoder:
    decoder.interval = settings.interval
    return decoder


def without_picture(decoder: Decoder, settings: AgentSettings, time_limit_s: float) -> WindowObserver:
    """The observations of a rule: without pictures."""
    return ours.observation(decoder, settings.changed(image=None), time_limit_s)


def random_search(settings: AgentSettings) -> RandomSearch:
    """Random translations; their size does not depend on the reach."""
    return RandomSearch(std=RANDOM_STD_M / settings.skill.reach_m)


def spiral_search(settings: AgentSettings) -> SpiralSearch:
    """The spiral; its size does not depend on the reach."""
    return SpiralSearch(reach_m=settings.skill.reach_m)


def demonstrated_reset(settings: AgentSettings, mode: Mode) -> dict[str, Any]:
    """Base episodes are demonstrations, with an exact target."""
    return {"target_noise_std_m": 0.0} if mode is Mode.BASE else ours.reset(settings, mode)


GMM = replace(
    ours.SAC_GMM,
    name="gmm",
    title="GMM",
    decoder=fitted,
    observation=without_picture,
    algorithm=None,
    extends="sac_gmm",
    ablations=Method.ablations,
)
RANDOM_GMM = replace(GMM, name="random_gmm", title="GMM, random translations", decoder=ours.decoder, rule=random_search)
SPIRAL_GMM = replace(GMM, name="spiral_gmm", title="GMM, tuned blind spiral", decoder=ours.decoder, rule=spiral_search)
RESIDUAL_GMM = replace(
    ours.SAC_GMM,
    name="residual_gmm",
    title="residual SAC on GMM (ours, fair)",
    decoder=partial(residual, authority_m_s=RESIDUAL_M_S),
    extends="sac_gmm",
    ablations=Method.ablations,
)
RESIDUAL_GMM_PAPER = replace(
    RESIDUAL_GMM,
    name="residual_gmm_paper",
    title="Res-GMM (published authority)",
    decoder=partial(residual, authority_m_s=PAPER_RESIDUAL_M_S),
    extends="residual_gmm",
)
SAC = replace(
    RESIDUAL_GMM,
    name="sac",
    title="SAC with demonstrations",
    decoder=velocity,
    base_action=demonstrated_action,
    reset=demonstrated_reset,
    extends="residual_gmm",
)
