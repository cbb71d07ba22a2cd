"""Reading what the metrics of some units need: once over the exposures, once over the events."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
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
    Mask,
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
    """The exposures these metrics need and those of the experiment, by time; with `everybody` all of its
    placements. Of one request only the first.
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
    return _once(exposures)


def needs_slates(metrics: Iterable[UnitMetric]) -> bool:
    """Whether any of the metrics counts slates."""
    return any(measure.of in SLATE_WORDS for metric in metrics for measure in metric.measures)


def needs_attribution(metrics: Iterable[UnitMetric]) -> bool:
    """Whether any of the metrics counts attributed purchases only."""
    return any(measure.attributed for metric in metrics for measure in metric.measures)


def _once(exposures: Exposures) -> Exposures:
    """In the order of time, each request once."""
    if (exposures.at[1:] < exposures.at[:-1]).any():
        exposures = exposures.taken(np.argsort(exposures.at, kind="stable"))
    requests = np.sort(exposures.request)
    if (requests[1:] == requests[:-1]).any():
        exposures = exposures.taken(np.sort(np.unique(exposures.request, return_index=True)[1]))
    return exposures


def tables_read(
    connections: Sequence[Raw],
    reach: Reach,
    units: Units,
    metrics: Sequence[UnitMetric],
    exposures: Exposures,
    *,
    progress: Progress | None = None,
) -> UnitTables:
    """Read what these metrics need of these units. exposures: of `slates_read` for the same metrics."""
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
    if not needs_attribution(metrics):  # nothing else asks for them
        tables.exposures = exposures.taken(slice(0))
        tables.rows = replace(rows, links=rows.links.taken(slice(0)))
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
    served = tables.exposures
    if tables.placements is None:  # where a storefront only asked for assignments, no slate was
        served = served.taken(served.placement != hashes(connections[0], [""])[0])
    elif not (mine := among(served.placement, tables.placements)).all():
        served = served.taken(mine)
    links, kinds = tables.rows.links, np.abs(tables.rows.links.kind)
    order = np.argsort(served.request)
    requests = served.request[order]

    def told(which: Mask) -> Mask:
        found = np.zeros(len(order), dtype=np.bool_)
        place, known = found_at(requests, np.sort(links.request[which]))
        found[order[place[known]]] = True
        return found

    reported = told(np.isin(kinds, tables.roles.get("seen", ())))
    clicked = told(np.isin(kinds, tables.roles.get("click", ())))
    bots = told(links.kind < 0)
    bounds = day_bounds(tables.reach.zone, stretch.start, stretch.end)
    day = np.searchsorted(bounds, served.at, side="right")
    _names, placement = np.unique(served.placement, return_inverse=True)
    scope = placement * (len(bounds) + 1) + day
    seen_known = np.bincount(scope, weights=reported & ~bots)[scope] > 0
    counted = served.items, np.zeros(len(served), dtype=np.int32)
    if items:
        counted = _items(connections, stretch, served, order)
    unit = tables.units.locate(served.who)
    base = (unit >= 0) & ~bots & (reported | clicked | ~seen_known)
    return Slates(unit[base], served.at[base], clicked[base], counted[0][base], counted[1][base])


def _items(
    connections: Sequence[Raw], stretch: Stretch, served: Exposures, order: Ints
) -> tuple[Shorts, Shorts]:
    """Items that count and items clicked of each slate. A slate holds no product twice."""
    counts = item_counts_read(connections, stretch)
    counts = counts.taken(np.argsort(counts.request))
    place, known = found_at(served.request[order], counts.request)
    counts, at = counts.taken(known), order[place[known]]
    items, clicked = served.items.copy(), np.zeros(len(served), dtype=np.int32)
    clicked[at] = counts.clicked
    named = counts.named > 0
    items[at[named]] = counts.shown[named]
    return items, clicked
