"""Cornac (github.com/PreferredAI/cornac): EASE."""

from typing import Any

import turns
from cornac.data import Dataset
from cornac.models import EASE


def ease(data: Any, settings: dict[str, Any], threads: int) -> tuple[turns.Fit, None]:
    pairs = turns.matrix_of(data).tocoo()
    rows = list(zip(pairs.row.tolist(), pairs.col.tolist(), pairs.data.tolist(), strict=True))
    known = Dataset.from_uir(rows)
    return lambda: EASE(verbose=False, **settings).fit(known), None


if __name__ == "__main__":
    turns.main({"ease": ease})
