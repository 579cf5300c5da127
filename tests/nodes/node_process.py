"""Real node processes and a real rclpy context, alone in a ROS domain of their own."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node


def free_domain() -> int:
    """A domain that other test processes on this machine are unlikely to use at the same time."""
    return 1 + (os.getpid() * 7 + time.monotonic_ns() // 1000) % 100


class Graph:
    """A node in this process and node processes beside it, in one domain."""

    def __init__(self):
        self.domain = free_domain()
        self.context = Context()
        rclpy.init(context=self.context, domain_id=self.domain)
        self.node = Node("tester", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.processes = []

    def start(self, module, *arguments, **parameters):
        """Start `python -m sac_gmm_nodes.MODULE` with ROS parameters; returns the process."""
        command = [sys.executable, "-m", f"sac_gmm_nodes.{module}", *arguments, "--ros-args"]
        for name, value in parameters.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            command += ["-p", f"{name}:={text}"]
        process = subprocess.Popen(
            command,
            env=os.environ | {"ROS_DOMAIN_ID": str(self.domain)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.append(process)
        return process

    def wait(self, condition, timeout_s=20.0, what="the condition"):
        """Spin until the condition holds."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come within {timeout_s} s"
            self.executor.spin_once(timeout_sec=0.02)

    def call(self, client, request, timeout_s=20.0):
        """Call a service and return its answer."""
        self.wait(client.service_is_ready, timeout_s, f"service {client.srv_name}")
        future = client.call_async(request)
        self.wait(future.done, timeout_s, f"the answer of {client.srv_name}")
        return future.result()

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=10)
            process.kill()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


def output_of(process, timeout_s=20.0):
    """Wait for a process to end; its output and exit code."""
    text, _ = process.communicate(timeout=timeout_s)
    return text, process.returncode
