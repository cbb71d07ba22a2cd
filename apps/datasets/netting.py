"""Returns undo purchases, for whole frames at once. Pure NumPy and pandas."""

from typing import Any

import numpy as np
import pandas as pd


def returns_net(
    *,
    shopper: "np.ndarray[Any, np.dtype[np.int64]]",
    product: "np.ndarray[Any, np.dtype[np.int64]]",
    quantity: "np.ndarray[Any, np.dtype[np.float64]]",
    is_return: "np.ndarray[Any, np.dtype[np.bool_]]",
) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """What is left of each purchase after the returns that follow it; 0 for returns. float64 [n], order kept.

    All arrays have length n, are ascending in time and hold purchases and returns only. A return takes from
    the latest earlier purchases of the same shopper and product, up to its quantity; what exceeds them is
    ignored. Negative shoppers are anonymous: their returns can't be matched.

    Per pair the purchases are a stack. Its height, with a floor at 0, is the running sum minus its lowest
    value so far (or 0); a purchase that lifted it from a to b keeps what of (a, b] the height never falls
    below again.
    """
    left = np.where(is_return, 0.0, quantity)
    if not len(left) or not is_return.any():
        return left
    pair = pd.MultiIndex.from_arrays([shopper, product])
    codes = pd.factorize(pair)[0]
    with_returns = np.zeros(codes.max() + 1, dtype=bool)
    with_returns[codes[is_return & (shopper >= 0)]] = True
    chosen = np.flatnonzero(with_returns[codes])
    if not len(chosen):
        return left
    steps = pd.Series(np.where(is_return[chosen], -quantity[chosen], quantity[chosen]))
    group = codes[chosen]
    running = steps.groupby(group).cumsum()
    floor = running.groupby(group).cummin().clip(upper=0.0)
    height = (running - floor).to_numpy()
    before = pd.Series(height).groupby(group).shift(fill_value=0.0).to_numpy()
    lowest_after = pd.Series(height[::-1]).groupby(group[::-1]).cummin().to_numpy()[::-1]
    kept = np.clip(np.minimum(lowest_after, height) - before, 0.0, None)
    # Sums of binary fractions leave dust; a quantity below a millionth is nothing.
    left[chosen] = np.where(is_return[chosen] | (kept < 1e-6), 0.0, kept)
    return left
