"""The arm's joints, picked from a topic on which others may publish too, and what is wrong when there are none."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from sac_gmm.control.kinematics import ArmKinematics
from sac_gmm.control.state_plausibility import SETTLE_S, StateContinuity
from sac_gmm_nodes.common.conversions import nanoseconds
from sac_gmm_nodes.common.node import BaseNode
from sac_gmm_nodes.common.polling import Publishers

_LOOK_S = 1.0  # between two looks at who publishes
_RECENT_S = 1.0  # what came within this time still comes
_APART_S = 1.0  # a stamp that is further from this node's clock is by another one
_KEPT = 8  # sets of joint names that are remembered


class JointInput:
    """Picks the newest message that has all joints of the arm.

    A gripper's driver may publish its own joints on the same topic: its messages are left aside, and named once. Where
    somebody else publishes the arm's own joints, none of the messages is to be trusted.

    Args:
        node: The node that reads the topic.
        topic: The topic's full name.
    """

    def __init__(self, node: BaseNode, topic: str) -> None:
        self._node, self._topic, self._logger = node, topic, node.get_logger()
        self._publishers = Publishers(node, topic)
        self._others: dict[tuple[str, ...], str] = {}  # joint names of a message without the arm's: what is wrong
        self._other_s = self._picked_s = -np.inf  # when the last message without, and with, the arm's joints came
        self._continuity: StateContinuity | None = None  # of the arm's joints in all messages
        self._stamp: tuple[int, float] | None = None  # of the last message picked, and when it arrived
        self._clocks = ""  # how far its stamp is from this node's clock
        node.create_timer(_LOOK_S, self._look, clock=node.steady_clock)

    def pick(
        self, messages: list[tuple[Any, float]], kinematics: ArmKinematics
    ) -> tuple[Any, float, np.ndarray] | None:
        """The newest message with the arm's joints, when it came, and these joints (n,); None where there is none.

        Args:
            messages: Oldest first, with the times of their arrival by `time.monotonic`.
            kinematics: Of the arm.
        """
        if self._continuity is None:
            self._continuity = StateContinuity(kinematics.joint_names, kinematics.max_speed_rad_s)
        picked = None
        found = [(message, arrived_s, joints_of(message, kinematics)) for message, arrived_s in messages]
        for message, arrived_s, joints in found:
            if joints is not None:
                self._continuity.take(joints, arrived_s)
                self._picked_s, picked = arrived_s, (message, arrived_s, joints)
        for message, arrived_s, joints in reversed(found):
            if joints is None:
                self._note(message, arrived_s, kinematics)
        if picked is not None and hasattr(picked[0], "header"):
            self._stamp = nanoseconds(picked[0].header.stamp), picked[1]
        return picked

    @property
    def trusted(self) -> bool:
        """Whether the joints picked last can be those of the arm."""
        return self._continuity is not None and self._continuity.trusted

    @property
    def twofold(self) -> bool:
        """Whether two sources publish the arm's joints."""
        return self._continuity is not None and self._continuity.twofold

    @property
    def by(self) -> str:
        """Who publishes the joints, to be put after the topic's name."""
        return self._publishers.words

    @property
    def clocks(self) -> str:
        """What to say of stamps that are not by this node's clock; empty where they are."""
        return f"the stamps of {self._topic}{self._publishers.words} are {self._clocks}" if self._clocks else ""

    def clear(self) -> None:
        """Trust the joints again, at the operator's request."""
        if self._continuity is not None:
            self._continuity.clear()

    def complaint(self) -> str:
        """Why there are no fresh joints, and what to do; empty while they come."""
        now_s = time.monotonic()
        if now_s - self._picked_s <= _RECENT_S:
            return self._contradiction()
        by = self._publishers.words
        if now_s - self._other_s <= _RECENT_S:
            return f"{self._topic}{by} comes without the arm's joints: {'; '.join(self._others.values())}"
        if not by:
            return f"nobody publishes {self._topic}: start the arm's driver, or set robot_name to its namespace"
        return f"nothing comes on {self._topic}{by}: see that this driver runs and is connected to the arm"

    def _contradiction(self) -> str:
        """What is wrong with joints that come; empty where nothing is."""
        continuity = self._continuity
        if continuity is None or continuity.trusted or not continuity.jump:
            return ""
        self._publishers.look_again()
        by = self._publishers.words
        if continuity.twofold:
            return (
                f"{self._topic}{by} gives the arm's joints in two places in turn: {continuity.jump}; stop whoever is "
                "not the arm's driver (joint_state_publisher says zeros), then resume with ~/pause data: false"
            )
        return (
            f"the arm's joints jump on {self._topic}{by}: {continuity.jump}; motion resumes when they have been "
            f"continuous for {SETTLE_S:g} s"
        )

    def _note(self, message: Any, arrived_s: float, kinematics: ArmKinematics) -> None:
        self._other_s = max(self._other_s, arrived_s)
        names = tuple(getattr(message, "name", ()))
        if names not in self._others and len(self._others) < _KEPT:
            self._others[names] = mismatch(message, kinematics)

    def _look(self) -> None:
        """Note who publishes; say once that others publish beside the arm's driver, or by another clock."""
        now_s, by = time.monotonic(), self._publishers.words
        self._compare_clocks(now_s)
        if self._others and max(now_s - self._picked_s, now_s - self._other_s) <= _RECENT_S:
            others = "; ".join(", ".join(names) or "no names" for names in self._others)
            self._logger.info(f"{self._topic}{by} also carries other joints ({others}): they are left aside", once=True)

    def _compare_clocks(self, now_s: float) -> None:
        """Say once that stamps are not by this node's clock; an unset stamp is none."""
        if self._stamp is None or not self._stamp[0]:
            return
        stamp_ns, arrived_s = self._stamp
        ahead_s = (stamp_ns - self._node.get_clock().now().nanoseconds) * 1e-9 + now_s - arrived_s
        if abs(ahead_s) <= _APART_S:
            self._clocks = ""
            return
        where = f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} this node's clock"
        if not self._clocks:
            self._logger.warning(
                f"the stamps of {self._topic}{self._publishers.words} are {where}: let both run by one clock "
                "(use_sim_time everywhere or nowhere, chrony on both machines)"
            )
        self._clocks = where


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
