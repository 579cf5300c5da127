"""A headless Chromium that opens the page, for pictures, measurements and tests."""

from __future__ import annotations

import contextlib
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import atomic_file

if TYPE_CHECKING:
    from playwright.sync_api import Page

# WebGL without a graphics card, and no network traffic of its own.
_FLAGS = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-background-networking")
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE_MS = 60_000  # a busy machine draws slowly
SIZE = (1500, 900)  # window size, pixels


def find_chromium() -> str | None:
    """The browser's executable; None if there is none."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


@contextlib.contextmanager
def open_browser(size: tuple[int, int] = SIZE) -> Iterator[Page]:
    """An empty page of a headless Chromium, closed on exit.

    Args:
        size: Window size in pixels; without a graphics card a small window is drawn much faster.

    Raises:
        UserError: Chromium or the package that drives it is missing.
    """
    executable = find_chromium()
    if executable is None:
        raise UserError("no Chromium was found: install it, for example with `make browser`")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise UserError("the package playwright, which drives the browser, is missing: run `make setup`") from error
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=[*_FLAGS, "--no-sandbox"], chromium_sandbox=False
        )
        try:
            page = browser.new_page(viewport={"width": size[0], "height": size[1]})
            page.set_default_timeout(_PATIENCE_MS)
            # Start the renderer now, not when the page is opened: a user's browser has been running for long.
            page.evaluate("document.createElement('canvas').getContext('webgl2')")
            yield page
        finally:
            browser.close()


def wait_for_page(address: str, serving: Callable[[], bool] = lambda: True, timeout_s: float = 60.0) -> None:
    """Wait until someone listens at an address.

    Raises:
        UserError: Nobody does in time, or `serving()` has become false.
    """
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s and serving():
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5.0):
            return
        time.sleep(0.05)
    raise UserError(f"nobody serves a page at {address}")


def look(page: Page, address: str) -> None:
    """Open the live page and wait until it has loaded completely."""
    page.goto(address)
    page.get_by_role("button", name="Stop", exact=True).wait_for()


def take_picture(page: Page, path: Path) -> None:
    """Save what the browser shows as .png, without the notes about software rendering."""
    for note in page.locator(".mantine-Notification-closeButton").all():
        note.click()
    page.mouse.move(1, 1)  # otherwise a tooltip may be visible
    page.wait_for_timeout(500)
    with atomic_file(path) as partial:
        page.screenshot(path=partial, type="png")
