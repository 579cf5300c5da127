"""An algorithm unlike the soft actor-critic: it learns from whole rollouts, without networks."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch

from sac_gmm.core.errors import UserError
from sac_gmm.core.settings import check_ranges, check_types
from sac_gmm.rl import Algorithm, AlgorithmState, PolicySnapshot


@dataclass(frozen=True)
class ToyConfig:
    rollout: int = 8  # transitions after which the policy moves
    spread: float = 0.3

    def __post_init__(self):
        check_types(self)
        check_ranges(self, {"rollout": (1, 1000), "spread": (0.0, 1.0)})

    def to_json(self):
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value):
        return cls(**value)


class ToyPolicy:
    """The same action whatever is observed."""

    def __init__(self, spec):
        self.spec = spec.observation
        self.version = 0
        self.mean = np.zeros(spec.action_dim, np.float32)
        self.spread = spec.config.spread

    def act(self, obs, deterministic=False, noise=None):
        step = 0.0 if deterministic else self.spread * (np.zeros_like(self.mean) if noise is None else noise)
        return np.clip(self.mean + step, -1.0, 1.0).astype(np.float32)

    def snapshot(self):
        return PolicySnapshot(self.version, self.mean.copy())

    def load_snapshot(self, snapshot):
        self.mean, self.version = snapshot.values.copy(), snapshot.version

    def state_dict(self):
        return {"mean": torch.from_numpy(self.mean)}

    def load_state_dict(self, state_dict):
        self.mean = state_dict["mean"].numpy().copy()


class Toy(Algorithm):
    """Moves the mean action towards the best of each rollout, with a random weight."""

    name = "toy"
    config_class = ToyConfig
    metric_names = ("best_reward",)
    updates_per_transition = 1

    def __init__(self, spec):
        super().__init__(spec)
        self._policy = ToyPolicy(spec)
        self._rollout = []  # (action, reward)
        self._rng = np.random.default_rng(spec.seed)
        self._observed = self._updates = 0
        self._best_reward = float("nan")

    @classmethod
    def make_policy(cls, spec):
        return ToyPolicy(spec)

    @property
    def policy(self):
        return self._policy

    def observe(self, transition, *, learn=True):
        transition.check(self.spec.observation, self.spec.action_dim)
        self._observed += 1
        if learn:
            self._rollout.append((np.asarray(transition.action, np.float64), transition.reward))

    def prepare(self):
        self._policy.mean[:] = 0.5
        self._policy.version += 1

    def update(self, n):
        if len(self._rollout) >= self.spec.config.rollout:
            action, self._best_reward = max(self._rollout, key=lambda pair: pair[1])
            self._policy.mean += self._rng.random(dtype=np.float32) * (action - self._policy.mean).astype(np.float32)
            self._policy.version += 1
            self._updates += 1
            self._rollout.clear()
        return self.metrics()

    def metrics(self):
        return {
            "transitions": float(self._observed),
            "updates": float(self._updates),
            "version": float(self._policy.version),
            "best_reward": self._best_reward,
        }

    def state_dict(self):
        counters = [self._observed, self._updates, self._policy.version]
        values = {"counters": counters, "rng": self._rng.bit_generator.state}
        actions = np.array([action for action, _ in self._rollout]).reshape(-1, self.spec.action_dim)
        rollout = {"actions": actions, "rewards": np.array([reward for _, reward in self._rollout])}
        return AlgorithmState({"mean": torch.from_numpy(self._policy.mean)}, values, {"rollout": rollout})

    def load_state_dict(self, state):
        if state.tensors["mean"].shape != self._policy.mean.shape:
            raise UserError("stored tensor mean has another shape")
        self._policy.load_state_dict(state.tensors)
        self._observed, self._updates, self._policy.version = state.values["counters"]
        self._rng.bit_generator.state = state.values["rng"]
        rollout = state.arrays["rollout"]
        self._rollout = list(zip(rollout["actions"], rollout["rewards"].tolist(), strict=True))
