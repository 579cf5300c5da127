"""Several copies of a task, each in a process of its own, stepped together; observations come by shared memory."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
from gymnasium.error import AlreadyPendingCallError, NoAsyncCallError
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from numpy.typing import NDArray

from sac_gmm.core.errors import UserError
from sac_gmm.tasks.twist_task import Observation

_LOST = (EOFError, BrokenPipeError, ConnectionResetError)
T = TypeVar("T")


class VectorTask(AsyncVectorEnv):
    """Gymnasium's vector environment over one task, with a clear word when a worker dies.

    Episode and copy are one thing: with the same seed a copy plays what `make_task` plays in this process, bit for bit.
    A copy whose episode is over begins another with its next step, whose action does nothing (`AutoresetMode`).

    Args:
        name: Of the task.
        n_copies: Worker processes.
        autoreset: What happens at the end of an episode.
        options: Of the task, as for `make_task`.

    Raises:
        UserError: An unknown task or option, or fewer than one copy.
    """

    def __init__(
        self, name: str, n_copies: int, *, autoreset: AutoresetMode = AutoresetMode.NEXT_STEP, **options: Any
    ) -> None:
        from sac_gmm.tasks import make_task

        if n_copies < 1:
            raise UserError(f"n_copies is {n_copies}; it must be 1 or more")
        make = partial(make_task, name, **options)
        multiprocessing.set_forkserver_preload(["sac_gmm.tasks"])  # where no server runs yet
        super().__init__([make] * n_copies, shared_memory=True, context="forkserver", autoreset_mode=autoreset)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode in every copy; with one number as seed copy i gets `seed + i`."""
        return self._guarded(lambda: super(VectorTask, self).reset(seed=seed, options=options))

    def step(
        self, actions: NDArray[np.float64]
    ) -> tuple[Observation, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Follow one twist in each copy, shape (n_copies, 6), for one control period.

        Raises:
            UserError: The twists are not finite numbers of that shape, or a worker died.
        """
        twists = np.asarray(actions, dtype=float)
        if twists.shape != (self.num_envs, 6) or not np.isfinite(twists).all():
            raise UserError(f"the actions must be {self.num_envs} twists of six finite numbers each, not {actions!r}")
        return self._guarded(lambda: super(VectorTask, self).step(twists))

    def _guarded(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except _LOST as error:
            dead = [i for i, process in enumerate(self.processes) if not process.is_alive()]
            codes = ", ".join(f"{i} (exit code {self.processes[i].exitcode})" for i in dead) or "unknown"
            try:
                self.close(terminate=True)
            except (*_LOST, AlreadyPendingCallError, NoAsyncCallError):
                pass
            raise UserError(f"a copy of the task died: number {codes}; start the vector anew") from error
