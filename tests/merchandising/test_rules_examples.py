"""The rule engine by examples: what merchandisers would write, and what comes out."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from apps.core.errors import InvalidInput
from apps.merchandising.rules import (
    Candidate,
    FactsTable,
    ProductFacts,
    RuleContext,
    RuledSlate,
    rule_parse,
    rules_apply,
    rules_check,
    rules_dump,
    rules_parse,
)
from apps.merchandising.rules.facts import tags_of
from tests.merchandising.strategies import NOW

A = {"type": "product", "skus": ["A"]}


def shop(**changes: dict[str, Any]) -> FactsTable:
    """Products A to H, mugs and pans by turns; keyword arguments change one product's facts."""
    facts = []
    for number, sku in enumerate("ABCDEFGH"):
        category = "Home > Mugs" if number % 2 == 0 else "Home > Pans"
        row = ProductFacts(number, sku, category=category, brand="Acme", price=10.0 * (number + 1), stock=9)
        facts.append(replace(row, **changes.get(sku, {})))
    return FactsTable.of(facts)


def serve(facts: FactsTable, *rules: dict[str, Any], n: int = 4, **context: Any) -> RuledSlate:
    """A slate of candidates A (score 8) to H (score 1)."""
    candidates = [Candidate(number, 8.0 - number) for number in range(8)]
    data = [{"id": f"r{number}", **rule} for number, rule in enumerate(rules)]
    return rules_apply(candidates, facts, rules_parse(data), RuleContext(now=NOW, n=n, **context))


def skus(slate: RuledSlate) -> str:
    return "".join("ABCDEFGH"[item.product_id] for item in slate.items)


def pin(sku: str, position: int) -> dict[str, Any]:
    return {"kind": "pin", "position": position, "target": {"type": "product", "skus": [sku]}}


def product(*names: str) -> dict[str, Any]:
    return {"type": "product", "skus": list(names)}


def test_pins_stand_where_they_were_put() -> None:
    assert skus(serve(shop())) == "ABCD"
    assert skus(serve(shop(), pin("H", 1))) == "HABC"
    assert skus(serve(shop(), pin("A", 3), pin("H", 2))) == "BHAC"
    assert skus(serve(shop(), pin("G", 2), pin("H", 2))) == "AGHB", "the first rule wins, the next moves on"
    assert skus(serve(shop(), pin("G", 4), pin("H", 4))) == "ABHG", "or back, at the end of the page"
    assert skus(serve(shop(), pin("H", 9))) == "ABCD", "a pin beyond the page does nothing"
    mugs = {"kind": "pin", "position": 1, "target": {"type": "category", "path": "Home > Pans"}}
    assert skus(serve(shop(), mugs)) == "BACD", "the best ranked match"
    first_of = {"kind": "pin", "position": 1, "target": product("H", "G")}
    assert skus(serve(shop(H={"stock": 0}), first_of)) == "GABC", "the first that can be shown"


def test_pins_move_up_when_the_page_does_not_fill() -> None:
    only = {"kind": "filter", "condition": {"field": "price", "op": "lte", "value": 20}}
    assert skus(serve(shop(), only, pin("A", 4))) == "BA"


def test_hide_beats_pin_filter_beats_pin_pin_beats_limit() -> None:
    assert skus(serve(shop(), pin("H", 1), {"kind": "hide", "target": product("H")})) == "ABCD"
    cheap = {"kind": "filter", "condition": {"field": "price", "op": "lte", "value": 60}}
    assert skus(serve(shop(), pin("H", 1), cheap)) == "ABCD"
    one = {"kind": "limit", "max": 1, "by": "category"}
    slate = serve(shop(), one, pin("C", 1), pin("E", 2), n=3)
    assert skus(slate) == "CEB", "two pinned mugs pass the limit; no third comes in"
    assert slate.trace["relaxed"] == []


def test_limits_beat_boosts() -> None:
    boost = {"kind": "boost", "strength": 1.0, "target": {"type": "category", "path": "Home > Mugs"}}
    two = {"kind": "limit", "max": 2, "by": "category"}
    assert skus(serve(shop(), boost)) == "ACEG"
    assert skus(serve(shop(), boost, two)) == "ACBD"


