"""What the driver of a KUKA LBR iiwa adds to an arm: the FRI session and its faults, state messages, frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pybullet as pb
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from std_msgs.msg import Header

from sac_gmm.control.lbr_state import ConnectionQuality, DriveState, OperationMode, SafetyState, SessionState
from sac_gmm.tasks.iiwa import Iiwa
from sac_gmm_nodes.robot_messages import LBRState, TFMessage

FAULTS = ("none", "session", "connection", "safety", "drives", "tracking")
_CLIMB_NS = 100_000_000  # that the session stays in each state on its way up
_LINKS = (*(f"lbr_link_{i}" for i in range(1, 8)), "tcp")


class FriSession:
    """The session of a robot whose operator has started the application and holds the enabling switch.

    It climbs from IDLE to COMMANDING_ACTIVE, falls back while a fault lasts that ends it, and climbs again.

    Attributes:
        state: Of the session.
        fault: One of `FAULTS`.

    Args:
        state: Where it begins.
    """

    def __init__(self, state: SessionState = SessionState.IDLE) -> None:
        self.state = state
        self.fault = "none"
        self._since_ns = 0

    @property
    def commanding(self) -> bool:
        """Whether the robot follows commands."""
        return self.state is SessionState.COMMANDING_ACTIVE

    def step(self, now_ns: int) -> None:
        """Let simulated time pass."""
        lowest = {"session": SessionState.IDLE, "safety": SessionState.IDLE, "drives": SessionState.MONITORING_READY}
        if self.fault in lowest:
            self.state, self._since_ns = lowest[self.fault], now_ns
        elif self.state < SessionState.COMMANDING_ACTIVE and now_ns - self._since_ns >= _CLIMB_NS:
            self.state, self._since_ns = SessionState(self.state + 1), now_ns

    def message(self, arm: Iiwa, commanded_rad: np.ndarray, now_ns: int, period_s: float) -> Any:
        """The driver's state message; `lbr_fri_idl` must be installed.

        Args:
            arm: The arm.
            commanded_rad: The joint positions that it was told to hold, shape (7,).
            now_ns: Simulated time, in the place of the robot's clock.
            period_s: Between two states.
        """
        measured, torque, fault = arm.joint_position_rad, arm.torque_nm, self.fault
        quality = ConnectionQuality.FAIR if fault == "connection" else ConnectionQuality.EXCELLENT
        safety = SafetyState.SAFETY_STOP_LEVEL_1 if fault == "safety" else SafetyState.NORMAL_OPERATION
        waiting = self.state < SessionState.COMMANDING_WAIT
        return LBRState(
            sample_time=period_s,
            session_state=int(self.state),
            connection_quality=int(quality),
            safety_state=int(safety),
            operation_mode=int(OperationMode.T1),
            drive_state=int(DriveState.OFF if fault in ("drives", "safety") else DriveState.ACTIVE),
            client_command_mode=1,  # position
            overlay_type=1,  # joint
            control_mode=0,  # position
            time_stamp_sec=now_ns // 1_000_000_000,
            time_stamp_nano_sec=now_ns % 1_000_000_000,
            measured_joint_position=measured,
            commanded_joint_position=commanded_rad,
            measured_torque=torque,
            commanded_torque=torque,
            external_torque=arm.jacobian().T @ arm.wrench(),
            ipo_joint_position=np.full(7, np.nan) if waiting else commanded_rad,
            tracking_performance=0.2 if fault == "tracking" else 1.0,
        )


def frames(arm: Iiwa, client: int, head: Header) -> Any:
    """The arm's links and its fingertip in the frame of `head`, as one message; `tf2_msgs` must be installed."""
    states = pb.getLinkStates(arm.body, [arm.links[name] for name in _LINKS], 0, 1, client)
    return TFMessage(
        transforms=[
            TransformStamped(
                header=head,
                child_frame_id=name,
                transform=Transform(
                    translation=Vector3(**dict(zip("xyz", state[4], strict=True))),
                    rotation=Quaternion(**dict(zip("xyzw", state[5], strict=True))),
                ),
            )
            for name, state in zip(_LINKS, states, strict=True)
        ]
    )
