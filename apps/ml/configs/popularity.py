"""Settings of: what everyone chooses, and what a shopper chooses again."""

from __future__ import annotations

from dataclasses import dataclass

from apps.ml.configs import Config, number


@dataclass(frozen=True)
class PopularConfig(Config):
    """Decayed popularity."""

    half_life_days: float | None = number(7.0, 0.01)
    anonymous: bool = True


@dataclass(frozen=True)
class TrendConfig(Config):
    """log((recent + prior) / (long + long_prior)): what sells more now than it used to."""

    recent_half_life_days: float = number(14.0, 0.01)
    long_half_life_days: float = number(90.0, 0.01)
    prior: float = number(0.5, 0.0)
    long_prior: float = number(5.0, 0.0)
    anonymous: bool = False


@dataclass(frozen=True)
class PersonalConfig(Config):
    """Each shopper's own items by decayed frequency."""

    half_life_days: float | None = number(180.0, 0.01)
