"""How much work something is beside other work of its kind, in one process: the machine's own speed cancels out."""

import time
from collections.abc import Callable

import numpy as np


def times_as_long(work: Callable[[], object], reference: Callable[[], object], rounds: int = 100) -> float:
    """The processor time of `work` over that of `reference`.

    The two take turns. What counts is this process's own processor time, and of each the quickest round: another
    program that takes the processor away, or pushes our data out of its caches, makes some rounds slow but not all.
    """
    work(), reference()  # what is compiled or cached at the first call is not measured
    taken_s = np.empty((rounds, 2))
    for row in taken_s:
        for side, call in enumerate((work, reference)):
            begun_s = time.process_time()
            call()
            row[side] = time.process_time() - begun_s
    ours_s, theirs_s = taken_s.min(axis=0)
    return float(ours_s / theirs_s)
