"""A choice explained in words, as (message, parameters) so that the portal can translate it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from apps.ml.protocols import Variant
from apps.ml.ranking_facts import ITEM_FEATURES, USER_FEATURES, Facts
from apps.ml.registry import FAMILIES
from apps.ml.stacking import StackedRanker

Words = list[tuple[str, dict[str, Any]]]
REPEATS_NOTED = 0.2
"""Share of purchases that repeat an own item above which it is worth a sentence."""


def words_of(
    kind: str,
    weights: Mapping[str, float],
    ranker: StackedRanker | None,
    facts: Facts,
    by_model: Mapping[str, Mapping[str, float]],
    variant: Variant,
    timed: bool,
) -> Words:
    """Sentences, most telling first. Percentages are whole numbers. timed: whether times are real, so that
    days may be spoken of.
    """
    words: Words = []
    shares = dict(sorted(weights.items(), key=lambda pair: -pair[1]))
    gap = _median(facts.user_values[:, USER_FEATURES.index("basket_gap_days")])
    if timed and gap is not None and gap >= 1 and shares:
        top = next(iter(shares))
        words.append(
            (
                "Orders repeat every %(days)s days: %(source)s carries %(percent)s %%.",
                {"days": round(gap), "source": FAMILIES[top].title, "percent": round(100 * shares[top])},
            )
        )
    novelty = _median(facts.user_values[:, USER_FEATURES.index("novelty_share")])
    if novelty is not None and 1 - novelty > REPEATS_NOTED:
        words.append(
            ("%(percent)s %% of purchases repeat an own item.", {"percent": round(100 * (1 - novelty))})
        )
    repeat = _median(facts.item_values[:, ITEM_FEATURES.index("repeat_days")])
    if timed and variant == "all" and repeat is not None:
        words.append(("An item is bought again after %(days)s days or so.", {"days": round(repeat)}))
    if kind == "single" and shares:
        words.append(
            (
                "%(source)s alone is as good as any mixture tried.",
                {"source": FAMILIES[next(iter(shares))].title},
            )
        )
    words.extend(
        (
            "%(source)s carries %(percent)s %%: NDCG@10 alone %(quality)s.",
            {
                "source": FAMILIES[name].title,
                "percent": round(100 * share),
                "quality": f"{by_model[name]['ndcg10']:.3f}",
            },
        )
        for name, share in shares.items()
        if share >= 0.05 and name in by_model and kind != "single"
    )
    if ranker is not None:
        leading = list(ranker.importance())[:3]
        words.append(
            (
                "A ranker orders what the sources list; it looks most at %(features)s.",
                {"features": ", ".join(leading)},
            )
        )
    return words


def _median(values: np.ndarray) -> float | None:
    told = values[np.isfinite(values)]
    return float(np.median(told)) if len(told) else None
