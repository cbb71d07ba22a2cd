"""RecTools (github.com/MobileTeleSystems/RecTools): EASE, on binary data as its authors mean it."""

from typing import Any

import exchange
import numpy as np
import pandas as pd
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import EASEModel


def ease(train: exchange.Train, setting: dict[str, Any]) -> exchange.Lists:
    """Steck (2019). Repeated rows would teach the model to predict an item from itself."""
    pairs = train.matrix().tocoo()
    frame = pd.DataFrame(
        {
            Columns.User: pairs.row,
            Columns.Item: pairs.col,
            Columns.Weight: 1.0,
            Columns.Datetime: pd.Timestamp(0),
        }
    )
    data = Dataset.construct(frame)
    model = EASEModel(recommend_n_threads=1, **setting).fit(data)

    def lists(rows: exchange.Ints, variant: str) -> exchange.Ints:
        found = model.recommend(rows, data, exchange.LENGTH, filter_viewed=variant == "new")
        answer = np.full((len(rows), exchange.LENGTH), -1, dtype=np.int64)
        place = pd.Series(np.arange(len(rows)), index=rows)[found[Columns.User]].to_numpy()
        answer[place, found[Columns.Rank].to_numpy() - 1] = found[Columns.Item].to_numpy()
        return answer

    return lists


if __name__ == "__main__":
    exchange.main({"ease": ease})
