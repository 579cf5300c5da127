"""The loop's deadlines in simulated time; its processor for real."""

import os
import threading

import numpy as np
import pytest
from rclpy.logging import get_logger

from sac_gmm_nodes.control import control_loop
from sac_gmm_nodes.control.control_loop import DeadlineLoop, LoopStatistics, claim_processor

PERIOD_S = 0.005


class Clock:
    """Stands in for `time`: sleeping takes as long as asked for, reading the clock a microsecond."""

    def __init__(self):
        self.now_s = 100.0

    def monotonic(self):
        self.now_s += 1e-6
        return self.now_s

    def sleep(self, duration_s):
        self.now_s += duration_s


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(control_loop, "time", clock)
    return clock


def run(clock, ticks, arrival=lambda: None, work=lambda number: None, rehearse=lambda: None):
    """Run a loop for some ticks; when each began and how late it was told that it is."""
    begun, late = [], []

    def tick(late_s):
        begun.append(clock.monotonic())
        late.append(late_s)
        work(len(begun))
        if len(begun) == ticks:
            loop.end()

    loop = DeadlineLoop(PERIOD_S, tick, arrival, lambda late_s: None, rehearse)
    loop.run()
    return np.array(begun), np.array(late)


def test_a_slow_tick_does_not_move_the_deadlines(clock):
    begun, late = run(clock, 200, work=lambda number: clock.sleep(2.5 * PERIOD_S) if number == 50 else None)
    assert late[50] < PERIOD_S, "a deadline that has passed is given up"
    deadlines = (begun - late - begun[0] + late[0]) / PERIOD_S
    assert np.abs(deadlines - np.round(deadlines)).max() < 0.01
    assert deadlines[50] - deadlines[49] == pytest.approx(2.0, abs=0.01), "by whole periods"


def test_a_pause_of_the_machine_is_not_made_up_for(clock):
    begun, _ = run(clock, 40, work=lambda number: clock.sleep(20 * PERIOD_S) if number == 10 else None)
    assert np.diff(begun)[10:].min() > 0.9 * PERIOD_S, "no burst of ticks after it"


def test_ticks_come_to_follow_the_states(clock):
    """States at the loop's rate, in any phase: after a second each comes shortly before its tick."""
    origin = clock.monotonic() + 0.37 * PERIOD_S

    def arrival():
        return origin + PERIOD_S * np.floor((clock.monotonic() - origin) / PERIOD_S)

    begun, late = run(clock, 400, arrival)
    phases = (begun - late - origin) % PERIOD_S
    assert np.median(phases[-100:]) == pytest.approx(0.0007, abs=0.0001)
    moved = np.abs(np.diff(begun - late) - PERIOD_S)
    assert moved.max() < 0.02 * PERIOD_S, "they moved little by little"


def test_ticks_are_rehearsed_shortly_before_their_deadlines(clock):
    rehearsed, gaps = [0.0], []

    def rehearse():
        clock.sleep(0.03 * PERIOD_S)
        rehearsed.append(clock.monotonic())

    _, late = run(clock, 200, work=lambda number: gaps.append(clock.monotonic() - rehearsed[-1]), rehearse=rehearse)
    assert max(gaps[1:]) < 0.05 * PERIOD_S, "but for the first, which is due at once"
    assert len(rehearsed) - 1 == 199 * 3, "as often as fits into the half millisecond before a deadline"
    assert late.max() < 0.01 * PERIOD_S, "and into no more"


def test_statistics_count_what_was_on_time():
    statistics = LoopStatistics()
    assert statistics.summary() == {"ticks": 0}
    for number in range(10_000):
        statistics.add(0.003 if number % 100 == 0 else 0.0001, 1e-4)
    summary = statistics.summary()
    assert (summary["ticks"], summary["ticks_on_time"]) == (10_000, 9_900)
    assert summary["late_ms_median"] == pytest.approx(0.1)
    assert summary["late_ms_max"] == pytest.approx(3.0)
    assert summary["compute_us_median"] == pytest.approx(100.0)


def test_cores_are_claimed_for_the_calling_thread_alone():
    before, there = os.sched_getaffinity(0), []
    core = min(before)

    def claim():
        claim_processor(0, [core], False, get_logger("test"))
        there.append(os.sched_getaffinity(0))

    thread = threading.Thread(target=claim)
    thread.start()
    thread.join()
    assert there == [{core}]
    assert os.sched_getaffinity(0) == before


def test_what_the_system_refuses_is_a_warning_that_says_what_to_do(capfd):
    thread = threading.Thread(target=claim_processor, args=(0, [1023], False, get_logger("test")))
    thread.start()
    thread.join()
    text = "".join(capfd.readouterr())
    assert "cpu_affinity [1023] is not possible" in text
    assert "this process may use" in text
