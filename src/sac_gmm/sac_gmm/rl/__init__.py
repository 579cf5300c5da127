"""Reinforcement learning on decisions: it knows spaces, never tasks."""

from sac_gmm.rl.checkpoint import Checkpoint, load_checkpoint, load_policy, read_extra, save_checkpoint, save_policy
from sac_gmm.rl.learner import AsyncLearner, FixedPolicy, SyncLearner
from sac_gmm.rl.noise import Ar1Noise
from sac_gmm.rl.replay import Observation, Replay, Transition
from sac_gmm.rl.sac.agent import Policy, PolicySnapshot, SacAgent
from sac_gmm.rl.sac.config import ObservationSpec, SacConfig, Sight

__all__ = [
    "Ar1Noise",
    "AsyncLearner",
    "Checkpoint",
    "FixedPolicy",
    "Observation",
    "ObservationSpec",
    "Policy",
    "PolicySnapshot",
    "Replay",
    "SacAgent",
    "SacConfig",
    "Sight",
    "SyncLearner",
    "Transition",
    "load_checkpoint",
    "load_policy",
    "read_extra",
    "save_checkpoint",
    "save_policy",
]
