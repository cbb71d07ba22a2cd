"""Weights of a blend: which sources there are, what is allowed, what a new placement starts with."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from apps.core.errors import InvalidInput
from apps.merchandising.models import PlacementKind

# A source is a recipe's code. These are the built-in recipes; a shop may add recipes of its own.
BUILT_IN_SOURCES = ("popular", "trend", "personal", "item_knn", "user_knn", "content", "als", "ease")
# No model behind it: products scored by how lately they came in. Only for placements of new arrivals.
NEWNESS = "new"

DEFAULT_WEIGHTS: Mapping[str, Mapping[str, float]] = {
    PlacementKind.SHOPPER: {
        "popular": 0.1,
        "trend": 0.1,
        "personal": 0.0,
        "item_knn": 0.4,
        "user_knn": 0.3,
        "content": 0.2,
        "als": 0.5,
        "ease": 0.7,
    },
    PlacementKind.ITEM: {"item_knn": 0.6, "content": 0.5, "als": 0.2, "ease": 0.5},
    PlacementKind.CART: {"item_knn": 0.8, "content": 0.1, "als": 0.2, "ease": 0.6},
    PlacementKind.TRENDING: {"trend": 1.0, "popular": 0.2},
    PlacementKind.NEW: {NEWNESS: 0.5, "content": 0.6, "als": 0.2, "ease": 0.2},
}


def weights_parse(weights: Any, *, sources: Iterable[str], kind: str) -> dict[str, float]:
    """The weights as source to number 0..1, or InvalidInput. `sources` are the recipe codes there are."""
    if not isinstance(weights, Mapping):
        raise InvalidInput(field="weights", value=weights, remedy="Give an object of source and weight.")
    known = sorted({*sources, *((NEWNESS,) if kind == PlacementKind.NEW else ())})
    parsed: dict[str, float] = {}
    for source, weight in weights.items():
        field = f"weights.{source}"
        if source not in known:
            raise InvalidInput(field=field, value=weight, remedy=f"Use sources among {', '.join(known)}.")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
            raise InvalidInput(field=field, value=weight, remedy="Give a number from 0 to 1.")
        if not 0 <= weight <= 1:
            raise InvalidInput(field=field, value=weight, remedy="Give a number from 0 to 1.")
        parsed[str(source)] = round(float(weight), 4)
    if not any(parsed.values()):
        raise InvalidInput(field="weights", value=parsed, remedy="Give at least one source a weight above 0.")
    return parsed
