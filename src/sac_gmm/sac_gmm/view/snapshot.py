"""What is visible at one moment, whatever source it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sac_gmm.models import SkillModel

Array = NDArray[Any]


@dataclass(frozen=True)
class Status:
    """What moves the arm, or why it does not move."""

    state: str  # one word: active, paused, …
    reason: str = ""  # why the arm is not moving, or which limit shapes its motion
    remedy: str = ""  # what the user can do about it
    troubled: bool = False  # whether the reason is an unwanted one
    episode: str = ""  # the episode in a few words
    speed_m_s: float | None = None  # commanded
    speed_scale: float | None = None
    version: int = 0  # of the active model; 0 for the fitted skill


class Picture(NamedTuple):
    """What a camera or another sensor sees."""

    title: str  # with range and unit if colours encode values
    rgb: Array  # (H, W, 3)


@dataclass(frozen=True)
class EpisodeRow:
    """An episode that has ended."""

    number: int
    mode: str  # base, train or evaluate
    seed: int
    success: bool
    duration_s: float | None = None


@dataclass(frozen=True)
class Rollout:
    """The path of the tip in an episode, (T, 3), relative to the detected target."""

    path_m: Array
    success: bool


@dataclass(frozen=True)
class Ticks:
    """Durations of control ticks: (T,) each, newest last."""

    time_s: Array
    compute_ms: Array
    late_ms: Array


@dataclass(frozen=True)
class Snapshot:
    """Everything there is to show. A part that has not changed is the same object as in the previous snapshot.

    Positions are in metres, base frame; unknown parts are None or empty.
    """

    time_s: float | None = None  # on the robot's clock
    heard_s: float | None = None  # time.monotonic when the source last heard from the robot; None: it needs no link
    joints_rad: Array | None = None
    tip_m: Array | None = None  # (3,)
    target_m: Array | None = None  # (3,), as detected
    true_target_m: Array | None = None  # (3,), where it really is; only a simulation knows
    workspace_m: Array | None = None  # (2, 3), lower and upper corner of the box that the tip stays in
    base: SkillModel | None = None  # the fitted skill
    current: SkillModel | None = None  # the active skill, relative to the target
    path_m: Array = field(default_factory=lambda: np.zeros((0, 3)))  # path of the tip in this episode
    rollouts: tuple[Rollout, ...] = ()
    demonstrations: tuple[Array, ...] = ()  # (T, 3) each, relative to the target
    pictures: Mapping[str, Picture] = field(default_factory=dict)  # by sensor
    episodes: tuple[EpisodeRow, ...] = ()
    status: Status = Status("waiting")
    ticks: Ticks | None = None
    timing: tuple[tuple[str, str], ...] = ()  # a summary of all ticks: labels with units, and values


class Controls(Protocol):
    """The actions of the buttons. Each answers in a sentence.

    Raises:
        UserError: The request was refused, or nobody answered.
    """

    @property
    def names(self) -> Mapping[str, str]:
        """What pause, resume, stop, reset and speed mean for this source, one line each."""

    def speed_range(self) -> tuple[float, float]:
        """The smallest and the largest speed that `set_speed` accepts."""

    def pause(self) -> str:
        """Halt until `resume`."""

    def resume(self) -> str:
        """Go on."""

    def stop(self) -> str:
        """Halt until resumed explicitly."""

    def reset(self) -> str:
        """Return everything to the start of an episode."""

    def set_speed(self, speed: float) -> str:
        """Set the speed factor."""


class Source(Protocol):
    """Provides snapshots."""

    @property
    def title(self) -> str:
        """Describes what is shown."""

    @property
    def urdf(self) -> str:
        """The robot's description."""

    @property
    def controls(self) -> Controls:
        """The actions of the buttons."""

    def snapshot(self) -> Snapshot:
        """What is visible now; called often, so it must not block."""

    def close(self) -> None:
        """End what the source has started."""
