"""RecTools (github.com/MobileTeleSystems/RecTools): EASE."""

from typing import Any

import pandas as pd
import turns
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import EASEModel


def ease(data: Any, settings: dict[str, Any], threads: int) -> tuple[turns.Fit, None]:
    pairs = turns.matrix_of(data).tocoo()
    columns = {Columns.User: pairs.row, Columns.Item: pairs.col}
    known = Dataset.construct(
        pd.DataFrame({**columns, Columns.Weight: 1.0, Columns.Datetime: pd.Timestamp(0)})
    )
    return lambda: EASEModel(recommend_n_threads=threads, **settings).fit(known), None


if __name__ == "__main__":
    turns.main({"ease": ease})
