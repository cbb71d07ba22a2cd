"""Frozen settings of every family with their presets. No torch here: forms and recipes read these classes.

Lengths of time are in days. A half-life of None means no decay. Presets: `tiny` for tests and smoke runs,
`small` for a demo shop on a laptop, `full` for real shops.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

from apps.ml.errors import InvalidValue

Preset = Literal["tiny", "small", "full"]
PRESETS: tuple[Preset, ...] = get_args(Preset)


@dataclass(frozen=True)
class Config:
    """Base of all settings: plain JSON values only."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    """What a preset changes against the defaults of the class, which are `full`."""

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for item in fields(self):
            _check_type(item.name, getattr(self, item.name), hints[item.name])
            low = item.metadata.get("at_least")
            value = getattr(self, item.name)
            if low is not None and value is not None and value < low:
                raise InvalidValue(item.name, value, f"Give a number of at least {low}.")

    @classmethod
    def preset(cls, name: str) -> Self:
        if name not in PRESETS:
            raise InvalidValue("preset", name, f"Use one of {', '.join(PRESETS)}.")
        return cls(**cls.presets.get(name, {}))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Defaults (or those of the preset named under "preset") overridden by these values."""
        given = dict(values)
        base = cls.preset(given.pop("preset", "full"))
        known = {item.name for item in fields(cls)}
        for name, value in given.items():
            if name not in known:
                raise InvalidValue(name, value, f"{cls.__name__} knows {', '.join(sorted(known))}.")
        return dataclasses.replace(base, **given)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def _number(default: float | int | None, at_least: float) -> Any:
    return dataclasses.field(default=default, metadata={"at_least": at_least})


def _check_type(name: str, value: object, hint: Any) -> None:
    options = get_args(hint) if get_origin(hint) is not Literal else (hint,)
    for option in options or (hint,):
        if get_origin(option) is Literal:
            if value in get_args(option):
                return
        elif option is float:
            if isinstance(value, int | float) and not isinstance(value, bool):
                return
        elif isinstance(value, option) and (option is bool or not isinstance(value, bool)):
            return
    raise InvalidValue(name, value, f"Give a value of type {hint}.")


@dataclass(frozen=True)
class PopularConfig(Config):
    """Decayed popularity."""

    half_life_days: float | None = _number(7.0, 0.01)
    anonymous: bool = True


@dataclass(frozen=True)
class TrendConfig(Config):
    """log((recent + prior) / (long + long_prior)): what sells more now than it used to."""

    recent_half_life_days: float = _number(14.0, 0.01)
    long_half_life_days: float = _number(90.0, 0.01)
    prior: float = _number(0.5, 0.0)
    long_prior: float = _number(5.0, 0.0)
    anonymous: bool = False


@dataclass(frozen=True)
class PersonalConfig(Config):
    """Each shopper's own items by decayed frequency."""

    half_life_days: float | None = _number(180.0, 0.01)


@dataclass(frozen=True)
class ItemKnnConfig(Config):
    """Items bought by the same shoppers and in the same baskets.

    row_exponent: a shopper or basket of n items counts n^-this in each pair. popularity_discount: a
    neighbour's score for a shopper is divided by its length to this power; 0 counts joint choices as they
    are, 1 is blind to popularity. Beside a product the discount is always 0. own_weight: how much of an item
    speaks for itself, in shares of its strongest neighbour. category_prior: how strongly the company of an
    item is drawn to the usual company of its category, in units of the mean item's evidence.
    """

    neighbours: int = _number(200, 1)
    weighting: Literal["cosine", "tfidf", "bm25"] = "cosine"
    shrink: float = _number(0.0, 0.0)
    row_half_life_days: float | None = _number(90.0, 0.01)
    profile_half_life_days: float | None = _number(60.0, 0.01)
    baskets: bool = True
    basket_weight: float = _number(0.3, 0.0)
    row_exponent: float = _number(1.0, 0.0)
    popularity_discount: float = _number(0.8, 0.0)
    own_weight: float = _number(3.0, 0.0)
    category_prior: float = _number(3.0, 0.0)

    presets: ClassVar[dict[str, dict[str, Any]]] = {"tiny": {"neighbours": 20}, "small": {"neighbours": 100}}


@dataclass(frozen=True)
class UserKnnConfig(Config):
    """Shoppers alike; an item's score is the sum over neighbours of similarity times their interest.

    likeness_ceiling: items of more shoppers than this do not make shoppers alike; they say little, and the
    cost grows with the square of their shoppers.
    """

    neighbours: int = _number(100, 1)
    weighting: Literal["cosine", "tfidf", "bm25"] = "bm25"
    shrink: float = _number(10.0, 0.0)
    similarity_half_life_days: float | None = _number(180.0, 0.01)
    interest_half_life_days: float | None = _number(60.0, 0.01)
    likeness_ceiling: int = _number(2_000, 1)

    presets: ClassVar[dict[str, dict[str, Any]]] = {"tiny": {"neighbours": 20}, "small": {"neighbours": 50}}


@dataclass(frozen=True)
class ContentConfig(Config):
    """TF-IDF of words, characters and categories; shopper profile = normalised sum of item vectors."""

    word_features: int = _number(20_000, 1)
    char_features: int = _number(20_000, 0)
    char_low: int = _number(2, 1)
    char_high: int = _number(4, 1)
    word_weight: float = _number(1.0, 0.0)
    char_weight: float = _number(0.5, 0.0)
    category_weight: float = _number(0.5, 0.0)
    profile_half_life_days: float | None = _number(60.0, 0.01)

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tiny": {"word_features": 2_000, "char_features": 2_000},
        "small": {"word_features": 10_000, "char_features": 10_000},
    }


@dataclass(frozen=True)
class AlsConfig(Config):
    """Implicit-feedback matrix factorisation by alternating least squares with decayed confidences."""

    factors: int = _number(128, 1)
    epochs: int = _number(15, 1)
    regularisation: float = _number(4.0, 0.0)
    frequency_exponent: float = _number(0.5, 0.0)
    alpha: float = _number(10.0, 0.0)
    half_life_days: float | None = _number(60.0, 0.01)
    cg_steps: int = _number(3, 1)
    tolerance: float = _number(1e-3, 0.0)

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tiny": {"factors": 8, "epochs": 8},
        "small": {"factors": 32, "epochs": 12},
    }


@dataclass(frozen=True)
class EaseConfig(Config):
    """Item-item linear autoencoder in closed form, with decayed rows and decayed profiles."""

    regularisation: float = _number(100.0, 1e-6)
    row_half_life_days: float | None = _number(60.0, 0.01)
    profile_half_life_days: float | None = _number(90.0, 0.01)
    baskets: bool = False
    max_items: int = _number(12_000, 1)

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tiny": {"regularisation": 20.0, "max_items": 1_000},
        "small": {"max_items": 5_000},
    }
