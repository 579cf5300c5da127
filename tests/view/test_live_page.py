"""The page as a person has it: in Chromium, with a real recording behind it."""

import io
import sys
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from tests.view.conftest import BAG, free_port, look, shows, wait

from sac_gmm.core.errors import UserError
from sac_gmm.view.bag_source import BagSource
from sac_gmm.view.live_page import LOOPBACK, LivePage

pytestmark = pytest.mark.slow


def scene(browser) -> np.ndarray:
    """What the three-dimensional view shows now."""
    shot = browser.screenshot(clip={"x": 100, "y": 100, "width": 400, "height": 480})
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), dtype=int)


def changed(before: np.ndarray, after: np.ndarray) -> int:
    """How many pixels are not the same."""
    return int((np.abs(after - before).max(axis=2) > 40).sum())


def test_the_page_opens_and_asks_nobody_else(serve, browser):
    connected = []
    sys.addaudithook(lambda event, args: connected.append(args[1]) if event == "socket.connect" else None)
    served = serve(BagSource(BAG))
    look(browser, served.page.address)
    shows(browser, "door_00")
    shows(browser, "the bag has ended")
    assert len(browser.asked) >= 3
    elsewhere = [url for url in browser.asked if urlsplit(url.removeprefix("blob:")).hostname != LOOPBACK]
    assert elsewhere == []
    # Nor does the server ask anybody; what connects in this process is the test's own driver of the browser.
    assert [address for address in connected if isinstance(address, tuple) and address[0] != LOOPBACK] == []


def test_the_robot_moves_and_the_buttons_hold_it(serve, browser):
    served = serve(BagSource(BAG))
    look(browser, served.page.address)
    before = scene(browser)
    # On a busy machine the recording is over before the first picture is drawn.
    browser.get_by_role("button", name="Reset", exact=True).click()
    wait(lambda: changed(before, scene(browser)) > 100, "the robot to move")

    browser.get_by_role("button", name="Reset", exact=True).click()
    shows(browser, "from the start")
    browser.get_by_role("button", name="Stop", exact=True).click()
    shows(browser, "stopped")
    time_s = served.source.snapshot().time_s

    def stands() -> bool:
        first = scene(browser)
        return changed(first, scene(browser)) == 0

    wait(stands, "the robot to stand still")
    assert served.source.snapshot().time_s == time_s

    number = browser.locator(".mantine-NumberInput-input").first
    number.fill("4")
    number.press("Enter")
    shows(browser, "4 times real time")
    assert served.source.controls.speed == 4.0
    browser.get_by_role("button", name="Resume", exact=True).click()
    shows(browser, "the bag has ended")


def test_a_layer_of_the_scene_can_be_hidden(serve, browser):
    served = serve(BagSource(BAG))
    look(browser, served.page.address)
    shows(browser, "the bag has ended")
    browser.get_by_text("Show and hide").click()
    before = scene(browser)
    browser.get_by_label("path in this episode").click()
    wait(lambda: changed(before, scene(browser)) > 30, "the way to be gone")


def test_the_browser_itself_tells_of_a_server_that_is_gone(serve, browser):
    served = serve(BagSource(BAG))
    look(browser, served.page.address)
    told = browser.locator("#page-lost")

    def height() -> float:
        box = told.bounding_box()  # None in the moment in which a beat replaces it
        return -1.0 if box is None else box["height"]

    wait(lambda: height() == 0.0, "the first beat")
    served.close()
    wait(lambda: height() > 20.0, "the page to say that its server is gone")
    assert "lost its server" in told.inner_text()


def test_a_port_that_is_taken_is_refused(serve):
    served = serve(BagSource(BAG))
    port = int(served.page.address.rsplit(":", 1)[1])
    with pytest.raises(UserError, match=rf"port {port} \(Address already in use\).*--port"):
        LivePage(served.source, port=port)


def test_an_address_of_another_machine_is_refused():
    source = BagSource(BAG)
    with pytest.raises(UserError, match=r"cannot listen on 192\.0\.2\.1"):
        LivePage(source, "192.0.2.1", free_port())
    source.close()
