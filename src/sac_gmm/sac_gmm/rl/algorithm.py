"""The interface of a learning algorithm, as used by learners, checkpoints and nodes.

An algorithm turns transitions into a policy. It owns everything this needs: networks, optimisers, random states and its
memory (a replay buffer, a rollout buffer, ...). To add one, subclass `Algorithm` and add a line to `ALGORITHMS`, or
call `register_algorithm` from another package. Learners, checkpoints and policy files then work with it unchanged.
"""

from __future__ import annotations

import dataclasses
import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from torch import Tensor

from sac_gmm.core.errors import UserError
from sac_gmm.rl.spaces import Observation, ObservationSpec
from sac_gmm.rl.transition import Transition

# Name, as files store it, to "module:Class". Imported only when needed.
ALGORITHMS: dict[str, str] = {"sac": "sac_gmm.rl.sac.algorithm:Sac"}
FIRST_ALGORITHM = "sac"  # files older than the second algorithm do not name it
COUNTERS = ("transitions", "updates", "version")  # metrics that every algorithm has


@dataclass(frozen=True)
class PolicySnapshot:
    """All numbers of a policy at one moment: what an actor in another process needs."""

    version: int  # grows with every change
    values: np.ndarray  # float32, flat


class Policy(Protocol):
    """Maps an observation to an action. Holds only what acting needs, so it is small enough to send to a process."""

    version: int  # grows with every change
    spec: ObservationSpec

    def act(self, obs: Observation, deterministic: bool = False, noise: np.ndarray | None = None) -> np.ndarray:
        """Return the action (m,), float32 in [-1, 1].

        Args:
            obs: Observation, shaped as in `spec`.
            deterministic: Return the best action known instead of exploring.
            noise: Standard normal sample (m,) to explore with, such as `Ar1Noise.sample()`; None draws a fresh one.
        """

    def snapshot(self) -> PolicySnapshot:
        """Return a copy of all numbers."""

    def load_snapshot(self, snapshot: PolicySnapshot) -> None:
        """Become the policy of a snapshot.

        Raises:
            UserError: The snapshot is from networks of another size.
        """

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors of a policy file, by name."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """Restore what `state_dict` returned."""


@runtime_checkable
class SeeingPolicy(Protocol):
    """A policy that extracts numbers from the picture before it acts."""

    def seen(self, obs: Observation) -> np.ndarray:
        """Return what it extracts from the picture of one observation (L,); empty if there is no picture."""


class AlgorithmConfig(Protocol):
    """An algorithm's own settings: a frozen dataclass that goes through JSON unchanged."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Rebuild from `to_json`.

        Raises:
            UserError: A name is unknown, or a value has the wrong type or is out of range.
        """


@dataclass(frozen=True)
class AlgorithmState:
    """Everything that learning depends on, in the kinds of value that a checkpoint stores."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)  # JSON-ready
    # Large memories: each group of arrays becomes a separate file in the checkpoint, `<group>.npz`.
    arrays: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)


