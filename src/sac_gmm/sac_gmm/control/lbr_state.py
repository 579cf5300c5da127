"""Whether a KUKA LBR iiwa may be commanded now, judging by its driver's Fast Robot Interface (FRI) state.

The driver's message has no header, and keeps coming at its own rate when the robot is gone. A state is therefore stale
if it arrived too long ago, and also if the robot's own clock in it stands still. Fields that a version of FRI does not
have are ignored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from sac_gmm.control.codes import Reason
from sac_gmm.core.settings import check_settings, number


class SessionState(IntEnum):
    """State of the FRI session (ESessionState)."""

    IDLE = 0
    MONITORING_WAIT = 1
    MONITORING_READY = 2
    COMMANDING_WAIT = 3
    COMMANDING_ACTIVE = 4


class ConnectionQuality(IntEnum):
    """Quality of the FRI connection (EConnectionQuality); the robot refuses commands below GOOD."""

    POOR = 0
    FAIR = 1
    GOOD = 2
    EXCELLENT = 3


class SafetyState(IntEnum):
    """State of the robot's safety controller (ESafetyState)."""

    NORMAL_OPERATION = 0
    SAFETY_STOP_LEVEL_0 = 1
    SAFETY_STOP_LEVEL_1 = 2
    SAFETY_STOP_LEVEL_2 = 3


class OperationMode(IntEnum):
    """Operation mode of the robot (EOperationMode)."""

    T1 = 0
    T2 = 1
    AUT = 2


class DriveState(IntEnum):
    """State of the drives (EDriveState)."""

    OFF = 0
    TRANSITIONING = 1
    ACTIVE = 2


@dataclass(frozen=True)
class LbrSettings:
    """What the robot must report before and while it is commanded."""

    min_connection_quality: int = number(
        int(ConnectionQuality.GOOD),
        0,
        3,
        "",
        "lowest acceptable quality of the connection: 0 poor, 1 fair, 2 good, 3 excellent",
    )
    min_tracking_performance: float = number(
        0.5, 0.0, 1.0, "", "lowest share of the commanded motion that the arm reports it can follow"
    )
    recovery_s: float = number(
        0.5, 0.0, 10.0, "s", "how long quality and tracking must have been good again before motion resumes by itself"
    )
    robot_clock_timeout_s: float = number(
        0.1, 0.01, 5.0, "s", "if the robot's own clock stands still for longer, the robot counts as gone"
    )

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class LbrState:
    """The judged fields of one message; None for those that this version of FRI does not have.

    The numbers are those of the enumerations above; unknown numbers count as not good.
    """

    session_state: int | None = None
    connection_quality: int | None = None
    safety_state: int | None = None
    operation_mode: int | None = None
    drive_state: int | None = None
    tracking_performance: float | None = None
    robot_time_ns: int | None = None

    @classmethod
    def of(cls, message: Any) -> LbrState:
        """Read a message `lbr_fri_idl/msg/LBRState`, or any object with some of its fields."""
        seconds, nanoseconds = getattr(message, "time_stamp_sec", None), getattr(message, "time_stamp_nano_sec", None)
        return cls(
            session_state=getattr(message, "session_state", None),
            connection_quality=getattr(message, "connection_quality", None),
            safety_state=getattr(message, "safety_state", None),
            operation_mode=getattr(message, "operation_mode", None),
            drive_state=getattr(message, "drive_state", None),
            tracking_performance=getattr(message, "tracking_performance", None),
            robot_time_ns=None if seconds is None or nanoseconds is None else seconds * 1_000_000_000 + nanoseconds,
        )

    @property
    def text(self) -> str:
        """The state in words, for diagnostics."""
        named = (
            ("session", SessionState, self.session_state),
            ("connection", ConnectionQuality, self.connection_quality),
            ("safety", SafetyState, self.safety_state),
            ("mode", OperationMode, self.operation_mode),
            ("drives", DriveState, self.drive_state),
        )
        words = [f"{what} {_name(kind, value)}" for what, kind, value in named if value is not None]
        if self.tracking_performance is not None:
            words.append(f"tracking {self.tracking_performance:.2f}")
        return ", ".join(words)


class LbrJudge:
    """Judges one state after another.

    When the session, the drives or the safety controller fail after they were good, that latches: the arm does not
    resume by itself when someone at the robot restores them, because they may have a hand in its way. `clear` lifts it.
    Connection quality and tracking vary with the load; after these, motion resumes after `recovery_s`.

    Args:
        settings: What the robot must report.
    """

    def __init__(self, settings: LbrSettings | None = None) -> None:
        self.settings = settings or LbrSettings()
        self._was_ready = False
        self._latched = Reason.NONE
        self._weak = Reason.NONE  # the last reason that clears by itself
        self._weak_until_s = -math.inf
        self._robot_time_ns: int | None = None
        self._robot_time_s = 0.0  # when it last changed

    def judge(self, state: LbrState, now_s: float) -> Reason:
        """Say why the robot may not be commanded; `Reason.NONE` if it may.

        Args:
            state: The newest state.
            now_s: Time of its arrival on a clock that only goes forward.
        """
        hard = self._hard_reason(state)
        if hard is Reason.NONE:
            self._was_ready = True
        elif self._was_ready:
            self._latched = self._latched or hard
        self._note_weakness(state, now_s)
        if hard:
            return hard
        if self._stands_still(state, now_s):
            return Reason.STALE_STATE
        if self._latched:
            return self._latched
        return self._weak if now_s < self._weak_until_s else Reason.NONE

    def clear(self) -> None:
        """Allow motion again, at the operator's request, once the robot is ready."""
        self._latched = Reason.NONE

    def _hard_reason(self, state: LbrState) -> Reason:
        # Check the cause before its consequence: a safety stop ends the session as well.
        if state.safety_state not in (None, SafetyState.NORMAL_OPERATION):
            return Reason.SAFETY_STOP
        if state.drive_state not in (None, DriveState.ACTIVE):
            return Reason.DRIVES_OFF
        if state.session_state not in (None, SessionState.COMMANDING_ACTIVE):
            return Reason.SESSION_LOST
        return Reason.NONE

    def _note_weakness(self, state: LbrState, now_s: float) -> None:
        settings, quality, tracking = self.settings, state.connection_quality, state.tracking_performance
        if quality is not None and not settings.min_connection_quality <= quality <= ConnectionQuality.EXCELLENT:
            self._weak = Reason.POOR_CONNECTION
        elif tracking is not None and not tracking >= settings.min_tracking_performance:
            self._weak = Reason.POOR_TRACKING
        else:
            return
        # At least until just after now, whatever the recovery time, so that a bad state itself never passes.
        self._weak_until_s = now_s + max(settings.recovery_s, 1e-6)

    def _stands_still(self, state: LbrState, now_s: float) -> bool:
        if state.robot_time_ns is None:
            return False
        if state.robot_time_ns != self._robot_time_ns:
            self._robot_time_ns, self._robot_time_s = state.robot_time_ns, now_s
        return now_s - self._robot_time_s > self.settings.robot_clock_timeout_s


def _name(kind: type[IntEnum], value: int) -> str:
    try:
        return kind(value).name
    except ValueError:
        return f"{value} (unknown)"
