"""Settings of: what a shopper chooses again, and what is in the next basket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from apps.ml.configs import Config, number, share


@dataclass(frozen=True)
class BuyAgainConfig(Config):
    """How likely each item of the shopper is bought again within the horizon.

    half_life_days: of a repeat and of the days at risk that it is set against. The priors say how much
    evidence (in expected repeats) outweighs the level above: item_prior for how often an item repeats,
    shape_prior for when it does, against its category and the shop; shopper_prior for how often a shopper
    repeats at all; pair_prior for the shopper's own rhythm with one item.
    """

    half_life_days: float | None = number(180.0, 0.01)
    horizon_days: float = number(30.0, 0.01)
    item_prior: float = number(2.0, 1e-6)
    shape_prior: float = number(20.0, 1e-6)
    shopper_prior: float = number(3.0, 1e-6)
    pair_prior: float = number(1.0, 1e-6)


@dataclass(frozen=True)
class TifuKnnConfig(Config):
    """Next basket from decayed personal frequency and from shoppers alike.

    The last `group_size` baskets of a shopper form a group, those before another one. Within a group a basket
    counts basket_decay of the next one's, a group group_decay of the next one's; 1 and 1 count all alike.
    Time decays besides, by half_life_days for the shopper's own items and neighbour_half_life_days for what
    neighbours bring in. likeness_exponent: weight of a neighbour is likeness to this power, 0 counts all
    alike. own_share: share of the shopper's own items in the score. averaged: divide by the number of baskets
    and of groups. likeness_ceiling: items of more shoppers than this make nobody alike. The article's form:
    averaged, decays below 1, both half-lives None, likeness "euclidean", exponent 0.
    """

    neighbours: int = number(100, 1)
    group_size: int = number(7, 1)
    basket_decay: float = share(1.0)
    group_decay: float = share(1.0)
    half_life_days: float | None = number(180.0, 0.01)
    neighbour_half_life_days: float | None = number(30.0, 0.01)
    likeness: Literal["cosine", "euclidean"] = "cosine"
    likeness_exponent: float = number(2.0, 0.0)
    own_share: float = share(0.2)
    averaged: bool = False
    likeness_ceiling: int = number(2_000, 1)

    presets: ClassVar[dict[str, dict[str, Any]]] = {"tiny": {"neighbours": 20}, "small": {"neighbours": 50}}
