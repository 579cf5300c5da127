"""Tells in the log why the arm is held, on each change, off the loop's thread."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from sac_gmm.control import Reason

AS_IT_SHOULD_BE = (Reason.NONE, Reason.NO_EPISODE, Reason.NO_COMMAND, Reason.INACTIVE)
_START_UP = (Reason.NO_STATE, Reason.NO_TARGET, Reason.WRONG_DRIVER_SETTING)  # how it is before all has been heard
_START_UP_S = 2.0  # for so long, these are not told
_AGAIN_S = 1.0  # a reason that comes and goes is told once in this time


class ReasonLog:
    """The loop notes reasons, the main thread tells them.

    Args:
        logger: Of the node.
        clock: In seconds, only going forward.
    """

    def __init__(self, logger: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger, self._clock = logger, clock
        self._changes: deque[tuple[float, Reason]] = deque(maxlen=100)  # not yet told
        self._noted: Reason | None = None
        self._held = Reason.NONE  # the reason told last, while it holds the arm
        self._told_s: dict[Reason, float] = {}

    def note(self, reason: Reason) -> None:
        """The reason now; called as often as one likes, in any thread."""
        if reason != self._noted:
            self._noted = reason
            self._changes.append((self._clock(), reason))

    def tell(self, words: Callable[[Reason], str]) -> None:
        """Log what has been noted since; `words` gives what to do about a reason."""
        while self._changes:
            since_s, reason = self._changes[0]
            over = len(self._changes) > 1
            lasted_s = (self._changes[1][0] if over else self._clock()) - since_s
            brief = reason in _START_UP and lasted_s < _START_UP_S
            if brief and not over:
                return  # it may be over before it is worth telling
            self._changes.popleft()
            if not brief:
                self._log(reason, words)

    def _log(self, reason: Reason, words: Callable[[Reason], str]) -> None:
        if reason in AS_IT_SHOULD_BE:
            if self._held:
                now = "the arm may move" if reason is Reason.NONE else f"now {reason.name}"
                self._logger.info(f"no longer held for {self._held.name}: {now}")
            self._held = Reason.NONE
            return
        self._held, now_s = reason, self._clock()
        if now_s - self._told_s.get(reason, -_AGAIN_S) >= _AGAIN_S:
            self._told_s[reason] = now_s
            self._logger.warning(f"the arm is held ({reason.name}): {words(reason)}")
