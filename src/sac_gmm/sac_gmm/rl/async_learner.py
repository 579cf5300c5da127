"""Learning in a separate process, for which the actor never waits."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import multiprocessing
import queue
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sac_gmm.core.errors import UserError
from sac_gmm.core.processes import begin_worker, stop_worker
from sac_gmm.rl.algorithm import COUNTERS, AlgorithmSpec, Policy, PolicySnapshot
from sac_gmm.rl.learner import SyncLearner
from sac_gmm.rl.transition import Transition

log = logging.getLogger(__name__)

# Updates between two checks of the queue: a few milliseconds, so that new transitions are used soon.
CHUNK = 4
# How often an idle learner checks that its parent is alive.
IDLE_S = 0.2


@dataclass(frozen=True)
class _Orders:
    """Arguments of the learner process."""

    spec: AlgorithmSpec
    resume_from: str | None
    checkpoint_path: str | None
    checkpoint_interval_s: float
    max_backlog: int
    niceness: int


class _Board:
    """Shared memory on which the learner publishes its newest policy and metrics.

    Reader and writer share a lock. The reader only tries to take it, so it never waits for the writer.
    """

    def __init__(self, context: Any, n_values: int, metric_names: tuple[str, ...]) -> None:
        self.metric_names = metric_names
        self.lock = context.Lock()
        self.version = context.RawValue(ctypes.c_int64, -1)
        self.values = context.RawArray(ctypes.c_float, n_values)
        self.metrics = context.RawArray(ctypes.c_double, [float("nan")] * len(metric_names))

    def write(self, snapshot: PolicySnapshot, metrics: dict[str, float]) -> None:
        # A reader killed while holding the lock must not stop the learner.
        if self.lock.acquire(timeout=1.0):
            try:
                np.frombuffer(self.values, np.float32)[:] = snapshot.values
                self.metrics[:] = [float(metrics.get(name, float("nan"))) for name in self.metric_names]
                self.version.value = snapshot.version
            finally:
                self.lock.release()

    def read(self, known_version: int) -> PolicySnapshot | None:
        """Return a snapshot newer than the known one; None if there is none or one is being written."""
        if self.version.value in (known_version, -1) or not self.lock.acquire(block=False):
            return None
        try:
            return PolicySnapshot(self.version.value, np.frombuffer(self.values, np.float32).copy())
        finally:
            self.lock.release()

    def read_metrics(self) -> dict[str, float]:
        """Return the metrics that are known."""
        metrics = zip(self.metric_names, self.metrics, strict=True)
        return {name: value for name, value in metrics if value == value}


class AsyncLearner:
    """Learn in a separate process; the actor pushes transitions, pulls policies and never waits.

    The learner makes at most `updates_per_transition` updates per transition, then idles. If it falls more than
    `max_backlog` transitions behind, it drops the excess updates, also after a resume, so there is no burst. It exits
    by itself when the actor's process dies.

    The process is spawned: a script that creates a learner needs the usual `if __name__ == "__main__":` guard.

    Args:
        spec: What to learn.
        resume_from: Checkpoint to resume; it must have been made for `spec`, apart from the seed.
        checkpoint_path: Where the learner saves itself, periodically and on close; None: only on request.
        checkpoint_interval_s: Time between periodic saves.
        max_backlog: Largest number of transitions with outstanding updates.
        niceness: Added to the learner's niceness, so that control gets the CPU first.
    """

    def __init__(
        self,
        spec: AlgorithmSpec,
        *,
        resume_from: Path | str | None = None,
        checkpoint_path: Path | str | None = None,
        checkpoint_interval_s: float = 60.0,
        max_backlog: int = 100,
        niceness: int = 5,
    ) -> None:
        self._policy = spec.make_policy()
        self._policy.version = -1
        orders = _Orders(
            spec,
            None if resume_from is None else str(resume_from),
            None if checkpoint_path is None else str(checkpoint_path),
            checkpoint_interval_s,
            max_backlog,
            niceness,
        )
        context = multiprocessing.get_context("spawn")
        names = (*COUNTERS, *spec.algorithm.metric_names)
        self._board = _Board(context, self._policy.snapshot().values.size, names)
        self._inbox = context.Queue()
        self._inbox.cancel_join_thread()  # an exiting actor must not wait for a learner that no longer reads
        self._answers = context.Queue()
        self._process = context.Process(
            target=_run, args=(orders, self._board, self._inbox, self._answers), name="learner", daemon=True
        )
        self._process.start()

    @property
    def alive(self) -> bool:
        """Whether the learner process is running. If it died, the actor keeps its last policy."""
        return self._process.is_alive()

    def wait_until_ready(self, timeout_s: float = 60.0) -> None:
        """Wait for the first policy. Python and torch take seconds to start.

        Raises:
            UserError: The learner did not start; the message says why.
        """
        self._wait("ready", timeout_s)

    def observe(self, transition: Transition, *, learn: bool = True) -> None:
        """Send a transition; returns immediately. See `SyncLearner.observe`."""
        self._hand_over("observe", transition, learn)

    def prepare(self) -> None:
        """Prepare the algorithm on the transitions sent so far; returns immediately. See `Algorithm.prepare`."""
        self._hand_over("prepare")

    def remember(self, extra: dict[str, Any]) -> None:
        """Store these JSON values, such as the episode counter, in every later checkpoint; returns immediately."""
        self._hand_over("remember", extra)

    def policy(self) -> Policy:
        """Return the policy, updated to the newest version available without waiting."""
        snapshot = self._board.read(self._policy.version)
        if snapshot is not None:
            self._policy.load_snapshot(snapshot)
        return self._policy

    def metrics(self) -> dict[str, float]:
        """Return the last published counters and losses, and "alive" (0 or 1)."""
        return {**self._board.read_metrics(), "alive": float(self.alive)}

    def checkpoint(self, path: Path | str, extra: dict[str, Any] | None = None, timeout_s: float = 60.0) -> None:
        """Have the learner save everything to a file, and wait until it has.

        Raises:
            UserError: It could not be written, or the learner is gone.
        """
        self._inbox.put(("checkpoint", str(path), extra))
        self._wait("saved", timeout_s)

    def close(self, timeout_s: float = 30.0) -> None:
        """Stop the learner: it finishes its update, saves itself if configured to, and exits."""
        if self._process.is_alive():
            self._inbox.put(("stop",))
        if not stop_worker(self._process, timeout_s):
            log.warning("the learner did not stop within %.0f s and was terminated", timeout_s)
        self._inbox.close()
        self._answers.close()

    def why_ended(self) -> str:
        """Why the learner process ended, if it could report a reason."""
        reason = "it was killed, often for lack of memory"
        with contextlib.suppress(queue.Empty):
            while True:
                kind, text = self._answers.get(timeout=0.1)
                reason = text if kind == "error" else reason
        return reason

    def _hand_over(self, *order: Any) -> None:
        """Queue an order, unless no process is left to read it: the queue would grow with every picture."""
        if self.alive:
            self._inbox.put(order)

    def _wait(self, wanted: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                kind, text = self._answers.get(timeout=0.1)
            except queue.Empty:
                if not self.alive:
                    raise UserError("the learner's process ended: see its log, then resume") from None
                continue
            if kind == "error":
                raise UserError(text)
            if kind == wanted:
                return
        raise UserError(f"the learner gave no answer ({wanted}) within {timeout_s:.0f} s: is the machine overloaded?")


def _run(orders: _Orders, board: _Board, inbox: Any, answers: Any) -> None:
    """Body of the learner process; sends errors to the actor and logs them with a traceback."""
    begin_worker(ends_with_parent=False, niceness=orders.niceness)  # it saves itself when the actor ends
    torch.set_num_threads(1)
    try:
        _Worker(orders, board, inbox, answers).run()
    except UserError as error:
        answers.put(("error", str(error)))
    except Exception as error:
        log.exception("the learner failed")
        answers.put(("error", f"the learner failed: {error}"))


class _Worker:
    """Receives transitions, updates, publishes and saves until told to stop or until the actor is gone."""

    def __init__(self, orders: _Orders, board: _Board, inbox: Any, answers: Any) -> None:
        self._orders, self._board, self._inbox, self._answers = orders, board, inbox, answers
        self._extra: dict[str, Any] = {}
        if orders.resume_from is None:
            self._learner = SyncLearner(orders.spec.build())
        else:
            self._learner, self._extra = SyncLearner.resume(orders.resume_from, orders.spec)
        self._algorithm = self._learner.algorithm
        self._outstanding = 0  # updates still allowed by the transitions so far
        self._saved_at_s = time.monotonic()

    def run(self) -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        self._publish()
        self._answers.put(("ready", ""))
        while parent.is_alive():
            order = self._next_order()
            if order[0] == "stop":
                break
            self._obey(*order)
            if order[0] != "observe":  # process everything that has arrived before the next update
                self._update()
                self._save_at_intervals()
        if self._orders.checkpoint_path:
            self._save(self._orders.checkpoint_path)

    def _next_order(self) -> tuple[Any, ...]:
        try:
            return self._inbox.get(timeout=IDLE_S) if self._outstanding == 0 else self._inbox.get_nowait()
        except queue.Empty:
            return ("nothing",)

    def _obey(self, order: str, *given: Any) -> None:
        if order == "observe":
            self._observe(*given)
        elif order == "prepare":
            self._algorithm.prepare()
            self._publish()
        elif order == "remember":
            (self._extra,) = given
        elif order == "checkpoint":
            path, extra = given
            self._extra = extra or self._extra
            trouble = self._save(path)
            self._answers.put(("error", trouble) if trouble else ("saved", ""))

    def _observe(self, transition: Transition, learn: bool) -> None:
        self._algorithm.observe(transition, learn=learn)
        if learn:
            allowed = self._algorithm.updates_per_transition
            self._outstanding = min(self._outstanding + allowed, self._orders.max_backlog * allowed)

    def _update(self) -> None:
        if self._outstanding:
            n = min(CHUNK, self._outstanding)
            self._algorithm.update(n)
            self._outstanding -= n
            self._publish()

    def _publish(self) -> None:
        self._board.write(self._algorithm.policy.snapshot(), self._algorithm.metrics())

    def _save_at_intervals(self) -> None:
        path = self._orders.checkpoint_path
        if path and time.monotonic() - self._saved_at_s > self._orders.checkpoint_interval_s:
            self._save(path)
            self._saved_at_s = time.monotonic()

    def _save(self, path: str) -> str:
        """Write a checkpoint; return the error message instead of raising: a full disk must not stop learning."""
        try:
            self._learner.checkpoint(path, self._extra)
        except (OSError, UserError) as error:
            log.error("checkpoint not saved, learning continues: %s", error)
            return str(error)
        return ""
