"""The live page in a real headless Chromium."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sac_gmm.view.browser import find_chromium, look, open_browser
from sac_gmm.view.live_page import LivePage

ROOT = Path(__file__).resolve().parents[2]
BAG = ROOT / "demos" / "door" / "door_00"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait(condition: Callable[[], object], what: str, timeout_s: float = 120.0) -> None:
    """Wait until `condition()` holds."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end_s:
            pytest.fail(f"waited {timeout_s:g} s in vain for: {what}")
        time.sleep(0.02)


class ServedPage:
    """A page that shows a source, served by a thread of this process."""

    def __init__(self, source) -> None:
        self.source = source
        self.page = LivePage(source, port=free_port())
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self.page.run, args=(self._stopping,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        if not self._stopping.is_set():
            self._stopping.set()
            self._thread.join()
            self.page.close()
            self.source.close()


@pytest.fixture
def serve():
    """Serve the page of a source until the test ends."""
    served: list[ServedPage] = []

    def start(source) -> ServedPage:
        served.append(ServedPage(source))
        return served[-1]

    yield start
    for page in served:
        page.close()


@pytest.fixture
def browser():
    """A browser with an empty page, which notes the addresses that it asks for in `asked`."""
    if find_chromium() is None:
        pytest.skip("no Chromium is installed: `make browser` installs it")
    with open_browser((900, 600)) as page:
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("websocket", lambda websocket: page.asked.append(websocket.url))
        yield page


def shows(page, text: str, timeout_s: float = 120.0) -> None:
    """Wait until the page shows a text."""
    page.get_by_text(text).first.wait_for(timeout=1e3 * timeout_s)


__all__ = ["BAG", "ROOT", "ServedPage", "free_port", "look", "shows", "wait"]
