"""Compilation with numba, cached on disk if possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(*signatures: Any, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """`numba.njit` with a disk cache beside the module or in the user's cache folder, or without a cache.

    Args:
        *signatures: As for `njit`; with signatures, the code is compiled (or loaded) when its module is imported.
        **options: Further options of `njit`.
    """
    jit: Any = njit

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return jit(*signatures, cache=True, nogil=True, error_model="numpy", **options)(function)
        except RuntimeError:  # numba found no writable folder
            return jit(*signatures, nogil=True, error_model="numpy", **options)(function)

    return decorate
