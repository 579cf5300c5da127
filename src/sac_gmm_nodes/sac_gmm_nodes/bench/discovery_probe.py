"""Finds out whether two processes hear each other over DDS; `sac-gmm doctor` starts one of each role.

    ros2 run sac_gmm_nodes discovery_probe --ros-args -p role:=answer
    ros2 run sac_gmm_nodes discovery_probe --ros-args -p role:=ask

The asking node sends small messages and some as large as a picture, one after another, and waits for each to come back.
It prints its measurements as one line of JSON, and exits. Across two machines it shows whether they hear each other.
"""

from __future__ import annotations

import array
import json
import time
from collections.abc import Callable

from rclpy.executors import Executor
from std_msgs.msg import UInt8MultiArray

from sac_gmm_nodes.common.node import BaseNode, run_node
from sac_gmm_nodes.common.qos import RELIABLE

SMALL_BYTES, LARGE_BYTES = 64, 640 * 480 * 3
_SMALL, _LARGE = 20, 5  # number of each
_ANSWER_S = 1.0  # after this long, a message counts as lost


class DiscoveryProbe(BaseNode):
    """Asks or answers, depending on its role."""

    def __init__(self) -> None:
        super().__init__("discovery_probe")
        self._asks = self.text("role", "answer", "whether it asks or answers", ("ask", "answer")) == "ask"
        self._timeout_s = self.real("timeout_s", 10.0, 0.5, 600.0, "s", "time to find the other node")
        topics = ("~/question", "~/answer")
        said, heard = topics if self._asks else reversed(topics)
        self._said = self.create_publisher(UInt8MultiArray, said, RELIABLE)
        self.create_subscription(UInt8MultiArray, heard, self._on_message, RELIABLE)
        self._back: UInt8MultiArray | None = None

    def spin(self, executor: Executor) -> None:
        """Answer until asked to stop; or ask, print, and exit."""
        if not self._asks:
            super().spin(executor)
            return
        found_s = self._wait(executor, self._timeout_s, lambda: self._pairs() > 0)
        small = [self._ask(executor, SMALL_BYTES, number) for number in range(_SMALL)] if found_s is not None else []
        large = [self._ask(executor, LARGE_BYTES, number) for number in range(_LARGE)] if found_s is not None else []
        print(json.dumps({"found_s": found_s, "small": _digest(small), "large": _digest(large)}), flush=True)

    def _pairs(self) -> int:
        return min(self._said.get_subscription_count(), self.count_publishers("~/answer"))

    def _ask(self, executor: Executor, size: int, number: int) -> float | None:
        """Seconds until a message came back; None if it did not."""
        self._back = None
        self._said.publish(UInt8MultiArray(data=array.array("B", [number]) * size))
        return self._wait(
            executor,
            _ANSWER_S,
            lambda: self._back is not None and len(self._back.data) == size and self._back.data[0] == number,
        )

    def _wait(self, executor: Executor, timeout_s: float, done: Callable[[], bool]) -> float | None:
        begun_s = time.monotonic()
        while not self.stopping.is_set() and time.monotonic() - begun_s < timeout_s:
            executor.spin_once(timeout_sec=0.02)
            if done():
                return time.monotonic() - begun_s
        return None

    def _on_message(self, message: UInt8MultiArray) -> None:
        if self._asks:
            self._back = message
        else:
            self._said.publish(message)


def _digest(times_s: list[float | None]) -> dict[str, float | int | None]:
    came = sorted(time_s for time_s in times_s if time_s is not None)
    return {"sent": len(times_s), "came_back": len(came), "median_s": came[len(came) // 2] if came else None}


def main() -> None:
    """Run the node."""
    run_node(DiscoveryProbe)


if __name__ == "__main__":
    main()
