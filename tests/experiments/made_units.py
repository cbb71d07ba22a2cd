"""Files of units made for tests: sound, broken, and misleading experiments."""

from __future__ import annotations

import numpy as np
import pandas as pd


def units(
    n: int = 6000, *, lift: float = 0.0, share: float = 0.5, seed: int = 1, base: float = 0.2
) -> pd.DataFrame:
    """One row for each unit, control A and treatment B: a conversion, revenue, clicks over views, a time.

    lift: relative change of the conversion; share: of B. `before` foretells `value`; days run over two weeks.
    """
    rng = np.random.default_rng(seed)
    treated = rng.random(n) < share
    bought = rng.random(n) < base * np.where(treated, 1 + lift, 1)
    before = rng.gamma(2, 5, n)
    return pd.DataFrame(
        {
            "user": [f"u{at}" for at in range(n)],
            "group": np.where(treated, "B", "A"),
            "bought": bought.astype(int),
            "spent": np.round(np.where(bought, rng.lognormal(3, 1, n), 0.0), 2),
            "views": rng.poisson(5, n) + 1,
            "clicks": rng.poisson(1, n),
            "value": np.round(before + rng.normal(0, 3, n), 4),
            "before": np.round(before, 4),
            "seconds": np.round(rng.exponential(10, n), 4),
            "device": rng.choice(["phone", "desk"], n),
            "day": (pd.Timestamp("2026-03-01") + pd.to_timedelta(rng.integers(0, 14, n), "D")).astype(str),
        }
    )


def simpson(n: int = 20_000, seed: int = 3) -> pd.DataFrame:
    """B is better on each device, and worse overall: it got the phones, which buy less."""
    rng = np.random.default_rng(seed)
    phone = rng.random(n) < 0.5
    treated = rng.random(n) < np.where(phone, 0.8, 0.2)
    rate = np.where(phone, 0.10, 0.40) * np.where(treated, 1.15, 1.0)
    return pd.DataFrame(
        {
            "user": range(n),
            "group": np.where(treated, "B", "A"),
            "bought": (rng.random(n) < rate).astype(int),
            "device": np.where(phone, "phone", "desk"),
        }
    )


def summary_of(frame: pd.DataFrame, *metrics: str) -> pd.DataFrame:
    """Counts, means and variances of a file of units: one row for each variant and metric."""
    rows = []
    for variant, group in frame.groupby("group"):
        rows += [
            {
                "group": variant,
                "metric": metric,
                "count": len(group),
                "mean": group[metric].mean(),
                "variance": group[metric].var(),
            }
            for metric in metrics
        ]
    return pd.DataFrame(rows)
