"""The protocol for evaluating every skill."""

from sac_gmm.core.provenance import provenance
from sac_gmm.evaluation.rates import SuccessRate, wilson_interval
from sac_gmm.methods import Outcome, run_episode, run_episodes
from sac_gmm.training.workers import run_episodes_parallel

__all__ = [
    "Outcome",
    "SuccessRate",
    "provenance",
    "run_episode",
    "run_episodes",
    "run_episodes_parallel",
    "wilson_interval",
]
