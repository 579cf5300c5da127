"""The arm's joints, picked from a topic on which others may publish too, and what is wrong when there are none."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from sac_gmm.control.kinematics import ArmKinematics
from sac_gmm_nodes.common.node import BaseNode
from sac_gmm_nodes.common.polling import Publishers

_LOOK_S = 1.0  # between two looks at who publishes
_RECENT_S = 1.0  # what came within this time still comes
_KEPT = 8  # sets of joint names that are remembered


class JointInput:
    """Picks the newest message that has all joints of the arm.

    A gripper's driver may publish its own joints on the same topic: its messages are left aside, and named once.

    Args:
        node: The node that reads the topic.
        topic: The topic's full name.
    """

    def __init__(self, node: BaseNode, topic: str) -> None:
        self._topic, self._logger = topic, node.get_logger()
        self._publishers = Publishers(node, topic)
        self._others: dict[tuple[str, ...], str] = {}  # joint names of a message without the arm's: what is wrong
        self._other_s = self._picked_s = -np.inf  # when the last message without, and with, the arm's joints came
        node.create_timer(_LOOK_S, self._look, clock=node.steady_clock)

    def pick(
        self, messages: list[tuple[Any, float]], kinematics: ArmKinematics
    ) -> tuple[Any, float, np.ndarray] | None:
        """The newest message with the arm's joints, when it came, and these joints (n,); None where there is none.

        Args:
            messages: Oldest first, with the times of their arrival by `time.monotonic`.
            kinematics: Of the arm.
        """
        picked = None
        for message, arrived_s in reversed(messages):
            joints = joints_of(message, kinematics)
            if joints is None:
                self._note(message, arrived_s, kinematics)
            elif picked is None:
                picked = message, arrived_s, joints
                self._picked_s = arrived_s
        return picked

    def complaint(self) -> str:
        """Why there are no fresh joints, and what to do; empty while they come."""
        now_s, by = time.monotonic(), self._publishers.words
        if now_s - self._picked_s <= _RECENT_S:
            return ""
        if now_s - self._other_s <= _RECENT_S:
            return f"{self._topic}{by} comes without the arm's joints: {'; '.join(self._others.values())}"
        if not by:
            return f"nobody publishes {self._topic}: start the arm's driver, or set robot_name to its namespace"
        return f"nothing comes on {self._topic}{by}: see that this driver runs and is connected to the arm"

    def _note(self, message: Any, arrived_s: float, kinematics: ArmKinematics) -> None:
        self._other_s = max(self._other_s, arrived_s)
        names = tuple(getattr(message, "name", ()))
        if names not in self._others and len(self._others) < _KEPT:
            self._others[names] = mismatch(message, kinematics)

    def _look(self) -> None:
        """Note who publishes; say once that others publish beside the arm's driver."""
        now_s, by = time.monotonic(), self._publishers.words
        if self._others and max(now_s - self._picked_s, now_s - self._other_s) <= _RECENT_S:
            others = "; ".join(", ".join(names) or "no names" for names in self._others)
            self._logger.info(f"{self._topic}{by} also carries other joints ({others}): they are left aside", once=True)


def joints_of(message: Any, kinematics: ArmKinematics) -> np.ndarray | None:
    """The arm's joints (n,) in a JointState or in an LBR's state; None where one is missing."""
    if hasattr(message, "measured_joint_position"):
        joints = np.array(message.measured_joint_position, dtype=float)
        return joints if len(joints) == len(kinematics.joint_names) else None
    return kinematics.in_order(message.name, message.position)


def mismatch(message: Any, kinematics: ArmKinematics) -> str:
    """Which of the arm's joints a message lacks, which it has, and what to do."""
    wanted = kinematics.joint_names
    if hasattr(message, "measured_joint_position"):
        count = len(message.measured_joint_position)
        return (
            f"it has {count} joints, the robot description has {len(wanted)} ({_listed(wanted)}): give the description "
            "of this arm, and the link that its last joint moves as tip_frame"
        )
    missing = [name for name in wanted if name not in set(message.name)]
    if missing:
        return (
            f"{_listed(missing)} {'is' if len(missing) == 1 else 'are'} missing, there are "
            f"{_listed(message.name) or 'no names'}: let driver and robot description (urdf_file) use the same names"
        )
    return f"it has {len(message.name)} names but {len(message.position)} positions: mend the driver that publishes it"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
