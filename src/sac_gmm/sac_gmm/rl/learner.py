"""Reproducible learning in the actor's own process; `async_learner` learns in a separate process."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from sac_gmm.rl.algorithm import Algorithm, AlgorithmSpec, Policy
from sac_gmm.rl.checkpoint import load_checkpoint, save_checkpoint
from sac_gmm.rl.transition import Transition


class Learner(Protocol):
    """Common interface of `SyncLearner`, `AsyncLearner` and `FixedPolicy`."""

    def observe(self, transition: Transition, *, learn: bool = True) -> None:
        """Add a transition; if `learn` is False, only store it."""

    def prepare(self) -> None:
        """Learn what must be learned from stored data before training begins."""

    def metrics(self) -> dict[str, float]:
        """Return losses and counters, including `transitions` and `updates`."""

    def policy(self) -> Policy:
        """Return the newest policy."""

    def close(self) -> None:
        """Release resources."""


class SyncLearner:
    """Learn between decisions, in the caller's process: the same seed gives the same run, bit for bit.

    Args:
        algorithm: The algorithm that learns.
    """

    def __init__(self, algorithm: Algorithm) -> None:
        self.algorithm = algorithm

    @classmethod
    def resume(cls, path: Path | str, made_for: AlgorithmSpec | None = None) -> tuple[SyncLearner, dict[str, Any]]:
        """Resume from a checkpoint; return the learner and the JSON values stored with it.

        Args:
            path: The checkpoint.
            made_for: Spec it must have been made for, apart from the seed; None accepts any.

        Raises:
            UserError: The file cannot be used, or was made for another spec.
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
        """Learn what must be learned from stored data before training begins."""
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
    """Stands in for a learner but learns nothing: uses a trained policy unchanged.

    Args:
        policy: A policy, for example from `load_policy`.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def observe(self, transition: Transition, *, learn: bool = True) -> None:
        """Ignore the transition."""

    def prepare(self) -> None:
        """Do nothing."""

    def policy(self) -> Policy:
        """Return the policy."""
        return self._policy

    def metrics(self) -> dict[str, float]:
        """Return the counters, which stay at zero."""
        return {"transitions": 0.0, "updates": 0.0, "version": float(self._policy.version)}

    def close(self) -> None:
        """Nothing is held."""
