"""LensKit (github.com/lenskit/lkpy): implicit-feedback ALS, by its own pipeline."""

from typing import Any

import exchange
import numpy as np
import pandas as pd
from lenskit.als import ImplicitMFScorer
from lenskit.data import from_interactions_df
from lenskit.training import TrainingOptions


def als(train: exchange.Train, setting: dict[str, Any]) -> exchange.Lists:
    """Hu, Koren, Volinsky (2008)."""
    pairs = train.matrix().tocoo()
    frame = pd.DataFrame({"user_id": pairs.row, "item_id": pairs.col})
    model = ImplicitMFScorer(**setting)
    model.train(from_interactions_df(frame), TrainingOptions(rng=0))
    users = model.users.numbers(np.arange(train.shape[0]))
    items = model.items.numbers(np.arange(train.shape[1]))

    def score(rows: exchange.Ints) -> Any:
        found = np.asarray(model.user_embeddings)[users[rows]] @ np.asarray(model.item_embeddings).T
        return found[:, items]

    return train.top(score)


if __name__ == "__main__":
    exchange.main({"als": als})
