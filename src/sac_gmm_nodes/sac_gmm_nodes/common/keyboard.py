"""Single key presses from the terminal in which a node was started; no node depends on them."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import sys
import termios
import threading
import tty

_POLL_S = 0.1


class Keyboard:
    """Collects pressed keys; `close` restores the terminal."""

    def __init__(self) -> None:
        self.keys: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> bool:
        """Start listening; false if there is no terminal, as under a launch file."""
        if not sys.stdin.isatty():
            return False
        self._before = termios.tcgetattr(sys.stdin)
        tty.setcbreak(sys.stdin)
        self._thread = threading.Thread(target=self._listen, name="keyboard", daemon=True)
        self._thread.start()
        return True

    def close(self) -> None:
        """Stop listening."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            with contextlib.suppress(termios.error):
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def _listen(self) -> None:
        descriptor = sys.stdin.fileno()
        while not self._stopping.is_set():
            if select.select([descriptor], [], [], _POLL_S)[0]:
                pressed = os.read(descriptor, 32)  # bypasses Python's buffer, which `select` cannot see
                if not pressed:
                    return
                for key in pressed.decode(errors="ignore"):
                    self.keys.put(key)
