"""Settings of: neural collaborative filtering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from apps.ml.configs import number, share
from apps.ml.configs.dials import Activation, Dials


@dataclass(frozen=True)
class GmfConfig(Dials):
    """Generalised matrix factorisation: a weighted product of a shopper's and an item's factors.

    factors: length of the vectors. negatives: items not chosen that are drawn anew for each choice and epoch;
    popularity_exponent: an item is drawn by its number of shoppers to this power, 0 draws evenly.
    loss: bce, each pair for itself (the article's); bpr, the chosen above each negative; softmax, the chosen
    among its negatives. half_life_days: choices count less by age, at least `floor` of the latest.
    fold_in_steps, fold_in_rate: a new shopper's vectors are learned in this many steps on fixed items.
    warm_epochs: epochs when training goes on from an earlier model.
    """

    optimiser: Literal["sgd", "adam", "adamw", "adamax"] = "adam"
    learning_rate: float = number(3e-3, 1e-9)
    batch_size: int = number(2048, 1)
    epochs: int = number(15, 1)
    factors: int = number(32, 1)
    negatives: int = number(4, 1)
    popularity_exponent: float = number(0.0, 0.0)
    loss: Literal["bce", "bpr", "softmax"] = "bce"
    half_life_days: float | None = number(90.0, 0.01)
    floor: float = share(0.1)
    fold_in_steps: int = number(40, 1)
    fold_in_rate: float = number(0.1, 1e-9)
    warm_epochs: int = number(3, 1)

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tiny": {"factors": 8, "epochs": 12, "batch_size": 256, "learning_rate": 2e-2, "fold_in_steps": 20},
        "small": {"factors": 16},
    }


@dataclass(frozen=True)
class MlpConfig(GmfConfig):
    """A network over a shopper's and an item's vectors side by side: `layers` layers, each half as wide."""

    layers: int = number(2, 1)
    activation: Activation = "relu"
    dropout: float = number(0.0, 0.0, high=0.6)


@dataclass(frozen=True)
class NeuMfConfig(MlpConfig):
    """GMF and MLP, each with vectors of its own, joined by one output layer."""
