"""ROS domains that belong to one test alone."""

import fcntl
import itertools
import os
from typing import IO

_next_domain = itertools.count(os.getpid())


def free_domain() -> tuple[int, IO[str]]:
    """A domain that nobody else tests in, and its lock: closing the file gives the domain back.

    The next one asked for is another, so that what lingers of the nodes before is not heard.
    """
    for _ in range(50):
        domain = 51 + next(_next_domain) % 50  # above those that `sac-gmm demo` takes, which locks none
        lock = open(f"/tmp/sac_gmm_test_domain_{domain}.lock", "w")  # noqa: SIM115 - held open on purpose
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        return domain, lock
    raise RuntimeError("all ROS domains are taken")
