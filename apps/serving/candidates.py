"""Which lists a slate is blended from: the ladder of fallbacks (DESIGN 6)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from apps.merchandising.models import PlacementKind
from apps.ml.blend import blend_lists
from apps.serving.catalogue import Catalogue
from apps.serving.kinds import KINDS, Kind
from apps.serving.lists import ListKey, StoredList, category_key, segment_key
from apps.serving.live import LiveState, PlacementState
from apps.serving.memory import Memory
from apps.serving.models import ListScope
from apps.serving.online import list_after
from apps.serving.pools import Pool, PoolQuestion, pool_of
from apps.serving.publications import PublicationState
from apps.serving.shoppers import ShopperState
from apps.serving.slate import Rung, SlateRequest

TREND, POPULAR = "trend", "popular"
# Lists that are read for a cart or session, of the last items; a kind combines as many of them as it says.
SEEDS_MAX = 10
# Kinds of lists that know something of the shopper or the visit.
PERSONAL_SCOPES = frozenset({"shopper", "session"})


@dataclass(frozen=True, slots=True)
class SourceLists:
    """One source's list for this slate. scope: what kind of list it is; combined: from how many lists. seeds:
    the products whose lists these were, what says most first, each with its list.
    """

    source: str
    version_id: int | None
    weight: float
    found: StoredList
    scope: str
    combined: int = 1
    seeds: tuple[tuple[int, StoredList], ...] = ()


@dataclass(frozen=True, slots=True)
class Gathered:
    """The lists to blend and the rung they are. tried: rungs that had nothing, with why, best first.
    missing: weighted sources without a list here. pool: the only products the placement's kind shows.
    """

    rung: Rung
    sources: tuple[SourceLists, ...]
    tried: tuple[tuple[Rung, str], ...] = ()
    missing: tuple[str, ...] = ()
    pool: Pool | None = None


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
    request: SlateRequest
    now: datetime
    personalised: bool
    tried: list[tuple[Rung, str]] = field(default_factory=list)

    @property
    def weights(self) -> dict[str, float]:
        """Sources that count, with their weight, in a fixed order."""
        return {source: weight for source, weight in self.publication.weights.items() if weight > 0}

    def versioned(self) -> list[tuple[str, int, float]]:
        """Weighted sources that have lists: source, version id, weight."""
        versions = self.live.versions
        return [(s, versions[s], weight) for s, weight in self.weights.items() if s in versions]

    def for_pool(self) -> PoolQuestion:
        """What the pool of the placement's kind is asked."""
        return PoolQuestion(self.request, self.shopper, self.catalogue, self.live, self.memory, self.now)

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
    kind = KINDS[asking.placement.kind]
    if kind.pooled or asking.request.rank:
        pool = pool_of(asking.for_pool(), kind)
        if pool is not None:
            return _pooled(asking, kind, pool)
    return _climbed(asking, kind, kind.rungs) or _nothing(asking)


def _climbed(asking: Asking, kind: Kind, rungs: Iterable[Rung]) -> Gathered | None:
    for rung in rungs:
        gathered = CLIMBS[rung](asking, kind)
        if gathered is not None:
            return gathered
    return None


def _nothing(asking: Asking) -> Gathered:
    return Gathered(Rung.CATALOGUE, (), tuple(asking.tried), tuple(asking.weights))


