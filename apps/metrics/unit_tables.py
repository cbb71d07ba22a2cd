"""Reading what the metrics of some units need: once over the exposures, once over the events."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import psycopg

from apps.events.models import EventKind
from apps.metrics import steps
from apps.metrics.feeds import OF_BRAND, OF_CATEGORY
from apps.metrics.unit_rows import (
    Exposures,
    Ints,
    Progress,
    Raw,
    Shorts,
    Stretch,
    events_read,
    exposures_read,
    item_counts_read,
    micros,
)
from apps.metrics.unit_steps import (
    Added,
    Keys,
    Reach,
    Slates,
    Units,
    UnitTables,
    among,
    found_at,
    is_detailed,
)
from apps.metrics.units import SLATE_WORDS, Measure, UnitMetric

PRODUCTS = f"""
SELECT p.id FROM catalog_product p LEFT JOIN catalog_category c ON c.id = p.category_id
WHERE {OF_CATEGORY} AND {OF_BRAND}
"""


def day_bounds(zone: ZoneInfo, start: datetime, end: datetime) -> Ints:
    """The moments at which the shop's days begin, from the day of `start` to the day after `end`."""
    day, last = start.astimezone(zone).date(), end.astimezone(zone).date()
    days = [day + timedelta(days=offset) for offset in range((last - day).days + 2)]
    return np.array([micros(datetime(one.year, one.month, one.day, tzinfo=zone)) for one in days])


def slates_read(
    connections: Sequence[Raw],
    reach: Reach,
    metrics: Sequence[UnitMetric],
    *,
    experiment: int,
    holdout: bool = False,
    everybody: bool = False,
    progress: Progress | None = None,
) -> Exposures:
    """The exposures these metrics need, by request, and those of the experiment in any case; with `everybody`
    all of its placements.
    """
    everywhere = needs_attribution(metrics)
    exposures = exposures_read(
        connections,
        reach.stretch(metrics),
        experiment=experiment,
        placements=None if everywhere else reach.placements,
        slates=everybody or everywhere or needs_slates(metrics),
        holdout=holdout,
        progress=progress,
    )
    return _ordered(exposures)


def needs_slates(metrics: Iterable[UnitMetric]) -> bool:
    """Whether any of the metrics counts slates."""
    return any(measure.of in SLATE_WORDS for metric in metrics for measure in metric.measures)


def needs_attribution(metrics: Iterable[UnitMetric]) -> bool:
    """Whether any of the metrics counts attributed purchases only."""
    return any(measure.attributed for metric in metrics for measure in metric.measures)


def _ordered(exposures: Exposures) -> Exposures:
    """By request, each once: at its first moment."""
    order = np.argsort(exposures.request, kind="quicksort")
    request = exposures.request[order]
    if (request[1:] == request[:-1]).any():
        order = np.lexsort((exposures.at, exposures.request))
        request = exposures.request[order]
        order = order[np.append(True, request[1:] != request[:-1])]
    return exposures.taken(order)


def tables_read(
    connections: Sequence[Raw],
    reach: Reach,
    units: Units,
    metrics: Sequence[UnitMetric],
    exposures: Exposures,
    *,
    progress: Progress | None = None,
) -> UnitTables:
    """Read what these metrics need of these units. exposures: from `exposures_ordered`; of all placements
    where a metric needs attribution, of those of the experiment where one needs slates.
    """
    roles = kinds_by_role()
    kinds = dict(EventKind.objects.values_list("code", "pk"))
    measures = {measure for metric in metrics for measure in metric.measures}
    linked: list[int] = []
    if needs_slates(metrics) or needs_attribution(metrics):
        linked = [*roles.get("seen", ()), *roles.get("click", ())]
    stretch = reach.stretch(metrics)
    rows = events_read(
        connections,
        stretch,
        locate=units.locator(),
        linked=linked,
        detailed=_detailed_kinds(measures, roles, kinds),
        progress=progress,
    )
    tables = UnitTables(
        units=units,
        reach=reach,
        rows=rows,
        exposures=exposures,
        keys=Keys(units=len(units), low=micros(stretch.start), high=micros(stretch.end)),
        roles=roles,
        kinds=kinds,
        products=_products(connections[0], measures),
        placements=None if reach.placements is None else hashes(connections[0], reach.placements),
    )
    if any(measure.net for measure in measures):
        _returns_priced(connections[0], stretch, tables, everything=needs_attribution(metrics))
    if needs_slates(metrics):
        items = any(measure.of in {"item_seen", "item_clicked"} for measure in measures)
        tables.slates = _slates(connections, stretch, tables, items=items)
    return tables


def kinds_by_role() -> dict[str, list[int]]:
    """Ids of the event kinds of each role."""
    found: dict[str, list[int]] = {}
    for pk, role in EventKind.objects.values_list("pk", "role"):
        found.setdefault(role, []).append(pk)
    return found


def hashes(raw: Raw, texts: Iterable[str]) -> Ints:
    """Postgres's hash of each text, as `Exposures` has them."""
    wanted = list(texts)
    rows = psycopg.Cursor(raw).execute(
        "SELECT hashtext(t) FROM unnest(%s::text[]) WITH ORDINALITY u (t, n) ORDER BY n", [wanted]
    )
    return np.array([found for (found,) in rows.fetchall()], dtype=np.int64)


