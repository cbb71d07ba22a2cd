"""Weights of a blend: which sources there are, what is allowed, what a new placement starts with."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from apps.core.errors import InvalidInput
from apps.merchandising.models import PlacementKind

# A source is a recipe's code. These are the built-in recipes; a shop may add recipes of its own.
BUILT_IN_SOURCES = ("popular", "trend", "personal", "item_knn", "user_knn", "content", "als", "ease")
# No model behind these: each scores the products of the one kind of placement that has it. How lately a
# product came in; how much its price is down; how due it is for this shopper; what showing it earns from its
# sponsor; the storefront's own order.
NEWNESS, DISCOUNT, DUE, SPONSOR, GIVEN = "new", "promotion", "again", "sponsored", "given"
OWN_SOURCES: Mapping[str, str] = {
    PlacementKind.NEW: NEWNESS,
    PlacementKind.PROMOTION: DISCOUNT,
    PlacementKind.AGAIN: DUE,
    PlacementKind.SPONSORED: SPONSOR,
    PlacementKind.SEARCH: GIVEN,
}

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
    PlacementKind.TOGETHER: {"association": 0.8, "item_knn": 0.8, "co_visit": 0.3, "ease": 0.3},
    PlacementKind.VIEWED: {"co_visit": 0.5, "item_knn": 0.5, "content": 0.4, "ease": 0.4},
    PlacementKind.CART: {"item_knn": 0.8, "content": 0.1, "als": 0.2, "ease": 0.6},
    PlacementKind.TRENDING: {"trend": 1.0, "popular": 0.2},
    PlacementKind.NEW: {NEWNESS: 0.5, "content": 0.6, "als": 0.2, "ease": 0.2},
    PlacementKind.AGAIN: {DUE: 1.0, "personal": 0.3, "buy_again": 0.3},
    PlacementKind.PROMOTION: {DISCOUNT: 0.4, "popular": 0.2, "ease": 0.6, "content": 0.3},
    # Only the auction, so that who pays more for the same clicks stands higher.
    PlacementKind.SPONSORED: {SPONSOR: 1.0},
    PlacementKind.CATEGORY: {"popular": 0.5, "trend": 0.2, "ease": 0.6, "content": 0.1},
    # Relevance to the query leads; taste moves what is about as relevant.
    PlacementKind.SEARCH: {GIVEN: 1.0, "popular": 0.1, "ease": 0.4},
}


def weights_default(*, kind: str, sources: Iterable[str]) -> dict[str, float]:
    """What a new placement of this kind starts with: its weights of the sources there are."""
    known = {*sources, OWN_SOURCES.get(kind, "")}
    return {source: weight for source, weight in DEFAULT_WEIGHTS[kind].items() if source in known}


def weights_parse(weights: Any, *, sources: Iterable[str], kind: str) -> dict[str, float]:
    """The weights as source to number 0..1, or InvalidInput. `sources` are the recipe codes there are."""
    if not isinstance(weights, Mapping):
        raise InvalidInput(field="weights", value=weights, remedy="Give an object of source and weight.")
    known = sorted({*sources, *((OWN_SOURCES[kind],) if kind in OWN_SOURCES else ())})
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