class Algorithm(ABC):
    """Learns a policy from transitions.

    A learner calls `observe` with every transition and then `update(updates_per_transition)`. An algorithm that learns
    from whole rollouts or episodes returns from `update` immediately until it has one; its `updates_per_transition` is
    1.

    Attributes:
        on_progress: Called now and then during what takes long before training or between updates, with what is done
            in words and the share of it that is done, 0 to 1; None where nobody listens.

    Args:
        spec: What to build.
    """

    on_progress: Callable[[str, float], None] | None = None
    name: ClassVar[str]  # its key in `ALGORITHMS`, stored in files
    config_class: ClassVar[type[AlgorithmConfig]]
    metric_names: ClassVar[tuple[str, ...]] = ()  # names in `metrics`, besides `COUNTERS`

    def __init__(self, spec: AlgorithmSpec) -> None:
        self.spec = spec

    @classmethod
    @abstractmethod
    def make_policy(cls, spec: AlgorithmSpec) -> Policy:
        """Return an untrained policy, for a file or a snapshot to fill."""

    @property
    @abstractmethod
    def policy(self) -> Policy:
        """The newest policy; the object stays the same while it learns."""

    @property
    @abstractmethod
    def updates_per_transition(self) -> int:
        """Number of updates that each transition allows."""

    @abstractmethod
    def observe(self, transition: Transition, *, learn: bool = True) -> None:
        """Add a transition to the memory.

        Args:
            transition: What happened.
            learn: Whether the policy explored. False for base rollouts and demonstrations: an off-policy algorithm
                stores them all the same, an on-policy one may use them in `prepare` only.

        Raises:
            UserError: The transition does not fit the observation or the action.
        """

    def prepare(self) -> None:  # noqa: B027 - most algorithms have nothing to prepare
        """Learn what must be learned from stored data before training begins, such as an image encoder."""

    @abstractmethod
    def update(self, n: int) -> dict[str, float]:
        """Make up to n updates; return the metrics."""

    @abstractmethod
    def metrics(self) -> dict[str, float]:
        """Return `COUNTERS` and, once known, the numbers named in `metric_names`."""

    @abstractmethod
    def state_dict(self) -> AlgorithmState:
        """Return everything that learning depends on."""

    @abstractmethod
    def load_state_dict(self, state: AlgorithmState) -> None:
        """Continue exactly where `state_dict` was taken.

        Raises:
            UserError: Something is missing or has another shape.
        """

    def act(self, obs: Observation, deterministic: bool = False, noise: np.ndarray | None = None) -> np.ndarray:
        """Return the action (m,) in [-1, 1]; see `Policy.act`."""
        return self.policy.act(obs, deterministic, noise)


@dataclass(frozen=True)
class AlgorithmSpec:
    """What to learn with which algorithm; can be compared, stored and sent to another process."""

    algorithm: type[Algorithm]
    observation: ObservationSpec
    action_dim: int
    config: Any  # an instance of the algorithm's `config_class`
    seed: int = 0  # seed of weights, updates and exploration

    def build(self) -> Algorithm:
        """Return the algorithm, untrained."""
        return self.algorithm(self)

    def make_policy(self) -> Policy:
        """Return an untrained policy of this algorithm."""
        return self.algorithm.make_policy(self)

    def same_but_for_the_seed(self, other: AlgorithmSpec) -> bool:
        """Whether a run of one can continue as a run of the other."""
        return dataclasses.replace(self, seed=other.seed) == other

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            "algorithm": self.algorithm.name,
            "spec": self.observation.to_json(),
            "action_dim": self.action_dim,
            "config": self.config.to_json(),
            "seed": self.seed,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any], algorithm: type[Algorithm] | None = None) -> AlgorithmSpec:
        """Rebuild from `to_json`; other entries of `value` are ignored.

        Args:
            value: For example, the header of a checkpoint or a policy file.
            algorithm: The class, if it is known already and has the name in `value`.

        Raises:
            UserError: No such algorithm, or a value that does not fit.
        """
        name = value.get("algorithm", FIRST_ALGORITHM)
        if algorithm is None or algorithm.name != name:
            algorithm = algorithm_class(name)
        return cls(
            algorithm,
            ObservationSpec.from_json(value["spec"]),
            value["action_dim"],
            algorithm.config_class.from_json(value["config"]),
            value.get("seed", 0),
        )


def register_algorithm(name: str, place: str) -> None:
    """Register an algorithm from another package.

    Args:
        name: Name stored in files; must equal the class's `name`.
        place: "module:Class", imported when it is first needed.

    Raises:
        UserError: The name is already taken by another class.
    """
    if ALGORITHMS.setdefault(name, place) != place:
        raise UserError(f"algorithm '{name}' is {ALGORITHMS[name]} already: give {place} another name")


def algorithm_class(name: str) -> type[Algorithm]:
    """Return the class of that name.

    Raises:
        UserError: There is none.
    """
    if name not in ALGORITHMS:
        raise UserError(
            f"there is no algorithm '{name}', known are {', '.join(ALGORITHMS)}: import the package that adds it with "
            "`register_algorithm`"
        )
    module, _, attribute = ALGORITHMS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
