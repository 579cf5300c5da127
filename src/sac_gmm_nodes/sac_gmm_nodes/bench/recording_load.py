"""Cameras and a robot that only serve to load a recorder: `sac-gmm bench bag` starts it beside `demo_recorder`.

It publishes colour and depth pictures of several cameras and the topics of a robot, has them recorded for some seconds,
and writes what was sent and what the recorder answered to a file.
"""

from __future__ import annotations

import array
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.executors import Executor
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sac_gmm_interfaces.srv import StartRecording, StopRecording
from sensor_msgs.msg import Image, JointState

from sac_gmm.core.errors import UserError
from sac_gmm_nodes.common.conversions import header, stamp_of
from sac_gmm_nodes.common.node import BaseNode, run_node
from sac_gmm_nodes.common.qos import LATCHED

_PATIENCE_S = 30.0
_DIFFERENT = 8  # different pictures per stream, sent in turn
_ROBOT_STEPS = 4  # robot states between two pictures
_SETTLE_S = 0.5  # for messages still in transit after the last one was sent


class RecordingLoad(BaseNode):
    """Sends for some seconds, then exits."""

    def __init__(self) -> None:
        super().__init__("recording_load")
        self._seconds = self.real("seconds", 10.0, 0.5, 3600.0, "s", "how long to send")
        self._rate_hz = self.real("rate_hz", 30.0, 1.0, 1000.0, "Hz", "rate of the pictures")
        cameras = self.whole("cameras", 2, 0, 8, "each with a colour and a depth stream")
        width = self.whole("width", 640, 8, 4096, "width of the pictures, px")
        height = self.whole("height", 480, 8, 4096, "height of the pictures, px")
        reliable = self.flag("reliable", True, "offer the pictures reliably, as most drivers do")
        self._path = self.text("path", "", "path of the bag")
        self._result_file = Path(self.text("result_file", "", "where to write what was sent"))
        qos = QoSProfile(
            depth=10, reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        )
        rng = np.random.default_rng(0)
        self._pictures: list[tuple[Publisher, list[Image]]] = []
        for camera in range(cameras):
            for kind, encoding, size in (("color", "rgb8", 3), ("depth", "16UC1", 2)):
                publisher = self.create_publisher(Image, f"camera_{camera}/{kind}", qos)
                self._pictures.append((publisher, _pictures(rng, width, height, encoding, size)))
        steady = QoSProfile(depth=100)
        self._pose = self.create_publisher(PoseStamped, "state/pose", steady)
        self._twist = self.create_publisher(TwistStamped, "state/twist", steady)
        self._joints = self.create_publisher(JointState, "joint_states", steady)
        self._target = self.create_publisher(PoseStamped, "target_pose", LATCHED)
        self._start = self.create_client(StartRecording, "start_recording")
        self._stop = self.create_client(StopRecording, "stop_recording")
        self._sent: Counter[str] = Counter()

    def spin(self, executor: Executor) -> None:
        """Send everything while the recorder records."""
        everything = [self._pose, self._twist, self._joints, self._target, *(p for p, _ in self._pictures)]
        self._wait(executor, lambda: all(p.get_subscription_count() for p in everything), "the recorder")
        self._wait(executor, lambda: self._start.service_is_ready() and self._stop.service_is_ready(), "its services")
        self._send(self._target, PoseStamped(header=header(self._now(), "base")))
        self._ask(executor, self._start, StartRecording.Request(path=self._path, task="load"))
        spent = time.process_time()
        late_s = self._send_all()
        spent = time.process_time() - spent
        time.sleep(_SETTLE_S)
        answer = self._ask(executor, self._stop, StopRecording.Request())
        result = {
            "sent": dict(self._sent),
            "latest_s": round(late_s, 4),
            "sender_processor_s": round(spent, 3),
            "answer": answer.message,
        }
        self._result_file.write_text(json.dumps(result), encoding="utf-8")

    def _send_all(self) -> float:
        """Send at absolute deadlines; return the largest delay."""
        start_s, late_s, start_ns = time.monotonic(), 0.0, time.time_ns()
        for step in range(round(self._seconds * self._rate_hz * _ROBOT_STEPS)):
            due_s = start_s + step / (self._rate_hz * _ROBOT_STEPS)
            time.sleep(max(due_s - time.monotonic(), 0.0))
            late_s = max(late_s, time.monotonic() - due_s)
            if self.stopping.is_set():
                break
            # The due time, so that the recorder's count of drops includes nothing else.
            stamp = header(stamp_of(start_ns + round(1e9 * (due_s - start_s))), "base")
            pose = PoseStamped(header=stamp)
            pose.pose.position.x = 0.1 * step / (self._rate_hz * _ROBOT_STEPS)
            self._send(self._pose, pose)
            self._send(self._twist, TwistStamped(header=stamp))
            self._send(self._joints, JointState(header=stamp, name=[f"a{i}" for i in range(7)], position=[0.0] * 7))
            if step % _ROBOT_STEPS == 0:
                for publisher, pictures in self._pictures:
                    picture = pictures[step // _ROBOT_STEPS % _DIFFERENT]
                    picture.header = stamp
                    self._send(publisher, picture)
        return late_s

    def _now(self) -> Any:
        return stamp_of(time.time_ns())

    def _send(self, publisher: Publisher, message: Any) -> None:
        publisher.publish(message)
        self._sent[publisher.topic_name] += 1

    def _ask(self, executor: Executor, client: Any, request: Any) -> Any:
        future = client.call_async(request)
        self._wait(executor, future.done, f"the answer of {client.srv_name}")
        answer = future.result()
        if not answer.success:
            raise UserError(answer.message)
        return answer

    def _wait(self, executor: Executor, done: Any, what: str) -> None:
        end_s = time.monotonic() + _PATIENCE_S
        while not done():
            if self.stopping.is_set():
                raise KeyboardInterrupt
            if time.monotonic() > end_s:
                raise UserError(f"{what} did not arrive within {_PATIENCE_S:g} s: is demo_recorder running?")
            executor.spin_once(timeout_sec=0.05)


def _pictures(rng: np.random.Generator, width: int, height: int, encoding: str, size: int) -> list[Image]:
    """Pictures of a smooth scene with noise in the lowest bits, so that they compress like those of a camera."""
    y, x = np.mgrid[0:height, 0:width]
    pictures = []
    for i in range(_DIFFERENT):
        scene = 100 + 60 * np.sin((x + 20 * i) / 90.0) + 40 * np.cos(y / 70.0)
        if encoding == "rgb8":
            noisy = scene[..., None] + rng.normal(0.0, 2.0, (height, width, 3))
            data = noisy.clip(0, 255).astype(np.uint8).tobytes()
        else:
            data = (5 * scene + rng.normal(0.0, 2.0, (height, width))).clip(0, 65535).astype("<u2").tobytes()
        pictures.append(
            Image(height=height, width=width, encoding=encoding, step=width * size, data=array.array("B", data))
        )
    return pictures


def main() -> None:
    """Entry point."""
    run_node(RecordingLoad)


if __name__ == "__main__":
    main()
