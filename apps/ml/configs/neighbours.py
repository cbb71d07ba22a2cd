"""Settings of: items and shoppers alike by what they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from apps.ml.configs import Config, number


@dataclass(frozen=True)
class ItemKnnConfig(Config):
    """Items bought by the same shoppers and in the same baskets.

    row_exponent: a shopper or basket of n items counts n^-this in each pair. popularity_discount: a
    neighbour's score for a shopper is divided by its length to this power; 0 counts joint choices as they
    are, 1 is blind to popularity. Beside a product the discount is always 0. own_weight: how much of an item
    speaks for itself, in shares of its strongest neighbour. category_prior: how strongly the company of an
    item is drawn to the usual company of its category, in units of the mean item's evidence.
    """

    neighbours: int = number(200, 1)
    weighting: Literal["cosine", "tfidf", "bm25"] = "cosine"
    shrink: float = number(0.0, 0.0)
    row_half_life_days: float | None = number(90.0, 0.01)
    profile_half_life_days: float | None = number(60.0, 0.01)
    baskets: bool = True
    basket_weight: float = number(0.3, 0.0)
    row_exponent: float = number(1.0, 0.0)
    popularity_discount: float = number(0.8, 0.0)
    own_weight: float = number(3.0, 0.0)
    category_prior: float = number(3.0, 0.0)

    presets: ClassVar[dict[str, dict[str, Any]]] = {"tiny": {"neighbours": 20}, "small": {"neighbours": 100}}


@dataclass(frozen=True)
class UserKnnConfig(Config):
    """Shoppers alike; an item's score is the sum over neighbours of similarity times their interest.

    likeness_ceiling: items of more shoppers than this do not make shoppers alike; they say little, and the
    cost grows with the square of their shoppers.
    """

    neighbours: int = number(100, 1)
    weighting: Literal["cosine", "tfidf", "bm25"] = "bm25"
    shrink: float = number(10.0, 0.0)
    similarity_half_life_days: float | None = number(180.0, 0.01)
    interest_half_life_days: float | None = number(60.0, 0.01)
    likeness_ceiling: int = number(2_000, 1)

    presets: ClassVar[dict[str, dict[str, Any]]] = {"tiny": {"neighbours": 20}, "small": {"neighbours": 50}}
