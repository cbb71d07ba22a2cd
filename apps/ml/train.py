"""One door to training: checks the settings, fixes threads and seeds, fits, notes the cost."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from apps.ml.base import Model, Progress, TrainOptions
from apps.ml.configs import Config
from apps.ml.cost import Meter
from apps.ml.dataset import Dataset
from apps.ml.errors import DataMissing
from apps.ml.registry import family_get


def train(
    family: str, config: dict[str, Any] | Config | None, dataset: Dataset, options: TrainOptions | None = None
) -> Model[Any]:
    """Fits one model.

    config: settings over a preset ({"preset": "small", "factors": 16}), or a Config. Raises InvalidValue for
    a wrong setting, DataMissing for an empty dataset, Cancelled when `options.should_stop` said so.
    """
    options = options or TrainOptions()
    chosen = family_get(family)
    settings = chosen.config(config)
    if not len(dataset):
        raise DataMissing(f"{family}: the dataset has no events; widen the window")
    model_class = chosen.load()
    options.report(Progress("start", 0.0, message=chosen.title))
    random.seed(options.seed)
    np.random.seed(options.seed)
    meter = Meter()
    with threadpool_limits(limits=options.threads):
        model = model_class.fit(dataset, settings, options)
    model.threads = options.threads
    cost = meter.read()
    model.metrics.update(
        fit_seconds=cost.seconds, core_seconds=cost.core_seconds, peak_memory_mb=cost.peak_memory_mb
    )
    options.report(Progress("fitted", 1.0))
    return model
