"""Where learning happens: in the actor's own process, repeatable, or in a process beside it, never waited for."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import multiprocessing
import os
import queue
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sac_gmm.core.errors import UserError
from sac_gmm.rl.checkpoint import load_checkpoint, save_checkpoint
from sac_gmm.rl.replay import Replay, Transition
from sac_gmm.rl.sac.agent import Policy, PolicySnapshot, SacAgent
from sac_gmm.rl.sac.config import ObservationSpec, SacConfig

log = logging.getLogger(__name__)

# Updates between two looks at the queue: a few milliseconds, so that new transitions count soon.
CHUNK = 4
# How often an idle learner looks whether its parent still lives.
IDLE_S = 0.2
METRICS = ("transitions", "updates", "version", "critic_loss", "value", "entropy", "temperature")


class SyncLearner:
    """Learn between decisions, in the caller's process: the same seed gives the same run, bit for bit.

    Args:
        agent: Learns.
        replay: Is filled by `observe`.
    """

    def __init__(self, agent: SacAgent, replay: Replay) -> None:
        self.agent = agent
        self.replay = replay
        self._metrics: dict[str, float] = {}

    @classmethod
    def resume(
        cls, path: Path | str, made_for: tuple[ObservationSpec, int, SacConfig] | None = None
    ) -> tuple[SyncLearner, dict[str, Any]]:
        """Go on from a checkpoint; return the learner and the JSON values stored beside it.

        Args:
            path: The checkpoint.
            made_for: Observation, entries of an action and configuration that it must have; any where not given.

        Raises:
            UserError: The file cannot be used, or was made for something else.
        """
        checkpoint = load_checkpoint(path)
        agent, replay = checkpoint.agent, checkpoint.replay
        if made_for is not None and (agent.spec, agent.action_dim, agent.config) != made_for:
            raise UserError(
                f"checkpoint {path} was made with another observation or configuration: give the same, or another "
                "folder"
            )
        if replay is None:
            raise UserError(f"checkpoint {path} has no replay buffer: it cannot be resumed, only run")
        return cls(agent, replay), checkpoint.extra

    def observe(self, transition: Transition, *, learn: bool = True) -> None:
        """Store a transition and make the configured number of updates.

        Args:
            transition: What happened.
            learn: False for base rollouts and demonstrations that only fill the buffer.
        """
        self.replay.add(transition)
        if learn:
            self._metrics = self.agent.update_many(self.replay, self.agent.config.updates_per_decision)

    def learn_to_see(self) -> None:
        """Train what reads the pictures on those stored so far."""
        self.agent.learn_to_see(self.replay)

    def policy(self) -> Policy:
        """Return the newest policy."""
        return self.agent.policy

    def metrics(self) -> dict[str, float]:
        """Return counters and the losses of the last update."""
        counters = {
            "transitions": self.replay.n_added,
            "updates": self.agent.n_updates,
            "version": self.agent.n_updates,
        }
        return {**{name: float(value) for name, value in counters.items()}, **self._metrics}

    def checkpoint(self, path: Path | str, extra: dict[str, Any] | None = None) -> None:
        """Write everything to a file; see `save_checkpoint`."""
        save_checkpoint(path, self.agent, self.replay, extra)

    def close(self) -> None:
        """Nothing is held that must be given back."""


class FixedPolicy:
    """Stands where a learner stands and learns nothing: a trained policy is used as it is.

    Args:
        policy: Such as `load_policy` returns.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def observe(self, transition: Transition, *, learn: bool = True) -> None:
        """Nothing is kept."""

    def learn_to_see(self) -> None:
        """What reads the pictures stays as it is."""

    def policy(self) -> Policy:
        """Return the policy."""
        return self._policy

    def metrics(self) -> dict[str, float]:
        """Return counters that say that all is learned."""
        return {"transitions": 0.0, "updates": 0.0, "version": float(self._policy.version)}

    def close(self) -> None:
        """Nothing is held that must be given back."""


@dataclass(frozen=True)
class _Orders:
    """What the learner's process is started with."""

    spec: ObservationSpec
    action_dim: int
    config: SacConfig
    seed: int
    resume_from: str | None
    checkpoint_path: str | None
    checkpoint_interval_s: float
    max_backlog: int
    niceness: int


