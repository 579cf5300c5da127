"""The wrench measured by an arm's driver, transformed to base axes."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from geometry_msgs.msg import WrenchStamped
from rclpy.callback_groups import CallbackGroup

from sac_gmm.core.geometry import conjugate, multiply
from sac_gmm_nodes.common.conversions import wrench_array
from sac_gmm_nodes.common.node import BaseNode
from sac_gmm_nodes.common.polling import take
from sac_gmm_nodes.common.qos import SENSOR, shared

_SILENT_S = 1.0  # after this long without a wrench, the log reports it


class WrenchInput:
    """Takes wrenches in the base frame or the tip frame.

    Args:
        node: The node that reads them.
        topic: The driver's topic.
        base_frame: The frame in which they are passed on.
        tip_frame: The other frame that the driver may use.
        group: Group of polled subscriptions.
    """

    def __init__(self, node: BaseNode, topic: str, base_frame: str, tip_frame: str, group: CallbackGroup) -> None:
        self._logger, self._base_frame, self._tip_frame = node.get_logger(), base_frame, tip_frame
        self._wrenches = node.create_subscription(WrenchStamped, topic, _ignore, shared(SENSOR), callback_group=group)
        self._last: WrenchStamped | None = None
        self._last_s: float | None = None  # when it arrived, or when it was first looked for

    def latest(self, tip_xyzw: np.ndarray, max_age_s: float) -> np.ndarray | None:
        """The last wrench, shape (6,), in base axes; None if it is too old or its axes are unknown.

        Args:
            tip_xyzw: Orientation of the tip in the base frame, a unit quaternion.
            max_age_s: An older one is not passed on: a new stamp would misrepresent it.
        """
        taken = take(self._wrenches)
        usable = [entry for entry in taken if entry[0].header.frame_id in (self._base_frame, self._tip_frame)]
        for message, arrived_s in (usable or taken)[-1:]:  # another sensor may publish there too
            self._last, self._last_s = message, arrived_s
        now_s = time.monotonic()
        self._last_s = now_s if self._last_s is None else self._last_s
        age_s, topic = now_s - self._last_s, self._wrenches.topic_name
        if self._last is None or age_s > max_age_s:
            if age_s > _SILENT_S:
                self._logger.error(
                    f"no wrench on {topic} since {age_s:.0f} s: without it the adapter decides nothing; start the "
                    "driver's force_torque_broadcaster",
                    throttle_duration_sec=5.0,
                )
            return None
        wrench, frame = wrench_array(self._last), self._last.header.frame_id
        if frame == self._base_frame:
            return wrench
        if frame == self._tip_frame:
            return turned(tip_xyzw, wrench)
        self._logger.error(
            f"{topic} is in the frame {frame!r}, neither in base_frame {self._base_frame!r} nor in tip_frame "
            f"{self._tip_frame!r}: it is ignored; set tip_frame to {frame!r} and tip_offset_m to the tip in it, or "
            "frame_id of the driver's force_torque_broadcaster",
            throttle_duration_sec=5.0,
        )
        return None


def turned(xyzw: np.ndarray, wrench: np.ndarray) -> np.ndarray:
    """Force and torque of a wrench (6,), both rotated by a unit quaternion."""
    vectors = np.column_stack((wrench.reshape(2, 3), np.zeros(2)))
    return multiply(multiply(xyzw, vectors), conjugate(xyzw))[:, :3].ravel()


def _ignore(_message: Any) -> None:
    """Polled subscriptions have no callback."""
