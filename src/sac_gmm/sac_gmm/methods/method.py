"""A method for learning a skill, as one value: callers use its parts without knowing its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol, Self

from sac_gmm.core.errors import UserError
from sac_gmm.core.settings import check_settings, check_types, number
from sac_gmm.methods.agent import Mode
from sac_gmm.methods.decoder import Decoder
from sac_gmm.methods.episodes import Act
from sac_gmm.methods.macro_env import Reward, as_paid
from sac_gmm.methods.observation import ObservationWindow
from sac_gmm.rl import AlgorithmSpec, ObservationSpec


@dataclass(frozen=True)
class MethodSettings:
    """Base class for a method's settings: plain values with unit and range, including the four that every method has.

    Raises:
        UserError: A value has the wrong type or is out of range.
    """

    interval: int = number(16, 1, 300, "control steps", "from one decision to the next")
    discount: float = number(0.998, 0.0, 1.0, "", "discount per control step")
    base_episodes: int = number(0, 0, 10_000, "", "episodes before practice, recorded but not learned from")
    noise_correlation: float = number(0.0, 0.0, 1.0, "", "correlation of the exploration noise between decisions")

    def __post_init__(self) -> None:
        check_types(self)
        check_settings(self)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values for result and policy files."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json`; missing values take their defaults.

        Raises:
            UserError: A name is unknown, or a value has the wrong type or is out of range.
        """
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(value) - set(known)):
            raise UserError(f"there is no setting '{unknown[0]}': known are {', '.join(known)}")
        return cls(**value)

    def changed(self, **values: Any) -> Self:
        """A copy with some values replaced, by name.

        Raises:
            UserError: As for `from_json`.
        """
        return self.from_json({**self.to_json(), **values})


class Prior(Protocol):
    """The result of the demonstrations, before practice."""

    @property
    def model_id(self) -> str:
        """Identifies the prior: learned parameters fit only the prior they were learned on."""


@dataclass(frozen=True)
class PriorKind:
    """How to fit, save and load a prior.

    Attributes:
        fit: (task, demonstrations folder, kind of fit; None for the default) -> prior.
        save: (file, prior).
        load: (file) -> prior.
        file: File name in the folder of a run or skill.
    """

    fit: Callable[[str, Path, str | None], Prior]
    save: Callable[[Path, Any], None]
    load: Callable[[Path], Prior]
    file: str = "skill.npz"


def nothing_else(settings: Any, mode: Mode) -> dict[str, Any]:
    """Reset options of a method that uses the scene's own resets: none."""
    return {}


def no_ablations(settings: Any) -> dict[str, dict[str, Any]]:
    """Ablations of a method without any."""
    return {}


@dataclass(frozen=True)
class Method:
    """How a skill is learned.

    Attributes:
        name: Name in commands, launch files and result files.
        title: Title in tables and pages.
        settings: Class of its settings: a `MethodSettings`, or one that offers the same names.
        prior: How demonstrations become a prior before practice.
        decoder: (prior, settings) -> decoder, which turns decisions into motion.
        observation: (decoder, settings, time limit in s) -> window that collects the observation for a decision.
        algorithm: (spec, action entries, settings, seed) -> learning algorithm; None if nothing is learned.
        rule: (settings) -> the fixed policy of a method that does not learn one.
        base_action: (prior) -> the policy of base episodes; None for zero actions, the prior as it is.
        reward: Reward of a control step; by default the scene's own.
        reset: (settings, mode) -> options of the scene's reset for an episode of this mode.
        extends: Method whose settings apply before its own; empty for none.
        as_fitted: Method that runs the prior without practice, for comparison.
        ablations: (settings) -> changes of settings, by name.
    """

    name: str
    title: str
    settings: type[Any]
    prior: PriorKind
    decoder: Callable[[Any, Any], Decoder]
    observation: Callable[[Decoder, Any, float], ObservationWindow]
    algorithm: Callable[[ObservationSpec, int, Any, int], AlgorithmSpec] | None = None
    rule: Callable[[Any], Act] | None = None
    base_action: Callable[[Any], Act] | None = None
    reward: Reward = as_paid
    reset: Callable[[Any, Mode], dict[str, Any]] = nothing_else
    extends: str = ""
    as_fitted: str = "gmm"
    ablations: Callable[[Any], dict[str, dict[str, Any]]] = field(default=no_ablations)

    @property
    def learns(self) -> bool:
        """Whether there is something to train."""
        return self.algorithm is not None