class _Board:
    """Shared memory on which the learner publishes its newest policy and metrics.

    Reader and writer share a lock; the reader only tries it, so that it never waits for the writer.
    """

    def __init__(self, context: Any, n_values: int) -> None:
        self.lock = context.Lock()
        self.version = context.RawValue(ctypes.c_int64, -1)
        self.values = context.RawArray(ctypes.c_float, n_values)
        self.metrics = context.RawArray(ctypes.c_double, [float("nan")] * len(METRICS))

    def write(self, snapshot: PolicySnapshot, metrics: dict[str, float]) -> None:
        # A reader that was killed while it held the lock must not stop the learner.
        if self.lock.acquire(timeout=1.0):
            try:
                np.frombuffer(self.values, np.float32)[:] = snapshot.values
                self.metrics[:] = [float(metrics.get(name, float("nan"))) for name in METRICS]
                self.version.value = snapshot.version
            finally:
                self.lock.release()

    def read(self, known_version: int) -> PolicySnapshot | None:
        """Return a snapshot other than the known one, or None when there is none or the writer is at it."""
        if self.version.value in (known_version, -1) or not self.lock.acquire(block=False):
            return None
        try:
            return PolicySnapshot(self.version.value, np.frombuffer(self.values, np.float32).copy())
        finally:
            self.lock.release()


class AsyncLearner:
    """Learn in a process beside the actor's; the actor pushes transitions and pulls policies and never waits.

    The learner makes at most `updates_per_decision` updates for every transition it was given, rests when it has made
    them, and drops updates that it is more than `max_backlog` transitions behind with, also after a resume: no burst.
    It ends by itself when the actor's process dies.

    The process is spawned: a script that makes one needs the usual `if __name__ == "__main__":` guard.

    Args:
        spec: Shapes of the observations.
        action_dim: Entries of an action.
        config: How to learn.
        seed: Of the agent.
        resume_from: Checkpoint to go on from; its configuration must equal `config`.
        checkpoint_path: Where the learner saves itself, at intervals and when it is closed; None: only on request.
        checkpoint_interval_s: Time between two of those.
        max_backlog: Transitions for which updates may be outstanding.
        niceness: Added to the learner's niceness, so that control has the processor first.
    """

    def __init__(
        self,
        spec: ObservationSpec,
        action_dim: int,
        config: SacConfig | None = None,
        seed: int = 0,
        *,
        resume_from: Path | str | None = None,
        checkpoint_path: Path | str | None = None,
        checkpoint_interval_s: float = 60.0,
        max_backlog: int = 100,
        niceness: int = 5,
    ) -> None:
        config = config or SacConfig()
        self._policy = Policy(spec, action_dim, config, seed)
        self._policy.version = -1
        orders = _Orders(
            spec,
            action_dim,
            config,
            seed,
            None if resume_from is None else str(resume_from),
            None if checkpoint_path is None else str(checkpoint_path),
            checkpoint_interval_s,
            max_backlog,
            niceness,
        )
        context = multiprocessing.get_context("spawn")
        self._board = _Board(context, self._policy.snapshot().values.size)
        self._inbox = context.Queue()
        self._answers = context.Queue()
        self._process = context.Process(
            target=_run, args=(orders, self._board, self._inbox, self._answers), name="sac-learner", daemon=True
        )
        self._process.start()

    @property
    def alive(self) -> bool:
        """Whether the learner's process runs. When it died, the actor keeps its last policy."""
        return self._process.is_alive()

    def wait_until_ready(self, timeout_s: float = 60.0) -> None:
        """Wait for the first policy, which takes the seconds of a start of Python and torch.

        Raises:
            UserError: The learner did not start; the message says why.
        """
        self._wait("ready", timeout_s)

    def observe(self, transition: Transition, *, learn: bool = True) -> None:
        """Hand over a transition; returns at once. See `SyncLearner.observe`."""
        self._hand_over("observe", transition, learn)

    def learn_to_see(self) -> None:
        """Have what reads the pictures trained on those handed over so far; returns at once."""
        self._hand_over("see")

    def remember(self, extra: dict[str, Any]) -> None:
        """Have these JSON values stored with every later checkpoint, such as the episode counter; returns at once."""
        self._hand_over("remember", extra)

    def policy(self) -> Policy:
        """Return the policy, brought up to the newest version that can be read without waiting."""
        snapshot = self._board.read(self._policy.version)
        if snapshot is not None:
            self._policy.load_snapshot(snapshot)
        return self._policy

    def metrics(self) -> dict[str, float]:
        """Return counters and losses as last published, and "alive" (0 or 1)."""
        metrics = dict(zip(METRICS, self._board.metrics, strict=True))
        return {**{name: value for name, value in metrics.items() if value == value}, "alive": float(self.alive)}

    def checkpoint(self, path: Path | str, extra: dict[str, Any] | None = None, timeout_s: float = 60.0) -> None:
        """Have the learner write everything to a file, and wait until it stands.

        Raises:
            UserError: It could not be written, or the learner is gone.
        """
        self._inbox.put(("checkpoint", str(path), extra))
        self._wait("saved", timeout_s)

    def close(self, timeout_s: float = 30.0) -> None:
        """Stop the learner: it finishes its update, saves itself where configured, and ends."""
        if self._process.is_alive():
            self._inbox.put(("stop",))
            self._process.join(timeout_s)
        if self._process.is_alive():
            log.warning("the learner did not stop within %.0f s and is ended", timeout_s)
            self._process.terminate()
            self._process.join()
        self._inbox.cancel_join_thread()
        self._inbox.close()
        self._answers.close()

    def why_ended(self) -> str:
        """Why the learner's process ended, as far as it could say so."""
        reason = "it was killed, often for want of memory"
        with contextlib.suppress(queue.Empty):
            while True:
                kind, text = self._answers.get(timeout=0.1)
                reason = text if kind == "error" else reason
        return reason

    def _hand_over(self, *order: Any) -> None:
        """Queue an order; where nobody is left to read it, it is dropped: the queue would grow with every picture."""
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


