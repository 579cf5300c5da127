"""Replay a recorded path under the safety limits: from its start, slowly at first.

state -> MotionReplay.tick -> ReplayTick(twist, ...)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sac_gmm.control.codes import Limit
from sac_gmm.control.safety import SafetyLimits, SafetyPipeline
from sac_gmm.core.errors import UserError
from sac_gmm.core.settings import check_settings, number


@dataclass(frozen=True)
class ReplaySettings:
    """How a recorded motion is replayed."""

    speed_scale: float = number(0.25, 0.01, 1.0, "", "share of the recorded speed")
    ramp_s: float = number(2.0, 0.1, 30.0, "s", "the speed grows from zero over this time")
    start_tolerance_m: float = number(0.03, 0.001, 0.3, "m", "the arm is not moved if it is further from the start")
    max_deviation_m: float = number(0.05, 0.002, 0.5, "m", "the replay ends if the arm is further off the path")
    gain_1_s: float = number(1.0, 0.0, 5.0, "1/s", "velocity back to the recorded path, per metre of deviation")

    def __post_init__(self) -> None:
        check_settings(self)


class ReplayState(Enum):
    """The state of the replay."""

    WAITING = "waiting for the start"
    MOVING = "moving"
    STOPPING = "stopping"
    DONE = "done"
    ABORTED = "ended early"


class ReplayTick(NamedTuple):
    """The result of one tick. The twist is valid until the next tick."""

    twist: npt.NDArray[np.float64]  # (6,) [vx vy vz wx wy wz], m/s and rad/s, base frame
    publish: bool  # whether to send the twist; if false, stay silent
    state: ReplayState
    limit: Limit
    share: float  # replayed share of the recorded time, 0 to 1
    text: str  # why it ended early


class MotionReplay:
    """Follows a recorded path through the safety pipeline.

    Args:
        time_s: (T,) times of the recording, increasing.
        position_m: (T, 3) positions of the end-effector, base frame.
        limits: Limits of the arm.
        dt_s: The control period.
        settings: How the path is replayed.

    Raises:
        UserError: The recording is too short, contains a non-finite number, or leaves the workspace box.
    """

    def __init__(
        self,
        time_s: npt.ArrayLike,
        position_m: npt.ArrayLike,
        limits: SafetyLimits,
        dt_s: float,
        settings: ReplaySettings | None = None,
    ) -> None:
        self._time_s = np.asarray(time_s, np.float64) - np.asarray(time_s, np.float64)[0]
        self._way_m = np.array(position_m, np.float64)
        if self._way_m.shape != (self._time_s.size, 3) or self._time_s.size < 3 or (np.diff(self._time_s) <= 0.0).any():
            raise UserError("the recorded path has fewer than three points or times that do not increase")
        if not np.isfinite(self._way_m).all():
            raise UserError("the recorded path holds a number that is not finite: record it again")
        low, high = np.array(limits.workspace_min_m), np.array(limits.workspace_max_m)
        outside = np.flatnonzero(((self._way_m < low) | (self._way_m > high)).any(axis=1))
        if outside.size:
            x, y, z = self._way_m[outside[0]].tolist()
            raise UserError(
                f"the recorded path leaves the workspace box after {self._time_s[outside[0]]:.2f} s, at ({x:.3f}, "
                f"{y:.3f}, {z:.3f}) m: trim it, or widen workspace_min_m and workspace_max_m if the arm may go there"
            )
        self.settings = settings or ReplaySettings()
        self.limits = limits
        self._pipeline = SafetyPipeline(limits, dt_s)
        self.dt_s = dt_s
        self._velocity = np.gradient(self._way_m, self._time_s, axis=0)
        self._state = ReplayState.WAITING
        self._text = ""
        self._at_s = 0.0  # time in the recording
        self._ramp = 0.0
        self._zeros_left = 0
        self._commands = False
        self._asked = np.zeros(3)
        self._twist = np.zeros(6)

    @property
    def state(self) -> ReplayState:
        """The state of the replay."""
        return self._state

    @property
    def commands(self) -> bool:
        """Whether the replay has started to command the arm."""
        return self._commands

    def start(self, position_m: npt.NDArray[np.float64] | None, age_s: float = 0.0) -> None:
        """Start the replay if the arm is where the recording began.

        Args:
            position_m: (3,) position of the end-effector; None if unknown.
            age_s: Age of that position.

        Raises:
            UserError: The arm is elsewhere, its position is unknown, or the replay has already started.
        """
        if self._state is not ReplayState.WAITING:
            raise UserError(f"the replay is {self._state.value}: start the player again")
        if position_m is None or not np.isfinite(position_m).all():
            raise UserError("no state of the arm has come yet: is the robot or the simulation up?")
        if too_old := self._too_old(age_s):
            raise UserError(too_old)
        distance_m = float(np.linalg.norm(position_m - self._way_m[0]))
        if distance_m > self.settings.start_tolerance_m:
            x, y, z = self._way_m[0].tolist()
            raise UserError(
                f"the arm is {distance_m * 1e3:.0f} mm from where the recording begins, ({x:.3f}, {y:.3f}, {z:.3f}) m; "
                f"at most {self.settings.start_tolerance_m * 1e3:.0f} mm are allowed: move it there first"
            )
        self._state = ReplayState.MOVING
        self._commands = True

    def stop(self, why: str = "stopped on request") -> None:
        """Ramp to zero and end. Before the first command, end without any: someone else may be commanding the arm."""
        if self._state in (ReplayState.WAITING, ReplayState.MOVING):
            self._text = why
            self._state = ReplayState.STOPPING if self._commands else ReplayState.ABORTED

    def start_from_rest(self) -> None:
        """Start the next command from zero: the arm has stopped by itself after a long time without a command."""
        self._ramp = 0.0
        self._pipeline = SafetyPipeline(self.limits, self.dt_s)

    def tick(self, position_m: npt.NDArray[np.float64] | None, age_s: float = 0.0) -> ReplayTick:
        """Compute one command.

        Args:
            position_m: (3,) position of the end-effector; None if unknown.
            age_s: Age of that position.

        Returns:
            The command: finite and within the limits on speed, acceleration and jerk, whatever the input.
        """
        if self._state is ReplayState.MOVING:
            self._guard(position_m, age_s)
        at = None
        self._asked[:] = 0.0
        if self._state is ReplayState.MOVING:
            assert position_m is not None
            at = position_m
            self._follow(position_m)
        velocity, limit = self._pipeline.step(self._asked, at)
        self._twist[:3] = velocity
        if self._state in (ReplayState.MOVING, ReplayState.STOPPING):
            self._zeros_left = self.limits.zero_commands
        if self._state is ReplayState.STOPPING and self._pipeline.at_rest:
            self._state = ReplayState.ABORTED if self._text else ReplayState.DONE
        publish = self._zeros_left > 0
        if publish and self._pipeline.at_rest and self._state is not ReplayState.MOVING:
            self._zeros_left -= 1
        share = min(self._at_s / float(self._time_s[-1]), 1.0)
        return ReplayTick(self._twist, publish, self._state, limit, share, self._text)

    def _guard(self, position_m: npt.NDArray[np.float64] | None, age_s: float) -> None:
        """End the replay if the state of the arm is lost or the arm is not where it should be."""
        if position_m is None or not np.isfinite(position_m).all():
            self.stop("the arm's position is not a number: correct what publishes state/pose")
        elif too_old := self._too_old(age_s):
            self.stop(too_old)
        else:
            off_m = float(np.linalg.norm(position_m - self._where(self._way_m)))
            if off_m > self.settings.max_deviation_m:
                self.stop(
                    f"the arm is {off_m * 1e3:.0f} mm off the recorded path (limit "
                    f"{self.settings.max_deviation_m * 1e3:.0f} mm): lower speed_scale, or find out what blocks it"
                )

    def _too_old(self, age_s: float) -> str:
        if math.isfinite(age_s) and age_s <= self.limits.state_timeout_s:
            return ""
        return f"the state of the arm is {age_s:.2f} s old: check the connection to the robot"

    def _follow(self, position_m: npt.NDArray[np.float64]) -> None:
        """Ask for the recorded velocity, scaled, plus a velocity back to the recorded path."""
        dt_s = self.dt_s
        self._ramp = min(1.0, self._ramp + dt_s / self.settings.ramp_s)
        pace = self.settings.speed_scale * self._ramp
        if self._at_s >= self._time_s[-1]:
            self._state = ReplayState.STOPPING
            return
        self._asked[:] = pace * self._where(self._velocity)
        self._asked += self.settings.gain_1_s * self._ramp * (self._where(self._way_m) - position_m)
        self._at_s += pace * dt_s

    def _where(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Interpolate each column of (T, 3) values at the time reached so far."""
        return np.array([np.interp(self._at_s, self._time_s, column) for column in values.T])
