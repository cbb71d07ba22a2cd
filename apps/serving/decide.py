"""All decisions of a slate: lists, blend, exclusions, rules, fill. `pipeline` makes the answer of them, and
`explain` the trace.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from apps.core import clock
from apps.core.errors import InvalidInput
from apps.merchandising.models import SeenAction
from apps.merchandising.rules import (
    Candidate,
    CandidateColumns,
    Pin,
    ProductTarget,
    RuleContext,
    RuledSlate,
    rules_apply,
    rules_apply_columns,
)
from apps.ml.blend import BlendResult, blend_normal
from apps.serving.candidates import POPULAR, TREND, Asking, Gathered, everyone_list, gather
from apps.serving.kinds import KINDS
from apps.serving.live import PublicationState
from apps.serving.memory import Memory, memory_current
from apps.serving.shoppers import ShopperState
from apps.serving.slate import Rung, SlateRequest
from apps.serving.wanted import Test, wanted_test

PAGE_MAX = 100
ITEMS_MAX = 50
CATALOGUE = "catalogue"
NOT_ASKED = "not_asked"
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
    excluded: dict[int, str]
    wanted: Test | None
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
    blend = blend_normal(
        [source.found.normal(asking.publication.normalisation) for source in gathered.sources],
        [source.weight for source in gathered.sources],
        catalogue.table.columns.distinct,
    )
    if request.explain:
        blend = blend.ordered()
    decision = Decision(
        request=request,
        asking=asking,
        now=now,
        n=n,
        gathered=gathered,
        blend=blend,
        excluded=_excluded(asking),
        wanted=wanted_test(request, catalogue),
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
    asking, blend, wanted = decision.asking, decision.blend, decision.wanted
    if wanted is not None:
        looked_at = [*blend.ids.tolist(), *_pinned(asking)]
        decision.excluded.update((pk, NOT_ASKED) for pk in looked_at if not wanted(pk))
    tiers = np.zeros(len(blend.ids), dtype=np.int8)
    if asking.placement.seen_action == SeenAction.LAST and asking.shopper.seen:
        tiers[np.isin(blend.ids, list(asking.shopper.seen))] = SEEN_TIER
    candidates = CandidateColumns(blend.ids, blend.scores, tiers, blend.arrival)
    decision.ruled = _ruled(decision, candidates)
    kind = KINDS[asking.placement.kind]
    named: set[int] = set()
    fill: dict[int, str] = {}
    for tier, source, block in _fill_blocks(decision):
        trace = decision.ruled.trace
        pool = decision.gathered.pool
        if pool is not None and tier > POOL_TIER and decision.ruled.shown and kind.strict:
            break
        if not trace["missing"] and (not trace["relaxed"] or len(fill) >= RELAXED_SEARCH_MAX):
            break
        named = named or set(blend.ids.tolist())
        more = [pk for pk in block if pk not in named and (wanted is None or wanted(pk))]
        if more:
            candidates = _behind(candidates, more, tier, len(fill))
            named.update(more)
            fill.update(dict.fromkeys(more, source))
            decision.ruled = _ruled(decision, candidates)
    decision.fill = fill


def _pinned(asking: Asking) -> list[int]:
    """Products that pins name, which need not be among the candidates."""
    by_sku = asking.catalogue.by_sku
    targets = [rule.target for rule in asking.publication.rules.rules if isinstance(rule, Pin)]
    skus = [sku for target in targets if isinstance(target, ProductTarget) for sku in target.skus]
    return [by_sku[sku].product_id for sku in skus if sku in by_sku]


def _ruled(decision: Decision, candidates: CandidateColumns) -> RuledSlate:
    """By the quick way, unless the slate is to be explained."""
    context = RuleContext(decision.now, decision.n, decision.excluded, decision.request.explain)
    table, ruleset = decision.asking.catalogue.table, decision.asking.publication.rules
    if not context.explain:
        return rules_apply_columns(candidates, table, ruleset, context)
    listed = zip(candidates.ids.tolist(), candidates.scores.tolist(), candidates.tiers.tolist(), strict=True)
    return rules_apply([Candidate(*one) for one in listed], table, ruleset, context)


def _behind(
    candidates: CandidateColumns, product_ids: Sequence[int], tier: int, rank: int
) -> CandidateColumns:
    """The candidates with these behind them, in their order; rank: how many stand there already."""
    scores = -np.arange(rank, rank + len(product_ids), dtype=np.float64)
    return CandidateColumns(
        np.concatenate((candidates.ids, np.asarray(product_ids, dtype=np.int64))),
        np.concatenate((candidates.scores, scores)),
        np.concatenate((candidates.tiers, np.full(len(product_ids), tier, dtype=np.int8))),
        np.concatenate((candidates.arrival, scores)),
    )


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
    if not decision.ruled.shown or not decision.gathered.sources:
        fill = [decision.fill.get(item.product_id) for item in decision.ruled.shown]
        if TREND in fill:
            return Rung.TRENDING
        return Rung.POPULAR if POPULAR in fill else Rung.CATALOGUE
    return decision.gathered.rung
