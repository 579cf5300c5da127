"""Measures the control loop across processes; `sac-gmm bench loop` runs it and writes the result file.

    python -m sac_gmm_nodes.bench.loop_bench --seconds 20 --rates 100 250

A robot in this process sends a state at every deadline and receives the commands. The controller runs in its own
process, as does a learner that never rests. The peer is the same controller on an rclpy timer, with its states
delivered by the executor, as such nodes are usually written.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sac_gmm_interfaces.msg import EpisodeState

from sac_gmm.core.errors import UserError
from sac_gmm.models import GaussianMixture, SkillModel, save_model
from sac_gmm_nodes.common.conversions import header, nanoseconds, pose_message, stamp_of
from sac_gmm_nodes.common.node import run_node
from sac_gmm_nodes.common.polling import Polled
from sac_gmm_nodes.common.qos import EPISODE, LATCHED, RELIABLE, SENSOR
from sac_gmm_nodes.control.control_loop import claim_processor, realtime_allowed
from sac_gmm_nodes.control.gmm_controller import GmmController

_WARM_UP_S = 3.0  # after the first command
_READY_S = 60.0
_FRAME = "lbr_link_0"  # the controller's default
_NO_TURN = np.array([0.0, 0.0, 0.0, 1.0])
_TARGET_M = np.array([0.5, 0.0, 0.3])
_DEADLINE = "sac_gmm_nodes.control.gmm_controller"
_TIMER = "sac_gmm_nodes.bench.loop_bench"


class TimerController(GmmController):
    """The peer: ticks in an rclpy timer of the executor, which also delivers the states."""

    states_by_executor = True

    def configure(self) -> None:
        """Start the timer instead of the loop's thread."""
        super().configure()
        assert self._loop is not None and self._thread is not None
        self._loop.end()
        self._thread.join()
        self._period_s, self._begun_s, self._number = 1 / self._rate_hz, time.monotonic(), 0
        self._timer = self.create_timer(self._period_s, self._on_timer, clock=self.steady_clock)

    def cleanup(self) -> None:
        """Stop the timer."""
        self._timer.cancel()
        super().cleanup()

    def deactivate(self) -> None:
        """Stop at once: a transition, which also runs in the executor, cannot wait for ticks."""
        self._moving_allowed = False
        self._send_zero()

    def _on_timer(self) -> None:
        # A late timer skips deadlines; the skipped ones count as missed.
        passed_s = time.monotonic() - self._begun_s
        self._number = max(self._number + 1, int(passed_s / self._period_s))
        self._wall_tick(max(passed_s - self._number * self._period_s, 0.0))


class _Robot:
    """Sends states at absolute deadlines, and notes when the command for each arrived."""

    def __init__(self, node: Node, rate_hz: float, priority: int) -> None:
        self._priority, self._logger = priority, node.get_logger()
        qos = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
        self._poses = node.create_publisher(PoseStamped, "state/pose", SENSOR)
        self._commands = node.create_subscription(TwistStamped, "command/twist", _ignore, qos, callback_group=Polled())
        self._period_s = 1 / rate_hz
        self._message = pose_message(np.array([0.5, 0.0, 0.5]), _NO_TURN, header(stamp_of(0), _FRAME))
        self._ended = threading.Event()
        self.latencies_s: list[float] = []
        self.sent = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        claim_processor(self._priority, [], False, self._logger)
        deadline_s = time.monotonic()
        while not self._ended.is_set():
            deadline_s += self._period_s
            time.sleep(max(deadline_s - time.monotonic(), 0.0))
            stamp = self._message.header.stamp
            stamp.sec, stamp.nanosec = divmod(time.time_ns(), 1_000_000_000)
            self._poses.publish(self._message)
            self.sent += 1
            with self._commands.handle:
                while (found := self._commands.handle.take_message(TwistStamped, False)) is not None:
                    message, info = found
                    self.latencies_s.append((info["received_timestamp"] - nanoseconds(message.header.stamp)) * 1e-9)