def test_limits_relax_last_first_and_say_so() -> None:
    one_of_all = {"kind": "limit", "max": 1, "by": "category", "level": 1}
    one_per_leaf = {"kind": "limit", "max": 1, "by": "category"}
    slate = serve(shop(), one_of_all, one_per_leaf, n=3)
    assert skus(slate) == "ABC"
    assert [entry["rule"] for entry in slate.trace["relaxed"]] == ["r1", "r0"]
    slate = serve(shop(), one_per_leaf, one_of_all, n=3)
    assert [entry["rule"] for entry in slate.trace["relaxed"]] == ["r1", "r0"]
    slate = serve(shop(), one_per_leaf, one_of_all, n=2)
    assert skus(slate) == "AB"
    assert slate.trace["relaxed"] == [{"rule": "r1", "admitted": [1]}], "the first limit still holds"


def test_a_limit_may_concern_only_its_target() -> None:
    few = {"kind": "limit", "max": 1, "by": "target", "target": product("A", "B", "C")}
    assert skus(serve(shop(), few)) == "ADEF"


def test_boost_and_bury_move_by_a_share_of_the_spread() -> None:
    strong = {"kind": "boost", "strength": 1.0, "target": product("H")}
    assert skus(serve(shop(), strong)) == "AHBC", "level with the best, which came first"
    mild = {"kind": "bury", "strength": 0.3, "target": product("A")}
    assert skus(serve(shop(), mild)) == "BCAD"
    both = serve(shop(), mild, {"kind": "boost", "strength": 0.3, "target": product("A")})
    assert skus(both) == "ABCD", "opposites cancel"
    slate = serve(shop(), mild, explain=True)
    assert [effect.dump() for effect in slate.items[2].effects] == [
        {"rule": "r0", "kind": "bury", "code": "buried", "from": 1, "to": 3, "strength": 0.3}
    ]


def test_variants_show_once_the_best_ranked_or_the_pinned() -> None:
    facts = shop(A={"group_key": "g"}, C={"group_key": "g"})
    assert skus(serve(facts)) == "ABDE"
    assert skus(serve(facts, pin("C", 4))) == "BDEC"
    assert skus(serve(facts, pin("C", 1), pin("A", 2))) == "CBDE"


def test_schedules_start_with_their_first_moment_and_end_before_their_last() -> None:
    hide = {"kind": "hide", "target": A}
    soon, ago = (NOW + timedelta(seconds=1)).isoformat(), (NOW - timedelta(hours=1)).isoformat()
    assert skus(serve(shop(), {**hide, "start": NOW.isoformat()})) == "BCDE"
    assert skus(serve(shop(), {**hide, "start": soon})) == "ABCD"
    assert skus(serve(shop(), {**hide, "end": NOW.isoformat()})) == "ABCD"
    assert skus(serve(shop(), {**hide, "start": ago, "end": soon})) == "BCDE"
    assert skus(serve(shop(), {**hide, "enabled": False})) == "ABCD"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"field": "price", "op": "gte", "value": 50}, "EFGH"),
        ({"field": "price", "op": "eq", "value": 30}, "C"),
        ({"field": "price", "op": "ne", "value": 10}, "BCDE"),
        ({"field": "stock", "op": "gte", "value": 9}, "ABCD"),
        ({"field": "stock", "op": "lte", "value": 5}, ""),
        ({"field": "brand", "op": "eq", "value": "ACME"}, "ABCD"),
        ({"field": "brand", "op": "in", "value": ["Other"]}, ""),
        ({"field": "category", "op": "eq", "value": "Home > Pans"}, "BDFH"),
        ({"field": "category", "op": "eq", "value": "Home > Pan"}, ""),
        ({"field": "tag", "op": "eq", "value": "Gift"}, "B"),
        ({"field": "tag", "op": "ne", "value": "gift"}, "ACDE"),
        ({"field": "attribute", "name": "colour", "op": "eq", "value": "RED"}, "CD"),
        ({"field": "attribute", "name": "size", "op": "in", "value": ["1", "2"]}, "E"),
    ],
)
def test_filters(condition: dict[str, Any], expected: str) -> None:
    facts = shop(
        B={"tags": tags_of({"gift": True})},
        C={"attributes": {"colour": "red"}},
        D={"attributes": {"colour": ["Red", "blue"]}},
        E={"attributes": {"size": 2}},
    )
    assert skus(serve(facts, {"kind": "filter", "condition": condition})) == expected


