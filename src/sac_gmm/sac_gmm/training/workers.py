"""Run episodes in several processes, with the same outcomes as in a single process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sac_gmm.core.errors import UserError
from sac_gmm.core.processes import run_in_workers
from sac_gmm.methods import MacroEnv, Outcome, run_episode
from sac_gmm.methods.episodes import Act, still

_PRELOAD = ["sac_gmm.evaluation", "sac_gmm.tasks"]


def run_episodes_parallel(
    make_env: Callable[[], MacroEnv],
    seeds: Iterable[int],
    workers: int,
    *,
    make_policy: Callable[[], Act] | None = None,
    options: dict[str, Any] | None = None,
) -> Iterator[Outcome]:
    """Run one episode per seed, each in one of several worker processes, and yield the outcomes in order.

    An episode depends on its seed alone, so the outcomes do not depend on the number of workers. Closing the iterator
    stops the workers; killing this process stops them as well.

    Args:
        make_env: Builds task and decoder, once in each worker. It is sent to the workers, so it must be a module-level
            function (or a `functools.partial` of one), not a lambda; a script needs `if __name__ == "__main__":`.
        seeds: One per episode.
        workers: Number of processes; with 1 everything runs in this process.
        make_policy: Builds the policy, with the same restrictions; the policy must not keep state between episodes.
            None for the skill as fitted (all actions zero).
        options: Options for the task's reset, such as `target_noise_std_m`.

    Raises:
        UserError: A worker died, or `workers` is less than 1. Errors from an episode are raised unchanged.
    """
    if workers < 1:
        raise UserError(f"workers is {workers}; it must be 1 or more")
    return _run(make_env, list(seeds), workers, make_policy, options)


def _run(
    make_env: Callable[[], MacroEnv],
    seeds: list[int],
    workers: int,
    make_policy: Callable[[], Act] | None,
    options: dict[str, Any] | None,
) -> Iterator[Outcome]:
    if workers == 1:
        player = _Player(make_env, make_policy, options)
        try:
            for seed in seeds:
                yield player.play(seed)
        finally:
            player.close()
        return
    played = run_in_workers(
        _play_in_worker,
        seeds,
        workers,
        name_of=lambda seed: f"the episode with seed {seed}",
        initializer=_begin_worker,
        initargs=(make_env, make_policy, options),
        preload=_PRELOAD,
    )
    with contextlib.closing(played):
        yield from (outcome for _, outcome in played)


class _Player:
    """Runs episodes in one environment, built on first use."""

    def __init__(
        self,
        make_env: Callable[[], MacroEnv],
        make_policy: Callable[[], Act] | None,
        options: dict[str, Any] | None,
    ) -> None:
        self._make_env, self._make_policy, self._options = make_env, make_policy, options
        self._env: MacroEnv | None = None

    def play(self, seed: int) -> Outcome:
        if self._env is None:
            self._env = self._make_env()
            self._act = self._make_policy() if self._make_policy is not None else still(self._env.decoder.action_dim)
        return run_episode(self._env, self._act, seed, self._options)

    def close(self) -> None:
        close = getattr(self._env.task, "close", None) if self._env is not None else None
        if close is not None:
            close()


_player: _Player  # one per worker process


def _begin_worker(
    make_env: Callable[[], MacroEnv], make_policy: Callable[[], Act] | None, options: dict[str, Any] | None
) -> None:
    import torch

    global _player
    torch.set_num_threads(1)
    _player = _Player(make_env, make_policy, options)


def _play_in_worker(seed: int) -> Outcome:
    return _player.play(seed)