def _counters(agent: SacAgent, replay: Replay) -> dict[str, float]:
    return {
        "transitions": float(replay.n_added),
        "updates": float(agent.n_updates),
        "version": float(agent.policy.version),
    }


def _run(orders: _Orders, board: _Board, inbox: Any, answers: Any) -> None:
    """Start the learner's process: errors are told to the actor, and logged with their traceback."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the actor's to handle; it then closes the learner
    os.nice(orders.niceness)
    torch.set_num_threads(1)
    try:
        _learn(orders, board, inbox, answers)
    except UserError as error:
        answers.put(("error", str(error)))
    except Exception as error:
        log.exception("the learner failed")
        answers.put(("error", f"the learner failed: {error}"))


def _learn(orders: _Orders, board: _Board, inbox: Any, answers: Any) -> None:
    """Take in transitions, update, publish and save until told to stop or left alone."""
    extra: dict[str, Any] = {}
    if orders.resume_from is None:
        agent = SacAgent(orders.spec, orders.action_dim, orders.config, orders.seed)
        replay = Replay(orders.spec, orders.action_dim, orders.config.replay_capacity)
    else:
        made_for = orders.spec, orders.action_dim, orders.config
        learner, extra = SyncLearner.resume(orders.resume_from, made_for)
        agent, replay = learner.agent, learner.replay
    parent = multiprocessing.parent_process()
    assert parent is not None
    outstanding = 0  # updates that the transitions so far allow
    metrics: dict[str, float] = {}
    saved_at = time.monotonic()

    def publish() -> None:
        board.write(agent.policy_snapshot(), {**metrics, **_counters(agent, replay)})

    def save(path: str) -> str:
        """Write a checkpoint; what went wrong, for a disk that is full must not end what is being learned."""
        try:
            save_checkpoint(path, agent, replay, extra)
        except (OSError, UserError) as error:
            log.error("not saved, learning goes on: %s", error)
            return str(error)
        return ""

    publish()
    answers.put(("ready", ""))
    while parent.is_alive():
        try:
            order = inbox.get(timeout=IDLE_S) if outstanding == 0 else inbox.get_nowait()
        except queue.Empty:
            order = ("nothing",)
        if order[0] == "observe":
            replay.add(order[1])
            if order[2]:
                per_decision = orders.config.updates_per_decision
                outstanding = min(outstanding + per_decision, orders.max_backlog * per_decision)
            continue  # take in all that has come before the next update
        if order[0] == "see":
            agent.learn_to_see(replay)
            publish()
        elif order[0] == "checkpoint":
            extra = order[2] or extra
            trouble = save(order[1])
            answers.put(("error", trouble) if trouble else ("saved", ""))
        elif order[0] == "remember":
            extra = order[1]
        elif order[0] == "stop":
            break
        if outstanding:
            n = min(CHUNK, outstanding)
            metrics = agent.update_many(replay, n)
            outstanding -= n
            publish()
        if orders.checkpoint_path and time.monotonic() - saved_at > orders.checkpoint_interval_s:
            save(orders.checkpoint_path)
            saved_at = time.monotonic()
    if orders.checkpoint_path:
        save(orders.checkpoint_path)
