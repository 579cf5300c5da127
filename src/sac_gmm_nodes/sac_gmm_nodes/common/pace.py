"""The pace of a method: how often it decides, how its changes take over, and how it explores.

The pace is defined only in the method's settings for a task. `sac_adapter` or `skill_runner` announces it on the
latched topic `method_pace` before it is ready; controller, simulation and episode manager receive it with a
`PaceListener`.
"""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from sac_gmm_interfaces.msg import MethodPace

from sac_gmm_nodes.common.polling import take_what_waits
from sac_gmm_nodes.common.qos import LATCHED

TOPIC = "method_pace"


def decision_steps(pace: MethodPace, rate_hz: float) -> int:
    """Control steps between two decisions at a control rate of `rate_hz`; the time between them is always the same."""
    return max(1, round(pace.decision_interval / pace.control_rate_hz * rate_hz))


class PaceListener:
    """Keeps the last announced pace.

    Attributes:
        latest: The announcement; None before the first.

    Args:
        node: The node that listens.
        heard: Called after every announcement.
    """

    def __init__(self, node: Node, heard: Callable[[], None] | None = None) -> None:
        self.latest: MethodPace | None = None
        self._heard = heard
        self._logger = node.get_logger()
        self._subscription = node.create_subscription(MethodPace, TOPIC, self._on_pace, LATCHED)

    def catch_up(self) -> None:
        """Process an announcement that has arrived but is undelivered: topics overtake each other in an executor.

        Call it from the main thread.
        """
        take_what_waits(self._subscription, 1)

    def _on_pace(self, message: MethodPace) -> None:
        if message.decision_interval < 1 or not message.control_rate_hz > 0 or not 0 <= message.blend_s <= 2:
            self._logger.error(
                f"{TOPIC} is ignored: decision_interval {message.decision_interval}, control_rate_hz "
                f"{message.control_rate_hz:g} and blend_s {message.blend_s:g} must be at least 1, above 0, and 0 to 2"
            )
            return
        self.latest = message
        if self._heard is not None:
            self._heard()
