"""SAC-GMM: soft actor-critic adapts a Gaussian mixture skill (Nematollahi et al., ICRA 2022)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from sac_gmm.methods.agent import Mode
from sac_gmm.methods.decoder import Decoder
from sac_gmm.methods.method import Method, PriorKind
from sac_gmm.methods.sac_gmm.adaptation import make_adaptation
from sac_gmm.methods.sac_gmm.base_skill import fit_base_skill
from sac_gmm.methods.sac_gmm.decoder import SacGmm
from sac_gmm.methods.sac_gmm.observer import WindowObserver
from sac_gmm.methods.sac_gmm.settings import AgentSettings, SkillSettings
from sac_gmm.models import KINDS, Kind, SkillModel, load_model, save_model
from sac_gmm.rl import AlgorithmSpec, ObservationSpec, Sac


def fit_mixture(task: str, demonstrations: Path, kind: str | None = None) -> SkillModel:
    """The task's base skill, from its demonstrations."""
    return fit_base_skill(task, cast(Kind, kind or KINDS[-1]), demonstrations)


MIXTURE = PriorKind(fit_mixture, save_model, load_model)


def decoder(model: SkillModel, settings: AgentSettings) -> SacGmm:
    """The mixture, with the adaptation from the settings."""
    own = settings.skill
    adaptation = make_adaptation(own.adaptation, model, own.reach_m)
    return SacGmm(model, adaptation, interval=own.interval, blend_s=own.blend_s)


def observation(decoder: Decoder, settings: AgentSettings, time_limit_s: float) -> WindowObserver:
    """The agent's observation, with the symmetry of the detected frame if the action supports it."""
    shift = decoder.adaptation.action_shift if isinstance(decoder, SacGmm) else None
    own = settings.skill
    return WindowObserver(
        decoder.action_dim,
        time_limit_s,
        own.image,
        memory=own.memory,
        history=own.history,
        touch=own.touch,
        last_action=own.last_action,
        camera=own.camera,
        action_shift=shift if shift is not None and shift.any() else None,
    )


def algorithm(spec: ObservationSpec, action_dim: int, settings: AgentSettings, seed: int) -> AlgorithmSpec:
    """The soft actor-critic from the settings."""
    return AlgorithmSpec(Sac, spec, action_dim, settings.agent, seed)


def reset(settings: AgentSettings, mode: Mode) -> dict[str, Any]:
    """Practice may use more noise on the detected target than the task has."""
    noise_m = settings.skill.training_noise_m
    return {"target_noise_std_m": noise_m} if mode is Mode.TRAIN and noise_m is not None else {}


# With decisions at the default interval or longer, changes blend in as slowly as by default.
_SLOW = {"blend_s": SkillSettings.blend_s}
_ABLATIONS: dict[str, dict[str, Any]] = {
    "no picture": {"image": None},
    "no touch": {"touch": False},
    "with touch": {"touch": True},
    "neither picture nor touch": {"image": None, "touch": False},
    "no memory": {"memory": False},
    "with memory": {"memory": True},
    "last four decisions": {"history": 4},
    "with last action": {"last_action": True},
    "no pre-fill": {"base_episodes": 0},
    "no zero start": {"zero_init": False},
    "no shifts": {"shift_std": 0.0},
    "actor alone": {"n_proposals": 0},
    "full adaptation": {"adaptation": "full"},
    "means per component": {"adaptation": "positions"},
    "priors": {"adaptation": "priors"},
    "N = 8": {"interval": 8},
    "N = 16": {"interval": 16, **_SLOW},
    "N = 32": {"interval": 32, **_SLOW},
    "N = 64": {"interval": 64, **_SLOW},
    # The autoencoder instead of a calibrated camera that sees the target.
    "autoencoder": {"camera": None},
}
_WITH_CAMERA = {"sight alone": {"updates_per_decision": 0}}


def ablations(settings: AgentSettings) -> dict[str, dict[str, Any]]:
    """The ablations: one thing left out or changed at a time."""
    return _ABLATIONS if settings.skill.camera is None else _ABLATIONS | _WITH_CAMERA


SAC_GMM = Method(
    name="sac_gmm",
    title="SAC-GMM",
    settings=AgentSettings,
    prior=MIXTURE,
    decoder=decoder,
    observation=observation,
    algorithm=algorithm,
    reset=reset,
    ablations=ablations,
)
