"""Worker processes and programs: what they give, and that none of them stays."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.core.processes import begin_worker, run_in_workers, stop_program, stop_worker

_base = 0


def set_base(value):
    global _base
    _base = value


def add(item):
    return _base + item


def wait_for(path, item):
    """The first item waits until another one has been finished."""
    while item == 0 and not path.exists():
        time.sleep(0.01)
    if item != 0:
        path.touch()
    return item


def die(item):
    if item == 1:
        os._exit(9)
    return item


def refuse(item):
    raise UserError(f"{item} is refused")


def takes_ctrl_c(_):
    return signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


@pytest.mark.parametrize("preload", [(), ("sac_gmm.core.errors",)])
def test_results_come_in_the_order_of_the_items(preload):
    found = run_in_workers(add, range(5), 2, initializer=set_base, initargs=(10,), preload=preload)
    assert list(found) == [(item, item + 10) for item in range(5)]
    assert not multiprocessing.active_children()


def test_results_come_as_they_are_finished_where_the_order_does_not_matter(tmp_path):
    found = list(run_in_workers(partial(wait_for, tmp_path / "done"), range(3), 2, in_order=False))
    assert found[0] == (1, 1) and sorted(found) == [(item, item) for item in range(3)]


def test_workers_end_when_no_more_results_are_wanted():
    found = run_in_workers(add, range(100), 2)
    assert next(found) == (0, 0)
    found.close()
    assert not multiprocessing.active_children()


def test_a_dead_worker_is_named_and_an_error_is_raised_as_it_is():
    with pytest.raises(UserError, match="died during item 1"):
        list(run_in_workers(die, range(2), 1, name_of=lambda item: f"item {item}"))
    with pytest.raises(UserError, match="0 is refused"):
        list(run_in_workers(refuse, range(2), 1))


@pytest.mark.parametrize("interruptible", [False, True])
def test_ctrl_c_is_the_parents_unless_workers_are_interruptible(interruptible):
    assert [taken for _, taken in run_in_workers(takes_ctrl_c, range(1), 1, interruptible=interruptible)] == [
        interruptible
    ]


def sleep_as_worker(started):
    begin_worker()
    started.set()
    time.sleep(600)


def test_a_worker_that_does_not_stop_is_terminated():
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    worker = context.Process(target=sleep_as_worker, args=(started,), daemon=True)
    worker.start()
    assert started.wait(60)
    assert not stop_worker(worker, 0.0) and not worker.is_alive()
    quick = context.Process(target=add, args=(1,), daemon=True)
    quick.start()
    assert stop_worker(quick, 60.0)


PARENT = """
import multiprocessing, os, time
from sac_gmm.core.processes import begin_worker
def work():
    begin_worker()
    print(os.getpid(), flush=True)
    time.sleep(600)
if __name__ == "__main__":
    multiprocessing.get_context("fork").Process(target=work).start()
    time.sleep(600)
"""


def test_a_worker_does_not_outlive_a_parent_that_is_killed():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    worker = int(parent.stdout.readline())
    parent.kill()
    wait_for_end(worker)
    parent.wait()


def test_a_program_is_interrupted_with_its_parent():
    script = (
        "import subprocess, sys, time; from sac_gmm.core.processes import interrupt_with_parent as i;"
        "print(subprocess.Popen(['sleep', '600'], preexec_fn=i).pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    program = int(parent.stdout.readline())
    parent.kill()
    wait_for_end(program)
    parent.wait()


def test_a_program_is_asked_to_end_before_it_is_made_to():
    polite = subprocess.Popen(["sleep", "600"])
    stop_program(polite, 60.0)
    assert polite.returncode == -signal.SIGINT
    script = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    deaf = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    deaf.stdout.readline()
    stop_program(deaf, 0.1)
    assert deaf.returncode == -signal.SIGTERM
    stop_program(deaf, 60.0)  # has ended already


def wait_for_end(pid):
    """Wait until a process, of which we are no parent, is gone or a zombie."""
    deadline = time.monotonic() + 60.0
    while running(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.01)


def running(pid):
    """Whether a process is there and no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
