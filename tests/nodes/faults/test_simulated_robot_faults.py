"""Faults of processes: the whole simulated robot in real time, and one of its nodes killed, frozen or blinded."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from geometry_msgs.msg import TwistStamped
from rclpy.qos import qos_profile_sensor_data
from sac_gmm_interfaces.msg import ControllerStatus, EpisodeState, Heartbeat, MixtureUpdateAnswer
from sac_gmm_interfaces.srv import RunEpisode
from sensor_msgs.msg import Image
from tests.nodes.commands import MANY, Commands
from tests.nodes.conftest import ROOT, Graph
from tests.nodes.executables import module_of
from tests.nodes.faults.conftest import stop_of

from sac_gmm.control import Reason, State
from sac_gmm_nodes.common.conversions import nanoseconds, twist_array
from sac_gmm_nodes.common.qos import EPISODE, RELIABLE, SENSOR

pytestmark = [pytest.mark.ros, pytest.mark.slow]
PERIOD_S = 0.01


class Simulation:
    """Bridge, controller, manager, reward, episodes and adapter, each a process of its own, in real time."""

    def __init__(self, folder: Path, model_file: Path) -> None:
        self.graph = graph = Graph(folder)
        self.commands = Commands(graph)
        self.statuses = graph.listen("controller_status", ControllerStatus, MANY)
        self.episodes = graph.listen("episode_state", EpisodeState, EPISODE)
        self.velocities = graph.listen("state/twist", TwistStamped, qos_profile_sensor_data)
        self.answers = graph.listen("model_update_answer", MixtureUpdateAnswer, RELIABLE)
        self.beats = graph.listen("heartbeat", Heartbeat, MANY)
        self._pictures = graph.node.create_publisher(Image, "fixed_camera/image", SENSOR)
        graph.node.create_subscription(Image, "lens/image", self._on_picture, SENSOR)
        self.cable = True  # of the fixed camera
        self._start("pybullet_bridge", remap={"fixed_camera/image": "lens/image"}, wrist_camera_period_steps=0)
        self._start("lifecycle_manager", nodes="[gmm_controller]", watched="[pybullet_bridge]", heartbeat_timeout_s=3.0)
        self._start(
            "gmm_controller",
            model_file=model_file,
            rate_hz=100.0,
            state_timeout_s=0.5,  # the simulation, too, may have to wait for the processor
            adapter_timeout_s=1.0,
            adapter_return_s=0.5,
        )
        self._start("aruco_reward", use_sim_time=True)
        self._start("episode_manager", silence_timeout_s=3.0, time_limit_s=60.0)
        self._start("sac_adapter", model_file=model_file, use_image=False, control_rate_hz=30.0)

    def _start(self, name: str, remap: dict[str, str] | None = None, **parameters) -> None:
        """As the launch file does: parameters from config/, then our own."""
        files = ["controller.yaml", "adapter.yaml"] if name != "lifecycle_manager" else []
        own = self.graph.folder / f"{name}.yaml"
        given = {key: yaml.safe_load(v) if isinstance(v, str) and v[:1] == "[" else v for key, v in parameters.items()}
        given = {key: str(value) if isinstance(value, Path) else value for key, value in given.items()}
        own.write_text(yaml.safe_dump({name: {"ros__parameters": given}}))
        command = [sys.executable, "-m", module_of(name), "--ros-args"]
        for path in (*(ROOT / "config" / file for file in files), own):
            command += ["--params-file", str(path)]
        for old, new in (remap or {}).items():
            command += ["-r", f"{old}:={new}"]
        self.graph.run(name, command)

    def _on_picture(self, picture: Image) -> None:
        if self.cable:
            self._pictures.publish(picture)

    def begin(self, mode: int = EpisodeState.MODE_BASE):
        """Begin an episode and wait until the arm moves; gives the future of its outcome."""
        client = self.graph.node.create_client(RunEpisode, "run_episode")
        self.graph.wait_to_be_known(client.service_is_ready, "the episode manager")
        self.graph.wait(lambda: self.statuses and self.statuses[-1].reason != Reason.INACTIVE, "the controller")
        count = len(self.episodes)
        future = client.call_async(RunEpisode.Request(mode=mode, seed=1))
        running = EpisodeState.PHASE_RUNNING
        self.graph.wait(lambda: any(e.phase == running for e in self.episodes[count:]), "the episode to run")
        since = len(self.statuses)
        self.graph.wait(lambda: any(abs(s.velocity.z) > 0.03 for s in self.statuses[since:]), "motion")
        return future

    def process(self, name: str):
        return self.graph.processes[name]

    def kill(self, name: str) -> None:
        """Kill a process; it is not waited for any more."""
        process = self.graph.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait(120.0)


@pytest.fixture(scope="module")
def simulation(tmp_path_factory, model_file):
    simulation = Simulation(tmp_path_factory.mktemp("simulation"), model_file)
    try:
        yield simulation
    finally:
        simulation.graph.close()


def test_the_camera_is_gone(simulation, table):
    outcome = simulation.begin()
    since, sent = len(simulation.statuses), len(simulation.commands)
    simulation.cable = False
    simulation.graph.wait(outcome.done, "the end of the episode")
    simulation.cable = True
    answer = outcome.result()
    assert not answer.success
    assert "the camera, its reward, or the simulation is gone" in answer.message
    simulation.graph.wait(
        lambda: any(s.reason == Reason.NO_EPISODE and not any(v(s)) for s in simulation.statuses[since:]), "rest"
    )
    stop = stop_of(simulation.statuses[since:], Reason.NO_EPISODE)
    assert stop.ticks * PERIOD_S <= stop.bound_s
    simulation.commands.check_limits(sent)
    text = f"silence_timeout_s later the episode is given up: ramps {stop}"
    table.add("the reward's camera is unplugged", text, "NO_EPISODE; the episode manager says that the camera is gone")


def test_the_bridge_is_frozen(simulation, table):
    simulation.begin()
    since, sent = len(simulation.statuses), len(simulation.commands)
    bridge = simulation.process("pybullet_bridge").pid
    os.kill(bridge, signal.SIGSTOP)
    try:
        simulation.graph.wait(
            lambda: any(s.reason == Reason.STALE_STATE and not any(v(s)) for s in simulation.statuses[since:]), "rest"
        )
        stop = stop_of(simulation.statuses[since:], Reason.STALE_STATE)
        assert stop.ticks * PERIOD_S <= stop.bound_s
        simulation.graph.wait(
            lambda: "lost: /pybullet_bridge has been silent" in simulation.graph.output("lifecycle_manager"),
            "the manager to notice",
        )
        simulation.graph.wait(lambda: simulation.statuses[-1].reason == Reason.INACTIVE, "the deactivation")
    finally:
        os.kill(bridge, signal.SIGCONT)
    simulation.graph.wait(
        lambda: simulation.statuses[-1].reason != Reason.INACTIVE, "the controller to be active again"
    )
    simulation.commands.check_limits(sent)
    table.add(
        "the robot's process is frozen",
        f"ramps {stop}; deactivated by the lifecycle manager, activated again when it is back",
        "STALE_STATE, then INACTIVE",
    )
    finish(simulation)


def test_the_adapter_is_killed(simulation, table):
    graph = simulation.graph
    graph.wait(lambda: graph.node.count_publishers("model_update"), "the adapter")
    simulation.begin(EpisodeState.MODE_TRAIN)
    since, sent = len(simulation.statuses), len(simulation.commands)
    graph.wait(lambda: any(s.version > 0 for s in simulation.statuses[since:]), "an update in force")
    simulation.kill("sac_adapter")
    killed = len(simulation.statuses)
    graph.wait(lambda: simulation.statuses[-1].version == 0, "the return to the base skill")
    assert not simulation.statuses[-1].adapter_alive
    after = simulation.statuses[killed:]
    assert all(status.state == State.ACTIVE for status in after), {status.reason for status in after}
    simulation.commands.check_limits(sent)
    table.add(
        "the adapter is killed",
        "goes on with the last version; adapter_timeout_s later the base skill takes over without a jump",
        "ACTIVE, adapter_alive false, version 0",
    )
    finish(simulation)


def test_the_controller_is_killed(simulation, table):
    graph = simulation.graph
    sent = len(simulation.commands)
    simulation.begin()
    graph.wait(lambda: np.linalg.norm(twist_array(simulation.velocities[-1])[:3]) > 0.02, "the arm to move")
    simulation.kill("gmm_controller")
    last_ns = nanoseconds(simulation.velocities[-1].header.stamp)
    start = len(simulation.velocities) - 1
    graph.wait(lambda: nanoseconds(simulation.velocities[-1].header.stamp) > last_ns + 1_500_000_000, "the arm's state")
    ages = np.array([nanoseconds(m.header.stamp) - last_ns for m in simulation.velocities[start:]]) * 1e-9
    speeds = np.array([np.linalg.norm(twist_array(m)[:3]) for m in simulation.velocities[start:]])
    moving = ages[speeds > 0.015]
    rest_s = moving.max() if moving.size else 0.0
    way_m = float(np.sum(speeds[:-1] * np.diff(ages)))
    assert rest_s <= 0.3, "the time-out of a command, and the arm's own braking"
    simulation.commands.check_limits(sent)
    graph.wait(
        lambda: "lost: /gmm_controller has been silent" in graph.output("lifecycle_manager"), "the manager to notice"
    )
    table.add(
        "the controller is killed",
        f"the driver's command time-out stops it: below 15 mm/s after {rest_s * 1e3:.0f} ms, {way_m * 1e3:.0f} mm",
        "none; the lifecycle manager says that it is lost",
    )


def finish(simulation) -> None:
    """End the running episode by taking the camera away, and wait for rest."""
    simulation.cable = False
    idle = (EpisodeState.PHASE_IDLE, EpisodeState.PHASE_ENDED)
    simulation.graph.wait(lambda: simulation.episodes[-1].phase in idle, "the end of the episode")
    simulation.cable = True


def v(status: ControllerStatus) -> tuple[float, float, float]:
    """The commanded velocity of a status."""
    return status.velocity.x, status.velocity.y, status.velocity.z
