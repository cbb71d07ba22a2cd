"""Settings of: what everyone chooses, and what a shopper chooses again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from apps.ml.configs import Config, number


@dataclass(frozen=True)
class PopularConfig(Config):
    """Decayed popularity.

    season_weight: what last year's sales of the season_days now coming count against recent sales as a whole;
    nothing while the shop has no history of a year.
    """

    half_life_days: float | None = number(7.0, 0.01)
    anonymous: bool = True
    season_weight: float = number(0.25, 0.0)
    season_days: float = number(28.0, 1.0)


@dataclass(frozen=True)
class TrendConfig(Config):
    """log((recent + prior) / (long + long_prior)): what sells more now than it used to.

    season_weight: share of last year's rise at this time, from the season_days before to those after, that is
    added; nothing while the shop has no history of a year.
    """

    recent_half_life_days: float = number(14.0, 0.01)
    long_half_life_days: float = number(90.0, 0.01)
    prior: float = number(0.5, 0.0)
    long_prior: float = number(5.0, 0.0)
    anonymous: bool = False
    season_weight: float = number(0.25, 0.0)
    season_days: float = number(28.0, 1.0)


@dataclass(frozen=True)
class SegmentPopularConfig(Config):
    """What sells among shoppers of the same segments and in the shopper's own categories.

    base: what is raised or lowered by them, popularity or trend, over half_life_days; for trend against sales
    over long_half_life_days. A weight of 1 takes a segment's evidence as it is, 0 leaves it out.
    category_weight: likewise for the categories of what the shopper chose within profile_half_life_days.
    prior: sales a segment needs before it outweighs the whole shop; category_prior: choices a shopper needs.
    """

    base: Literal["popular", "trend"] = "popular"
    half_life_days: float | None = number(14.0, 0.01)
    long_half_life_days: float = number(90.0, 0.01)
    segment_half_life_days: float | None = number(60.0, 0.01)
    region_weight: float = number(1.0, 0.0)
    age_band_weight: float = number(1.0, 0.0)
    gender_weight: float = number(1.0, 0.0)
    income_band_weight: float = number(1.0, 0.0)
    language_weight: float = number(0.0, 0.0)
    prior: float = number(200.0, 1e-6)
    category_weight: float = number(1.0, 0.0)
    category_prior: float = number(5.0, 1e-6)
    profile_half_life_days: float | None = number(90.0, 0.01)


@dataclass(frozen=True)
class PersonalConfig(Config):
    """Each shopper's own items by decayed frequency."""

    half_life_days: float | None = number(180.0, 0.01)
