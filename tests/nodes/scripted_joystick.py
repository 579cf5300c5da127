"""A joystick in the test's process: it says what the test has set, as joy_node does."""

from __future__ import annotations

import time

from sensor_msgs.msg import Joy

from sac_gmm_nodes.common.qos import RELIABLE

RATE_HZ = 50.0
PATIENCE_S = 2.0  # how long a button is held before it is tried again
_UP_S = 0.3
HOLD, CLOSE, OPEN, RECORD, DISCARD, CONFIRM = 5, 0, 1, 7, 6, 3  # buttons of the gamepad's layout


class ScriptedJoystick:
    """A gamepad that is read `RATE_HZ` times a second."""

    def __init__(self, graph, topic="joy"):
        self._graph = graph
        self.axes, self.buttons = [0.0] * 8, [0] * 11
        self.silent = False
        self.publisher = graph.node.create_publisher(Joy, topic, RELIABLE)
        graph.node.create_timer(1.0 / RATE_HZ, self._say)

    def _say(self):
        if not self.silent:
            self.publisher.publish(Joy(axes=self.axes, buttons=self.buttons))

    def press(self, *buttons):
        """Hold these buttons and no others."""
        self.buttons = [int(button in buttons) for button in range(11)]

    def push(self, axis, share):
        """Push one axis."""
        self.axes = [share if index == axis else value for index, value in enumerate(self.axes)]

    def hold(self, is_held, done=lambda: True, what="the deadman to be held"):
        """Hold the deadman until `done()`; where it does not count, let go and press it again."""
        since_s = -PATIENCE_S

        def held_and_done():
            nonlocal since_s
            waited_s = time.monotonic() - since_s
            if not is_held() and waited_s > (PATIENCE_S if self.buttons[HOLD] else _UP_S):
                since_s = time.monotonic()
                self.press(*([] if self.buttons[HOLD] else [HOLD]))
            return is_held() and done()

        self._graph.wait(held_and_done, what)
