"""Settings of: rankers over the lists of other models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from apps.ml.configs import Config, number


@dataclass(frozen=True)
class StackedConfig(Config):
    """Boosted trees that order the union of the sources' lists.

    loss: "lambdarank" learns the order of each shopper's candidates, "logistic" the odds of each being
    bought; "both" trains one of each and adds their z-scores. members: rankers per loss, with seeds of their
    own. truncation: places from the top that lambdarank looks at. depth: of each list, the items that become
    candidates. negatives: candidates per shopper kept for learning besides what was bought. coverage: how
    strongly items that many shoppers are shown step back.
    """

    loss: Literal["both", "lambdarank", "logistic"] = "both"
    members: int = number(1, 1)
    rounds: int = number(120, 1)
    learning_rate: float = number(0.06, 1e-4)
    leaves: int = number(31, 2)
    least_in_leaf: int = number(300, 1)
    feature_share: float = number(0.5, 0.01)
    truncation: int = number(30, 1)
    depth: int = number(100, 1)
    negatives: int = number(150, 1)
    shoppers: int = number(2_000, 1)
    coverage: float = number(0.0, 0.0)

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tiny": {"rounds": 20, "leaves": 7, "least_in_leaf": 20, "depth": 30},
        "small": {"rounds": 60, "loss": "lambdarank"},
    }


@dataclass(frozen=True)
class RankerConfig(StackedConfig):
    """The same as a source of its own: it fits what it orders.

    windows: past windows of 30 days it learns from. sources: by code, {"family", "config"} of what it orders;
    empty for the standard families as they come. A shop fills in what is live.
    """

    windows: int = number(2, 1)
    sources: dict = field(default_factory=dict, hash=False, metadata={"form": False})

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tiny": {
            **StackedConfig.presets["tiny"],
            "windows": 1,
            "sources": {
                name: {"family": name, "config": {"preset": "tiny"}}
                for name in ("popular", "personal", "item_knn", "ease")
            },
        },
        "small": {"rounds": 60},
    }
