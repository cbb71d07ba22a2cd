"""Segments of shoppers that have lists of their own: the consented regions."""

from dataclasses import replace
from typing import Any

import numpy as np

from apps.catalog.models import Product
from apps.merchandising.rules.facts import category_prefixes
from apps.ml.base import Model
from apps.ml.configs.popularity import PopularConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.models.popular import popular_by_segment
from apps.ml.registry import FAMILIES
from apps.ml.topn import SERVED_LIST_LENGTH, TopN, top_k
from apps.serving.lists import category_key, segment_key
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


def category_lists(model: Model[Any]) -> tuple[Ints, TopN]:
    """Of a family that serves everybody one list, the same list for each category with all below it: keys
    int64 [n] and one list each; none for other families. What trends or sells in a category is ranked by
    the model's scores in the whole shop.
    """
    if not FAMILIES[model.family].shared:
        return np.zeros(0, dtype=np.int64), TopN.empty(0, SERVED_LIST_LENGTH)
    paths = dict(Product.objects.exclude(category=None).values_list("pk", "category__path"))
    ids, scores = model.history.items.ids, model.score_anyone()
    if scores is None:
        return np.zeros(0, dtype=np.int64), TopN.empty(0, SERVED_LIST_LENGTH)
    members: dict[str, list[int]] = {}
    for row, product_id in enumerate(ids.tolist()):
        for path in category_prefixes(paths.get(product_id, "")):
            members.setdefault(path, []).append(row)
    found = {
        category_key(path): top_k(scores[None, rows].astype(np.float32), ids[rows], SERVED_LIST_LENGTH)
        for path, rows in sorted(members.items())
    }
    return np.array(list(found), dtype=np.int64), TopN.stack(list(found.values()), SERVED_LIST_LENGTH)


def _large_regions(dataset: Dataset) -> Dataset:
    """The same data with small regions taken out of the shoppers' attributes."""
    if REGION not in dataset.shoppers:
        return dataset
    regions = dataset.shoppers[REGION].astype("string").fillna("")
    counts = regions[regions != ""].value_counts()
    large = counts[counts >= SHOPPERS_MIN].index[:REGIONS_MAX]
    kept = regions.where(regions.isin(large), "").astype("object")
    return replace(dataset, shoppers=dataset.shoppers.assign(**{REGION: kept}))
