"""A loop at absolute deadlines, and statistics of its ticks."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import time
from collections.abc import Callable

import numpy as np
from rclpy.impl.rcutils_logger import RcutilsLogger

_KEPT = 4096  # ticks that the percentiles cover
ON_TIME_S = 0.002  # a tick that begins within this time of its deadline is on time
_EARLY_S = 0.0005  # how long before a deadline the loop wakes to rehearse the tick
_EARLY_SHARE = 0.125  # largest share of a period spent on that
_PHASE_S = 0.0007  # how long before its tick a state should have arrived
_PHASE_GAIN = 0.05
_PHASE_REACH = 0.01  # of a period: the largest shift of one deadline
_MCL_CURRENT_AND_FUTURE = 3  # <sys/mman.h>


class LoopStatistics:
    """Lateness and computing times of a loop's ticks, in preallocated memory."""

    def __init__(self) -> None:
        self._late_s = np.zeros(_KEPT)
        self._compute_s = np.zeros(_KEPT)
        self.ticks = 0
        self.on_time = 0

    def add(self, late_s: float, compute_s: float) -> None:
        """Record one tick."""
        index = self.ticks % _KEPT
        self._late_s[index] = late_s
        self._compute_s[index] = compute_s
        self.on_time += late_s <= ON_TIME_S
        self.ticks += 1

    def summary(self) -> dict[str, float]:
        """Counts since the start; medians, percentiles and maxima of the recent ticks."""
        kept = min(self.ticks, _KEPT)
        if not kept:
            return {"ticks": 0}
        late_ms, compute_us = self._late_s[:kept] * 1e3, self._compute_s[:kept] * 1e6
        return {
            "ticks": self.ticks,
            "ticks_on_time": self.on_time,
            "late_ms_median": float(np.median(late_ms)),
            "late_ms_p999": float(np.quantile(late_ms, 0.999)),
            "late_ms_max": float(late_ms.max()),
            "compute_us_median": float(np.median(compute_us)),
            "compute_us_p99": float(np.quantile(compute_us, 0.99)),
            "compute_us_max": float(compute_us.max()),
        }


class DeadlineLoop:
    """Calls `tick(late_s)` at absolute deadlines: a late tick does not delay the next one.

    Deadlines that have passed in the meantime are skipped, not made up for: a tick's limits hold for one period, and
    many ticks in a row would do at once what they allow over many periods.

    If the states arrive at the loop's own rate, the deadlines are shifted, by at most a hundredth of a period at a
    time, until each comes shortly after a state: the arm's clock is the master.

    Between two ticks other programs use the processor, and the data of a tick leaves the caches: a moment later, the
    same tick would take a fifth of the time. The loop therefore wakes half a millisecond early, rehearses, and does
    not sleep again before the deadline. That also compensates for a system that wakes it late.

    Args:
        period_s: Time between two deadlines.
        tick: The work; receives its delay after the deadline.
        arrival: Returns when the last state arrived, by `time.monotonic`; None before the first.
        late: Called, rarely, when the loop has fallen so far behind that deadlines were skipped.
        rehearse: Runs the code of the next tick without any effect.
    """

    def __init__(
        self,
        period_s: float,
        tick: Callable[[float], None],
        arrival: Callable[[], float | None],
        late: Callable[[float], None],
        rehearse: Callable[[], None] = lambda: None,
    ) -> None:
        self._period_s = period_s
        self._early_s = min(_EARLY_S, _EARLY_SHARE * period_s)
        self._tick, self._arrival, self._fell_behind, self._rehearse = tick, arrival, late, rehearse
        self._arrived_s: float | None = None
        self._ended = threading.Event()

    def end(self) -> None:
        """Make `run` return after the current tick."""
        self._ended.set()

    def run(self) -> None:
        """Tick until `end` is called."""
        deadline_s = time.monotonic()
        while not self._ended.is_set():
            self._wait(deadline_s)
            late_s = time.monotonic() - deadline_s
            self._tick(max(late_s, 0.0))
            if late_s > 10 * self._period_s:
                self._fell_behind(late_s)
            deadline_s += self._period_s + self._phase_correction_s(deadline_s)
            deadline_s = without_missed(deadline_s, self._period_s)

    def _wait(self, deadline_s: float) -> None:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            return
        time.sleep(max(left_s - self._early_s, 0.0))
        now_s, took_s = time.monotonic(), 0.0
        while now_s + took_s < deadline_s:  # as long as another rehearsal fits in before the deadline
            self._rehearse()
            took_s, now_s = time.monotonic() - now_s, time.monotonic()
        while time.monotonic() < deadline_s:
            pass  # sleeping would release the processor

    def _phase_correction_s(self, deadline_s: float) -> float:
        arrived_s = self._arrival()
        if arrived_s is None or arrived_s == self._arrived_s:
            return 0.0
        self._arrived_s = arrived_s
        half_s = self._period_s / 2
        early_s = (deadline_s - arrived_s - _PHASE_S + half_s) % self._period_s - half_s
        reach_s = _PHASE_REACH * self._period_s
        return min(max(-_PHASE_GAIN * early_s, -reach_s), reach_s)


def without_missed(deadline_s: float, period_s: float) -> float:
    """The deadline, advanced by the whole periods that have passed since: they are skipped, not made up for."""
    return deadline_s + max((time.monotonic() - deadline_s) // period_s, 0.0) * period_s


def realtime_allowed() -> bool:
    """Whether the system grants this process a real-time priority."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        return False
    os.sched_setscheduler(0, *before)
    return True


def claim_processor(priority: int, cores: list[int], lock_memory: bool, logger: RcutilsLogger) -> None:
    """Give the calling thread a real-time priority and its own cores, and lock the process in memory, if allowed.

    The other threads get the next lower priority: they share Python's lock with the loop, and if one that holds the
    lock had to wait for ordinary programs, so would the loop.
    """
    if priority:
        try:
            for thread in os.listdir(os.path.join(os.sep, "proc", "self", "task")):
                os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(max(priority - 1, 1)))
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        except OSError as error:
            logger.warning(
                f"no real-time priority {priority} ({error.strerror}): allow it with `@realtime - rtprio 99` in "
                "/etc/security/limits.conf, or set realtime_priority to 0"
            )
    if cores:
        try:
            os.sched_setaffinity(0, cores)
        except OSError as error:
            there = sorted(os.sched_getaffinity(0))
            logger.warning(f"cpu_affinity {cores} is not possible ({error.strerror}): this process may use {there}")
    if lock_memory:
        with contextlib.suppress(AttributeError):
            if ctypes.CDLL(None, use_errno=True).mlockall(_MCL_CURRENT_AND_FUTURE):
                reason = os.strerror(ctypes.get_errno())
                logger.warning(f"memory is not locked ({reason}): allow it with `@realtime - memlock unlimited`")