def _by_shopper(asking: Asking, kind: Kind) -> Gathered | None:
    """The shopper's own lists, and the shared ones as the shopper gets them. Shared lists alone are this rung
    only where the weights name nothing else and there is anything to take out of them. Who is just looking
    around gets what a source's network says after that, where it has one, instead of its last night's list.
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
    found = asking.memory.read_lists(keys, _session_keys(asking, kind))
    sources = []
    if found or (not keys and shopper.has_history):
        session = tuple(_seen(asking)[::-1]) if shopper.seen else ()
        for source, version, weight in versioned:
            now = list_after(version, session) if session else None
            if now is not None:
                cut = _left_for(asking, now)
                sources.append(SourceLists(source, version, weight, cut, "session"))
                continue
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


def _by_items(asking: Asking, kind: Kind) -> Gathered | None:
    if not asking.items:
        asking.tried.append((Rung.ITEMS, "no_items"))
        return None
    gathered = asking.give(Rung.ITEMS, _item_lists(asking, kind, asking.items[::-1], "item"))
    if gathered is None:
        asking.tried.append((Rung.ITEMS, "no_lists"))
    return gathered


def _by_session(asking: Asking, kind: Kind) -> Gathered | None:
    seen = _seen(asking)
    if not seen:
        asking.tried.append((Rung.SESSION, "no_events"))
        return None
    gathered = asking.give(Rung.SESSION, _item_lists(asking, kind, seen, "session"))
    if gathered is None:
        asking.tried.append((Rung.SESSION, "no_lists"))
    return gathered


def _seen(asking: Asking) -> list[int]:
    """What the visitor looked at, the last first. A home page may be told; that counts before what events
    have reported.
    """
    if not asking.personalised:
        return []
    return list(dict.fromkeys([*reversed(asking.items), *asking.shopper.recent]))


def _session_keys(asking: Asking, kind: Kind) -> list[ListKey]:
    """Lists that are read next when the shopper has none."""
    if Rung.SESSION not in kind.rungs:
        return []
    return _item_keys(asking, _seen(asking)[:SEEDS_MAX])


def _item_keys(asking: Asking, product_ids: Sequence[int]) -> list[ListKey]:
    return [(version, int(ListScope.ITEM), pk) for _, version, _ in asking.versioned() for pk in product_ids]


def _item_lists(asking: Asking, kind: Kind, product_ids: Sequence[int], scope: str) -> list[SourceLists]:
    """Per source, its lists for these products, those that say most first, combined into one; of a session
    what the source's network says after it, where it has one.
    """
    session = tuple(product_ids[::-1]) if scope == "session" else ()
    product_ids = product_ids[:SEEDS_MAX]
    versioned = asking.versioned()
    found = asking.memory.read_lists(_item_keys(asking, product_ids))
    known = {pk for _, _, pk in found}
    product_ids = [pk for pk in product_ids if pk in known][: kind.seeds]
    sources = []
    for source, version, weight in versioned:
        if session and (now := list_after(version, session)) is not None:
            sources.append(SourceLists(source, version, weight, now, scope))
            continue
        seeds = tuple(
            (pk, found[key]) for pk in product_ids if (key := (version, int(ListScope.ITEM), pk)) in found
        )
        if seeds:
            combined = combine([stored for _, stored in seeds], asking.publication.normalisation)
            sources.append(SourceLists(source, version, weight, combined, scope, len(seeds), seeds))
    return sources


def combine(lists: Sequence[StoredList], normalisation: str) -> StoredList:
    """Several lists of one source as one: their mean after normalisation, by the one blender."""
    if len(lists) == 1:
        return lists[0]
    pairs = [(stored.ids, stored.scores) for stored in lists]
    blended = blend_lists(pairs, [1.0 / len(lists)] * len(lists), normalisation)
    return StoredList(blended.ids, blended.scores.astype(np.float32))


def _by_segment(asking: Asking, kind: Kind) -> Gathered | None:
    """What sells in the visitor's region: as the request says, else as the shopper agreed to be known; a
    placement of what is trending takes only a region that it is asked for.
    """
    region = ""
    if asking.personalised:
        region = asking.request.context.region
        if not region and asking.placement.kind != PlacementKind.TRENDING:
            region = asking.shopper.region
    known = asking.live.segments.get(segment_key(region)) if region else None
    if known is None:
        asking.tried.append((Rung.SEGMENT, "no_lists" if region else "no_region"))
        return None
    source, stored = known
    return asking.give(
        Rung.SEGMENT, [SourceLists(source, asking.live.versions.get(source), 1.0, stored, "segment")]
    )


def _by_category(asking: Asking, kind: Kind) -> Gathered | None:
    """What sells, and sells more than it used to, in the category of the page."""
    category = asking.request.category
    sources = _category_lists(asking) if category else []
    gathered = asking.give(Rung.CATEGORY, sources)
    if gathered is None:
        asking.tried.append((Rung.CATEGORY, "no_lists" if category else "no_category"))
    return gathered


def _category_lists(asking: Asking) -> list[SourceLists]:
    known = asking.live.categories.get(category_key(asking.request.category), {})
    return [
        SourceLists(source, version, weight, known[source], "category")
        for source, version, weight in asking.versioned()
        if source in known
    ]


def _trending(asking: Asking, kind: Kind) -> Gathered | None:
    if asking.placement.kind == PlacementKind.TRENDING:
        return _shared_weighted(asking)
    return _shared(asking, Rung.TRENDING, TREND)


def _popular(asking: Asking, kind: Kind) -> Gathered | None:
    return _shared(asking, Rung.POPULAR, POPULAR)


def _shared(asking: Asking, rung: Rung, source: str) -> Gathered | None:
    """A list that is the same for everybody."""
    stored = everyone_list(asking.live, source)
    if stored is None:
        asking.tried.append((rung, "no_lists"))
        return None
    return asking.give(rung, [SourceLists(source, asking.live.versions[source], 1.0, stored, "everyone")])


def _shared_weighted(asking: Asking) -> Gathered | None:
    sources = [
        SourceLists(source, version, weight, stored, "everyone")
        for source, version, weight in asking.versioned()
        if (stored := asking.live.everyone.get(version)) is not None
    ]
    trending = any(source.source == TREND for source in sources)
    if not trending:
        asking.tried.append((Rung.TRENDING, "no_lists"))
    return asking.give(Rung.TRENDING if trending else Rung.POPULAR, sources)


def everyone_list(live: LiveState, source: str) -> StoredList | None:
    """A source's list for anybody, None when it has none or an empty one."""
    stored = live.everyone.get(live.versions.get(source, -1))
    return stored if stored is not None and len(stored.ids) else None


