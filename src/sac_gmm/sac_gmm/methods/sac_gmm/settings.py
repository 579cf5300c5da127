"""Settings of SAC-GMM and its baselines: how the agent learns, what it sees and moves.

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

CONTROL_RATE_HZ = 30.0  # rate of the control steps counted by `interval`; base skills are fitted at this rate


@dataclass(frozen=True)
class SkillSettings:
    """What the agent sees and moves."""

    # Which parameters of the mixture an action changes: a key of `ADAPTATIONS`.
    adaptation: str = "translation"
    # Distance in metres that an action of 1 moves the skill, or one of its components, along each axis.
    reach_m: float = 0.03
    # Control steps between two decisions.
    interval: int = 16
    # Time in seconds over which to blend from one mixture to the next.
    blend_s: float = BlendSettings.blend_s
    # Image sensor group that the agent sees: rgb, depth, tactile; None for none.
    image: str | None = None
    # Pose of the camera, used to find the target in the first picture. None: not calibrated.
    camera: CameraPlace | None = None
    # Whether the agent remembers where it was blocked in this episode.
    memory: bool = True
    # Number of earlier decisions of the episode in the observation.
    history: int = 0
    # Whether the agent feels the wrench at the wrist.
    touch: bool = True
    # Whether the agent knows its last action.
    last_action: bool = True
    # Base-skill episodes that fill the replay buffer and give the encoder pictures to train on.
    base_episodes: int = 20
    # Standard deviation of the detected target's error in training episodes; None: the task's own.
    training_noise_m: float | None = None

    def __post_init__(self) -> None:
        check_types(self)
        if self.adaptation not in ADAPTATIONS:
            raise UserError(f"adaptation is '{self.adaptation}', choose one of: {', '.join(ADAPTATIONS)}")
        if self.image is not None:
            image_coding(self.image)  # raises an error for an unknown group
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
    """The complete settings of a task's agent."""

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
            UserError: A name is unknown, or a value has the wrong type or is out of range.
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
        """A copy with some values replaced, by name, in whichever part they are.

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
    """One part of the settings; empty if missing."""
    part = value.get(name, {})
    if not isinstance(part, dict):
        raise UserError(f'"{name}" is {reprlib.repr(part)}, expected an object with names and values')
    return part
