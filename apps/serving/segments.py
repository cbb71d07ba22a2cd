"""Segments of shoppers that have lists of their own: the consented regions."""

import numpy as np

from apps.ml.base import TrainOptions
from apps.ml.dataset import ANONYMOUS, Dataset, Ints
from apps.ml.topn import SERVED_LIST_LENGTH, TopN
from apps.ml.train import train
from apps.serving.lists import segment_key
from apps.training.models import ModelVersion

# A region with fewer shoppers says more about them than about the region.
SHOPPERS_MIN = 20
REGIONS_MAX = 200
FAMILY = "popular"


def segment_lists(version: ModelVersion) -> tuple[Ints, TopN]:
    """What sells in each region: keys int64 [n] and one list each; none for families other than popularity.

    Snapshots carry a region only for shoppers who agreed to its use.
    """
    snapshot = version.run.snapshot if version.run is not None else None
    if version.recipe.family != FAMILY or snapshot is None:
        return np.zeros(0, np.int64), TopN.empty(0, SERVED_LIST_LENGTH)
    dataset = Dataset.from_snapshot(snapshot.path)
    if "region" not in dataset.shoppers:
        return np.zeros(0, np.int64), TopN.empty(0, SERVED_LIST_LENGTH)
    regions = dataset.shoppers["region"].astype("string").fillna("")
    counts = regions[regions != ""].value_counts()
    keys, tops = [], []
    for region in counts[counts >= SHOPPERS_MIN].index[:REGIONS_MAX]:
        members = (regions == region).to_numpy()
        mask = np.zeros(len(dataset), dtype=np.bool_)
        known = dataset.user >= 0
        mask[known] = members[dataset.user[known]]
        part = dataset.select(mask)
        if not len(part):
            continue
        model = train(FAMILY, version.config, part, TrainOptions(seed=version.seed))
        keys.append(segment_key(str(region)))
        tops.append(model.recommend([ANONYMOUS], SERVED_LIST_LENGTH))
    return np.asarray(keys, dtype=np.int64), TopN.stack(tops, SERVED_LIST_LENGTH)
