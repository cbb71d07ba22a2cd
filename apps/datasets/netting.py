"""Returns undo purchases. Pure NumPy and pandas."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# Sums of binary fractions leave dust; a quantity below a millionth is nothing.
NOTHING = 1e-6


@dataclass(frozen=True, slots=True)
class Netted:
    """left: float64 [n], what is left of each purchase in the end; 0 for returns. undone_at: float64 [n],
    when a return took the last of a purchase; infinity while something is left, and for returns.
    """

    left: NDArray[np.float64]
    undone_at: NDArray[np.float64]


def returns_net(
    *,
    shopper: NDArray[np.int64],
    product: NDArray[np.int64],
    quantity: NDArray[np.float64],
    is_return: NDArray[np.bool_],
    timestamp: NDArray[np.float64],
) -> Netted:
    """Let each return take from the latest earlier purchases of the same shopper and product.

    All arrays have length n, are ascending in time and hold purchases and returns only. A return takes up to
    its quantity; what exceeds the purchases is ignored. Negative shoppers are anonymous: their returns can't
    be matched. Knowing *when* a purchase was undone lets a split by time see it as it stood at the cut.
    """
    left = np.where(is_return, 0.0, quantity)
    undone_at = np.full(len(left), np.inf)
    if not len(left) or not is_return.any():
        return Netted(left, undone_at)
    codes = pd.factorize(pd.MultiIndex.from_arrays([shopper, product]))[0]
    matched = is_return & (shopper >= 0)
    with_returns = np.zeros(codes.max() + 1, dtype=bool)
    with_returns[codes[matched]] = True
    # Only pairs with a return are walked, and those are few; a stack says the law plainly.
    standing: dict[int, list[int]] = {}
    for row in np.flatnonzero(with_returns[codes]).tolist():
        stack = standing.setdefault(int(codes[row]), [])
        if not is_return[row]:
            stack.append(row)
            continue
        wanted = quantity[row]
        while stack and wanted > NOTHING:
            taken = min(left[stack[-1]], wanted)
            left[stack[-1]] -= taken
            wanted -= taken
            if left[stack[-1]] < NOTHING:
                left[stack[-1]] = 0.0
                undone_at[stack.pop()] = timestamp[row]
    return Netted(left, undone_at)
