"""Skills: decoders that turn a slow decision into fast motion, and the observation a decision is made on.

from sac_gmm.methods import MacroEnv, SacGmm, WindowObserver

env = MacroEnv(make_task("door"), SacGmm(load_model("door.npz")), WindowObserver(action_dim=3))
observation = env.reset(seed=0)
outcome = env.step(action)  # N control steps at once
"""

from sac_gmm.methods.agent import AdaptingAgent, Learner, Mode
from sac_gmm.methods.macro_env import MacroEnv, MacroStep
from sac_gmm.methods.sac_gmm.adaptation import (
    ADAPTATIONS,
    Adaptation,
    ComponentAdaptation,
    Translation,
    make_adaptation,
)
from sac_gmm.methods.sac_gmm.decoders import Decoder, Gmm, ResidualGmm, Sac, SacGmm
from sac_gmm.methods.sac_gmm.observer import WindowObserver

__all__ = [
    "ADAPTATIONS",
    "Adaptation",
    "AdaptingAgent",
    "ComponentAdaptation",
    "Decoder",
    "Gmm",
    "Learner",
    "MacroEnv",
    "MacroStep",
    "Mode",
    "ResidualGmm",
    "Sac",
    "SacGmm",
    "Translation",
    "WindowObserver",
    "make_adaptation",
]