def _detailed_kinds(
    measures: Iterable[Measure], roles: Mapping[str, Sequence[int]], kinds: Mapping[str, int]
) -> list[int]:
    wanted: set[int] = set()
    for measure in measures:
        if measure.of in {"order", "session_bought"}:
            wanted.update(roles.get("purchase", ()))
        elif is_detailed(measure):
            wanted.update([kinds[measure.kind]] if measure.kind in kinds else roles.get(measure.role, ()))
        if measure.net:
            wanted.update(roles.get("return", ()))
    return sorted(wanted)


def _products(raw: Raw, measures: Iterable[Measure]) -> dict[tuple[str, str], Ints]:
    """The products of each category and brand that a measure is bound to."""
    found = {}
    for category, brand in {(measure.category, measure.brand) for measure in measures} - {("", "")}:
        rows = psycopg.ClientCursor(raw).execute(PRODUCTS, {"category": category, "brand": brand})
        found[category, brand] = np.array([pk for (pk,) in rows.fetchall()], dtype=np.int64)
    return found


def _returns_priced(raw: Raw, stretch: Stretch, tables: UnitTables, *, everything: bool) -> None:
    """What returns without a price of their own are worth, and with `everything` which attributed purchases
    returns undo: by the rollups' statements, over these returns alone.
    """
    details = tables.rows.details
    wanted = np.isin(details.kind, tables.roles.get("return", ()))
    if not everything:
        wanted &= np.isnan(details.price)
    if not wanted.any():
        tables.undone = Added(details.unit[:0], details.at[:0], details.amount[:0])
        return
    places = np.flatnonzero(wanted)[np.argsort(details.id[wanted])]
    ids = details.id[places]
    cursor = psycopg.ClientCursor(raw)
    params = {
        "start": stretch.start,
        "end": stretch.end,
        "back": stretch.start,
        "zone": tables.reach.zone.key,
        "window": f"{tables.reach.window.total_seconds():.0f} seconds",
        "ids": ids.tolist(),
    }
    made = ("m_event", "m_trade", "m_undone", "m_return")
    cursor.execute("DROP TABLE IF EXISTS " + ", ".join(made))
    for sql in (steps.EVENT + " AND i.id = ANY(%(ids)s)", steps.TRADE, steps.INDEXES["m_trade"]):
        cursor.execute(sql, params)
    cursor.execute(f"ANALYZE m_trade ({steps.ANALYZED['m_trade']})")
    for sql in (steps.UNDONE, steps.RETURN):
        cursor.execute(sql, params)
    worth = np.array(cursor.execute("SELECT id, amount FROM m_return").fetchall()).reshape(-1, 2)
    details.amount[places[np.searchsorted(ids, worth[:, 0])]] = worth[:, 1]
    if everything:
        rows = cursor.execute(
            "SELECT return_id, amount, hashtext(placement) FROM m_undone WHERE placement IS NOT NULL"
        ).fetchall()
        undone = np.array(rows).reshape(-1, 3)
        undone = undone[among(undone[:, 2], tables.placements)]
        at = places[np.searchsorted(ids, undone[:, 0])]
        tables.undone = Added(details.unit[at], details.at[at], undone[:, 1])
    cursor.execute("DROP TABLE " + ", ".join(made))


def _slates(connections: Sequence[Raw], stretch: Stretch, tables: UnitTables, *, items: bool) -> Slates:
    """Slates that count: seen, clicked, or served where none of that placement and day was reported."""
    served = tables.exposures.taken(among(tables.exposures.placement, tables.placements))
    if tables.placements is None:  # where a storefront only asked for assignments, no slate was
        served = served.taken(served.placement != hashes(connections[0], [""])[0])
    links, roles = tables.rows.links, tables.roles
    reported = _told(served, links.request[np.isin(np.abs(links.kind), roles.get("seen", ()))])
    clicked = _told(served, links.request[np.isin(np.abs(links.kind), roles.get("click", ()))])
    bots = _told(served, links.request[links.kind < 0])
    bounds = day_bounds(tables.reach.zone, stretch.start, stretch.end)
    day = np.searchsorted(bounds, served.at, side="right")
    _names, placement = np.unique(served.placement, return_inverse=True)
    scope = placement * (len(bounds) + 1) + day
    seen_known = np.bincount(scope, weights=reported & ~bots)[scope] > 0
    counted = served.items, np.zeros(len(served), dtype=np.int32)
    if items:
        counted = _items(connections, stretch, served)
    unit = tables.units.locate(served.who)
    base = (unit >= 0) & ~bots & (reported | clicked | ~seen_known)
    return Slates(unit[base], served.at[base], clicked[base], counted[0][base], counted[1][base])


def _told(served: Exposures, requests: Ints) -> Any:
    return found_at(np.sort(requests), served.request)[1]


def _items(connections: Sequence[Raw], stretch: Stretch, served: Exposures) -> tuple[Shorts, Shorts]:
    """Items that count and items clicked of each slate. A slate holds no product twice."""
    counts = item_counts_read(connections, stretch)
    counts = counts.taken(np.argsort(counts.request))
    at, known = found_at(counts.request, served.request)
    items, clicked = served.items.copy(), np.zeros(len(served), dtype=np.int32)
    clicked[known] = counts.clicked[at[known]]
    named = known.copy()
    named[known] = counts.named[at[known]] > 0
    items[named] = counts.shown[at[named]]
    return items, clicked
