"""The live page over real nodes: what Chromium shows is what they say, and its buttons reach them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from sac_gmm_interfaces.msg import ControllerStatus, EpisodeState
from sac_gmm_interfaces.srv import RunEpisode
from tests.view.conftest import browser, free_port, look, shows  # noqa: F401 - a fixture

from sac_gmm.control import Reason, State
from sac_gmm.view.browser import wait_for_page
from sac_gmm_nodes.common.conversions import point_array
from sac_gmm_nodes.common.qos import RELIABLE, SENSOR
from sac_gmm_nodes.watching.live_view import LiveControls

pytestmark = pytest.mark.slow


class Bench:
    """Simulated robot, controller and episodes in real time, and the page of what they do."""

    def __init__(self, graph, model_file, page) -> None:
        self.graph, self.browser = graph, page
        self.statuses = graph.listen("controller_status", ControllerStatus, RELIABLE)
        self.poses = graph.listen("state/pose", PoseStamped, SENSOR)
        arguments = {"model": model_file, "adapt": "false", "lockstep": "false", "time_limit_s": "100.0"}
        command = [sys.executable, "-m", "sac_gmm.cli.main", "up", "launch/simulation.launch.yaml"]
        graph.run("launch", command + [f"{name}:={value}" for name, value in arguments.items()])
        self.address = f"http://127.0.0.1:{(port := free_port())}"
        graph.run("view", [sys.executable, "-m", "sac_gmm.cli.main", "view", "--port", str(port)])
        wait_for_page(self.address)
        look(page, self.address)

    def press(self, name: str) -> None:
        self.browser.get_by_role("button", name=name, exact=True).click()

    def run_episode(self) -> None:
        client = self.graph.node.create_client(RunEpisode, "run_episode")
        self.graph.wait_to_be_known(client.service_is_ready, "the episode manager")
        client.call_async(RunEpisode.Request(mode=EpisodeState.MODE_BASE, seed=3))

    def wait_for(self, state: State, reason: Reason) -> None:
        def is_so() -> bool:
            return bool(self.statuses) and (self.statuses[-1].state, self.statuses[-1].reason) == (state, reason)

        self.graph.wait(is_so, f"{state.name} for {reason.name}")

    def commanded_m_s(self) -> float:
        velocity = self.statuses[-1].velocity
        return float(np.linalg.norm([velocity.x, velocity.y, velocity.z]))

    def moves(self) -> bool:
        """Whether the tip has moved by more than half a millimetre over its last ten states."""
        tips = [point_array(message.pose.position) for message in self.poses[-10:]]
        return len(tips) == 10 and np.linalg.norm(tips[-1] - tips[0]) > 5e-4


@pytest.fixture
def bench(graph, model_file, browser):  # noqa: F811
    return Bench(graph, model_file, browser)


def test_a_button_press_stops_the_arm(bench):
    shows(bench.browser, "idle")
    number = bench.browser.locator(".mantine-NumberInput-input").first
    number.fill("0.1")  # so that the motion lasts
    number.press("Enter")
    shows(bench.browser, "speed scale 0.1")
    bench.run_episode()
    bench.wait_for(State.ACTIVE, Reason.NONE)
    assert bench.statuses[-1].speed_scale == pytest.approx(0.1)
    bench.graph.wait(bench.moves, "the arm to move")
    shows(bench.browser, "active")

    bench.press("Stop")
    bench.graph.wait(lambda: bench.statuses[-1].reason == Reason.STOPPED, "the controller to stop")
    bench.graph.wait(lambda: bench.commanded_m_s() == 0.0, "the ramp to end")
    bench.graph.wait(lambda: not bench.moves(), "the arm to stand")
    shows(bench.browser, "stopped on request")  # the remedy, in the controller's words

    bench.press("Reset")
    shows(bench.browser, "an episode is running")
    bench.press("Resume")
    bench.wait_for(State.ACTIVE, Reason.NONE)
    bench.graph.wait(bench.moves, "the arm to move again")
    bench.press("Pause")
    bench.graph.wait(lambda: bench.statuses[-1].reason == Reason.PAUSED, "the controller to pause")


def test_a_lost_robot_is_shown_and_the_buttons_say_so(bench):
    shows(bench.browser, "idle")
    launch = bench.graph.processes.pop("launch")
    os.killpg(launch.pid, signal.SIGKILL)  # the nodes end with it
    launch.wait()
    shows(bench.browser, "connection lost: nothing heard for")
    bench.press("Stop")
    shows(bench.browser, "refused: ")
    assert bench.graph.stop("view") == 0


def test_before_anything_runs_the_page_says_what_to_start(graph, browser):  # noqa: F811
    port = free_port()
    graph.run("view", [sys.executable, "-m", "sac_gmm.cli.main", "view", "--port", str(port)])
    wait_for_page(f"http://127.0.0.1:{port}")
    look(browser, f"http://127.0.0.1:{port}")
    shows(browser, "nothing has been heard over ROS 2 yet")
    shows(browser, "simulation.launch.yaml")
    # A second page on the same port is refused in a sentence.
    command = [sys.executable, "-m", "sac_gmm_nodes.watching.live_view", "--ros-args", "-p", f"port:={port}"]
    refused = subprocess.run(command, env=graph.env, capture_output=True, text=True, timeout=300, check=False)
    assert refused.returncode == 2
    assert f"port {port}" in refused.stderr and "Traceback" not in refused.stderr


def test_the_slider_has_the_limits_of_the_controllers_parameter(graph, model_file):
    from rcl_interfaces.srv import DescribeParameters

    graph.start("gmm_controller", model_file=model_file)
    request = DescribeParameters.Request(names=["speed_scale"])
    answer = graph.call(DescribeParameters, "gmm_controller/describe_parameters", request)
    limits = answer.descriptors[0].floating_point_range[0]
    controls = LiveControls(graph.node, "gmm_controller", lambda: False)
    assert controls.speed_range() == (limits.from_value, limits.to_value)
