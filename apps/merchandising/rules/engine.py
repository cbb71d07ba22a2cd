"""rules_apply: candidates and rules in, the slate and its explanation out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from apps.merchandising.rules.arrange import Arrangement, Arranger
from apps.merchandising.rules.columns import CandidateColumns
from apps.merchandising.rules.facts import ProductFacts
from apps.merchandising.rules.plan import Plan, RuleSet
from apps.merchandising.rules.quick import page_quick
from apps.merchandising.rules.ranking import HeadRanking, WholeRanking
from apps.merchandising.rules.slate import Candidate, Drop, Effect, RuleContext, RuledItem, RuledSlate, Shown
from apps.merchandising.rules.table import FactsTable
from apps.merchandising.rules.types import Boost, Bury, Pin, Rule

NOTHING: Mapping[Any, Any] = MappingProxyType({})


def rules_apply(
    candidates: Sequence[Candidate],
    facts: FactsTable,
    rules: RuleSet | Sequence[Rule],
    context: RuleContext,
) -> RuledSlate:
    """Orders and cuts the candidates to a page of at most `context.n` items.

    The law: hide and availability > filter > pin > limits > boost and bury. The page never repeats a product
    or a group of variants, never shows an unavailable, excluded, hidden or filtered product, and is only
    shorter than n when no further candidate passes those gates; limits give way first, the last rule first.

    A pin may name a product outside the candidates. facts must hold every product that may be shown. Equal
    input gives an equal slate.
    """
    ruleset = rules if isinstance(rules, RuleSet) else RuleSet(rules)
    plan = ruleset.plan(context.now)
    arranger = _arranger(candidates, facts, plan, context)
    arrangement = arranger.arrange(whole=context.explain)
    trace = _trace(arrangement, context)
    shown = _shown(arranger, arrangement)
    if not context.explain:
        return RuledSlate(shown, trace, partial(_items, shown, facts, plan))
    base_ranks: dict[int, int] = {}
    for candidate in sorted(candidates, key=lambda c: (c.tier, -c.score)):
        base_ranks.setdefault(candidate.product_id, len(base_ranks) + 1)
    without = _ranks_without(candidates, facts, plan, context, arrangement)
    items = _items(shown, facts, plan, base_ranks, without)
    trace["items"] = [_item_dump(item) for item in items]
    trace["dropped"] = [drop.dump() for drop in _dropped(arrangement, context.n)]
    trace["rules"] = _rule_states(ruleset, candidates, facts, plan, context, arrangement)
    return RuledSlate(shown, trace, lambda: items)


def rules_apply_columns(
    candidates: CandidateColumns, facts: FactsTable, ruleset: RuleSet, context: RuleContext
) -> RuledSlate:
    """`rules_apply` for a slate that nobody asked to explain: the same slate, for a fraction of the work."""
    plan = ruleset.plan(context.now)
    at = context.now.timestamp()
    excluded = np.fromiter(context.excluded, dtype=np.int64, count=len(context.excluded))
    ranking = HeadRanking(candidates, facts, plan, n=context.n, at=at, excluded=excluded)
    shown = page_quick(ranking, facts, plan, n=context.n, at=at, excluded=context.excluded)
    if shown is not None:
        trace: dict[str, Any] = {"missing": context.n - len(shown), "relaxed": []}
    else:
        arranger = Arranger(ranking, facts, plan, n=context.n, at=at, excluded=context.excluded)
        arrangement = arranger.arrange(whole=False)
        shown, trace = _shown(arranger, arrangement), _trace(arrangement, context)
    return RuledSlate(shown, trace, partial(_items, shown, facts, plan))


def _trace(arrangement: Arrangement, context: RuleContext) -> dict[str, Any]:
    relaxed = [{"rule": limit.id, "admitted": admitted} for limit, admitted in arrangement.relaxed]
    return {"missing": context.n - arrangement.page, "relaxed": relaxed}


def _arranger(
    candidates: Sequence[Candidate], facts: FactsTable, plan: Plan, context: RuleContext
) -> Arranger:
    return Arranger(
        WholeRanking(candidates, facts, plan),
        facts,
        plan,
        n=context.n,
        at=context.now.timestamp(),
        excluded=context.excluded,
    )


def _shown(arranger: Arranger, arrangement: Arrangement) -> tuple[Shown, ...]:
    return tuple(
        Shown(place.facts.product_id, None, None, 0, place.pin, place.admitted_by)
        if (candidate := place.candidate) is None
        else Shown(
            place.facts.product_id,
            candidate.score,
            arranger.adjusted(candidate),
            candidate.tier,
            place.pin,
            place.admitted_by,
        )
        for place in arrangement.places[: arrangement.page]
    )


def _moves(plan: Plan, facts: ProductFacts | None, tiered: object) -> tuple[Boost | Bury, ...]:
    if not plan.moving or facts is None or tiered is None:
        return ()
    return plan.verdict(facts).moves


def _items(
    shown: Sequence[Shown],
    facts: FactsTable,
    plan: Plan,
    base_ranks: Mapping[int, int] = NOTHING,
    without: Mapping[str, dict[int, int]] = NOTHING,
) -> tuple[RuledItem, ...]:
    items = []
    for position, place in enumerate(shown, 1):
        product_id = place.product_id
        effects: list[Effect] = []
        if place.pin is not None:
            origin = _rank(without, place.pin.id, product_id)
            effects.append(Effect(place.pin.id, "pin", "pinned", origin, position))
        for rule in _moves(plan, facts.by_id.get(product_id), place.score):
            code = "boosted" if isinstance(rule, Boost) else "buried"
            origin = _rank(without, rule.id, product_id)
            effects.append(Effect(rule.id, rule.kind, code, origin, position, rule.strength))
        if place.admitted_by is not None:
            effects.append(Effect(place.admitted_by.id, "limit", "admitted", None, position))
        items.append(
            RuledItem(
                product_id=product_id,
                position=position,
                score=place.score,
                adjusted=place.adjusted,
                base_rank=base_ranks.get(product_id),
                tier=place.tier,
                effects=tuple(effects),
            )
        )
    return tuple(items)


def _rank(without: Mapping[str, dict[int, int]], rule_id: str, product_id: int) -> int | None:
    ranks = without.get(rule_id)
    return ranks.get(product_id) if ranks else None


def _ranks_without(
    candidates: Sequence[Candidate],
    facts: FactsTable,
    plan: Plan,
    context: RuleContext,
    arrangement: Arrangement,
) -> dict[str, dict[int, int]]:
    """For each pin, boost and bury at work on the page: everyone's position if that rule were not there."""
    at_work: set[str] = set()
    for place in arrangement.places[: arrangement.page]:
        at_work.update(rule.id for rule in _moves(plan, place.facts, place.candidate))
        if place.pin is not None:
            at_work.add(place.pin.id)
    return {
        rule_id: _arranger(candidates, facts, plan.without(rule_id), context).arrange(whole=True).ranks()
        for rule_id in sorted(at_work)
    }


