"""The dials of everything that is trained by gradient: one base class of settings, read by `ml.optimise`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from apps.ml.configs import Config, number
from apps.ml.errors import InvalidValue

Optimiser = Literal["sgd", "adam", "adamw", "adamax"]
Schedule = Literal["constant", "cosine", "linear", "plateau"]
Precision = Literal["float32", "bfloat16"]
Activation = Literal["relu", "gelu", "silu", "tanh", "sigmoid"]


@dataclass(frozen=True)
class Dials(Config):
    """How a network is trained, with defaults that hold for most shops.

    optimiser: sgd has momentum .9; adam and adamax are torch's, with bias correction. schedule: constant;
    cosine or linear down to 0 after the last step; plateau halves the rate after two epochs without gain.
    warmup: share of all steps in which the rate rises from 0. clip_norm: largest length of the gradient,
    None for no limit. l1: adds l1 * sum |w| to the loss. l2: weight decay; decoupled from the gradient for
    adamw, l2 / 2 * sum w^2 in the loss for the others. batch_size: rows (shoppers, pairs) in a step over all
    processes together. patience: epochs without gain on held-out data before training stops, None to go on to
    the end; in both cases the best epoch's weights are kept. precision: bfloat16 runs the heavy products in
    half the width, weights stay float32.
    """

    optimiser: Optimiser = "adamw"
    learning_rate: float = number(1e-3, 1e-9)
    schedule: Schedule = "constant"
    warmup: float = number(0.0, 0.0, high=0.3)
    clip_norm: float | None = number(5.0, 1e-6)
    l1: float = number(0.0, 0.0)
    l2: float = number(0.0, 0.0)
    batch_size: int = number(128, 1)
    epochs: int = number(30, 1)
    patience: int | None = number(5, 1)
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        super().__post_init__()
        # `dropout` belongs to those families that have a place for it
        for name in ("warmup", "dropout"):
            value = getattr(self, name, 0.0)
            if value >= 1.0:
                raise InvalidValue(name, value, "Give a share of at least 0 and below 1.")
