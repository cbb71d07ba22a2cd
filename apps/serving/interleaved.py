"""Two slates shown as one: each item as the slate has it that put it there."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from apps.experiments.drafting import SECOND, Draft
from apps.serving.slate import Slate, SlateItem


def slate_interleaved(slate: Slate, other: Slate, draft: Draft) -> Slate:
    """`slate` with the items of the draft; `other` is the variant's. Both were made for the same request."""
    sides = [{item.product_id: item for item in one.items} for one in (slate, other)]
    chosen = [
        (pk, team == SECOND, chance)
        for pk, team, chance in zip(draft.items, draft.teams, draft.propensities, strict=True)
    ]
    items = tuple(
        replace(sides[second][pk], position=position, propensity=chance)
        for position, (pk, second, chance) in enumerate(chosen, 1)
    )
    charges = {
        pk: charge
        for pk, second, _ in chosen
        if (charge := (other if second else slate).charges.get(pk)) is not None
    }
    return replace(
        slate,
        items=items,
        model_versions={**other.model_versions, **slate.model_versions},
        charges=charges,
        trace=_trace(slate.trace, other.trace, [(pk, second) for pk, second, _ in chosen]),
    )


def slate_with(slate: Slate, items: tuple[SlateItem, ...]) -> Slate:
    """The slate with only these of its items, in this order; the teams of an interleaved one follow."""
    attribution = slate.attribution
    if attribution is not None and attribution.teams:
        teams = {item.product_id: team for item, team in zip(slate.items, attribution.teams, strict=True)}
        attribution = replace(attribution, teams="".join(teams[item.product_id] for item in items))
    return replace(slate, items=items, attribution=attribution)


def _trace(
    trace: dict[str, Any] | None, other: dict[str, Any] | None, chosen: Sequence[tuple[int, bool]]
) -> dict[str, Any] | None:
    """Control's trace with the items as drawn; the variant's sources, rules and drops are in "other"."""
    if trace is None or other is None:
        return trace
    sides: list[Mapping[int, dict[str, Any]]] = [
        {entry["product_id"]: entry for entry in one["items"]} for one in (trace, other)
    ]
    items = [
        {**sides[second][pk], "position": position, "team": "B" if second else "A"}
        for position, (pk, second) in enumerate(chosen, 1)
    ]
    aside = {name: other[name] for name in ("publication", "sources", "rules", "dropped", "relaxed")}
    return {**trace, "items": items, "other": aside}
