"""The buttons of a source that plays something: pause, resume, restart, faster or slower."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from sac_gmm.view.snapshot import Snapshot


class InterruptedPlaybackError(Exception):
    """What is being played should restart or end."""


class Playback:
    """Paces a thread that plays something, and carries out the page's buttons.

    Args:
        what: What is played, in words; used in messages.
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
        """Start playing something new."""
        with self._news:
            self._restart = False
            self._due_s = time.monotonic()

    def wait(self, dt_s: float) -> float:
        """Wait until `dt_s` more have been played; return how late that is, s.

        Raises:
            InterruptedPlaybackError: It should restart or end.
        """
        with self._news:
            while not (self._restart or self._ended):
                if self._halt_state is not None:
                    self._news.wait()
                    self._due_s = time.monotonic()
                    continue
                left_s = self._due_s + dt_s / self.speed - time.monotonic()
                if left_s <= 0.0:
                    # A long delay is not made up for.
                    self._due_s = max(self._due_s + dt_s / self.speed, time.monotonic() - 0.5)
                    return -left_s
                self._news.wait(left_s)
            raise InterruptedPlaybackError

    def idle(self, timeout_s: float | None = None) -> None:
        """Wait for `timeout_s`, or forever, unless it should restart or end."""
        with self._news:
            self._news.wait_for(lambda: self._restart or self._ended, timeout_s)

    def marked(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot; while playback is halted, its status says so."""
        if self._halt_state is None or snapshot.status.state in ("ended", "failed"):
            return snapshot
        return replace(snapshot, status=replace(snapshot.status, state=self._halt_state, remedy="Resume goes on."))

    # The page's buttons ----------------------------------------------------------------------------------------

    def speed_range(self) -> tuple[float, float]:
        """From a tenth of real time to eight times real time."""
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
        """Play at `speed` times real time."""
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
