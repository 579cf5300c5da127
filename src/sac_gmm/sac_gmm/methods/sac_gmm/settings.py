"""One configuration for all tasks: how the agent learns, and what it sees and moves; `config/agent.json` holds it.

A task may differ in the fields under "tasks" of that file alone, each with a reason beside it.
"""

from __future__ import annotations

import dataclasses
import json
import reprlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sac_gmm.control import BlendSettings
from sac_gmm.core.errors import UserError
from sac_gmm.core.files import read_json
from sac_gmm.core.settings import check_ranges, check_types
from sac_gmm.methods.sac_gmm.adaptation import ADAPTATIONS
from sac_gmm.methods.sac_gmm.images import CameraPlace, image_coding
from sac_gmm.rl import AlgorithmSpec, ObservationSpec, Sac, SacConfig

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

    def algorithm(self, observation: ObservationSpec, action_dim: int, seed: int) -> AlgorithmSpec:
        """What learns a policy of these shapes."""
        return AlgorithmSpec(Sac, observation, action_dim, self.agent, seed)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {"agent": self.agent.to_json(), "skill": dataclasses.asdict(self.skill)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> AgentSettings:
        """Rebuild from `to_json`.

        Raises:
            UserError: An unknown name, or a value of another kind or out of range.
        """
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


def load_settings(path: Path | str, task: str | None = None) -> AgentSettings:
    """Read a configuration file; `task` picks what differs for that task.

    Raises:
        UserError: The file cannot be read, or a field in it is unknown or out of range.
    """
    value = read_json(path)
    unknown = sorted(set(value) - {"agent", "skill", "tasks"}) if isinstance(value, dict) else reprlib.repr(value)
    if unknown:
        raise UserError(f'{path} must hold a JSON object with "agent", "skill" and "tasks", not {unknown}')
    try:
        settings = AgentSettings.from_json({part: value.get(part, {}) for part in ("agent", "skill")})
        tasks = _part(value, "tasks")
        differs = {k: v for k, v in _part(tasks, task).items() if k != "why"} if task else {}
        return settings.changed(**differs)
    except (UserError, TypeError) as error:
        raise UserError(f"{path}: {error}") from error


def _part(value: dict[str, Any], name: str) -> dict[str, Any]:
    """A part of a configuration; empty where it is left out."""
    part = value.get(name, {})
    if not isinstance(part, dict):
        raise UserError(f'"{name}" is {reprlib.repr(part)}, expected an object with names and values')
    return part


def parse_changes(changes: tuple[str, ...]) -> dict[str, Any]:
    """`name=value` pairs, values as JSON, as a dict; a value that is no JSON is taken as text.

    `True`, `False` and `NULL` are JSON too, whatever their case.

    Raises:
        UserError: There is no `=` in one.
    """
    parsed = {}
    for change in changes:
        name, separator, text = change.partition("=")
        if not separator:
            raise UserError(f"'{change}' is not of the form name=value")
        try:
            parsed[name] = json.loads(text.lower() if text.lower() in ("true", "false", "null") else text)
        except ValueError:
            parsed[name] = text
    return parsed