def test_unknown_price_and_uncounted_stock() -> None:
    facts = shop(A={"price": None, "stock": None})
    assert (
        skus(serve(facts, {"kind": "filter", "condition": {"field": "price", "op": "gte", "value": 0}}))[0]
        == "B"
    )
    assert (
        skus(serve(facts, {"kind": "filter", "condition": {"field": "stock", "op": "gte", "value": 5}}))[0]
        == "A"
    )


def test_the_trace_names_gate_and_rule_state() -> None:
    facts = shop(B={"stock": 0}, C={"group_key": "g"}, E={"group_key": "g"})
    slate = serve(
        facts,
        {"kind": "hide", "target": product("D")},
        {"kind": "filter", "condition": {"field": "price", "op": "lte", "value": 70}},
        pin("B", 1),
        pin("A", 30),
        {"kind": "boost", "strength": 0.1, "target": {"type": "brand", "brand": "Nobody"}},
        {"kind": "limit", "max": 2, "by": "category", "enabled": False},
        n=2,
        excluded={5: "bought"},
        explain=True,
    )
    assert skus(slate) == "AC"
    gates = {"ABCDEFGH"[drop["product_id"]]: (drop["gate"], drop["code"]) for drop in slate.trace["dropped"]}
    assert gates == {
        "B": ("availability", "out_of_stock"),
        "D": ("hide", "hidden"),
        "E": ("variant", "variant"),
        "F": ("excluded", "bought"),
        "G": ("page", "behind_page"),
        "H": ("filter", "filtered"),
    }
    states = [entry["state"] for entry in slate.trace["rules"]]
    assert states == ["fired", "fired", "out_of_stock", "beyond_page", "idle", "disabled"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "pun"}, "rule.kind"),
        ({"position": 0}, "rule.position"),
        ({"position": 101}, "rule.position"),
        ({"position": True}, "rule.position"),
        ({"position": 1.5}, "rule.position"),
        ({"target": None}, "rule.target"),
        ({"target": {"type": "product", "skus": []}}, "rule.target.skus"),
        ({"target": {"type": "product", "skus": [7]}}, "rule.target.skus[0]"),
        ({"target": {"type": "category"}}, "rule.target.path"),
        ({"target": {"type": "shelf"}}, "rule.target.type"),
        ({"target": {**A, "path": "x"}}, "rule.target.path"),
        ({"id": ""}, "rule.id"),
        ({"enabled": "yes"}, "rule.enabled"),
        ({"start": "tomorrow"}, "rule.start"),
        ({"start": "2026-01-01T00:00:00"}, "rule.start"),
        ({"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, "rule.end"),
        ({"note": "x" * 301}, "rule.note"),
        ({"strength": 0.5}, "rule.strength"),
        ({"kind": "boost", "strength": 0}, "rule.position"),
        ({"kind": "filter"}, "rule.position"),
    ],
)
def test_a_wrong_rule_is_named_by_field_value_and_remedy(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        rule_parse({"id": "r1", "kind": "pin", "position": 1, "target": A, **change})
    assert caught.value.field == field
    assert caught.value.remedy


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "boost", "strength": 1.1, "target": A},
        {"kind": "bury", "strength": float("nan"), "target": A},
        {"kind": "limit", "max": 0},
        {"kind": "limit", "max": 1, "by": "target"},
        {"kind": "limit", "max": 1, "by": "brand", "level": 1},
        {"kind": "filter", "condition": {"field": "price", "op": "in", "value": [1]}},
        {"kind": "filter", "condition": {"field": "price", "op": "lte", "value": "cheap"}},
        {"kind": "filter", "condition": {"field": "brand", "op": "gte", "value": "a"}},
        {"kind": "filter", "condition": {"field": "brand", "op": "in", "value": []}},
        {"kind": "filter", "condition": {"field": "attribute", "op": "eq", "value": "a"}},
        {"kind": "filter", "condition": {"field": "brand", "name": "x", "op": "eq", "value": "a"}},
        "hide everything",
        None,
    ],
)
def test_other_wrong_rules(rule: Any) -> None:
    with pytest.raises(InvalidInput):
        rules_parse([{"id": "r1", **rule} if isinstance(rule, dict) else rule])


