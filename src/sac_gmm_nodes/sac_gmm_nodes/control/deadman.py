"""The switch that a person holds to let the arm move: the topic `deadman`."""

from __future__ import annotations

import time

from std_msgs.msg import Bool

from sac_gmm_nodes.common.node import BaseNode
from sac_gmm_nodes.common.qos import RELIABLE


class Deadman:
    """Counts as held only while the topic says true, and says so often enough.

    Args:
        node: The node that moves the arm; it receives the parameters.
    """

    def __init__(self, node: BaseNode) -> None:
        self._needed = node.flag("deadman", False, "move only while the topic deadman says true")
        self._timeout_s = node.real("deadman_timeout_s", 0.2, 0.02, 5.0, "s", "a deadman older than this is off")
        self._held_s = -float("inf")  # when the last message that said true arrived
        if self._needed:
            node.create_subscription(Bool, "deadman", self._on_message, RELIABLE)

    def released(self, now_s: float) -> bool:
        """Whether the arm must not move because nobody holds the switch; `now_s` by time.monotonic."""
        return self._needed and now_s - self._held_s > self._timeout_s

    def _on_message(self, message: Bool) -> None:
        self._held_s = time.monotonic() if message.data else -float("inf")
