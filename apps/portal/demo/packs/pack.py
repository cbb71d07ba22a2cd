"""The one interface of domain packs: declarations, and frames in the shape every import has."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

import pandas as pd


@dataclass(frozen=True, slots=True)
class Size:
    """How large a generated world is, and the seed it grows from."""

    products: int
    shoppers: int
    days: int
    seed: int


@dataclass(frozen=True, slots=True)
class KindSpec:
    """An event kind of the domain. weight: how much one such event says; negative says no."""

    code: str
    name: str
    role: str
    weight: float


@dataclass(frozen=True, slots=True)
class PlacementSpec:
    """What a default placement is called here; repeats: it shows again what was had before."""

    code: str
    name: str
    repeats: bool = False


@dataclass(frozen=True)
class Content:
    """Frames in the shapes of the services. category_names: by path, then language. world: whatever the pack
    needs again for its pictures and truths.
    """

    products: pd.DataFrame
    shoppers: pd.DataFrame
    events: pd.DataFrame
    reviews: pd.DataFrame | None = None
    category_names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    world: Any = None


class Pack(ABC):
    """A domain. What is declared is all that sets it apart: the core runs them alike.

    kinds: made, or given this weight. retired: kinds every shop starts with that mean nothing here.
    placements: those in use, none for all defaults. words: language to what the studio's words become
    (`apps.portal.vocabulary`). simulated: whether `simulate_traffic` knows how its people behave.
    """

    code: ClassVar[str]
    shop_name: ClassVar[str]
    size: ClassVar[Size]
    currency: ClassVar[str] = "EUR"
    languages: ClassVar[tuple[str, ...]] = ("en",)
    kinds: ClassVar[tuple[KindSpec, ...]] = ()
    retired: ClassVar[tuple[str, ...]] = ()
    placements: ClassVar[tuple[PlacementSpec, ...]] = ()
    words: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    simulated: ClassVar[bool] = False

    @abstractmethod
    def generate(self, *, size: Size, end: datetime) -> Content:
        """The world whose history ends at `end` (aware UTC); the same arguments give the same."""

    @abstractmethod
    def truths_save(self, content: Content) -> int:
        """Store, in one transaction, the head by which a later call knows the world, and what is hidden."""

    def pictures_draw(self, content: Content) -> int:
        """Draw its pictures; how many."""
        return 0

    def pictures_mend(self, head: dict[str, Any]) -> int:
        """Draw pictures that went missing since; how many."""
        return 0
