"""Which lists a slate is blended from: the ladder of fallbacks (DESIGN 6)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from apps.merchandising.blends import NEWNESS
from apps.merchandising.models import PlacementKind
from apps.ml.blend import blend_lists
from apps.serving.catalogue import Catalogue
from apps.serving.lists import ListKey, StoredList, segment_key
from apps.serving.live import LiveState, PlacementState, PublicationState
from apps.serving.memory import Memory
from apps.serving.models import ListScope
from apps.serving.shoppers import ShopperState
from apps.serving.slate import Rung

# Lists of one source that are combined for a cart or session: those of the last items, which say most.
COMBINED_MAX = 10
TREND, POPULAR = "trend", "popular"


@dataclass(frozen=True, slots=True)
class SourceLists:
    """One source's list for this slate. scope: what kind of list it is; combined: from how many lists."""

    source: str
    version_id: int | None
    weight: float
    found: StoredList
    scope: str
    combined: int = 1


@dataclass(frozen=True, slots=True)
class Gathered:
    """The lists to blend and the rung they are. tried: rungs that had nothing, with why, best first.
    missing: weighted sources without a list here.
    """

    rung: Rung
    sources: tuple[SourceLists, ...]
    tried: tuple[tuple[Rung, str], ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(slots=True)
class Asking:
    """What the ladder works with for one request."""

    memory: Memory
    live: LiveState
    catalogue: Catalogue
    placement: PlacementState
    publication: PublicationState
    shopper: ShopperState
    items: Sequence[int]
    arrivals: Sequence[int] = ()
    tried: list[tuple[Rung, str]] = field(default_factory=list)

    @property
    def weights(self) -> dict[str, float]:
        """Sources that count, with their weight, in a fixed order."""
        return {source: weight for source, weight in self.publication.weights.items() if weight > 0}

    def versioned(self) -> list[tuple[str, int, float]]:
        """Weighted sources that have lists: source, version id, weight."""
        versions = self.live.versions
        return [(s, versions[s], weight) for s, weight in self.weights.items() if s in versions]

    def give(self, rung: Rung, sources: Iterable[SourceLists]) -> Gathered | None:
        """The rung, if it has any list."""
        found = tuple(source for source in sources if len(source.found.ids))
        if not found:
            return None
        named = {source.source for source in found}
        missing = tuple(source for source in self.weights if source not in named)
        return Gathered(rung, found, tuple(self.tried), missing)


def gather(asking: Asking) -> Gathered:
    """The best rung that has lists; the last, an empty CATALOGUE, always exists."""
    kind = asking.placement.kind
    if kind == PlacementKind.NEW:
        return _arrivals(asking)
    if kind == PlacementKind.TRENDING:
        return _shared(asking) or _nothing(asking)
    climbs = (
        [_by_shopper, _by_session] if kind == PlacementKind.SHOPPER else [_by_items, _by_shopper, _by_session]
    )
    for climb in climbs:
        gathered = climb(asking)
        if gathered is not None:
            return gathered
    return _by_segment(asking) or _shared(asking) or _nothing(asking)


def _nothing(asking: Asking) -> Gathered:
    return Gathered(Rung.CATALOGUE, (), tuple(asking.tried), tuple(asking.weights))


def _by_shopper(asking: Asking) -> Gathered | None:
    """The shopper's own lists, and the shared ones as the shopper gets them. Shared lists alone are this rung
    only where the weights name nothing else and there is anything to take out of them.
    """
    shopper = asking.shopper
    if shopper.id is None:
        asking.tried.append((Rung.SHOPPER, "no_shopper"))
        return None
    scope = ListScope.SHOPPER_ALL if asking.placement.repeat_purchases else ListScope.SHOPPER_NEW
    shared = asking.live.shared
    versioned = asking.versioned()
    own_versions = [version for source, version, _ in versioned if source not in shared]
    keys: list[ListKey] = [(version, int(scope), shopper.id) for version in own_versions]
    found = asking.memory.read_lists(keys)
    sources = []
    if found or (not keys and shopper.has_history):
        for source, version, weight in versioned:
            own = found.get((version, int(scope), shopper.id))
            everyone = everyone_list(asking.live, source) if source in shared else None
            if own is not None:
                sources.append(SourceLists(source, version, weight, own, "shopper"))
            elif everyone is not None:
                cut = _left_for(asking, everyone)
                sources.append(SourceLists(source, version, weight, cut, "everyone"))
    gathered = asking.give(Rung.SHOPPER, sources)
    if gathered is None:
        asking.tried.append((Rung.SHOPPER, "no_lists"))
    return gathered


def _left_for(asking: Asking, stored: StoredList) -> StoredList:
    """A shared list less what the shopper bought (where nothing is bought twice) and does not want.

    It is cut before the blend, for lists are judged, and weights tuned, on exactly this
    (ml.base.Model.served_lists).
    """
    gone = set(asking.shopper.disliked)
    if not asking.placement.repeat_purchases:
        gone |= asking.shopper.bought
    if not gone:
        return stored
    keep = ~np.isin(stored.ids, np.fromiter(gone, dtype=np.int64, count=len(gone)))
    return StoredList(stored.ids[keep], stored.scores[keep])


def _by_items(asking: Asking) -> Gathered | None:
    if not asking.items:
        asking.tried.append((Rung.ITEMS, "no_items"))
        return None
    gathered = asking.give(Rung.ITEMS, _item_lists(asking, asking.items[::-1], "item"))
    if gathered is None:
        asking.tried.append((Rung.ITEMS, "no_lists"))
    return gathered


def _by_session(asking: Asking) -> Gathered | None:
    # A home page may be told what the visitor looked at; that counts before what events have reported.
    seen = list(dict.fromkeys([*reversed(asking.items), *asking.shopper.recent]))
    if not seen:
        asking.tried.append((Rung.SESSION, "no_events"))
        return None
    gathered = asking.give(Rung.SESSION, _item_lists(asking, seen, "session"))
    if gathered is None:
        asking.tried.append((Rung.SESSION, "no_lists"))
    return gathered


def _item_lists(asking: Asking, product_ids: Sequence[int], scope: str) -> list[SourceLists]:
    """Per source, its lists for these products, those that say most first, combined into one."""
    product_ids = product_ids[:COMBINED_MAX]
    versioned = asking.versioned()
    found = asking.memory.read_lists(
        [(version, int(ListScope.ITEM), pk) for _, version, _ in versioned for pk in product_ids]
    )
    sources = []
    for source, version, weight in versioned:
        lists = [found[key] for pk in product_ids if (key := (version, int(ListScope.ITEM), pk)) in found]
        if lists:
            combined = combine(lists, asking.publication.normalisation)
            sources.append(SourceLists(source, version, weight, combined, scope, len(lists)))
    return sources


def combine(lists: Sequence[StoredList], normalisation: str) -> StoredList:
    """Several lists of one source as one: their mean after normalisation, by the one blender."""
    if len(lists) == 1:
        return lists[0]
    pairs = [(stored.ids, stored.scores) for stored in lists]
    blended = blend_lists(pairs, [1.0 / len(lists)] * len(lists), normalisation)
    return StoredList(blended.ids, blended.scores.astype(np.float32))


def _by_segment(asking: Asking) -> Gathered | None:
    region = asking.shopper.region
    known = asking.live.segments.get(segment_key(region)) if region else None
    if known is None:
        asking.tried.append((Rung.SEGMENT, "no_lists" if region else "no_region"))
        return None
    source, stored = known
    return asking.give(
        Rung.SEGMENT, [SourceLists(source, asking.live.versions.get(source), 1.0, stored, "segment")]
    )


def _shared(asking: Asking) -> Gathered | None:
    """Lists that are the same for everybody: the trend, else what is popular, else any model's."""
    if asking.placement.kind == PlacementKind.TRENDING:
        return _shared_weighted(asking)
    for rung, source in ((Rung.TRENDING, TREND), (Rung.POPULAR, POPULAR)):
        stored = everyone_list(asking.live, source)
        if stored is not None:
            version = asking.live.versions[source]
            return asking.give(rung, [SourceLists(source, version, 1.0, stored, "everyone")])
        asking.tried.append((rung, "no_lists"))
    return None


def _shared_weighted(asking: Asking) -> Gathered | None:
    sources = [
        SourceLists(source, version, weight, stored, "everyone")
        for source, version, weight in asking.versioned()
        if (stored := asking.live.everyone.get(version)) is not None
    ]
    trending = any(source.source == TREND for source in sources)
    if not trending:
        asking.tried.append((Rung.TRENDING, "no_lists"))
    if sources:
        return asking.give(Rung.TRENDING if trending else Rung.POPULAR, sources)
    stored = everyone_list(asking.live, POPULAR)
    if stored is None:
        asking.tried.append((Rung.POPULAR, "no_lists"))
        return None
    popular = SourceLists(POPULAR, asking.live.versions[POPULAR], 1.0, stored, "everyone")
    return asking.give(Rung.POPULAR, [popular])


def everyone_list(live: LiveState, source: str) -> StoredList | None:
    """A source's list for anybody, None when it has none or an empty one."""
    stored = live.everyone.get(live.versions.get(source, -1))
    return stored if stored is not None and len(stored.ids) else None


def _arrivals(asking: Asking) -> Gathered:
    """The newest products, ranked by how new they are and by the shopper's lists cut down to them."""
    gathered = _by_shopper(asking) or _by_session(asking)
    wanted = np.asarray(asking.arrivals, dtype=np.int64)
    sources = []
    weight = asking.weights.get(NEWNESS, 0.0)
    if weight or gathered is None:
        newness = StoredList(wanted, np.arange(len(wanted), 0, -1, dtype=np.float32))
        sources.append(SourceLists(NEWNESS, None, weight or 1.0, newness, "new"))
    personal = False
    for source in gathered.sources if gathered is not None else ():
        mask = np.isin(source.found.ids, wanted)
        if mask.any():
            cut = StoredList(source.found.ids[mask], source.found.scores[mask])
            sources.append(
                SourceLists(
                    source.source, source.version_id, source.weight, cut, source.scope, source.combined
                )
            )
            personal = True
    rung = gathered.rung if gathered is not None and personal else Rung.NEW
    return asking.give(rung, sources) or _nothing(asking)
