"""What each kind of placement stands on, as data: the slate code is one path for all of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from apps.merchandising.blends import OWN_SOURCES
from apps.merchandising.models import PlacementKind
from apps.serving.slate import Rung

ANYBODY = (Rung.SEGMENT, Rung.TRENDING, Rung.POPULAR)
PERSONAL = (Rung.SHOPPER, Rung.SESSION)


@dataclass(frozen=True, slots=True)
class Kind:
    """rungs: looked for in this order, the first that has lists is used.

    pooled: it shows only some products (`serving.pools`). own: the source without a model that scores those.
    strict: a slate of its pool that is too short is not filled with other products, unless it would be empty.
    seeds: lists of so many products are combined, the last ones. repeats: shows what was bought, whatever
    the placement says.
    """

    rungs: tuple[Rung, ...]
    pooled: bool = False
    own: str = ""
    strict: bool = False
    seeds: int = 10
    repeats: bool = False


def _pool(kind: PlacementKind, *, strict: bool = True, repeats: bool = False) -> Kind:
    rungs = (*PERSONAL, *ANYBODY)
    return Kind(rungs, pooled=True, own=OWN_SOURCES.get(kind, ""), strict=strict, repeats=repeats)


_FOR_ITEMS = Kind((Rung.ITEMS, *PERSONAL, *ANYBODY))
KINDS: Mapping[str, Kind] = {
    PlacementKind.SHOPPER: Kind((*PERSONAL, *ANYBODY)),
    PlacementKind.ITEM: _FOR_ITEMS,
    PlacementKind.TOGETHER: _FOR_ITEMS,
    PlacementKind.CART: _FOR_ITEMS,
    # One product, so that the heading can name it.
    PlacementKind.VIEWED: Kind((Rung.SESSION, Rung.SHOPPER, *ANYBODY), seeds=1),
    PlacementKind.TRENDING: Kind((Rung.CATEGORY, Rung.SEGMENT, Rung.TRENDING, Rung.POPULAR)),
    PlacementKind.NEW: _pool(PlacementKind.NEW, strict=False),
    PlacementKind.PROMOTION: _pool(PlacementKind.PROMOTION),
    PlacementKind.AGAIN: _pool(PlacementKind.AGAIN, repeats=True),
    PlacementKind.SPONSORED: _pool(PlacementKind.SPONSORED),
    PlacementKind.CATEGORY: _pool(PlacementKind.CATEGORY),
    PlacementKind.SEARCH: _pool(PlacementKind.SEARCH),
}
