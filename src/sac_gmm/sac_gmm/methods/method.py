"""What a method is: how a skill is learned, as one value that whoever runs it takes apart without knowing its name."""

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


class Settings(Protocol):
    """What the settings of every method say; a frozen dataclass with ranges and units (`sac_gmm.core.settings`)."""

    @property
    def interval(self) -> int:
        """Control steps from one decision to the next."""

    @property
    def discount(self) -> float:
        """Discount per control step."""

    @property
    def base_episodes(self) -> int:
        """Episodes before practice, in which nothing is learned but all is remembered."""

    @property
    def noise_correlation(self) -> float:
        """Correlation of the exploration noise from decision to decision; 0 for white noise."""

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; goes into result and policy files."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Settings:
        """Rebuild from `to_json`; what is left out has its default.

        Raises:
            UserError: An unknown name, or a value of another kind or out of range.
        """

    def changed(self, **fields: Any) -> Settings:
        """The same with other values, given by name."""


@dataclass(frozen=True)
class MethodSettings:
    """A base for the settings of a method: plain values with unit and range, and the four that every method has.

    Raises:
        UserError: A value is of another kind or out of range.
    """

    interval: int = number(16, 1, 300, "control steps", "from one decision to the next")
    discount: float = number(0.998, 0.0, 1.0, "", "discount per control step")
    base_episodes: int = number(0, 0, 10_000, "", "episodes before practice, of which nothing is learned yet")
    noise_correlation: float = number(0.0, 0.0, 1.0, "", "of the exploration noise, from decision to decision")

    def __post_init__(self) -> None:
        check_types(self)
        check_settings(self)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; goes into result and policy files."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json`; what is left out has its default.

        Raises:
            UserError: An unknown name, or a value of another kind or out of range.
        """
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(value) - set(known)):
            raise UserError(f"there is no setting '{unknown[0]}': known are {', '.join(known)}")
        return cls(**value)

    def changed(self, **values: Any) -> Self:
        """The same with other values, given by name.

        Raises:
            UserError: As `from_json`.
        """
        return self.from_json({**self.to_json(), **values})


class Prior(Protocol):
    """What demonstrations became before practice."""

    @property
    def model_id(self) -> str:
        """Identifies it: what is learned belongs to one prior alone."""


@dataclass(frozen=True)
class PriorKind:
    """How a prior is made and kept.

    Attributes:
        fit: (task, demonstrations folder, kind of fit; its own default where None) -> prior.
        save: (file, prior).
        load: (file) -> prior.
        file: Its name in the folder of a run or skill.
    """

    fit: Callable[[str, Path, str | None], Prior]
    save: Callable[[Path, Any], None]
    load: Callable[[Path], Prior]
    file: str = "skill.npz"


def nothing_else(settings: Any, mode: Mode) -> dict[str, Any]:
    """Reset options of a method whose episodes begin as the scene has it."""
    return {}


def no_ablations(settings: Any) -> dict[str, dict[str, Any]]:
    """The ablations of a method that has none."""
    return {}


@dataclass(frozen=True)
class Method:
    """How a skill is learned.

    Attributes:
        name: In commands, launch files and result files.
        title: In tables and pages.
        settings: Class of its settings.
        prior: What demonstrations become before practice.
        decoder: (prior, settings) -> how a decision becomes motion.
        observation: (decoder, settings, time limit in s) -> the window through which a decision is made.
        algorithm: (spec, action entries, settings, seed) -> what learns; None where nothing does.
        rule: (settings) -> the policy of a method that decides by a rule instead.
        base_action: (prior) -> the policy of base episodes; None for zero actions, the prior as it is.
        reward: What a control step is worth; by default what the scene pays.
        reset: (settings, mode) -> options of the scene's reset for an episode of this mode.
        extends: Method whose settings it takes before its own; empty for none.
        as_fitted: Method that plays the prior without practice, for comparison.
        ablations: (settings) -> changes of settings, by a name for each.
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
