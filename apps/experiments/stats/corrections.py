"""Many comparisons at once: adjusted p-values.

A p of None (no test was possible) stays None and doesn't count as a comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from apps.experiments.stats.moments import Floats

Correction = Literal["none", "holm", "bh"]


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Holm's adjusted p-values, which hold the chance of any false alarm at alpha under any dependence.

    The i-th smallest of m is max over j <= i of min(1, (m - j + 1) p_(j)). Holm (1979), "A simple
    sequentially rejective multiple test procedure".
    """
    return _adjusted(ps, lambda ordered: np.maximum.accumulate(ordered * np.arange(ordered.size, 0, -1)))


def benjamini_hochberg(ps: Sequence[float | None]) -> list[float | None]:
    """Adjusted p-values that hold the expected share of false alarms among all alarms at alpha.

    The i-th smallest of m is min over j >= i of min(1, m p_(j) / j); for independent or positively dependent
    tests. Benjamini & Hochberg (1995), "Controlling the false discovery rate".
    """

    def step_up(ordered: Floats) -> Floats:
        scaled = ordered * (ordered.size / np.arange(1, ordered.size + 1))
        return np.minimum.accumulate(scaled[::-1])[::-1]

    return _adjusted(ps, step_up)


def adjusted(ps: Sequence[float | None], correction: Correction) -> list[float | None]:
    """The p-values after the named correction: none, holm or bh."""
    if correction == "holm":
        return holm(ps)
    return benjamini_hochberg(ps) if correction == "bh" else list(ps)


def _adjusted(ps: Sequence[float | None], rule: Callable[[Floats], Floats]) -> list[float | None]:
    known = [at for at, p in enumerate(ps) if p is not None]
    values = np.array([p for p in ps if p is not None], dtype=np.float64)
    order = np.argsort(values, kind="stable")
    result: list[float | None] = [None] * len(ps)
    for at, p in zip(order, np.minimum(rule(values[order]), 1.0), strict=True):
        result[known[at]] = float(p)
    return result
