"""How many threads linear algebra may use; apart from the rest, because it must be said before numpy is loaded."""

from __future__ import annotations

import os


def use_one_thread() -> None:
    """Hold linear algebra to one thread; its libraries read this once, when they are loaded, so call it before."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
