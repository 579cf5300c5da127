"""What is said on the command topic, with the publisher's own numbers: a listener that was held up has missed some."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import TwistStamped
from rclpy.qos import QoSProfile

from sac_gmm.control.safety import DRIVER_TIMEOUT_S
from sac_gmm_nodes.common.conversions import twist_array

PERIOD_S = 0.01
SPEED, ACCELERATION, JERK = 0.25, 2.0, 40.0  # config/controller.yaml
MANY = QoSProfile(depth=1000)


def following(numbers: list[int], sent_s: list[float]) -> np.ndarray:
    """Of each message but the first, whether it is the one after the message before and came in time."""
    return (np.diff(numbers) == 1) & (np.diff(sent_s) < 0.75 * DRIVER_TIMEOUT_S)


@dataclass
class Command:
    """One message of the command topic."""

    number: int  # given by the publisher
    sent_s: float  # by the publisher's clock
    at_s: float  # when it came, by ours
    velocity: np.ndarray
    twist: np.ndarray


class Commands(list):
    """All commands so far, and what can be read off them."""

    def __init__(self, graph) -> None:
        super().__init__()
        graph.node.create_subscription(TwistStamped, "command/twist", self._on_command, MANY)

    def _on_command(self, message: TwistStamped, info: dict) -> None:
        twist = twist_array(message)
        number, sent_s = info["publication_sequence_number"], 1e-9 * info["source_timestamp"]
        self.append(Command(number, sent_s, time.monotonic(), twist[:3], twist))

    def since(self, start: int) -> list[Command]:
        return list(self)[start:]

    def check_limits(self, start: int = 0, period_s: float = PERIOD_S, speed: float = SPEED) -> None:
        """Speed, acceleration and jerk of the commands from number `start` on.

        Where none in between was missed, and none came so late that the driver had stopped the arm: after that the
        controller begins at zero.
        """
        commands = self.since(start)
        assert commands, "no command came"
        v = np.array([command.velocity for command in commands])
        assert np.isfinite(v).all()
        assert np.linalg.norm(v, axis=1).max() <= speed + 1e-9
        change = np.diff(v, axis=0)
        follows = following([command.number for command in commands], [command.sent_s for command in commands])
        if follows.any():
            assert np.linalg.norm(change[follows], axis=1).max() <= ACCELERATION * period_s * (1 + 1e-6)
        both = follows[1:] & follows[:-1]
        if both.any():
            bend = np.diff(change, axis=0)[both]
            assert np.linalg.norm(bend, axis=1).max() <= JERK * period_s**2 * (1 + 1e-6)
