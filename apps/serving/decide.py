"""All decisions of a slate: lists, blend, exclusions, rules, fill. `pipeline` makes the answer of them, and
`explain` the trace.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from apps.core import clock
from apps.core.errors import InvalidInput
from apps.experiments.assignment import variant_drawn
from apps.experiments.drafting import Draft, coins_of, team_draft
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
from apps.serving.live import LiveState, PlacementState
from apps.serving.memory import Memory, memory_current
from apps.serving.publications import PAGE_MAX, PublicationState
from apps.serving.shoppers import ShopperState
from apps.serving.slate import Attribution, Rung, SlateRequest
from apps.serving.trials import HOLDOUT, INTERLEAVING, Trial, turn_of, unit_of
from apps.serving.wanted import Test, wanted_test

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
    """Everything decided for one request; ready to be answered. attribution: the experiment that did, if any.
    other, draft: of an interleaved slate the variant's decision, and what was drawn from both.
    """

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
    attribution: Attribution | None = None
    other: "Decision | None" = None
    draft: Draft | None = None


def decide(request: SlateRequest, publication: PublicationState | None = None) -> Decision:
    """All decisions of a slate, before it is put into words. publication: decides in place of what is live
    and of every experiment.
    """
    memory = memory_current()
    live = memory.live
    placement = live.placement(request.placement)
    if request.n is not None and not 1 <= request.n <= PAGE_MAX:
        raise InvalidInput(field="n", value=request.n, remedy=f"Ask for 1 to {PAGE_MAX} items.")
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
    who = Who(memory, live, placement, shopper, personalised, now)
    if publication is None and personalised and request.experiments:
        trials = live.trials.get(placement.code)
        if trials is not None:
            return _decide_by_trial(request, who, trials)
    return _decide(request, who, publication or placement.publication)


@dataclass(slots=True)
class Who:
    """Who asks for a slate where and when, whatever publication decides it."""

    memory: Memory
    live: LiveState
    placement: PlacementState
    shopper: ShopperState
    personalised: bool
    now: datetime


def _decide_by_trial(request: SlateRequest, who: Who, trials: Sequence[Trial]) -> Decision:
    """By the variant of an experiment that the unit takes part in, else by what is live."""
    unit = unit_of(who.shopper, request.shopper or "", request.session, request.anonymous)
    turn = turn_of(
        trials,
        shopper=who.shopper,
        unit=unit,
        context=request.context,
        language=request.language,
        at=who.now.timestamp(),
    )
    live = who.placement.publication
    if turn is None:
        return _decide(request, who, live)
    experiment, arms, attribution = turn.trial.experiment, turn.trial.arms, turn.attribution
    stranger = unit if who.shopper.id is None and request.shopper else ""
    if stranger or request.context.device:
        attribution = replace(attribution, unit=stranger, device=request.context.device)
    if experiment.kind == INTERLEAVING:
        return _interleaved(request, who, turn.trial, attribution, unit)
    decision = _decide(request, who, turn.publication or live)
    if experiment.only_different and experiment.kind != HOLDOUT:
        plain = replace(request, explain=False) if request.explain else request
        others = [arm for code, arm in arms.items() if code != attribution.variant]
        if all(_page(_decide(plain, who, arm)) == _page(decision) for arm in others):
            return decision
    decision.attribution = attribution
    return decision


def _interleaved(
    request: SlateRequest, who: Who, trial: Trial, attribution: Attribution, unit: str
) -> Decision:
    """Control's slate and a variant's as one, by team draft. The variant is the unit's among those that are
    not control; the coins are the unit's for the day, so that a page loaded again shows the same.
    """
    experiment = trial.experiment
    rivals = experiment.rivals
    code = variant_drawn(rivals, unit) or experiment.control
    decision = _decide(request, who, trial.arms[experiment.control])
    other = _decide(replace(request, n=decision.n), who, trial.arms[code])
    pins = [{one.product_id for one in each.ruled.shown if one.pin is not None} for each in (decision, other)]
    drawn = team_draft(
        _page(decision),
        _page(other),
        coins_of(experiment.allocation.salt, f"{unit}:{who.placement.code}:{who.now.date().isoformat()}"),
        pins[0] & pins[1],
    )
    if experiment.only_different and _page(decision) == _page(other):
        return decision
    decision.other, decision.draft = other, drawn
    decision.attribution = replace(attribution, variant=code, share=rivals.share_of(code), teams=drawn.teams)
    return decision


def _page(decision: Decision) -> list[int]:
    return [place.product_id for place in decision.ruled.shown]


def _decide(request: SlateRequest, who: Who, publication: PublicationState) -> Decision:
    """By this publication."""
    memory, placement = who.memory, who.placement
    catalogue = memory.catalogue
    known = [catalogue.by_sku[sku].product_id for sku in request.items if sku in catalogue.by_sku]
    asking = Asking(
        memory=memory,
        live=who.live.for_publication(publication),
        catalogue=catalogue,
        placement=placement,
        publication=publication,
        shopper=who.shopper,
        items=list(dict.fromkeys(known)),
        request=request,
        now=who.now,
        personalised=who.personalised,
    )
    gathered = gather(asking)
    blend = blend_normal(
        [source.found.normal(publication.normalisation) for source in gathered.sources],
        [source.weight for source in gathered.sources],
        catalogue.table.columns.distinct,
    )
    if request.explain:
        blend = blend.ordered()
    decision = Decision(
        request=request,
        asking=asking,
        now=who.now,
        n=request.n or publication.page_size or placement.page_size,
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
