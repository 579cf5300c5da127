"""Watch the robot, a recording or a training run in a browser on this machine.

    sac-gmm view
    sac-gmm view runs/door_0
    sac-gmm view demos/door/door_00

Without a folder, it shows the robot or simulation running over ROS 2, and its buttons can halt it. With the folder of a
training run, it follows the run and plays episodes of its newest policy; with a bag, it plays the bag. The page is
served only to this machine and loads nothing from elsewhere. Ctrl-C closes it.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sac_gmm.core.command_line import help_text
from sac_gmm.core.errors import UserError
from sac_gmm.core.processes import stop_program

_STOP_S = 10.0  # time for the node to end by itself


@dataclass(frozen=True)
class View:
    """Options of the live page."""

    # Folder of a run, or a bag; omit it to watch what runs over ROS 2.
    what: Annotated[Path | None, tyro.conf.Positional] = None
    # Port of the page; it must be free.
    port: int = 8080
    # Address to listen on. With 0.0.0.0, everybody on the network sees the page and can press its buttons.
    host: str = "127.0.0.1"
    # Update rate of the page, Hz.
    rate_hz: float = 10.0
    # Model file of the skill as fitted, for a bag that does not contain it.
    skill: Path | None = None
    # Task running over ROS 2: its gripper and its demonstrations are drawn.
    task: str = "door"
    # Folder with one folder of bags per task.
    demonstrations: Path = Path("demos")
    # Take a picture of the page once it shows something, then exit. Needs Chromium.
    screenshot: Path | None = None
    # Tab of the panel shown in this picture.
    tab: Literal["Scene", "Sensors", "Learning", "Timing"] = "Scene"
    # Where the scene's camera looks in this picture.
    look_at: Literal["robot", "skill"] = "robot"
    # Time to run the page before this picture, s.
    after_s: float = 8.0


def main(args: list[str]) -> int:
    """Open the page."""
    return run(tyro.cli(View, args=args, prog="sac-gmm view", description=help_text(__doc__)))


def run(asked: View) -> int:
    """Show the page until Ctrl-C."""
    if not 0.2 <= asked.rate_hz <= 60.0:
        raise UserError(f"rate_hz = {asked.rate_hz:g} is out of range: expected 0.2 to 60 Hz")
    if asked.what is None:
        return _watch_ros(asked)

    from sac_gmm.view.live_page import LivePage
    from sac_gmm.view.sources import open_source

    source = open_source(asked.what, asked.demonstrations, asked.skill)
    with contextlib.closing(source), contextlib.closing(LivePage(source, asked.host, asked.port)) as page:
        print(f"{source.title}: open {page.address} in a browser on this machine; Ctrl-C closes it", flush=True)
        stopping = threading.Event()
        if asked.screenshot is None:
            with contextlib.suppress(KeyboardInterrupt):  # the user closes the page
                page.run(stopping, asked.rate_hz)
            return 0
        showing = threading.Thread(target=page.run, args=(stopping, asked.rate_hz), daemon=True)
        showing.start()
        try:
            _take_picture(asked, page.address)
        finally:
            stopping.set()
            showing.join()
    return 0


def _watch_ros(asked: View) -> int:
    """Let the node show the page: only it knows ROS."""
    from sac_gmm.launcher.packages import find_package
    from sac_gmm.tasks import task_class

    executable = find_package("sac_gmm_nodes") / "lib" / "sac_gmm_nodes" / "live_view"
    parameters: dict[str, object] = {"host": asked.host, "port": asked.port, "rate_hz": asked.rate_hz}
    parameters["task"] = asked.task
    if (bags := asked.demonstrations / task_class(asked.task).demonstrations_folder()).is_dir():
        parameters["demonstrations"] = bags.resolve()
    if asked.skill is not None:
        parameters["skill_file"] = asked.skill.resolve()
    command = [str(executable), "--ros-args"]
    for name, value in parameters.items():
        command += ["-p", f"{name}:={value}"]
    node = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        if asked.screenshot is None:
            with contextlib.suppress(KeyboardInterrupt):  # the user closes the page
                return node.wait()
            return 0
        _take_picture(asked, f"http://{asked.host}:{asked.port}", lambda: node.poll() is None)
        return 0
    finally:
        stop_program(node, _STOP_S)


def _take_picture(asked: View, address: str, serving: Callable[[], bool] = lambda: True) -> None:
    from sac_gmm.view.browser import look, open_browser, take_picture, wait_for_page

    assert asked.screenshot is not None
    wait_for_page(address, serving)
    with open_browser() as browser:
        look(browser, address)
        if asked.look_at != "robot":
            browser.get_by_role("button", name=asked.look_at, exact=True).click()
            browser.get_by_label("See through the robot").click()
        browser.get_by_role("tab", name=asked.tab, exact=True).click()
        browser.wait_for_timeout(1e3 * asked.after_s)
        take_picture(browser, asked.screenshot)
    print(f"wrote {asked.screenshot}")
