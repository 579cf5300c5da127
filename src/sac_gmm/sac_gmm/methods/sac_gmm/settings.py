"""The settings of SAC-GMM and of what it is compared with: how the agent learns, what it sees and moves.

`config/methods` holds their values (`sac_gmm.methods.settings`).
"""

from __future__ import annotations

import dataclasses
import reprlib
from dataclasses import dataclass, field
from typing import Any

from sac_gmm.control import BlendSettings
from sac_gmm.core.errors import UserError
from sac_gmm.core.settings import check_ranges, check_types
from sac_gmm.methods.sac_gmm.adaptation import ADAPTATIONS
from sac_gmm.methods.sac_gmm.images import CameraPlace, image_coding
from sac_gmm.rl import SacConfig

CONTROL_RATE_HZ = 30.0  # of the control steps that `interval` counts; the base skills are fitted at it


@dataclass(frozen=True)
class SkillSettings:
    """What the agent sees and moves."""

    # What of the mixture an action changes: a key of `ADAPTATIONS`.
    adaptation: str = "translation"
    # How far an action of 1 moves the skill, or a component of it, along each axis, in metres.
    reach_m: float = 0.03
    # Control steps between two decisions.
    interval: int = 16
    # Time over which a changed mixture takes over from the one before, in seconds.
    blend_s: float = BlendSettings.blend_s
    # Group of image sensors that the agent sees: rgb, depth, tactile; None for none.
    image: str | None = None
    # Where the camera of those pictures is: then the target is looked for in the first of them. None: not calibrated.
    camera: CameraPlace | None = None
    # Whether the agent remembers where it was held up in this episode.
    memory: bool = True
    # Earlier decisions of the episode that the observation repeats.
    history: int = 0
    # Whether the agent feels the wrench at the wrist.
    touch: bool = True
    # Whether the agent knows its last action.
    last_action: bool = True
    # Episodes of the base skill that fill the replay buffer and show the encoder what there is to see.
    base_episodes: int = 20
    # Standard deviation of the detected target's error in training episodes; None: what the task has.
    training_noise_m: float | None = None

    def __post_init__(self) -> None:
        check_types(self)
        if self.adaptation not in ADAPTATIONS:
            raise UserError(f"adaptation is '{self.adaptation}', choose one of: {', '.join(ADAPTATIONS)}")
        if self.image is not None:
            image_coding(self.image)  # refuses what it does not know
        if self.camera is not None:
            check_types(self.camera)
        bounds = {
            "reach_m": (1e-3, 0.2),
            "interval": (1, 300),
            "blend_s": (0.0, 2.0),
            "history": (0, 20),
            "base_episodes": (0, 10_000),
            "training_noise_m": (0.0, 0.2),
        }
        check_ranges(self, bounds)


@dataclass(frozen=True)
class AgentSettings:
    """Everything that a configuration says about a task's agent."""

    agent: SacConfig = field(default_factory=SacConfig)
    skill: SkillSettings = field(default_factory=SkillSettings)

    @property
    def interval(self) -> int:
        """Control steps from one decision to the next."""
        return self.skill.interval

    @property
    def discount(self) -> float:
        """Discount per control step."""
        return self.agent.gamma

    @property
    def base_episodes(self) -> int:
        """Episodes of the base skill before practice."""
        return self.skill.base_episodes

    @property
    def noise_correlation(self) -> float:
        """Correlation of the exploration noise from decision to decision."""
        return self.agent.noise_correlation

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {"agent": self.agent.to_json(), "skill": dataclasses.asdict(self.skill)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> AgentSettings:
        """Rebuild from `to_json`.

        Raises:
            UserError: An unknown name, or a value of another kind or out of range.
        """
        if unknown := sorted(set(value) - {"agent", "skill"}):
            raise UserError(f"there is no part '{unknown[0]}' of the settings: known are agent and skill")
        agent, skill = _part(value, "agent"), dict(_part(value, "skill"))
        known = {item.name for item in dataclasses.fields(SkillSettings)}
        if unknown := sorted(set(skill) - known):
            raise UserError(f"the skill has no setting {', '.join(unknown)}: known are {', '.join(sorted(known))}")
        if isinstance(skill.get("camera"), dict):
            try:
                skill["camera"] = CameraPlace(**skill["camera"])
            except (TypeError, ValueError) as error:
                raise UserError(f"camera is {skill['camera']}: {error}") from error
        return cls(SacConfig.from_json(agent), SkillSettings(**skill))

    def changed(self, **fields: Any) -> AgentSettings:
        """The same with other values, given by their names, whichever part they belong to.

        Raises:
            UserError: No part has a field of that name.
        """
        value = self.to_json()
        for name, new in fields.items():
            part = next((part for part in ("agent", "skill") if name in value[part]), None)
            if part is None:
                raise UserError(f"there is no setting '{name}'")
            value[part][name] = new
        return self.from_json(value)


def _part(value: dict[str, Any], name: str) -> dict[str, Any]:
    """A part of a configuration; empty where it is left out."""
    part = value.get(name, {})
    if not isinstance(part, dict):
        raise UserError(f'"{name}" is {reprlib.repr(part)}, expected an object with names and values')
    return part