def measure(rate_hz: float, module: str, model: Path, seconds: float, priority: int) -> dict[str, Any]:
    """Run one controller for a while; return times in milliseconds and microseconds.

    Raises:
        UserError: The controller did not move the arm.
    """
    reports: list[tuple[float, dict[str, str]]] = []
    node = rclpy.create_node("robot")
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def on_diagnostics(message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith("gmm_controller"):
                reports.append((time.monotonic(), {entry.key: entry.value for entry in status.values}))

    node.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, RELIABLE)
    targets = node.create_publisher(PoseStamped, "target_pose", LATCHED)
    episodes = node.create_publisher(EpisodeState, "episode_state", EPISODE)
    now = stamp_of(time.time_ns())
    targets.publish(pose_message(_TARGET_M, _NO_TURN, header(now, _FRAME)))
    running = EpisodeState(phase=EpisodeState.PHASE_RUNNING, episode_id=1, time_limit_s=3600.0, start_stamp=now)
    episodes.publish(running)
    robot = _Robot(node, rate_hz, priority)
    parameters = {"model_file": model, "rate_hz": rate_hz, "autostart": "true", "realtime_priority": priority}
    command = [sys.executable, "-m", module, "--ros-args", "-r", "__node:=gmm_controller"]
    for name, value in parameters.items():
        command += ["-p", f"{name}:={value}"]
    controller = subprocess.Popen(command, env={**os.environ, "SAC_GMM_TIMER_CONTROLLER": "1"})
    try:
        ready_by_s = time.monotonic() + _READY_S
        while not (robot.latencies_s and reports):
            if time.monotonic() > ready_by_s:
                raise UserError(f"no command and no report within {_READY_S:g} s")
            _spin(executor, 0.1, controller)
        _spin(executor, _WARM_UP_S, controller)
        robot.latencies_s.clear()
        first = len(reports) - 1
        _spin(executor, seconds, controller)
    finally:
        controller.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            controller.wait(10.0)
        controller.kill()
        robot.end()
        executor.shutdown()
        node.destroy_node()
    (begun_s, before), (ended_s, after) = reports[first], reports[-1]
    due = (ended_s - begun_s) * rate_hz
    ticks, on_time = (int(after[key]) - int(before[key]) for key in ("ticks", "ticks_on_time"))
    latencies_ms = np.array(robot.latencies_s) * 1e3
    return {
        "ticks": ticks,
        "on_time_share": min(on_time / max(due, ticks), 1.0),
        "achieved_hz": ticks / (ended_s - begun_s),
        "late_ms_median": float(after["late_ms_median"]),
        "late_ms_p999": float(after["late_ms_p999"]),
        "late_ms_max": float(after["late_ms_max"]),
        "compute_us_median": float(after["compute_us_median"]),
        "compute_us_p99": float(after["compute_us_p99"]),
        "latency_ms_median": float(np.median(latencies_ms)),
        "latency_ms_p99": float(np.quantile(latencies_ms, 0.99)),
        "states_answered_share": len(latencies_ms) / max(seconds * rate_hz, 1),
    }


def _spin(executor: SingleThreadedExecutor, seconds: float, controller: subprocess.Popen) -> None:
    end_s = time.monotonic() + seconds
    while (left_s := end_s - time.monotonic()) > 0:
        if controller.poll() is not None:
            raise UserError(f"the controller exited with code {controller.returncode}; its output is above")
        executor.spin_once(timeout_sec=left_s)


def _ignore(_message: TwistStamped) -> None:
    """Commands are received by the robot's own loop."""


def _skill(path: Path) -> None:
    """A skill of seven components in three dimensions: the size of a real one."""
    rng = np.random.default_rng(0)
    means = np.hstack([rng.normal(scale=0.1, size=(7, 3)), rng.normal(scale=0.05, size=(7, 3))])
    spread = rng.normal(size=(7, 6, 6)) * 0.05
    covariances = spread @ spread.transpose(0, 2, 1) + 1e-3 * np.eye(6)
    save_model(path, SkillModel("gmm", GaussianMixture(np.full(7, 1 / 7), means, covariances), np.zeros(3)))


@contextlib.contextmanager
def _learner(wanted: bool) -> Iterator[None]:
    """A learner that works without pause in its own process, started as the adapter starts it."""
    if not wanted:
        yield
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "sac_gmm_nodes.bench.loop_bench", "--learner"], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise UserError("the learner did not start; its output is above")
        yield
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20.0)
        process.kill()


def learn() -> None:
    """Feed a learner faster than it learns, until interrupted."""
    import torch

    from sac_gmm.rl import AlgorithmSpec, AsyncLearner, ObservationSpec, Sac, SacConfig, Transition

    torch.set_num_threads(1)
    learner = AsyncLearner(AlgorithmSpec(Sac, ObservationSpec(17), 3, SacConfig(updates_per_decision=100)))
    rng = np.random.default_rng(0)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        learner.wait_until_ready(120.0)
        print("ready", flush=True)
        while True:
            first, after = ({"vector": rng.normal(size=17).astype(np.float32)} for _ in range(2))
            learner.observe(Transition(first, rng.uniform(-1, 1, 3), 0.0, after, terminated=False))
            learner.policy()
            time.sleep(0.1)
    except KeyboardInterrupt:
        pass
    finally:
        learner.close()


def main() -> int:
    """Measure, or run one of the other processes."""
    if os.environ.get("SAC_GMM_TIMER_CONTROLLER") and "--ros-args" in sys.argv:
        run_node(TimerController)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rates", type=float, nargs="+", default=[100.0, 250.0])
    parser.add_argument("--priorities", type=int, nargs="+", default=[0])
    parser.add_argument("--no-learner", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--learner", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.learner:
        learn()
        return 0
    results: list[dict[str, Any]] = []
    rclpy.init()
    with tempfile.TemporaryDirectory() as folder, _learner(not options.no_learner):
        model = Path(folder) / "skill.npz"
        _skill(model)
        for priority, rate_hz in itertools.product(options.priorities, options.rates):
            if priority and not realtime_allowed():
                print(f"priority {priority} is skipped: the system does not allow it", file=sys.stderr)
                continue
            ours = measure(rate_hz, _DEADLINE, model, options.seconds, priority)
            peer = measure(rate_hz, _TIMER, model, options.seconds, priority)
            results.append({"realtime_priority": priority, "rate_hz": rate_hz, "ours": ours, "rclpy_timer": peer})
    rclpy.try_shutdown()
    if options.out:
        options.out.write_text(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
