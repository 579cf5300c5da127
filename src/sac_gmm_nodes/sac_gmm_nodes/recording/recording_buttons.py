"""Starts, keeps and discards recordings at the press of a button, through the services of `demo_recorder`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.client import Client
from rclpy.task import Future
from sac_gmm_interfaces.srv import ResetTask, StartRecording, StopRecording

from sac_gmm_nodes.common.node import BaseNode

_PATIENCE_S = 10.0  # for an answer; after that the buttons work again


class RecordingButtons:
    """Two buttons: one starts a recording and keeps it when pressed again, the other discards it.

    Nothing here waits: an answer is handled when it arrives, and presses in between are ignored.

    Args:
        node: The node whose user has the buttons; it receives the parameters.
    """

    def __init__(self, node: BaseNode) -> None:
        self._log = node.get_logger()
        self._task = node.text("task", "demonstration", "name of the task, for the recordings that a button starts")
        self._operator = node.text("operator", "", "who gives the demonstrations")
        resets = node.flag("reset_scene", False, "have the scene reset before each recording, as in simulation")
        self._seed = node.whole("first_seed", 0, 0, 2**31 - 10_000, "with reset_scene, seed of the first scene")
        self._reset = node.create_client(ResetTask, "reset_task") if resets else None
        self._start = node.create_client(StartRecording, "start_recording")
        self._stop = node.create_client(StopRecording, "stop_recording")
        self._recording = False
        self._waits_until_s = 0.0  # for the answer that is pending

    def start_or_keep(self) -> None:
        """Start a recording, or end the one in progress and keep it."""
        if self._recording:
            self._end(discard=False)
        elif self._reset is None:
            self._begin()
        else:
            request = ResetTask.Request(seed=self._seed, target_noise_std_m=0.0)  # a person sees where the target is
            self._call(self._reset, request, self._on_reset)

    def discard(self) -> None:
        """End the recording in progress and throw it away; without one, do nothing."""
        if self._recording:
            self._end(discard=True)

    def _on_reset(self, answer: ResetTask.Response) -> None:
        if answer.success:
            self._seed += 1
            self._begin()
        else:
            self._log.error(f"the scene was not reset, so nothing is recorded: {answer.message}")

    def _begin(self) -> None:
        path = f"{self._task}_{time.strftime('%Y%m%d_%H%M%S')}"
        request = StartRecording.Request(path=path, task=self._task, operator_name=self._operator)
        self._call(self._start, request, self._on_started)

    def _on_started(self, answer: StartRecording.Response) -> None:
        self._recording = answer.success
        self._tell(answer)

    def _end(self, discard: bool) -> None:
        self._call(self._stop, StopRecording.Request(discard=discard), self._on_stopped)

    def _on_stopped(self, answer: StopRecording.Response) -> None:
        self._recording = False  # where the recorder has nothing to end, neither have we
        self._tell(answer)

    def _tell(self, answer: StartRecording.Response | StopRecording.Response) -> None:
        (self._log.info if answer.success else self._log.error)(answer.message)

    def _call(self, client: Client, request: Any, then: Callable[[Any], None]) -> None:
        """Ask for something, unless an answer is pending; `then` receives the answer."""
        if time.monotonic() < self._waits_until_s:
            self._log.warning("the answer to the last button is still awaited: this press is ignored")
            return
        if not client.service_is_ready():
            self._log.error(f"nobody serves {client.srv_name}: start demo_recorder, and in simulation pybullet_bridge")
            return
        self._waits_until_s = time.monotonic() + _PATIENCE_S

        def answered(future: Future) -> None:
            self._waits_until_s = 0.0
            then(future.result())

        client.call_async(request).add_done_callback(answered)
