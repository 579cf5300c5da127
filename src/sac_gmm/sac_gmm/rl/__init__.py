"""Reinforcement learning on decisions. This package knows spaces, never tasks."""

from sac_gmm.rl.algorithm import (
    Algorithm,
    AlgorithmSpec,
    AlgorithmState,
    Policy,
    PolicySnapshot,
    SeeingPolicy,
    algorithm_class,
    register_algorithm,
)
from sac_gmm.rl.async_learner import AsyncLearner
from sac_gmm.rl.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_policy,
    pack_policy,
    read_extra,
    save_checkpoint,
    save_policy,
    unpack_policy,
)
from sac_gmm.rl.learner import FixedPolicy, Learner, SyncLearner
from sac_gmm.rl.noise import Ar1Noise
from sac_gmm.rl.replay import Replay
from sac_gmm.rl.sac.algorithm import Sac
from sac_gmm.rl.sac.config import SacConfig
from sac_gmm.rl.spaces import Observation, ObservationSpec, Sight
from sac_gmm.rl.transition import Transition

__all__ = [
    "Algorithm",
    "AlgorithmSpec",
    "AlgorithmState",
    "Ar1Noise",
    "AsyncLearner",
    "Checkpoint",
    "FixedPolicy",
    "Learner",
    "Observation",
    "ObservationSpec",
    "Policy",
    "PolicySnapshot",
    "Replay",
    "Sac",
    "SacConfig",
    "SeeingPolicy",
    "Sight",
    "SyncLearner",
    "Transition",
    "algorithm_class",
    "load_checkpoint",
    "load_policy",
    "pack_policy",
    "read_extra",
    "register_algorithm",
    "save_checkpoint",
    "save_policy",
    "unpack_policy",
]
