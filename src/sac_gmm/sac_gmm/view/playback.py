"""The buttons of a source that plays something: halt it, go on, begin again, faster or slower."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from sac_gmm.view.snapshot import Snapshot


class InterruptedPlaybackError(Exception):
    """What is being played is to begin again, or to end."""


class Playback:
    """Paces a thread that plays, and is what the page's buttons act on.

    Args:
        what: What is played, in words.
    """

    def __init__(self, what: str) -> None:
        self._news = threading.Condition()
        self._halt_state: str | None = None  # paused or stopped
        self._restart = self._ended = False
        self.speed = 1.0
        self._due_s = time.monotonic()
        self.names = {
            "pause": f"halt {what}",
            "resume": "go on",
            "stop": f"halt {what} until resumed",
            "reset": f"begin {what} again",
            "speed": "of what is played, against real time",
        }

    @property
    def ended(self) -> bool:
        """Whether `close` was called."""
        return self._ended

    def begin(self) -> None:
        """Something new begins to play."""
        with self._news:
            self._restart = False
            self._due_s = time.monotonic()

    def wait(self, dt_s: float) -> float:
        """Wait until `dt_s` more have been played; how late that comes, s.

        Raises:
            InterruptedPlaybackError: It is to begin again, or to end.
        """
        with self._news:
            while not (self._restart or self._ended):
                if self._halt_state is not None:
                    self._news.wait()
                    self._due_s = time.monotonic()
                    continue
                left_s = self._due_s + dt_s / self.speed - time.monotonic()
                if left_s <= 0.0:
                    # What comes much too late is not made up for.
                    self._due_s = max(self._due_s + dt_s / self.speed, time.monotonic() - 0.5)
                    return -left_s
                self._news.wait(left_s)
            raise InterruptedPlaybackError

    def idle(self, timeout_s: float | None = None) -> None:
        """Wait for `timeout_s` or for ever, unless it is to begin again or to end."""
        with self._news:
            self._news.wait_for(lambda: self._restart or self._ended, timeout_s)

    def marked(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot, whose status says so while what is played is halted."""
        if self._halt_state is None or snapshot.status.state in ("ended", "failed"):
            return snapshot
        return replace(snapshot, status=replace(snapshot.status, state=self._halt_state, remedy="Resume goes on."))

    # The page's buttons ----------------------------------------------------------------------------------------

    def speed_range(self) -> tuple[float, float]:
        """From a tenth of real time to eight times as fast."""
        return 0.1, 8.0

    def pause(self) -> str:
        """Halt."""
        return self._halt("paused")

    def resume(self) -> str:
        """Go on."""
        return self._halt(None)

    def stop(self) -> str:
        """Halt."""
        return self._halt("stopped")

    def reset(self) -> str:
        """Begin again."""
        with self._news:
            self._restart = True
        self._halt(None)
        return "from the start"

    def set_speed(self, speed: float) -> str:
        """Play so many times as fast as real time."""
        with self._news:
            self.speed = speed
            self._news.notify_all()
        return f"{speed:g} times real time"

    def close(self) -> None:
        """End."""
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _halt(self, state: str | None) -> str:
        with self._news:
            self._halt_state = state
            self._news.notify_all()
        return state or "going on"