def test_ids_are_unique_and_lists_are_lists() -> None:
    hide = {"id": "x", "kind": "hide", "target": A}
    with pytest.raises(InvalidInput, match=r"rules\[1\]\.id"):
        rules_parse([hide, hide])
    wrongs: list[Any] = [{"rules": []}, "[]", None, [hide] * 1001]
    for wrong in wrongs:
        with pytest.raises(InvalidInput):
            rules_parse(wrong)


def test_every_kind_survives_a_round_trip() -> None:
    data: list[dict[str, Any]] = [
        {"kind": "pin", "position": 3, "target": product("A", "B", "C", "D")},
        {"kind": "boost", "strength": 0.5, "target": {"type": "category", "path": "Home"}},
        {"kind": "bury", "strength": 0.5, "target": {"type": "brand", "brand": "Acme"}},
        {"kind": "hide", "target": {"type": "attribute", "name": "colour", "value": "red"}},
        {"kind": "hide", "target": {"type": "tag", "tag": "promotion"}, "start": "2026-01-01T00:00:00+00:00"},
        {"kind": "filter", "condition": {"field": "attribute", "name": "a", "op": "in", "value": ["x", "y"]}},
        {"kind": "filter", "condition": {"field": "price", "op": "lte", "value": 20.0}},
        {"kind": "limit", "max": 2, "by": "category", "level": 1},
        {"kind": "limit", "max": 2, "by": "brand", "target": {"type": "category", "path": "Home"}},
        {"kind": "limit", "max": 2, "by": "target", "target": {"type": "tag", "tag": "gift"}},
    ]
    rules = rules_parse([{"id": f"r{n}", **rule} for n, rule in enumerate(data)])
    assert rules_parse(rules_dump(rules)) == rules


def test_checks_find_what_contradicts_and_what_never_fires() -> None:
    def codes(*rules: dict[str, Any], **changes: dict[str, Any]) -> list[str]:
        data = [{"id": f"r{number}", **rule} for number, rule in enumerate(rules)]
        hints = rules_check(rules_parse(data), shop(**changes), NOW)
        assert all(set(hint.dump()) == {"code", "level", "rules", "params"} for hint in hints)
        return [hint.code for hint in hints]

    hide = {"kind": "hide", "target": A}
    later = {"start": (NOW + timedelta(days=9)).isoformat()}
    before = {"end": (NOW + timedelta(days=9)).isoformat()}
    assert codes(pin("A", 1), pin("B", 2)) == []
    assert codes(pin("A", 1), A={"stock": 0}) == ["pin_unavailable"]
    assert codes(pin("A", 1), hide) == ["pin_hidden"]
    assert codes({**pin("A", 1), **later}, {**hide, **before}) == [], "never at the same time"
    assert codes(pin("A", 1), {**hide, "enabled": False}) == []
    assert codes(pin("A", 1), pin("B", 1)) == ["pin_same_position"]
    assert codes(pin("A", 1), pin("A", 2)) == ["pin_same_product"]
    assert codes(pin("A", 1), pin("C", 2), A={"group_key": "g"}, C={"group_key": "g"}) == ["pin_variants"]
    assert codes(pin("Z", 1)) == ["unknown_sku"]
    assert codes({"kind": "hide", "target": {"type": "brand", "brand": "Nobody"}}) == ["no_match"]
    assert codes({**hide, "end": NOW.isoformat()}) == ["ended"]
    dear = {"kind": "filter", "condition": {"field": "price", "op": "gte", "value": 999}}
    assert codes(dear) == ["filters_leave_nothing"]
    assert codes(pin("A", 1), dear) == ["pin_filtered", "filters_leave_nothing"]
    assert codes({"kind": "hide", "target": {"type": "brand", "brand": "acme"}}) == ["hides_everything"]
    boost = {"kind": "boost", "strength": 0.5, "target": A}
    assert codes(boost, {**boost, "kind": "bury"}) == ["boost_and_bury"]
