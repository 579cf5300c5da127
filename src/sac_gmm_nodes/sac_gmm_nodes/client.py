"""Drives a running graph from Python: asks for episodes and tells how they went.

from sac_gmm_nodes.client import SkillClient

with SkillClient() as client:
    for episode in client.run("train", episodes=100, first_seed=2_000_000):
        print(episode.seed, episode.success)
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType

import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from sac_gmm.core.errors import UserError
from sac_gmm_nodes.learning.episode_request import MODES, Episode, EpisodeRequests


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class SkillClient:
    """A node of its own, in a thread of its own; needs no `rclpy.init`. Use it in a `with` statement.

    Args:
        namespace: Namespace of the graph.
        on_missing: Called with what is missing, while nothing moves; by default it is printed to stderr.
    """

    def __init__(self, namespace: str = "", on_missing: Callable[[str], None] = _to_stderr) -> None:
        self._context = Context()
        rclpy.init(context=self._context)
        self._node = Node(f"skill_client_{os.getpid()}", context=self._context, namespace=namespace)
        self._stopping = threading.Event()
        self._on_missing = on_missing
        self._requests = EpisodeRequests(self._node, self._stopping)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def run(self, mode: str, episodes: int, first_seed: int, context: Sequence[float] = ()) -> Iterator[Episode]:
        """Run episodes one after another; yields each when it has ended. Leaving the loop early stops them.

        Args:
            mode: `base` (the skill as fitted), `train` or `evaluate`.
            episodes: How many.
            first_seed: Episode i has the seed `first_seed` + i.
            context: Context of all of them, where the task has one; empty: drawn from the seeds.

        Raises:
            UserError: The mode is unknown, or the episodes cannot be run or ended early.
        """
        if mode not in MODES:
            raise UserError(f"mode is '{mode}'; choose one of: {', '.join(MODES)}")
        self._stopping.clear()
        told: queue.Queue[Episode | BaseException | None] = queue.Queue()

        def work() -> None:
            try:
                self._requests.run(
                    mode, episodes, first_seed, context, on_episode=told.put, on_missing=self._on_missing
                )
                told.put(None)
            except BaseException as error:
                told.put(error)

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        try:
            while (event := told.get()) is not None:
                if isinstance(event, BaseException):
                    raise event
                yield event
        finally:
            self._stopping.set()
            worker.join()

    def stop(self) -> int:
        """Stop the episodes that anybody asked for; return how many requests that ended.

        Raises:
            UserError: There is no episode manager.
        """
        return self._requests.stop_all()

    def close(self) -> None:
        """Stop what this client has asked for, and leave the graph."""
        self._stopping.set()
        self._executor.shutdown(timeout_sec=1.0)
        self._context.try_shutdown()
        self._thread.join()
        self._node.destroy_node()

    def __enter__(self) -> SkillClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return
