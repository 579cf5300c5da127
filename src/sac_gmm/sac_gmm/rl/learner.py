"""Learning in the actor's own process, repeatable; `async_learner` has the one that runs in a process beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from sac_gmm.rl.algorithm import Algorithm, AlgorithmSpec, Policy
from sac_gmm.rl.checkpoint import load_checkpoint, save_checkpoint
from sac_gmm.rl.transition import Transition


class Learner(Protocol):
    """What an agent needs of `SyncLearner`, `AsyncLearner` or `FixedPolicy`."""

    def observe(self, transition: Transition, *, learn: bool = True) -> None:
        """Take a transition; without `learn` it is only remembered."""

    def prepare(self) -> None:
        """Learn what has to be learned from the stored data before training begins."""

    def metrics(self) -> dict[str, float]:
        """Return counters, `transitions` and `updates` among them, and losses."""

    def policy(self) -> Policy:
        """Return the newest policy."""

    def close(self) -> None:
        """Give back what is held."""


class SyncLearner:
    """Learn between decisions, in the caller's process: the same seed gives the same run, bit for bit.

    Args:
        algorithm: Learns.
    """

    def __init__(self, algorithm: Algorithm) -> None:
        self.algorithm = algorithm

    @classmethod
    def resume(cls, path: Path | str, made_for: AlgorithmSpec | None = None) -> tuple[SyncLearner, dict[str, Any]]:
        """Go on from a checkpoint; return the learner and the JSON values stored beside it.

        Args:
            path: The checkpoint.
            made_for: What it must have been made for, apart from the seed; anything if not given.

        Raises:
            UserError: The file cannot be used, or was made for something else.
        """
        checkpoint = load_checkpoint(path, made_for)
        return cls(checkpoint.algorithm), checkpoint.extra

    def observe(self, transition: Transition, *, learn: bool = True) -> None:
        """Store a transition and make the updates it allows.

        Args:
            transition: What happened.
            learn: False for base rollouts and demonstrations, which only fill the memory.
        """
        self.algorithm.observe(transition, learn=learn)
        if learn:
            self.algorithm.update(self.algorithm.updates_per_transition)

    def prepare(self) -> None:
        """Learn what has to be learned from the stored data before training begins."""
        self.algorithm.prepare()

    def policy(self) -> Policy:
        """Return the newest policy."""
        return self.algorithm.policy

    def metrics(self) -> dict[str, float]:
        """Return counters and the losses of the last update."""
        return self.algorithm.metrics()

    def checkpoint(self, path: Path | str, extra: dict[str, Any] | None = None) -> None:
        """Write everything to a file; see `save_checkpoint`."""
        save_checkpoint(path, self.algorithm, extra)

    def close(self) -> None:
        """Nothing is held."""


class FixedPolicy:
    """Takes the place of a learner and learns nothing: a trained policy is used as it is.

    Args:
        policy: Such as `load_policy` returns.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def observe(self, transition: Transition, *, learn: bool = True) -> None:
        """Ignore it."""

    def prepare(self) -> None:
        """Nothing is learned."""

    def policy(self) -> Policy:
        """Return the policy."""
        return self._policy

    def metrics(self) -> dict[str, float]:
        """Return counters of a learner that learns nothing."""
        return {"transitions": 0.0, "updates": 0.0, "version": float(self._policy.version)}

    def close(self) -> None:
        """Nothing is held."""
