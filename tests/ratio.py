"""How long work takes beside other work of its kind, in one process: the machine's own speed and load cancel out."""

import time
from collections.abc import Callable

import numpy as np


def times_as_long(work: Callable[[], object], reference: Callable[[], object], rounds: int = 100) -> float:
    """The median time of `work` over that of `reference`; the two take turns, so that both meet the same load."""
    work(), reference()  # what is compiled or cached at the first call is not measured
    taken_s = np.empty((rounds, 2))
    for row in taken_s:
        for side, call in enumerate((work, reference)):
            begun_s = time.perf_counter()
            call()
            row[side] = time.perf_counter() - begun_s
    ours_s, theirs_s = np.median(taken_s, axis=0)
    return float(ours_s / theirs_s)
