"""The soft actor-critic as an `Algorithm`: the learning agent and its replay buffer."""

from __future__ import annotations

from sac_gmm.core.errors import UserError
from sac_gmm.rl.algorithm import Algorithm, AlgorithmSpec, AlgorithmState
from sac_gmm.rl.replay import Replay
from sac_gmm.rl.sac.agent import SacAgent
from sac_gmm.rl.sac.config import SacConfig
from sac_gmm.rl.sac.policy import SacPolicy
from sac_gmm.rl.transition import Transition


class Sac(Algorithm):
    """Off-policy: every transition goes into the replay buffer and is used for learning alike."""

    name = "sac"
    config_class = SacConfig
    metric_names = ("critic_loss", "value", "entropy", "temperature", "reconstruction_loss")

    def __init__(self, spec: AlgorithmSpec) -> None:
        super().__init__(spec)
        config: SacConfig = spec.config
        self.agent = SacAgent(spec.observation, spec.action_dim, config, spec.seed)
        self.replay = Replay(spec.observation, spec.action_dim, config.replay_capacity)
        self._losses: dict[str, float] = {}

    @classmethod
    def make_policy(cls, spec: AlgorithmSpec) -> SacPolicy:
        """Return an untrained policy."""
        return SacPolicy(spec.observation, spec.action_dim, spec.config, spec.seed)

    @property
    def policy(self) -> SacPolicy:
        """The newest policy."""
        return self.agent.policy

    @property
    def updates_per_transition(self) -> int:
        """Gradient updates per decision."""
        return self.agent.config.updates_per_decision

    def observe(self, transition: Transition, *, learn: bool = True) -> None:
        """Add a transition to the replay buffer."""
        self.replay.add(transition)

    def prepare(self) -> None:
        """Train the locator or the encoder, if any, on the pictures stored so far."""
        self.agent.on_progress = self.on_progress
        self.agent.learn_to_see(self.replay)

    def update(self, n: int) -> dict[str, float]:
        """Make n gradient updates."""
        self.agent.on_progress = self.on_progress
        self._losses = self.agent.update_many(self.replay, n)
        return self.metrics()

    def metrics(self) -> dict[str, float]:
        """Return counters and the losses of the last update."""
        return {
            "transitions": float(self.replay.n_added),
            "updates": float(self.agent.n_updates),
            "version": float(self.policy.version),
            **self._losses,
        }

    def state_dict(self) -> AlgorithmState:
        """Return everything that learning depends on."""
        state = self.agent.state_dict()
        return AlgorithmState(state["tensors"], state["values"], {"replay": self.replay.state_dict()})

    def load_state_dict(self, state: AlgorithmState) -> None:
        """Continue exactly where `state_dict` was taken.

        Raises:
            UserError: The replay buffer is missing, or a tensor is missing or has another shape.
        """
        if "replay" not in state.arrays:
            raise UserError("it has no replay buffer, so it can act but not continue learning")
        self.agent.load_state_dict({"tensors": state.tensors, "values": state.values})
        self.replay.load_state_dict(state.arrays["replay"])
        self._losses = {}
