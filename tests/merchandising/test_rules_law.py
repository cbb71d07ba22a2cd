"""The order law of the rule engine, clause by clause, on random situations."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.merchandising.rules import (
    Boost,
    Bury,
    Candidate,
    FactsTable,
    Filter,
    Hide,
    Limit,
    Pin,
    ProductFacts,
    ProductTarget,
    Rule,
    RuleContext,
    RuledSlate,
    RuleSet,
    rules_apply,
)
from tests.merchandising.strategies import NOW, situations

Situation = tuple[list[Candidate], FactsTable, tuple[Rule, ...], RuleContext]
EXAMPLES = settings(max_examples=100, deadline=None)


def active(rules: tuple[Rule, ...]) -> list[Rule]:
    return [rule for rule in rules if rule.state(NOW) == "active"]


def shown(slate: RuledSlate) -> list[int]:
    return [item.product_id for item in slate.items]


def group_of(facts: ProductFacts) -> tuple[str, int]:
    """What variants share, said a second time."""
    return (facts.group_key, -1) if facts.group_key else ("", facts.product_id)


def may_be_shown(facts: ProductFacts | None, rules: tuple[Rule, ...], context: RuleContext) -> bool:
    """The gates that never relax, written a second time and as plainly as possible."""
    if facts is None or not facts.listed or facts.product_id in context.excluded:
        return False
    moment = NOW.timestamp()
    if facts.stock is not None and facts.stock <= 0:
        return False
    if facts.available_from is not None and facts.available_from > moment:
        return False
    if facts.available_until is not None and facts.available_until <= moment:
        return False
    for rule in active(rules):
        if isinstance(rule, Hide) and rule.target.matches(facts):
            return False
        if isinstance(rule, Filter) and not rule.condition.passes(facts):
            return False
    return True


@EXAMPLES
@given(situations())
def test_nothing_forbidden_is_ever_shown(situation: Situation) -> None:
    _, facts, rules, context = situation
    for product_id in shown(rules_apply(*situation)):
        assert may_be_shown(facts.by_id.get(product_id), rules, context)


@EXAMPLES
@given(situations())
def test_no_product_and_no_two_variants_appear_twice(situation: Situation) -> None:
    facts = situation[1]
    groups = [group_of(facts.by_id[product_id]) for product_id in shown(rules_apply(*situation))]
    assert len(groups) == len(set(groups))


@EXAMPLES
@given(situations())
def test_positions_count_from_one_without_gaps(situation: Situation) -> None:
    slate = rules_apply(*situation)
    assert [item.position for item in slate.items] == list(range(1, len(slate.items) + 1))
    assert slate.trace["missing"] == situation[3].n - len(slate.items)


@EXAMPLES
@given(situations())
def test_never_shorter_than_possible(situation: Situation) -> None:
    candidates, facts, rules, context = situation
    slate = rules_apply(*situation)
    pinned = {item.product_id for item in slate.items if any(e.kind == "pin" for e in item.effects)}
    pool = {c.product_id for c in candidates} | pinned
    groups = {
        group_of(facts.by_id[product_id])
        for product_id in pool
        if may_be_shown(facts.by_id.get(product_id), rules, context)
    }
    assert len(slate.items) == min(context.n, len(groups))


@EXAMPLES
@given(situations(("boost", "bury", "limit")), st.sampled_from([1, 1, 2, 3, 8]), st.integers(0, 9))
def test_a_pin_that_may_be_shown_stands_at_its_position(
    situation: Situation, position: int, product: int
) -> None:
    candidates, facts, rules, context = situation
    pin = Pin(id="pin", position=position, target=ProductTarget((f"S{product}",)))
    slate = rules_apply(candidates, facts, (*rules, pin), context)
    pinned = [item for item in slate.items if any(effect.kind == "pin" for effect in item.effects)]
    may = may_be_shown(facts.by_id.get(product), rules, context) and position <= context.n
    assert [item.product_id for item in pinned] == ([product] if may else [])
    if may:
        assert pinned[0].position == min(position, len(slate.items))


@EXAMPLES
@given(situations())
def test_limits_hold_unless_the_trace_says_they_were_relaxed(situation: Situation) -> None:
    _, facts, rules, _ = situation
    slate = rules_apply(*situation)
    limits = [rule for rule in active(rules) if isinstance(rule, Limit)]
    relaxed = [entry["rule"] for entry in slate.trace["relaxed"]]
    assert relaxed == [limit.id for limit in reversed(limits)][: len(relaxed)], "the last limit goes first"
    for limit in limits:
        if limit.id in relaxed:
            continue
        pinned: dict[str, int] = {}
        all_: dict[str, int] = {}
        for item in slate.items:
            bucket = limit.bucket(facts.by_id[item.product_id])
            if bucket is not None:
                all_[bucket] = all_.get(bucket, 0) + 1
                is_pin = any(effect.kind == "pin" for effect in item.effects)
                pinned[bucket] = pinned.get(bucket, 0) + is_pin
        for bucket, count in all_.items():
            assert count <= max(limit.max, pinned[bucket]), "only pins may exceed a limit"


@EXAMPLES
@given(situations())
def test_limits_relax_only_when_the_slate_would_come_up_short(situation: Situation) -> None:
    context = situation[3]
    slate = rules_apply(*situation)
    admitted = {p for entry in slate.trace["relaxed"] for p in entry["admitted"]}
    if slate.trace["relaxed"]:
        # Without what relaxing let in, places would be empty.
        assert len(slate.items) - len(admitted) < context.n
    assert admitted <= set(shown(slate))


@EXAMPLES
@given(situations())
def test_without_rules_the_order_is_that_of_the_scores(situation: Situation) -> None:
    candidates, facts, _, context = situation
    slate = rules_apply(candidates, facts, (), context)
    keys = [(item.tier, -(item.score or 0.0)) for item in slate.items]
    assert keys == sorted(keys)


@EXAMPLES
@given(situations(("hide", "filter", "boost", "bury")), st.integers(0, 9), st.sampled_from([0.1, 0.5, 1.0]))
def test_a_boost_never_lowers_and_a_bury_never_lifts_and_both_do_what_they_say(
    situation: Situation, product: int, strength: float
) -> None:
    candidates, facts, rules, context = situation
    candidates = [Candidate(c.product_id, c.score) for c in candidates]
    context = replace(context, n=30)
    before = shown(rules_apply(candidates, facts, rules, context))
    if product not in before:
        return
    target = ProductTarget((f"S{product}",))
    boosted = rules_apply(
        candidates, facts, (*rules, Boost(id="x", strength=strength, target=target)), context
    )
    buried = rules_apply(candidates, facts, (*rules, Bury(id="x", strength=strength, target=target)), context)
    assert shown(boosted).index(product) <= before.index(product)
    if product in shown(buried):
        assert before.index(product) <= shown(buried).index(product)
    else:  # it fell behind a variant of itself, which now stands for both
        group = group_of(facts.by_id[product])
        assert group in [group_of(facts.by_id[other]) for other in shown(buried)]
    spread = max(c.score for c in candidates) - min(c.score for c in candidates)
    lift = strength * (spread or 1.0)
    plain = next(i for i in rules_apply(candidates, facts, rules, context).items if i.product_id == product)
    for slate, sign in ((boosted, 1), (buried, -1)):
        for moved in (item for item in slate.items if item.product_id == product):
            assert moved.adjusted == pytest.approx((plain.adjusted or 0.0) + sign * lift)
        scores = [item.adjusted or 0.0 for item in slate.items]
        assert scores == sorted(scores, reverse=True), "without pins and limits the page is in order"


@EXAMPLES
@given(situations())
def test_same_input_same_slate_and_explaining_changes_nothing(situation: Situation) -> None:
    candidates, facts, rules, context = situation
    plain = rules_apply(candidates, facts, rules, replace(context, explain=False))
    warm = RuleSet(rules)
    for again in range(2):
        explained = rules_apply(candidates, facts, warm, replace(context, explain=True))
        assert shown(explained) == shown(plain), f"round {again}"
        assert explained.trace["relaxed"] == plain.trace["relaxed"]
        assert explained.trace["missing"] == plain.trace["missing"]


@EXAMPLES
@given(situations())
def test_affine_rescaling_of_the_scores_changes_nothing(situation: Situation) -> None:
    candidates, facts, rules, context = situation
    rescaled = [Candidate(c.product_id, c.score * 4 + 16, c.tier) for c in candidates]
    spread = len({c.score for c in candidates if c.tier == 0}) > 1
    if spread:  # powers of two: no rounding, so the order is exactly the same
        assert shown(rules_apply(rescaled, facts, rules, context)) == shown(rules_apply(*situation))


@EXAMPLES
@given(situations())
def test_every_candidate_is_on_the_page_or_says_why_not(situation: Situation) -> None:
    candidates, facts, rules, context = situation
    slate = rules_apply(candidates, facts, rules, replace(context, explain=True))
    dropped = [drop["product_id"] for drop in slate.trace["dropped"]]
    assert len(dropped) == len(set(dropped))
    assert set(dropped) | set(shown(slate)) >= {c.product_id for c in candidates}
    assert not set(dropped) & set(shown(slate))
    for drop in slate.trace["dropped"]:
        hard = drop["gate"] in ("availability", "excluded", "hide", "filter")
        assert hard == (not may_be_shown(facts.by_id.get(drop["product_id"]), rules, context))


@EXAMPLES
@given(situations())
def test_moved_from_is_the_position_without_the_rule(situation: Situation) -> None:
    candidates, facts, rules, context = situation
    slate = rules_apply(candidates, facts, rules, replace(context, explain=True))
    for item in slate.items:
        for effect in item.effects:
            if effect.kind == "limit":
                continue
            less = tuple(rule for rule in rules if rule.id != effect.rule_id)
            positions = shown(rules_apply(candidates, facts, less, context))
            if item.product_id in positions:
                assert effect.moved_from == positions.index(item.product_id) + 1
            else:
                assert effect.moved_from is None or effect.moved_from > context.n
