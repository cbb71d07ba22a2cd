"""Settings of: matrix factorisation and linear autoencoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from apps.ml.configs import Config, number


@dataclass(frozen=True)
class AlsConfig(Config):
    """Implicit-feedback matrix factorisation by alternating least squares with decayed confidences."""

    factors: int = number(128, 1)
    epochs: int = number(15, 1)
    regularisation: float = number(4.0, 0.0)
    frequency_exponent: float = number(0.5, 0.0)
    alpha: float = number(10.0, 0.0)
    half_life_days: float | None = number(60.0, 0.01)
    cg_steps: int = number(2, 1)
    tolerance: float = number(1e-3, 0.0)

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tiny": {"factors": 8, "epochs": 8},
        "small": {"factors": 32, "epochs": 12},
    }


@dataclass(frozen=True)
class BprConfig(Config):
    """Factors learned from pairs of items, one chosen and one not. half_life_days: a choice is drawn the
    less often, the older it is.
    """

    factors: int = number(64, 1)
    epochs: int = number(40, 1)
    learning_rate: float = number(0.1, 1e-6)
    regularisation: float = number(0.01, 0.0)
    batch_size: int = number(4_096, 1)
    half_life_days: float | None = number(90.0, 0.01)

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tiny": {"factors": 8, "epochs": 30, "batch_size": 512},
        "small": {"factors": 32, "epochs": 30},
    }


@dataclass(frozen=True)
class EaseConfig(Config):
    """Item-item linear autoencoder in closed form, with decayed rows and decayed profiles.

    order_decay: each older choice of a shopper weighs this much of the next one, whatever its age; for data
    whose times are only an order, and beside the half-lives. side_weight: how much a shared category, brand
    or group ties items, in units of one shopper who chose both; 0 leaves attributes out. max_items: so many
    of the strongest items are solved exactly; the rest of the catalogue gets tail_neighbours each. kept: the
    strongest weights that are kept per item, None for all.
    """

    regularisation: float = number(100.0, 1e-6)
    row_half_life_days: float | None = number(60.0, 0.01)
    profile_half_life_days: float | None = number(90.0, 0.01)
    baskets: bool = False
    max_items: int = number(12_000, 1)
    order_decay: float | None = number(None, 1e-3)
    side_weight: float = number(0.0, 0.0)
    tail_neighbours: int = number(50, 0)
    kept: int | None = number(None, 1)

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tiny": {"regularisation": 20.0, "max_items": 1_000},
        "small": {"max_items": 5_000},
    }


@dataclass(frozen=True)
class RisingConfig(EaseConfig):
    """EASE with the recent trend added over the whole catalogue. trend_weight: spreads of the trend for one
    spread of the taste; 0 is plain EASE. trend_half_life_days: of what counts as recent.
    """

    trend_weight: float = number(2.0, 0.0)
    trend_half_life_days: float = number(7.0, 0.01)