def _dropped(arrangement: Arrangement, n: int) -> list[Drop]:
    behind = [
        Drop(place.facts.product_id, "page", "behind_page", None, {"rank": rank, "page_size": n})
        for rank, place in enumerate(arrangement.places[arrangement.page :], arrangement.page + 1)
    ]
    return behind + arrangement.dropped


def _rule_states(
    ruleset: RuleSet,
    candidates: Sequence[Candidate],
    facts: FactsTable,
    plan: Plan,
    context: RuleContext,
    arrangement: Arrangement,
) -> list[dict[str, Any]]:
    counts: Counter[str] = Counter(drop.rule_id for drop in arrangement.dropped if drop.rule_id)
    for candidate in {c.product_id: c for c in candidates}.values():
        known = facts.by_id.get(candidate.product_id)
        if known is not None and plan.moving:
            counts.update(rule.id for rule in plan.verdict(known).moves)
    counts.update(rule_id for rule_id, state in arrangement.pins.items() if state == "fired")
    relaxed = {limit.id for limit, _ in arrangement.relaxed}
    states = []
    for rule in ruleset.rules:
        state = rule.state(context.now)
        if state == "active":
            state = "fired" if counts[rule.id] or rule.id in relaxed else "idle"
            if isinstance(rule, Pin):
                state = arrangement.pins[rule.id]
        states.append({"rule": rule.id, "kind": rule.kind, "state": state, "count": counts[rule.id]})
    return states


def _item_dump(item: RuledItem) -> dict[str, Any]:
    return {
        "product_id": item.product_id,
        "position": item.position,
        "base_rank": item.base_rank,
        "score": item.score,
        "adjusted": item.adjusted,
        "tier": item.tier,
        "effects": [effect.dump() for effect in item.effects],
    }
