"""The one protocol by which every skill is measured."""

from sac_gmm.evaluation.episodes import Outcome, run_episode, run_episodes
from sac_gmm.evaluation.parallel import run_episodes_parallel
from sac_gmm.evaluation.protocol import SEED_BANKS, SuccessRate, seed_bank, wilson_interval
from sac_gmm.evaluation.record import provenance

__all__ = [
    "SEED_BANKS",
    "Outcome",
    "SuccessRate",
    "provenance",
    "run_episode",
    "run_episodes",
    "run_episodes_parallel",
    "seed_bank",
    "wilson_interval",
]
