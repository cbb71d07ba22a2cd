"""Settings of: items alike by what they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from apps.ml.configs import Config, number


@dataclass(frozen=True)
class ContentConfig(Config):
    """TF-IDF of words, characters and categories; shopper profile = normalised sum of item vectors."""

    word_features: int = number(20_000, 1)
    char_features: int = number(20_000, 0)
    char_low: int = number(2, 1)
    char_high: int = number(4, 1)
    word_weight: float = number(1.0, 0.0)
    char_weight: float = number(0.5, 0.0)
    category_weight: float = number(0.5, 0.0)
    profile_half_life_days: float | None = number(60.0, 0.01)

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tiny": {"word_features": 2_000, "char_features": 2_000},
        "small": {"word_features": 10_000, "char_features": 10_000},
    }
