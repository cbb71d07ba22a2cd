"""Settings of: models that read a history in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from apps.ml.configs import number, share
from apps.ml.configs.dials import Activation, Dials
from apps.ml.configs.queries import QueryDials
from apps.ml.errors import InvalidValue

SequenceLoss = Literal["auto", "softmax", "sampled_softmax", "gbce"]
Repeats = Literal["keep", "collapse", "first", "last"]


@dataclass(frozen=True)
class SequenceConfig(QueryDials, Dials):
    """What all sequence models share; each position of a history learns to tell the next item.

    width: length of the vectors. max_length: events read at once, the latest ones. loss: softmax over the
    whole catalogue; sampled_softmax over `negatives` sampled items with their chance of being drawn taken
    out; gbce, the calibrated loss of Petrov and Macdonald (2023) with `negatives` and `calibration` as its t
    (0: plain binary cross-entropy); auto: softmax up to 10,000 items, sampled_softmax above.
    repeats: keep every event of an item; collapse a run of the same item (view, cart, purchase) into one
    event; keep only its first or its last event. horizon: the target is one of the next this many items,
    drawn anew each epoch; 1 is the very next. shuffle_ties: events of one moment (lines of an invoice) come
    in another order each epoch. crop, reorder: share of training rows of which a random part is kept, or a
    random part permuted; mask: share of input items hidden. time_buckets: how many lengths of the pause
    before an event are told apart, doubling from a minute; 0 for none. strength: targets count by the weight
    of their kind of event, at most 1. holdout: share of histories whose last item is kept for early
    stopping; nothing is kept when patience is None. warm_epochs: epochs when training goes on from an
    earlier model, over histories with new events and as many others. query_buckets: how many hashed words of
    searches are told apart.
    """

    learning_rate: float = number(2e-3, 1e-9)
    schedule: Literal["constant", "cosine", "linear", "plateau"] = "cosine"
    warmup: float = number(0.05, 0.0)
    batch_size: int = number(64, 1)
    epochs: int = number(40, 1)
    patience: int | None = number(6, 1)
    width: int = number(64, 2)
    max_length: int = number(100, 2)
    dropout: float = number(0.2, 0.0)
    loss: SequenceLoss = "auto"
    negatives: int = number(256, 1)
    calibration: float = share(0.75)
    repeats: Repeats = "collapse"
    horizon: int = number(1, 1)
    shuffle_ties: bool = True
    crop: float = share(0.0)
    reorder: float = share(0.0)
    mask: float = share(0.0)
    time_buckets: int = number(0, 0)
    strength: bool = True
    holdout: float = share(0.1, tune=False)
    warm_epochs: int = number(6, 1)
    query_buckets: int = number(4_096, 1, tune=False)


@dataclass(frozen=True)
class SasRecConfig(SequenceConfig):
    """Causal self-attention over the history.

    width is a multiple of heads; widening: inner width of the position-wise networks, in widths.
    """

    blocks: int = number(2, 1)
    heads: int = number(2, 1)
    widening: int = number(4, 1)
    activation: Activation = "gelu"

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tiny": {"width": 16, "max_length": 20, "blocks": 1, "heads": 1, "epochs": 8, "learning_rate": 1e-2},
        "small": {"width": 32, "max_length": 50, "epochs": 20},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.heads:
            raise InvalidValue("width", self.width, f"Give a multiple of heads ({self.heads}).")


@dataclass(frozen=True)
class Gru4RecConfig(SequenceConfig):
    """A recurrent network over the history: GRU or LSTM cells."""

    cell: Literal["gru", "lstm"] = "gru"
    layers: int = number(1, 1)

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tiny": {"width": 16, "max_length": 20, "epochs": 8, "learning_rate": 1e-2},
        "small": {"width": 32, "max_length": 50, "epochs": 20},
    }
