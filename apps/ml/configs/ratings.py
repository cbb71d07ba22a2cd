"""Settings of: predicting the stars a shopper would give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from apps.ml.configs import Config, number
from apps.ml.configs.dials import Dials, Optimiser, Schedule
from apps.ml.errors import InvalidValue


@dataclass(frozen=True)
class BiasedMfConfig(Dials):
    """Biased matrix factorisation: mean + shopper's bias + item's bias + their factors' product.

    regularisation and bias_regularisation: weight of the squared factors and biases of a rating's shopper and
    item in its loss. holdout: share of ratings kept for early stopping and for the error that is reported;
    training then starts anew on all ratings for as many epochs as were best. warm_epochs: epochs when
    training goes on from an earlier model.
    """

    optimiser: Optimiser = "adam"
    learning_rate: float = number(5e-3, 1e-9)
    schedule: Schedule = "cosine"
    batch_size: int = number(1024, 1)
    epochs: int = number(20, 1)
    factors: int = number(64, 1)
    regularisation: float = number(0.1, 0.0)
    bias_regularisation: float = number(0.01, 0.0)
    holdout: float = number(0.1, 0.0, tune=False)
    warm_epochs: int = number(5, 1)

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tiny": {"factors": 8, "epochs": 30, "batch_size": 256, "learning_rate": 3e-2, "holdout": 0.0},
        "small": {"factors": 32},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        _below_one("holdout", self.holdout)


@dataclass(frozen=True)
class RatingKnnConfig(Config):
    """Mean-centred item neighbours: the mean of what the shopper gave the most similar items they rated.

    Ratings are centred on mean + biases, these drawn to 0 by shopper_prior and item_prior ratings. Likeness
    is the correlation of centred ratings, damped by `shrink` shoppers in common and raised to `exponent`.
    damping: draws the answer to the biases where the neighbours are unlike. holdout: share of ratings kept
    for the error that is reported; the model learns from all.
    """

    neighbours: int = number(300, 1)
    shrink: float = number(100.0, 0.0)
    exponent: float = number(2.0, 0.0)
    damping: float = number(0.02, 1e-9)
    shopper_prior: float = number(5.0, 0.0)
    item_prior: float = number(5.0, 0.0)
    holdout: float = number(0.1, 0.0, tune=False)

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tiny": {"neighbours": 30, "shrink": 5.0},
        "small": {"neighbours": 100, "shrink": 30.0},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        _below_one("holdout", self.holdout)


def _below_one(name: str, value: float) -> None:
    if value >= 1.0:
        raise InvalidValue(name, value, "Give a share of at least 0 and below 1.")
