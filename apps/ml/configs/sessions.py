"""Settings of: what follows what in sessions, sessions alike, rules of baskets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from apps.ml.configs import Config, number, share
from apps.ml.configs.queries import QueryDials
from apps.ml.errors import InvalidValue


@dataclass(frozen=True)
class ListQueryDials(QueryDials):
    """query_weight: what a search says, in units of all that the items say together. query_prior: searches
    that the match of the words stands for beside those in which people were seen to go on.
    """

    query_weight: float = number(1.0, 0.0, high=4.0, tune=False)
    query_prior: float = number(5.0, 0.0, tune=False)


@dataclass(frozen=True)
class CoVisitConfig(ListQueryDials):
    """Who follows whom within a few places of a history or session.

    reach: places looked ahead. distance_power: a pair g places apart counts g^-this. backward: weight of the
    earlier item as the follower of the later one. own_discount, other_discount: powers of the strengths of
    the item and of its follower that a count is divided by. memory: last items of a history that speak;
    each place further back counts memory_decay less.
    """

    neighbours: int = number(300, 1)
    reach: int = number(10, 1)
    distance_power: float = number(0.75, 0.0)
    backward: float = share(0.7)
    own_discount: float = number(0.5, 0.0)
    other_discount: float = number(0.2, 0.0)
    memory: int = number(50, 1)
    memory_decay: float = share(0.8)

    presets: ClassVar[dict[str, dict[str, Any]]] = {"tiny": {"neighbours": 30}, "small": {"neighbours": 100}}


@dataclass(frozen=True)
class SessionKnnConfig(ListQueryDials):
    """Histories and sessions alike, read from their end.

    memory_decay: weight per place from the end of the session asked with. nearness: weight per place between
    the latest item in common and the item recommended. idf_power: how much more rare items in common say.
    length_power: how much less long neighbours say. recency: sessions from the beginning of the data say
    exp(-this) of what the latest say.
    """

    neighbours: int = number(200, 1)
    memory: int = number(50, 1)
    memory_decay: float = share(0.8)
    nearness: float = share(0.85)
    idf_power: float = number(1.0, 0.0)
    length_power: float = number(0.3, 0.0)
    recency: float = number(1.0, 0.0)

    presets: ClassVar[dict[str, dict[str, Any]]] = {"tiny": {"neighbours": 40}, "small": {"neighbours": 100}}


@dataclass(frozen=True)
class AssociationConfig(Config):
    """Rules "who has these in the basket adds that".

    min_count, min_support: baskets, and share of all baskets, that a pair must lie in. longer_support: the
    share for rules of three items or more. min_confidence: share of the baskets with the left side that hold
    the right one. max_length: items of both sides. memory: last items of a shopper that are taken as the
    basket.
    """

    min_count: int = number(3, 1)
    min_support: float = share(0.0003)
    longer_support: float = share(0.005)
    min_confidence: float = share(0.01)
    max_length: int = number(3, 2)
    memory: int = number(30, 1)

    presets: ClassVar[dict[str, dict[str, Any]]] = {"tiny": {"min_count": 2}, "small": {}}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_length > 10:
            raise InvalidValue("max_length", self.max_length, "Give a whole number from 2 to 10.")
