"""All decisions of a slate: lists, blend, exclusions, rules, fill. `pipeline` makes the answer of them, and
`explain` the trace.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from apps.core import clock
from apps.core.errors import InvalidInput
from apps.merchandising.models import SeenAction
from apps.merchandising.rules import Candidate, RuleContext, RuledSlate, rules_apply
from apps.ml.blend import BlendResult, blend_lists
from apps.serving.candidates import POPULAR, TREND, Asking, Gathered, everyone_list, gather
from apps.serving.kinds import KINDS
from apps.serving.live import PublicationState
from apps.serving.memory import Memory, memory_current
from apps.serving.shoppers import ShopperState
from apps.serving.slate import Rung, SlateRequest

PAGE_MAX = 100
ITEMS_MAX = 50
CATALOGUE = "catalogue"
# Places are filled from these when the blend leaves some empty, in this order; then from the catalogue.
FILL = (TREND, POPULAR)
# What was just seen stands behind the rest of the blend; then come the placement's own products, then fill.
SEEN_TIER, POOL_TIER = 1, 2
# A limit gives way after this many products were looked at; an empty place is worth looking at all of them.
RELAXED_SEARCH_MAX = 2_000
FILL_BLOCK = 500


@dataclass(slots=True)
class Decision:
    """Everything decided for one request; ready to be answered."""

    request: SlateRequest
    asking: Asking
    now: datetime
    n: int
    gathered: Gathered
    blend: BlendResult
    excluded: Mapping[int, str]
    ruled: RuledSlate
    fill: Mapping[int, str] = field(default_factory=dict)
    unknown_items: tuple[str, ...] = ()
    rung: Rung = Rung.CATALOGUE


def decide(request: SlateRequest, publication: PublicationState | None = None) -> Decision:
    """All decisions of a slate, before it is put into words."""
    memory = memory_current()
    live, catalogue = memory.live, memory.catalogue
    placement = live.placement(request.placement)
    n = request.n if request.n is not None else placement.page_size
    if not 1 <= n <= PAGE_MAX:
        raise InvalidInput(field="n", value=n, remedy=f"Ask for 1 to {PAGE_MAX} items.")
    if len(request.items) > ITEMS_MAX:
        raise InvalidInput(field="items", value=len(request.items), remedy=f"Name at most {ITEMS_MAX} items.")
    now = request.now or clock.now()
    shopper = ShopperState()
    if request.personalised and (request.shopper or request.session):
        shopper = memory.read_shopper(
            request.shopper or "", request.session, placement.bought_days, placement.seen_minutes
        )
    personalised = request.personalised and not shopper.opted_out
    if not personalised:
        shopper = ShopperState()
    known = [catalogue.by_sku[sku].product_id for sku in request.items if sku in catalogue.by_sku]
    asking = Asking(
        memory=memory,
        live=live,
        catalogue=catalogue,
        placement=placement,
        publication=publication or placement.publication,
        shopper=shopper,
        items=list(dict.fromkeys(known)),
        request=request,
        now=now,
        personalised=personalised,
    )
    gathered = gather(asking)
    blend = blend_lists(
        [(source.found.ids, source.found.scores) for source in gathered.sources],
        [source.weight for source in gathered.sources],
        asking.publication.normalisation,
    )
    decision = Decision(
        request=request,
        asking=asking,
        now=now,
        n=n,
        gathered=gathered,
        blend=blend,
        excluded=_excluded(asking),
        ruled=RuledSlate((), {}),
        unknown_items=tuple(sku for sku in request.items if sku not in catalogue.by_sku),
    )
    _rule(decision)
    decision.rung = _rung(decision, memory)
    return decision


def _excluded(asking: Asking) -> dict[int, str]:
    """What this request must not show, whatever the rules say. A variant is the same product here."""
    excluded: dict[int, str] = {}
    if not asking.placement.repeat_purchases:
        excluded.update(dict.fromkeys(asking.shopper.bought, "bought"))
    if asking.shopper.disliked:
        excluded.update(dict.fromkeys(asking.catalogue.variants(asking.shopper.disliked), "disliked"))
    if asking.placement.seen_action == SeenAction.HIDE and asking.shopper.seen:
        excluded.update(dict.fromkeys(asking.shopper.seen, "seen"))
    if asking.items:
        excluded.update(dict.fromkeys(asking.catalogue.variants(asking.items), "in_request"))
    return excluded


def _rule(decision: Decision) -> None:
    """Apply the rules to the blend; bring in fill only while places stay empty or limits had to give way."""
    context = RuleContext(decision.now, decision.n, decision.excluded, decision.request.explain)
    asking, blend = decision.asking, decision.blend
    table, ruleset = asking.catalogue.table, asking.publication.rules
    ids = blend.ids.tolist()
    if asking.placement.seen_action == SeenAction.LAST and asking.shopper.seen:
        seen = asking.shopper.seen
        tiers = [SEEN_TIER if product_id in seen else 0 for product_id in ids]
        candidates = list(map(Candidate, ids, blend.scores.tolist(), tiers))
    else:
        candidates = list(map(Candidate, ids, blend.scores.tolist()))
    decision.ruled = rules_apply(candidates, table, ruleset, context)
    named = set(ids)
    fill: dict[int, str] = {}
    only_pool = decision.gathered.pool is not None and KINDS[asking.placement.kind].strict
    for tier, source, block in _fill_blocks(decision):
        trace = decision.ruled.trace
        if tier > POOL_TIER and only_pool and decision.ruled.items:
            break
        if not trace["missing"] and (not trace["relaxed"] or len(fill) >= RELAXED_SEARCH_MAX):
            break
        more = [pk for pk in block if pk not in named]
        if more:
            candidates += [Candidate(pk, -float(rank), tier) for rank, pk in enumerate(more, len(fill))]
            named.update(more)
            fill.update(dict.fromkeys(more, source))
            decision.ruled = rules_apply(candidates, table, ruleset, context)
    decision.fill = fill


def _fill_blocks(decision: Decision) -> Iterator[tuple[int, str, Sequence[int]]]:
    """Fill in its order: tier, source and product ids; the rest of the placement's own pool first. The
    catalogue comes in ever larger blocks, for usually the first is enough.
    """
    asking, pool = decision.asking, decision.gathered.pool
    if pool is not None:
        yield POOL_TIER, pool.source, pool.found.ids.tolist()
        if asking.request.rank:
            return
    for tier, source in enumerate(FILL, POOL_TIER + 1):
        stored = everyone_list(asking.live, source)
        if stored is not None:
            yield tier, source, stored.ids.tolist()
    newest, start, size = asking.catalogue.newest, 0, FILL_BLOCK
    while start < len(newest):
        yield POOL_TIER + len(FILL) + 1, CATALOGUE, newest[start : start + size]
        start, size = start + size, size * 2


def _rung(decision: Decision, memory: Memory) -> Rung:
    """What the slate really stands on: memory during an outage; without one blended item, its fill."""
    if memory.away:
        return Rung.MEMORY
    if not decision.ruled.items or not decision.gathered.sources:
        fill = [decision.fill.get(item.product_id) for item in decision.ruled.items]
        if TREND in fill:
            return Rung.TRENDING
        return Rung.POPULAR if POPULAR in fill else Rung.CATALOGUE
    return decision.gathered.rung
