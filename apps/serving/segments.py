"""Segments of shoppers that have lists of their own: the consented regions."""

from dataclasses import replace

import numpy as np

from apps.ml.configs.popularity import PopularConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.models.popular import popular_by_segment
from apps.ml.topn import SERVED_LIST_LENGTH, TopN
from apps.serving.lists import segment_key
from apps.training.models import ModelVersion

# A region with fewer shoppers says more about them than about the region.
SHOPPERS_MIN = 20
REGIONS_MAX = 200
FAMILY = "popular"
REGION = "region"


def segment_lists(version: ModelVersion) -> tuple[Ints, TopN]:
    """What sells in each region: keys int64 [n] and one list each; none for families other than popularity.

    Snapshots carry a region only for shoppers who agreed to its use.
    """
    snapshot = version.run.snapshot if version.run is not None else None
    lists: dict[str, TopN] = {}
    if version.recipe.family == FAMILY and snapshot is not None:
        dataset = _large_regions(Dataset.from_snapshot(snapshot.path))
        config = PopularConfig.from_dict(version.config)
        lists = popular_by_segment(dataset, config, REGION, SERVED_LIST_LENGTH)
    keys = np.array([segment_key(region) for region in lists], dtype=np.int64)
    return keys, TopN.stack(list(lists.values()), SERVED_LIST_LENGTH)


def _large_regions(dataset: Dataset) -> Dataset:
    """The same data with small regions taken out of the shoppers' attributes."""
    if REGION not in dataset.shoppers:
        return dataset
    regions = dataset.shoppers[REGION].astype("string").fillna("")
    counts = regions[regions != ""].value_counts()
    large = counts[counts >= SHOPPERS_MIN].index[:REGIONS_MAX]
    kept = regions.where(regions.isin(large), "").astype("object")
    return replace(dataset, shoppers=dataset.shoppers.assign(**{REGION: kept}))
