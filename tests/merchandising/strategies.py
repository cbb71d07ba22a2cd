"""Random catalogues, candidates and rules for property tests."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from apps.merchandising.rules import Candidate, FactsTable, ProductFacts, RuleContext, rules_parse
from apps.merchandising.rules.types import Rule

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CATEGORIES = ["Home > Kitchen > Mugs", "Home > Kitchen > Pans", "Home > Bath", "Toys", ""]
BRANDS = ["Acme", "Orbit", "Lumen", ""]
TAGS = ["promotion", "gift"]
KINDS = ("pin", "pin", "boost", "bury", "hide", "filter", "limit", "limit")


@st.composite
def products(draw: st.DrawFn, size: int = 10) -> list[ProductFacts]:
    """A small catalogue in which variants, gaps and sold-out products are common."""
    count = draw(st.sampled_from([1, 3, size, size]))
    epoch = NOW.timestamp()
    return [
        ProductFacts(
            product_id=number,
            sku=f"S{number}",
            category=draw(st.sampled_from(CATEGORIES)),
            brand=draw(st.sampled_from(BRANDS)),
            price=draw(st.sampled_from([None, 5.0, 20.0, 80.0])),
            stock=draw(st.sampled_from([None, 0, 1, 9, 9, 9])),
            attributes=draw(st.sampled_from([{}, {"colour": "red"}, {"colour": ["red", "blue"]}])),
            tags=frozenset(draw(st.sets(st.sampled_from(TAGS), max_size=1))),
            group_key=draw(st.sampled_from(["", "", "", "g1", "g2"])),
            available_from=draw(st.sampled_from([None] * 9 + [epoch + 60])),
            available_until=draw(st.sampled_from([None] * 9 + [epoch])),
            listed=draw(st.sampled_from([True] * 9 + [False])),
        )
        for number in range(count)
    ]


def targets() -> st.SearchStrategy[dict[str, Any]]:
    """Any kind of target, most of them with matches."""
    return st.one_of(
        st.lists(st.integers(0, 15).map(lambda n: f"S{n}"), min_size=1, max_size=3, unique=True).map(
            lambda skus: {"type": "product", "skus": skus}
        ),
        st.sampled_from(["Home", "Home > Kitchen", "Toys"]).map(lambda p: {"type": "category", "path": p}),
        st.sampled_from(["acme", "Orbit"]).map(lambda brand: {"type": "brand", "brand": brand}),
        st.just({"type": "attribute", "name": "colour", "value": "Red"}),
        st.sampled_from(TAGS).map(lambda tag: {"type": "tag", "tag": tag}),
    )


def conditions() -> st.SearchStrategy[dict[str, Any]]:
    """Any kind of condition; most let several products through."""
    return st.sampled_from(
        [
            {"field": "price", "op": "lte", "value": 20},
            {"field": "price", "op": "gte", "value": 6},
            {"field": "stock", "op": "gte", "value": 2},
            {"field": "brand", "op": "in", "value": ["acme", "Orbit", "Lumen"]},
            {"field": "brand", "op": "ne", "value": "Orbit"},
            {"field": "category", "op": "eq", "value": "Home"},
            {"field": "tag", "op": "ne", "value": "gift"},
            {"field": "attribute", "name": "colour", "op": "ne", "value": "blue"},
        ]
    )


@st.composite
def rule_sets(draw: st.DrawFn, size: int = 6, kinds: tuple[str, ...] = KINDS) -> tuple[Rule, ...]:
    """Some rules of these kinds, some of them disabled or outside their schedule."""
    data = []
    for number in range(draw(st.integers(0, size))):
        kind = draw(st.sampled_from(kinds))
        rule: dict[str, Any] = {"id": f"r{number}", "kind": kind}
        match kind:
            case "pin":
                rule |= {"position": draw(st.integers(1, 8)), "target": draw(targets())}
            case "boost" | "bury":
                rule |= {"strength": draw(st.sampled_from([0.1, 0.5, 1.0])), "target": draw(targets())}
            case "hide":
                rule["target"] = draw(targets())
            case "filter":
                rule["condition"] = draw(conditions())
            case "limit":
                rule |= {"max": draw(st.integers(1, 2)), "by": draw(st.sampled_from(["category", "brand"]))}
                if rule["by"] == "category":
                    rule["level"] = draw(st.sampled_from([None, 1, 2]))
        rule["enabled"] = draw(st.sampled_from([True, True, True, False]))
        match draw(st.integers(0, 7)):
            case 0:
                rule["start"] = (NOW + timedelta(seconds=1)).isoformat()
            case 1:
                rule["end"] = NOW.isoformat()
            case 2:
                rule |= {"start": NOW.isoformat(), "end": (NOW + timedelta(hours=1)).isoformat()}
        data.append(rule)
    return rules_parse(data)


@st.composite
def situations(
    draw: st.DrawFn, kinds: tuple[str, ...] = KINDS
) -> tuple[list[Candidate], FactsTable, tuple[Rule, ...], RuleContext]:
    """Everything one call of the engine takes, with rules of these kinds."""
    facts = draw(products())
    ids = st.integers(0, len(facts))  # one id more than there are products: unknown to the catalogue
    scores = st.sampled_from([-2.0, -0.5, 0.0, 0.5, 1.0, 3.0])
    candidates = draw(st.lists(st.builds(Candidate, ids, scores, st.sampled_from([0, 0, 1])), max_size=20))
    excluded = draw(st.dictionaries(ids, st.sampled_from(["bought", "disliked"]), max_size=2))
    context = RuleContext(now=NOW, n=draw(st.integers(1, 8)), excluded=excluded, explain=draw(st.booleans()))
    return candidates, FactsTable.of(facts), draw(rule_sets(kinds=kinds)), context
