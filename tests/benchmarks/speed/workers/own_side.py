"""This project's side: `train` of a family on a Dataset made of the same arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from apps.ml.base import TrainOptions
from apps.ml.dataset import Dataset
from apps.ml.registry import FAMILIES
from apps.ml.train import train
from tests.benchmarks.speed.workers import turns


def _family(name: str) -> Callable[[Any, dict[str, Any], int], tuple[turns.Fit, turns.Top]]:
    def sides(data: Any, settings: dict[str, Any], threads: int) -> tuple[turns.Fit, turns.Top]:
        frame = pd.DataFrame({"user_id": data["user"], "item_id": data["item"]})
        items = pd.DataFrame({"item_id": np.arange(int(data["shape"][1]))})
        shoppers = pd.DataFrame({"user_id": np.arange(int(data["shape"][0]))})
        dataset = Dataset.from_frames(frame.assign(timestamp=data.get("timestamp", 0.0)), items, shoppers)
        k = settings.pop("k")
        FAMILIES[name].load()

        def top(model: Any) -> Any:
            return model.recommend(dataset.users.ids, k, exclude="bought").ids

        return lambda: train(name, settings, dataset, TrainOptions(threads=threads)), top

    return sides


if __name__ == "__main__":
    turns.main({name: _family(name) for name in FAMILIES})
