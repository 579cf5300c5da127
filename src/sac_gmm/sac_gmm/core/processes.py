"""Child processes of this program: start, Ctrl-C and end.

Workers (`run_in_workers`, or a `multiprocessing.Process` that calls `begin_worker`) run Python functions. Programs
(`subprocess.Popen`) start with `interrupt_with_parent` and are ended by `stop_program`. Neither kind outlives this
program.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from sac_gmm.core.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
_libc = ctypes.CDLL(None)  # loaded before any fork


def run_in_workers(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    *,
    in_order: bool = True,
    name_of: Callable[[Item], str] = str,
    initializer: Callable[..., None] | None = None,
    initargs: tuple[Any, ...] = (),
    preload: Sequence[str] = (),
    interruptible: bool = False,
) -> Generator[tuple[Item, Result], None, None]:
    """Call a function for each item in several worker processes.

    Closing the iterator, or an error, drops the items that have not started and waits for the others.

    Args:
        function: A module-level function (or a `functools.partial` of one), because it is sent to the workers.
        items: One per call.
        workers: Number of processes.
        in_order: Yield in the order of the items; otherwise in the order in which they finish.
        name_of: Describes an item in the error about a dead worker.
        initializer: Called once in each worker, with `initargs`.
        initargs: Arguments of `initializer`.
        preload: Modules that a server imports once before it forks the workers, which then start quickly. Without any,
            each worker is a fresh Python process.
        interruptible: Whether Ctrl-C interrupts the function in the workers. Otherwise they finish their item.

    Yields:
        Each item with its result.

    Raises:
        UserError: A worker died. Errors from the function are raised unchanged.
    """
    context = multiprocessing.get_context("forkserver" if preload else "spawn")
    if preload:
        context.set_forkserver_preload(list(preload))
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_begin, initargs=(interruptible, initializer, initargs)
    )
    try:
        futures = {pool.submit(function, item): item for item in items}
        for future in futures if in_order else as_completed(futures):
            item = futures[future]
            try:
                result = future.result()
            except BrokenProcessPool as error:
                raise UserError(
                    f"a worker process died during {name_of(item)}: see its output above; if it ran out of memory, "
                    "use fewer workers"
                ) from error
            yield item, result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(interruptible: bool, initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    begin_worker(interruptible=interruptible)
    if initializer is not None:
        initializer(*initargs)


def begin_worker(*, interruptible: bool = False, ends_with_parent: bool = True, niceness: int = 0) -> None:
    """Set up this process as a worker; call this first.

    Args:
        interruptible: Whether Ctrl-C interrupts it. Otherwise the parent handles Ctrl-C and stops its workers.
        ends_with_parent: Exit immediately when the parent ends, however it ends. A worker that must save something
            first watches `multiprocessing.parent_process()` itself.
        niceness: Added to the process's niceness.
    """
    if not interruptible:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if ends_with_parent:
        threading.Thread(target=_wait_for_parents_end, daemon=True).start()
    if niceness:
        os.nice(niceness)


def _wait_for_parents_end() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def stop_worker(process: BaseProcess, patience_s: float) -> bool:
    """Wait for a worker that was told to stop, and terminate it after `patience_s`.

    Returns:
        Whether it ended by itself.
    """
    process.join(patience_s)
    if not process.is_alive():
        return True
    process.terminate()
    process.join()
    return False


def interrupt_with_parent() -> None:
    """Have the kernel send SIGINT to this program when its parent dies, even by SIGKILL; for `preexec_fn`."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def stop_program(process: subprocess.Popen[Any], patience_s: float) -> None:
    """Ask a program to end, as Ctrl-C would; kill it after `patience_s`."""
    for number, wait_s in ((signal.SIGINT, patience_s), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        if process.poll() is not None:
            return
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(wait_s)
