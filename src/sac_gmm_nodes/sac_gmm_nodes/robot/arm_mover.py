"""The node that moves the arm, seen from outside: who it is, how it is, and within which limits it moves."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rcl_interfaces.srv import GetParameters
from rclpy.callback_groups import CallbackGroup
from rclpy.client import Client
from rclpy.parameter import parameter_value_to_python
from sac_gmm_interfaces.msg import ControllerStatus
from std_msgs.msg import String

from sac_gmm.control import Reason, SafetyLimits
from sac_gmm.control.joint_limits import JointGuard, JointSettings
from sac_gmm.control.kinematics import ArmKinematics
from sac_gmm.core.errors import UserError
from sac_gmm_nodes.common.node import BaseNode, Turn
from sac_gmm_nodes.common.polling import Publishers
from sac_gmm_nodes.common.qos import LATCHED, SENSOR

_ANSWER_S = 5.0  # to be found and to answer; discovery is not mutual at once, so it is asked again
_ATTEMPTS = 4
_LIMITS = ("workspace_min_m", "workspace_max_m", "slow_down_band_m", "max_speed_m_s", "max_acceleration_m_s2")
_ARM = ("robot", "base_frame", "rate_hz")
_JOINTS = ("robot_name", "tip_frame", "tip_offset_m", "urdf_file")
_MARGINS = ("joint_margin_rad", "singularity_slow", "singularity_stop", "pseudo_inverse_damping")


class ArmMover:
    """Listens to `controller_status` and asks its publisher for its parameters.

    Args:
        node: The node that wants the arm moved.
        robot_name: Namespace of the arm's driver; empty for none.
        group: Of the calls; it must be reentrant.
    """

    def __init__(self, node: BaseNode, robot_name: str, group: CallbackGroup) -> None:
        # Loaded here rather than when the arm waits for it: that takes a second.
        import pinocchio  # noqa: F401

        import sac_gmm.control.joint_kernels  # noqa: F401

        self._node, self._group = node, group
        self._status: ControllerStatus | None = None
        self._status_s = -float("inf")
        self._publishers = Publishers(node, node.resolve_topic_name("controller_status"))
        self._clients: dict[str, Client] = {}
        self._description = ""
        self._topic = f"{prefix_of(robot_name)}robot_description"
        node.create_subscription(ControllerStatus, "controller_status", self._on_status, SENSOR)
        node.create_subscription(String, self._topic, self._on_description, LATCHED)

    def held(self, silence_s: float) -> tuple[Reason | None, str]:
        """Why it holds the arm, and what to do about it; None if nothing was heard of it for so long."""
        status = self._status
        if status is None or time.monotonic() - self._status_s > silence_s:
            return None, ""
        return Reason(status.reason), status.remedy

    async def limits(self, base_frame: str) -> tuple[SafetyLimits, JointGuard | None]:
        """What the arm may do, and its joint limits; None for these if they are unknown to it, too.

        Args:
            base_frame: The frame in which it will be asked for motions.

        Raises:
            UserError: It is not there, does not answer, works in another frame, or the arm's description is missing.
        """
        name = await self._name()
        found = await self._parameters(name, (*_LIMITS, *_ARM))
        if found["base_frame"] != base_frame:
            raise UserError(
                f"{name} works in the frame '{found['base_frame']}', not in '{base_frame}': give both one base_frame"
            )
        limits = SafetyLimits.from_json({key: _plain(found[key]) for key in _LIMITS})
        if found["robot"] == "plain":
            return limits, None
        found |= await self._parameters(name, (*_JOINTS, *_MARGINS))
        kinematics = ArmKinematics(
            self._description_of(str(found["urdf_file"])), found["tip_frame"], base_frame, _plain(found["tip_offset_m"])
        )
        settings = JointSettings(**{key: found[key] for key in _MARGINS})
        dt_s = 1 / found["rate_hz"]
        return limits, JointGuard(kinematics, settings, limits.max_acceleration_m_s2, limits.max_speed_m_s, dt_s)

    async def _name(self) -> str:
        await until(lambda: len(self._publishers.names) == 1)
        names = self._publishers.names
        if len(names) != 1:
            who = f"{' and '.join(names)} do: stop all but one" if names else "nobody does: start one"
            raise UserError(f"one node must move the arm (gmm_controller or guard), but {who}")
        return names[0]

    def _description_of(self, file: str) -> str:
        if file:
            try:
                return Path(file).read_text(encoding="utf-8")
            except OSError as error:
                raise UserError(f"urdf_file {file} cannot be read: {error.strerror}") from error
        if not self._description:
            raise UserError(
                f"nothing has come on {self._topic}, so that joint limits cannot be checked: start the arm's driver, "
                "or set robot_name to its namespace"
            )
        return self._description

    async def _parameters(self, name: str, wanted: tuple[str, ...]) -> dict[str, Any]:
        """Values of parameters of the node `name`."""
        service = f"{prefix_of(name)}get_parameters"
        if service not in self._clients:
            self._clients[service] = self._node.create_client(GetParameters, service, callback_group=self._group)
        client = self._clients[service]
        for _ in range(_ATTEMPTS):
            if not await until(client.service_is_ready):
                break
            future = client.call_async(GetParameters.Request(names=wanted))
            answered = await until(future.done)
            client.remove_pending_request(future)
            answer = future.result() if answered else None
            if answer is not None and len(answer.values) == len(wanted):
                return dict(zip(wanted, map(parameter_value_to_python, answer.values), strict=True))
        raise UserError(f"{name} did not tell its limits ({service}): see that it runs, and is of this version")

    def _on_status(self, message: ControllerStatus) -> None:
        self._status, self._status_s = message, time.monotonic()

    def _on_description(self, message: String) -> None:
        self._description = message.data


def prefix_of(robot_name: str) -> str:
    """What precedes the names in a namespace; empty for none."""
    return f"{robot_name}/" if robot_name else ""


def joint_topics(robot_name: str) -> tuple[str, ...]:
    """Where an arm's joints may be told: on the driver's topic, or on the one that all share."""
    return tuple(dict.fromkeys((f"{prefix_of(robot_name)}joint_states", "joint_states")))


async def until(condition: Callable[[], bool]) -> bool:
    """Wait until a condition holds, for some seconds at most; return whether it does."""
    end_s = time.monotonic() + _ANSWER_S
    while not condition() and time.monotonic() < end_s:
        await Turn()
    return condition()


def _plain(value: Any) -> Any:
    """A number, or a list of numbers, as JSON has it."""
    return value if isinstance(value, (int, float)) else [float(entry) for entry in value]
