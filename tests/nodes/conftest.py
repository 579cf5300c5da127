"""Real nodes in processes of their own, over real DDS, in a domain that belongs to one test alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.nodes.executables import module_of
from tests.nodes.fault_table import table  # noqa: F401 - a fixture
from tests.ros_domain import free_domain

ROOT = Path(__file__).resolve().parents[2]
_ACQUAINTANCE_S = 0.5  # until a server that has only just come knows us
_KNOWN_S = 0.2  # until one that has been there knows a new client
sys.path.insert(0, str(Path(__file__).parent))  # for what the tests of this folder share

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has it for what it starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what is started from here shall hear Ctrl-C


class Graph:
    """The nodes of one test and a listener in the test's own process.

    Everything waits on conditions: `wait` polls one until it holds, and shows the nodes' output when it does not.
    """

    def __init__(self, folder: Path) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self.folder = folder
        self.domain, self._domain_lock = free_domain()
        self.env = os.environ | {
            "ROS_DOMAIN_ID": str(self.domain),
            "ROS_LOG_DIR": str(folder / "ros_log"),
            "PYTHONUNBUFFERED": "1",
            "PYTHONFAULTHANDLER": "1",  # what does not end says where it hangs, see `stop`
            "OMP_NUM_THREADS": "1",
        }
        self.processes: dict[str, subprocess.Popen] = {}
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=self.domain)
        self.node = rclpy.create_node("listener", context=self.context)
        self.messages: dict[str, list] = defaultdict(list)
        self._clients: dict[str, Any] = {}  # by service
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._spinning = True
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def start(self, name: str, *, executable: str | None = None, **parameters) -> subprocess.Popen:
        """Start a node under the name `name`, by the module of its executable."""
        command = [sys.executable, "-m", module_of(executable or name), "--ros-args"]
        for key, value in parameters.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            command += ["-p", f"{key}:={text}"]
        return self.run(name, command)

    def run(self, name: str, command: list[str]) -> subprocess.Popen:
        """Start any command as a process of this test."""
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                command, env=self.env, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.processes[name] = process
        return process

    def output(self, name: str) -> str:
        """What a process has printed so far."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def listen(self, topic: str, kind: type, qos) -> list:
        """Collect the messages of a topic; the list grows while the test goes on."""
        received = self.messages[topic]
        self.node.create_subscription(kind, topic, received.append, qos)
        return received

    def spin_too(self, node) -> None:
        """Run the callbacks of another node in the test's process."""
        self._executor.add_node(node)

    def call(self, kind: type, service: str, request, timeout_s: float = 120.0):
        """Call a service and return its response."""
        if service not in self._clients:
            self._clients[service] = self.node.create_client(kind, service)
        client = self._clients[service]
        self.wait_to_be_known(client.service_is_ready, f"service {service}", timeout_s)
        future = client.call_async(request)
        self.wait(future.done, f"answer of {service}", timeout_s)
        return future.result()

    def wait_to_be_known(self, is_ready: Callable[[], bool], what: str, timeout_s: float = 120.0) -> None:
        """Wait for a server, and a moment longer, above all if it has only just come.

        Discovery is not mutual at once: it may not know us yet, and its answer would be lost.
        """
        begun_s = time.monotonic()
        self.wait(is_ready, what, timeout_s)
        time.sleep(_ACQUAINTANCE_S if time.monotonic() - begun_s > _ACQUAINTANCE_S / 2 else _KNOWN_S)

    def wait(self, condition: Callable[[], object], what: str, timeout_s: float = 120.0) -> None:
        """Wait until `condition()` holds; fail with the output of all processes when it does not or one has failed."""
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end or any(process.poll() for process in self.processes.values()):
                outputs = "\n".join(f"--- {name}\n{self.output(name)[-3000:]}" for name in self.processes)
                pytest.fail(f"waited {timeout_s:g} s in vain for: {what}\n{outputs}")
            time.sleep(0.01)

    def stop(self, name: str, sign: int = signal.SIGINT, timeout_s: float = 120.0) -> int:
        """Send a signal to one process, wait for its end and return its exit code."""
        process = self.processes.pop(name)
        if process.poll() is None:
            process.send_signal(sign)
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # its threads' tracebacks go into its output
            process.wait(10.0)
            pytest.fail(f"{name} did not end within {timeout_s:g} s:\n{self.output(name)[-8000:]}")

    def close(self) -> None:
        """End everything that this test started."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self.processes.values():
            try:
                process.wait(60.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._spinning = False
        self._executor.wake()
        self._thread.join()
        self.node.destroy_node()
        self.context.try_shutdown()
        self._domain_lock.close()

    def _spin(self) -> None:
        while self._spinning:
            self._executor.spin_once(timeout_sec=0.1)


@pytest.fixture
def graph(tmp_path):
    """An empty graph, ended with the test."""
    graph = Graph(tmp_path)
    yield graph
    graph.close()


@pytest.fixture(scope="session")
def model_file(tmp_path_factory) -> Path:
    """A skill that goes down onto the target: no demonstration is needed to test the graph."""
    from sac_gmm.models import GaussianMixture, SkillModel, save_model

    means = np.zeros((3, 6))
    means[:, 2] = [0.12, 0.06, 0.0]
    means[:-1, 5] = -0.06
    covariance = np.diag([4e-3] * 3 + [1e-3] * 3)
    covariance[[0, 1, 2], [3, 4, 5]] = covariance[[3, 4, 5], [0, 1, 2]] = -1e-3
    mixture = GaussianMixture(np.full(3, 1 / 3), means, np.tile(covariance, (3, 1, 1)))
    path = tmp_path_factory.mktemp("model") / "down.npz"
    save_model(path, SkillModel("gmm", mixture, np.zeros(3)))
    return path
