"""The trace of a slate, and why a product is not in it. Codes and figures only; the portal has the words."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from apps.core.errors import InvalidInput
from apps.merchandising.rules import rule_dump
from apps.ml.topn import SERVED_LIST_LENGTH
from apps.serving.decide import NOT_ASKED, Decision, decide
from apps.serving.publications import PAGE_MAX, PublicationState
from apps.serving.slate import Attribution, SlateItem, SlateRequest


def trace_of(decision: Decision, items: Sequence[SlateItem]) -> dict[str, Any]:
    """The whole waterfall as JSON.

    {"placement", "kind", "publication", "rung", "normalisation",
     "ladder": [{"rung", "state": "used" | why it had nothing}],
     "sources": [{"source", "version_id", "weight", "scope", "lists", "size", "seeds"}],
     "missing_sources": [..],
     "items": [{"product_id", "sku", "position", "base_rank", "score", "adjusted", "source", "fill", "reason",
                "parts": [{"source", "listed", "rank", "raw", "normalised", "weight", "contribution"}],
                "effects": [{"rule", "kind", "code", "from", "to", "strength"}]}],
     "dropped": [{"product_id", "sku", "gate", "code", "rule", "params"}],
     "rules": [{"rule", "kind", "state", "count", "definition"}],
     "relaxed": [{"rule", "admitted"}], "missing": n, "unknown_items": [sku],
     "shopper": {"known", "bought", "disliked", "recent"},
     "experiment": {"code", "variant", "share", "teams"} of what decided it, else null}

    An interleaved slate's trace is control's, with the items as drawn, each with its "team", and in "other"
    what the variant's says of sources, rules and drops.

    parts of one item sum to its score; a source that does not list it gives its list's lowest value.
    """
    asking, ruled = decision.asking, decision.ruled.trace
    catalogue = asking.catalogue.items
    definitions = {rule.id: rule_dump(rule) for rule in asking.publication.rules.rules}
    by_product = {entry["product_id"]: entry for entry in ruled["items"]}
    raw = _raw_scores(decision)
    ladder = [{"rung": str(rung), "state": state} for rung, state in decision.gathered.tried]
    return {
        "placement": asking.placement.code,
        "kind": asking.placement.kind,
        "publication": asking.publication.number,
        "rung": str(decision.rung),
        "normalisation": asking.publication.normalisation,
        "ladder": [*ladder, {"rung": str(decision.gathered.rung), "state": "used"}],
        "sources": [
            {
                "source": source.source,
                "version_id": source.version_id,
                "weight": source.weight,
                "scope": source.scope,
                "lists": source.combined,
                "size": len(source.found.ids),
                "seeds": [seed for seed, _ in source.seeds],
            }
            for source in decision.gathered.sources
        ],
        "missing_sources": list(decision.gathered.missing),
        "items": [
            {
                "product_id": item.product_id,
                "sku": item.sku,
                "position": item.position,
                "base_rank": by_product[item.product_id]["base_rank"],
                "score": by_product[item.product_id]["score"],
                "adjusted": by_product[item.product_id]["adjusted"],
                "source": item.source,
                "fill": decision.fill.get(item.product_id),
                "reason": {"code": item.reason, "product_id": item.reason_item},
                "parts": _parts(decision, item, raw),
                "effects": by_product[item.product_id]["effects"],
            }
            for item in items
        ],
        "dropped": [
            {**drop, "sku": catalogue[drop["product_id"]].sku if drop["product_id"] in catalogue else ""}
            for drop in ruled["dropped"]
            if drop["product_id"] not in decision.fill
        ],
        "rules": [{**state, "definition": definitions[state["rule"]]} for state in ruled["rules"]],
        "relaxed": ruled["relaxed"],
        "missing": ruled["missing"],
        "unknown_items": list(decision.unknown_items),
        "shopper": {
            "known": asking.shopper.id is not None,
            "bought": len(asking.shopper.bought),
            "disliked": len(asking.shopper.disliked),
            "recent": len(asking.shopper.recent),
        },
        "experiment": _experiment(decision.attribution),
    }


def _experiment(attribution: Attribution | None) -> dict[str, Any] | None:
    if attribution is None:
        return None
    return {
        "code": attribution.experiment,
        "variant": attribution.variant,
        "share": attribution.share,
        "teams": attribution.teams,
    }


def _parts(
    decision: Decision, item: SlateItem, raw: Sequence[dict[int, tuple[int, float]]]
) -> list[dict[str, Any]]:
    parts = []
    for source, scores in zip(decision.gathered.sources, raw, strict=True):
        if source.source not in item.parts:
            continue
        rank, score = scores.get(item.product_id, (None, None))
        contribution = item.parts[source.source]
        parts.append(
            {
                "source": source.source,
                "listed": rank is not None,
                "rank": rank,
                "raw": score,
                "normalised": contribution / source.weight,
                "weight": source.weight,
                "contribution": contribution,
            }
        )
    return parts


def why_not(sku: str, request: SlateRequest, publication: PublicationState | None = None) -> dict[str, Any]:
    """Why a product is not in the slate of this request: the first gate that stopped it, as a code.

    {"product_id", "sku", "shown", "position", "gate", "code", "rule", "params", "parts", "definition"}.
    gate: "" when it is shown; else availability, excluded, hide, filter, variant, limit, page (see
    rules.Drop), or "sources": 'not_listed' (no source has it in its best n), 'weight_zero' (only sources of
    weight 0 have it), or "pool" with the code of what the placement's kind shows alone. parts: as in the
    trace, when sources list it. Raises InvalidInput for an unknown sku.
    """
    decision = decide(replace(request, explain=True), publication)
    asking = decision.asking
    facts = asking.catalogue.by_sku.get(sku)
    if facts is None:
        raise InvalidInput(field="sku", value=sku, remedy="Choose a product of the catalogue.")
    answer: dict[str, Any] = {
        "product_id": facts.product_id,
        "sku": sku,
        "shown": False,
        "position": None,
        "gate": "",
        "code": "shown",
        "rule": None,
        "params": {},
        "parts": _parts_of(decision, facts.product_id),
        "definition": None,
    }
    shown = {item.product_id: item.position for item in decision.ruled.items}
    if decision.draft is not None:
        shown = {pk: position for position, pk in enumerate(decision.draft.items, 1)}
    if facts.product_id in shown:
        return {**answer, "shown": True, "position": shown[facts.product_id]}
    drop = _drop_of(decision, facts.product_id)
    if drop["code"] == "variant":
        other = asking.catalogue.items.get(drop["params"].get("of", -1))
        drop["params"] = {**drop["params"], "of_sku": other.sku if other else ""}
    rules = {rule.id: rule_dump(rule) for rule in asking.publication.rules.rules}
    return {**answer, **drop, "definition": rules.get(drop["rule"] or "")}


def _drop_of(decision: Decision, product_id: int) -> dict[str, Any]:
    """The first gate. A product that no source listed is put behind all others, to meet the gates too."""
    asking = decision.asking
    listed = set(decision.blend.ids.tolist())
    for drop in decision.ruled.trace["dropped"]:
        if drop["product_id"] == product_id and (product_id in listed or drop["gate"] != "page"):
            return dict(drop)
    facts = asking.catalogue.items[product_id]
    at = decision.now.timestamp()
    missing: dict[str, Any] = {"product_id": product_id, "rule": None, "params": {}}
    reason = facts.unavailable(at)
    if reason is not None:
        return {**missing, "gate": "availability", "code": reason}
    if product_id in decision.excluded:
        return {**missing, "gate": "excluded", "code": decision.excluded[product_id]}
    if decision.wanted is not None and not decision.wanted(product_id):
        return {**missing, "gate": "excluded", "code": NOT_ASKED}
    verdict = asking.publication.rules.plan(decision.now).verdict(facts)
    if verdict.gate:
        code = "hidden" if verdict.gate == "hide" else "filtered"
        return {**missing, "gate": verdict.gate, "code": code, "rule": verdict.rule_id}
    for item in decision.ruled.items:
        if asking.catalogue.items[item.product_id].group == facts.group:
            return {**missing, "gate": "variant", "code": "variant", "params": {"of": item.product_id}}
    pool = decision.gathered.pool
    if pool is not None and product_id not in pool.found.ids:
        return {**missing, "gate": "pool", "code": pool.source}
    idle = _idle_sources(decision, product_id)
    if idle:
        return {**missing, "gate": "sources", "code": "weight_zero", "params": {"sources": idle}}
    return {**missing, "gate": "sources", "code": "not_listed", "params": {"n": SERVED_LIST_LENGTH}}


def _idle_sources(decision: Decision, product_id: int) -> list[str]:
    """Sources of weight 0 that would list the product, were they asked."""
    weights = decision.asking.publication.weights
    idle = {source: 1.0 for source in decision.asking.live.versions if not weights.get(source)}
    if not idle:
        return []
    asked = PublicationState(idle, decision.asking.publication.rules, "z")
    probe = decide(replace(decision.request, explain=False, n=PAGE_MAX), asked)
    return [
        source.source for source in probe.gathered.sources if product_id in set(source.found.ids.tolist())
    ]


def _parts_of(decision: Decision, product_id: int) -> list[dict[str, Any]]:
    """The waterfall of any product in the blend; empty when no source lists it."""
    columns = [column for column, pk in enumerate(decision.blend.ids.tolist()) if pk == product_id]
    if not columns:
        return []
    parts = []
    gains = decision.blend.parts[:, columns[0]].tolist()
    for source, scores, gain in zip(decision.gathered.sources, _raw_scores(decision), gains, strict=True):
        rank, score = scores.get(product_id, (None, None))
        parts.append(
            {
                "source": source.source,
                "listed": rank is not None,
                "rank": rank,
                "raw": score,
                "normalised": gain / source.weight,
                "weight": source.weight,
                "contribution": gain,
            }
        )
    return parts


def _raw_scores(decision: Decision) -> list[dict[int, tuple[int, float]]]:
    """Per source: product id to its rank (1 is first) and raw score in that source's list."""
    return [
        {
            pk: (rank, score)
            for rank, (pk, score) in enumerate(
                zip(source.found.ids.tolist(), source.found.scores.tolist(), strict=True), 1
            )
        }
        for source in decision.gathered.sources
    ]
