"""Limits linear algebra to one thread; a separate module, because that must happen before numpy is loaded."""

from __future__ import annotations

import os


def use_one_thread() -> None:
    """Limit linear algebra to one thread. Its libraries read the setting once, on loading, so call this first."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
