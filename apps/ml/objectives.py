"""What a hybrid is to be good at: a mix of accuracy, money, breadth and novelty."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from apps.ml.errors import InvalidValue

PARTS = ("ndcg", "revenue", "margin", "coverage", "novelty")


@dataclass(frozen=True)
class Objective:
    """How much each part counts; each is taken relative to that of the best single source. At least one must
    be above 0, none below.
    """

    ndcg: float = 1.0
    revenue: float = 0.0
    margin: float = 0.0
    coverage: float = 0.0
    novelty: float = 0.0

    def __post_init__(self) -> None:
        values = [getattr(self, name) for name in PARTS]
        if not np.isfinite(values).all() or min(values) < 0 or max(values) <= 0:
            raise InvalidValue("objective", values, "Give shares of 0 or more, at least one above 0.")

    @property
    def only_ndcg(self) -> bool:
        """Whether accuracy is all that counts."""
        return not any(getattr(self, name) for name in PARTS[1:])

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


NDCG = Objective()


def pareto_front(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rows of the points [n, m] (more is better in each column) that no other row dominates, by first column
    descending. Of equal rows the first stays.
    """
    order = np.lexsort(tuple(-points[:, column] for column in reversed(range(points.shape[1]))))
    kept: list[int] = []
    for row in order.tolist():
        rivals = points[kept]
        if not len(kept) or not (rivals >= points[row]).all(axis=1).any():
            kept.append(row)
    return np.array(kept, dtype=np.int64)
