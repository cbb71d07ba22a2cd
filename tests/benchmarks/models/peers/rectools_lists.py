"""RecTools (github.com/MobileTeleSystems/RecTools): EASE, on binary data as its authors mean it; SASRec."""

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
    return _lists(model, data)


def _lists(model: Any, data: Dataset) -> exchange.Lists:
    """A fitted model's lists; shoppers it leaves out have empty ones."""

    def lists(rows: exchange.Ints, variant: str) -> exchange.Ints:
        found = model.recommend(rows, data, exchange.LENGTH, filter_viewed=variant == "new")
        answer = np.full((len(rows), exchange.LENGTH), -1, dtype=np.int64)
        place = pd.Series(np.arange(len(rows)), index=rows)[found[Columns.User]].to_numpy()
        answer[place, found[Columns.Rank].to_numpy() - 1] = found[Columns.Item].to_numpy()
        return answer

    return lists


def sasrec(train: exchange.Train, setting: dict[str, Any]) -> exchange.Lists:
    """Its SASRec: softmax over the catalogue, all positions of the last `session_max_len` events at once."""
    import torch
    from rectools.models import SASRecModel

    torch.manual_seed(0)
    torch.set_num_threads(1)
    # equal moments keep their order in the file
    order = np.lexsort((np.arange(len(train.user)), train.timestamp))
    frame = pd.DataFrame({Columns.User: train.user[order], Columns.Item: train.item[order]})
    frame[Columns.Weight] = 1.0
    frame[Columns.Datetime] = pd.Timestamp(0) + pd.to_timedelta(np.arange(len(frame)), unit="s")
    data = Dataset.construct(frame)
    model = SASRecModel(deterministic=True, recommend_n_threads=1, **setting).fit(data)
    return _lists(model, data)


if __name__ == "__main__":
    exchange.main({"ease": ease, "sasrec": sasrec})