def _pooled(asking: Asking, kind: Kind, pool: Pool) -> Gathered:
    """The products of the kind's pool, by their own scores and by the shopper's lists cut down to them."""
    gathered = _climbed(asking, kind, (Rung.SHOPPER, Rung.SESSION))
    found = (*(gathered.sources if gathered is not None else ()), *_pool_lists(asking, gathered))
    cut = [source for source in (_cut(source, pool) for source in found) if len(source.found.ids)]
    sources: list[SourceLists] = []
    weight = asking.weights.get(pool.source, 0.0)
    if weight or not cut:
        sources.append(SourceLists(pool.source, None, weight or 1.0, pool.found, pool.source))
    sources += cut
    personal = gathered is not None and any(source.scope in PERSONAL_SCOPES for source in cut)
    rung = gathered.rung if gathered is not None and personal else pool.rung
    return replace(asking.give(rung, sources) or _nothing(asking), pool=pool)


def _pool_lists(asking: Asking, gathered: Gathered | None) -> list[SourceLists]:
    """Lists everybody shares, for sources the shopper has none of; of the category, if one was asked."""
    named = {source.source for source in gathered.sources} if gathered is not None else set()
    shared = _category_lists(asking) if asking.request.category else []
    named |= {source.source for source in shared}
    for source, version, weight in asking.versioned():
        stored = asking.live.everyone.get(version)
        if source not in named and source in asking.live.shared and stored is not None:
            shared.append(SourceLists(source, version, weight, stored, "everyone"))
    return shared


def _cut(source: SourceLists, pool: Pool) -> SourceLists:
    mask = np.isin(source.found.ids, pool.found.ids)
    return replace(source, found=StoredList(source.found.ids[mask], source.found.scores[mask]))


CLIMBS: Mapping[Rung, Callable[[Asking, Kind], Gathered | None]] = {
    Rung.SHOPPER: _by_shopper,
    Rung.ITEMS: _by_items,
    Rung.SESSION: _by_session,
    Rung.CATEGORY: _by_category,
    Rung.SEGMENT: _by_segment,
    Rung.TRENDING: _trending,
    Rung.POPULAR: _popular,
}
