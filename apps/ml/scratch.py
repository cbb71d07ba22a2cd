"""Memory for one block of scores, used again for the next.

A fresh array of 50 MB costs the system more time to hand out, page by page, than the product that fills it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from apps.ml.topn import Floats


class _Scratch(threading.local):
    """Each thread has its own: two blocks side by side never share memory."""

    lent: bool = False
    array: Floats | None = None


_scratch = _Scratch()


@contextmanager
def reused() -> Iterator[None]:
    """Inside, what `scores_array` gave is valid until the thread asks again: for callers that rank a block
    before they score the next.
    """
    before, _scratch.lent = _scratch.lent, True
    try:
        yield
    finally:
        _scratch.lent = before
        if not before:
            _scratch.array = None


def scores_array(n: int, n_items: int) -> Floats:
    """Uninitialised float32 [n, n_items]; a fresh one unless inside `reused`."""
    if not _scratch.lent:
        return np.empty((n, n_items), dtype=np.float32)
    size = n * n_items
    if _scratch.array is None or _scratch.array.size < size:
        _scratch.array = np.empty(size, dtype=np.float32)
    return _scratch.array[:size].reshape(n, n_items)
