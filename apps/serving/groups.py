"""Slates of brands, categories or an attribute's values, and slates in an order to be played through.

Both start from a slate of products, so that lists, blend, rules and availability hold as everywhere.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log2
from typing import Any

from apps.serving.catalogue import CatalogueItem
from apps.serving.interleaved import slate_with
from apps.serving.memory import memory_current
from apps.serving.pipeline import recommend
from apps.serving.publications import PAGE_MAX
from apps.serving.slate import Slate, SlateItem, SlateRequest

BRAND, CATEGORY = "brand", "category"
ARTIST = "artist"
PINNED = "pinned"
DEFAULT_GROUPS = 10
Values = Callable[[SlateItem], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Group:
    """One brand, category or value. score: sum over its products of 1 / log2(1 + position) in the slate of
    products, the discount of DCG (Järvelin and Kekäläinen 2002). items: its products, best first.
    """

    position: int
    value: str
    score: float
    items: tuple[SlateItem, ...]


def groups_recommend(request: SlateRequest, of: str) -> tuple[Slate, tuple[Group, ...]]:
    """The best groups for a request. of: "brand", "category" or an attribute's name; request.n: how many.

    The slate holds each group's best product, in the groups' order: what is remembered as shown.
    """
    slate = recommend(replace(request, n=PAGE_MAX))
    groups = groups_of(slate.items, values_by(of), request.n or DEFAULT_GROUPS)
    return slate_with(slate, _numbered([group.items[0] for group in groups])), groups


def playlist_recommend(request: SlateRequest, by: str) -> Slate:
    """The slate of a request, ordered so that no two neighbours share a value of `by`, where that can be."""
    slate = recommend(request)
    return slate_with(slate, _numbered(spread(slate.items, values_by(by))))


def values_by(of: str) -> Values:
    """What tells the values of a product: its brand, its category or an attribute (one value or a list)."""
    if of == BRAND:
        return lambda item: [item.brand] if item.brand else []
    if of == CATEGORY:
        return lambda item: [item.category] if item.category else []
    items: Mapping[int, CatalogueItem] = memory_current().catalogue.items
    return lambda item: texts_of(items[item.product_id].attributes.get(of))


def texts_of(value: Any) -> list[str]:
    """An attribute's values as texts; objects and nothing are none."""
    found = value if isinstance(value, list) else [value]
    return [str(one) for one in found if one not in (None, "") and not isinstance(one, dict | list)]


def groups_of(items: Sequence[SlateItem], values: Values, n: int) -> tuple[Group, ...]:
    """The n groups with the highest sums, the earlier one first where they are equal."""
    members: dict[str, list[SlateItem]] = {}
    for item in items:
        for value in dict.fromkeys(values(item)):
            members.setdefault(value, []).append(item)
    scores = {value: sum(1 / log2(1 + item.position) for item in own) for value, own in members.items()}
    best = sorted(members, key=lambda value: (-scores[value], members[value][0].position, value))[:n]
    return tuple(
        Group(position, value, scores[value], tuple(members[value])) for position, value in enumerate(best, 1)
    )


def spread(items: Sequence[SlateItem], values: Values) -> list[SlateItem]:
    """The items best first, but with no two neighbours of one value where that can be had.

    At each place the best item that differs from the one before; but a value that fills more than half of
    what is left must come now, else it would end in neighbours. Pinned items keep their places.
    """
    names = {item.product_id: next(iter(values(item)), f"#{item.product_id}") for item in items}
    fixed = {place: item for place, item in enumerate(items) if PINNED in item.badges}
    waiting = [item for item in items if PINNED not in item.badges]
    left = Counter(names[item.product_id] for item in waiting)
    found: list[SlateItem] = []
    for place in range(len(items)):
        if place not in fixed:
            before = names[found[-1].product_id] if found else ""
            after = names[fixed[place + 1].product_id] if place + 1 in fixed else ""
            chosen = _next(waiting, names, left, before, after)
            waiting.remove(chosen)
            left[names[chosen.product_id]] -= 1
        found.append(fixed.get(place) or chosen)
    return found


def _next(
    waiting: Sequence[SlateItem], names: Mapping[int, str], left: Counter[str], before: str, after: str
) -> SlateItem:
    pressing, count = left.most_common(1)[0]
    if 2 * count > len(waiting) and pressing != before:
        return next(item for item in waiting if names[item.product_id] == pressing)
    for avoided in ({before, after}, {before}):
        for item in waiting:
            if names[item.product_id] not in avoided:
                return item
    return waiting[0]


def _numbered(items: Sequence[SlateItem]) -> tuple[SlateItem, ...]:
    return tuple(replace(item, position=place) for place, item in enumerate(items, 1))
