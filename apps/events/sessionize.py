"""What a session is: a shopper's events with gaps under 30 minutes."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SESSION_GAP_SECONDS = 30 * 60.0


def sessions_number(
    *, who: "pd.Series[Any]", at: "pd.Series[Any]", gap_seconds: float = SESSION_GAP_SECONDS
) -> "pd.Series[Any]":
    """Number the sessions (int64 from 0, in order of `who` and time) of events in any order.

    `who` names the shopper (or the anonymous visitor's session id), `at` is epoch seconds or a timestamp. A
    gap of `gap_seconds` or more begins a new session.
    """
    frame = pd.DataFrame({"who": pd.factorize(who, sort=True)[0], "at": at})
    if pd.api.types.is_datetime64_any_dtype(frame["at"].dtype):
        frame["at"] = (
            frame["at"].astype("int64") / {"ns": 1e9, "us": 1e6, "ms": 1e3, "s": 1.0}[frame["at"].dt.unit]
        )
    ordered = frame.sort_values(["who", "at"], kind="stable")
    moments = ordered["at"].to_numpy(dtype=np.float64)
    people = ordered["who"].to_numpy()
    begins = sessions_begin(who=people, at=moments, gap=gap_seconds)
    numbers = pd.Series(np.cumsum(begins) - 1, index=ordered.index, dtype="int64")
    return numbers.reindex(frame.index)


def sessions_begin(*, who: NDArray[Any], at: NDArray[Any], gap: float) -> NDArray[np.bool_]:
    """Whether each event begins a session; [n], ordered by `who` and time, `gap` in the unit of `at`."""
    begins = np.ones(len(at), dtype=np.bool_)
    begins[1:] = (who[1:] != who[:-1]) | (at[1:] - at[:-1] >= gap)
    return begins
