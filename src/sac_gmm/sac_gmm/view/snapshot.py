"""What there is to see at one moment, whichever source it comes from."""

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
    """What moves the arm, or why nothing does."""

    state: str  # in one word: active, paused, …
    reason: str = ""  # why the arm is not being moved, or which limit shapes its motion
    remedy: str = ""  # what a person can do about it
    troubled: bool = False  # the reason is none that a person asked for
    episode: str = ""  # the episode in a few words
    speed_m_s: float | None = None  # commanded
    speed_scale: float | None = None
    version: int = 0  # of the model in force; 0 for the skill as fitted


class Picture(NamedTuple):
    """What a camera or another sensor sees."""

    title: str  # with the range and the unit of what is shown in colours
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
    """The way that the tip took in an episode, (T, 3), relative to the target as detected."""

    path_m: Array
    success: bool


@dataclass(frozen=True)
class Ticks:
    """How long control ticks took: (T,) each, the newest last."""

    time_s: Array
    compute_ms: Array
    late_ms: Array


@dataclass(frozen=True)
class Snapshot:
    """All there is to see. What has not changed since the last snapshot is the same object as there.

    Positions are in metres, base frame; what a source does not know is None or empty.
    """

    time_s: float | None = None  # by the robot's clock
    heard_s: float | None = None  # by time.monotonic, when the source last heard of the robot; None: it needs no link
    joints_rad: Array | None = None
    tip_m: Array | None = None  # (3,)
    target_m: Array | None = None  # (3,), as detected
    true_target_m: Array | None = None  # (3,), where it really is; only a simulation knows
    workspace_m: Array | None = None  # (2, 3), lower and upper corner of the box that the tip stays in
    base: SkillModel | None = None  # the skill as fitted
    current: SkillModel | None = None  # the skill in force, relative to the target
    path_m: Array = field(default_factory=lambda: np.zeros((0, 3)))  # of the tip in this episode
    rollouts: tuple[Rollout, ...] = ()
    demonstrations: tuple[Array, ...] = ()  # (T, 3) each, relative to the target
    pictures: Mapping[str, Picture] = field(default_factory=dict)  # by sensor
    episodes: tuple[EpisodeRow, ...] = ()
    status: Status = Status("waiting")
    ticks: Ticks | None = None
    timing: tuple[tuple[str, str], ...] = ()  # a digest of all ticks: names with units, and values


class Controls(Protocol):
    """What the buttons do. Each answers in a sentence.

    Raises:
        UserError: What was asked for was refused, or nobody answered.
    """

    @property
    def names(self) -> Mapping[str, str]:
        """What pause, resume, stop, reset and speed are for this source, one line each."""

    def speed_range(self) -> tuple[float, float]:
        """The smallest and the largest speed that `set_speed` takes."""

    def pause(self) -> str:
        """Halt; `resume` goes on."""

    def resume(self) -> str:
        """Go on."""

    def stop(self) -> str:
        """Halt until told otherwise."""

    def reset(self) -> str:
        """Put everything back to the start of an episode."""

    def set_speed(self, speed: float) -> str:
        """Multiply the speed."""


class Source(Protocol):
    """Where snapshots come from."""

    @property
    def title(self) -> str:
        """What is looked at."""

    @property
    def urdf(self) -> str:
        """The robot's description."""

    @property
    def controls(self) -> Controls:
        """What the buttons do."""

    def snapshot(self) -> Snapshot:
        """What there is to see now; called often, so it must not wait."""

    def close(self) -> None:
        """End what it has begun."""
