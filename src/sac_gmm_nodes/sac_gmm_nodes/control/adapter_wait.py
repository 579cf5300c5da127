"""How long a controller in lock-step waits for its adapter."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sac_gmm_nodes.common.node import BaseNode

_REPEAT_S = 1.0  # period at which the request is published again
_ABSENT_S = 5.0  # wall time to wait for an absent adapter: it may be restarting
_SAID_AFTER_S = 10.0  # period at which the log reports the wait


class AdapterWait:
    """A bounded wait for the adapter. One that is present may take its time: it may be learning.

    Attributes:
        waiting: Whether it waits now.

    Args:
        node: The controller.
        news: Notified on every change.
        timeout_s: Wall time to wait for an adapter that is present.
    """

    def __init__(self, node: BaseNode, news: threading.Condition, timeout_s: float) -> None:
        self._node, self._news, self._timeout_s = node, news, timeout_s
        self.waiting = False

    def until(self, settled: Callable[[], bool], ask: Callable[[], None], what: str) -> bool:
        """Wait until `settled()`; on a timeout, log a warning that names `what` and return false.

        `ask()` is called repeatedly: an adapter that was only just discovered has missed the earlier calls.
        """
        self.waiting = True
        try:
            return self._until(settled, ask, what)
        finally:
            self.waiting = False

    def _until(self, settled: Callable[[], bool], ask: Callable[[], None], what: str) -> bool:
        begun_s, waited_s = time.monotonic(), 0.0
        while not settled():
            ask()
            there = self._node.count_publishers("model_update") > 0
            patience_s = self._timeout_s if there else min(self._timeout_s, _ABSENT_S)
            waited_s = time.monotonic() - begun_s
            if waited_s >= patience_s:
                self._node.get_logger().warning(f"no {what} within {waited_s:.1f} s: continuing without")
                return False
            if waited_s > _SAID_AFTER_S:
                text = f"waiting for the adapter's {what} for {waited_s:.0f} s"
                self._node.get_logger().info(text, throttle_duration_sec=_SAID_AFTER_S)
            with self._news:
                self._news.wait_for(settled, min(patience_s - waited_s, _REPEAT_S))
        return True
