"""Methods for learning a skill, one folder each, and the code they share.

from sac_gmm.methods import make_env, method
from sac_gmm.methods.settings import load_settings

chosen = method("sac_gmm")
settings = load_settings(chosen, "door")
env = make_env("door", chosen, settings, load_model("door.npz"))
observation = env.reset(seed=0)
outcome = env.step(action)  # N control steps at once
"""

from sac_gmm.methods.agent import Agent, Mode
from sac_gmm.methods.decoder import Decoder
from sac_gmm.methods.episodes import Outcome, practise, run_episode, run_episodes
from sac_gmm.methods.macro_env import MacroEnv, MacroStep
from sac_gmm.methods.method import Method, MethodSettings, PriorKind
from sac_gmm.methods.observation import ObservationWindow
from sac_gmm.methods.registry import method, method_names
from sac_gmm.methods.skill import Skill, make_env, open_skill

__all__ = [
    "Agent",
    "Decoder",
    "MacroEnv",
    "MacroStep",
    "Method",
    "MethodSettings",
    "Mode",
    "ObservationWindow",
    "Outcome",
    "PriorKind",
    "Skill",
    "make_env",
    "method",
    "method_names",
    "open_skill",
    "practise",
    "run_episode",
    "run_episodes",
]
