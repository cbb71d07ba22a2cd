"""Reads of the rollups: figures by day and by period, each with sample size and interval."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import numpy as np
from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.catalog.models import Product
from apps.core import clock
from apps.metrics import intervals
from apps.metrics.definitions import METRICS, Metric, Unit
from apps.metrics.intervals import Estimate
from apps.metrics.models import DailyItems, DailyMetric, RollupState
from apps.metrics.rollups import shop_clock

Counts = Mapping[str, float]
Base = Literal["seen", "served", "mixed", "none"]


@dataclass(frozen=True, slots=True)
class Period:
    """Days from `first` to `last`, both included, in the shop's time zone."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many days."""
        return (self.last - self.first).days + 1

    def previous(self) -> "Period":
        """The period of equal length right before."""
        return Period(self.first - timedelta(days=self.days), self.first - timedelta(days=1))

    def all_days(self) -> list[date]:
        """Every day of the period."""
        return [self.first + timedelta(days=offset) for offset in range(self.days)]


@dataclass(frozen=True, slots=True)
class Point:
    """One day of a series."""

    day: date
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric of a period beside the period before. `base`: what slates were counted (seen or served)."""

    code: str
    label: str | Promise
    unit: Unit
    now: Estimate
    before: Estimate
    change: Estimate
    higher_is_better: bool = True
    base: Base = "none"


def period_last(*, days: int = 30, until: date | None = None) -> Period:
    """The last `days` days up to today in the shop's time zone (or up to `until`)."""
    last = until or shop_clock().today()
    return Period(last - timedelta(days=days - 1), last)


def period_with_data(*, days: int = 30) -> Period:
    """As `period_last`, but ending on the last day that has events, for shops imported from a file."""
    newest = (
        DailyMetric.objects.filter(placement="", counts__sessions__gt=0)
        .order_by("-day")
        .values_list("day", flat=True)
    ).first()
    today = shop_clock().today()
    return period_last(days=days, until=newest if newest and newest < today - timedelta(days=days) else today)


def _daily_counts(period: Period, placement: str) -> dict[date, Counts]:
    rows = DailyMetric.objects.filter(day__range=(period.first, period.last), placement=placement)
    return dict(rows.values_list("day", "counts"))


def _summed(days: Iterable[Counts]) -> dict[str, float]:
    total: dict[str, float] = defaultdict(float)
    for counts in days:
        for code, value in counts.items():
            total[code] += value
    return total


def _estimate(metric: Metric, total: Counts, days: Sequence[Counts]) -> Estimate:
    y = total.get(metric.numerator, 0.0)
    if not metric.denominator:
        return Estimate(
            value=y, n=y if metric.unit == "count" else total.get("orders", total.get("sessions", 0.0))
        )
    x = total.get(metric.denominator, 0.0)
    match metric.interval:
        case "wilson":
            return intervals.wilson(y, x)
        case "mean":
            gross, squares = total.get(metric.squares, 0.0), total.get(f"{metric.squares}_sq", 0.0)
            return intervals.mean(y, x, gross=gross, gross_squares=squares)
        case "ratio":
            return intervals.ratio(
                y,
                x,
                yy=total.get("items_clicked_sq", 0.0),
                xx=total.get("items_seen_sq", 0.0),
                xy=total.get("items_seen_x_clicked", 0.0),
                clusters=total.get("slates_base", 0.0),
            )
        case "days":
            pairs = [(d.get(metric.numerator, 0.0), d.get(metric.denominator, 0.0)) for d in days]
            return intervals.ratio_of_days(pairs)
        case _:
            return Estimate(value=y / x if x else None, n=x)


def _base(total: Counts) -> Base:
    slates, by_served = total.get("slates_base", 0.0), total.get("slates_base_served", 0.0)
    if not slates:
        return "none"
    return "seen" if not by_served else "served" if by_served == slates else "mixed"


def metrics_of(placement: str) -> list[Metric]:
    """The metrics a scope has; some exist for the whole shop only."""
    return [metric for metric in METRICS.values() if not (placement and metric.shop_only)]


def metric_series(
    *, period: Period, placement: str = "", codes: Sequence[str] | None = None
) -> dict[str, list[Point]]:
    """Each metric by day; a day without data has value None (ratios) or 0 (totals)."""
    by_day = _daily_counts(period, placement)
    wanted = [metric for metric in metrics_of(placement) if codes is None or metric.code in codes]
    return {
        metric.code: [
            Point(day, _estimate(metric, by_day.get(day, {}), [by_day.get(day, {})]))
            for day in period.all_days()
        ]
        for metric in wanted
    }


def metric_summary(*, period: Period, placement: str = "") -> dict[str, Figure]:
    """Each metric of the period beside the period before, catalogue figures included."""
    now_days, before_days = _daily_counts(period, placement), _daily_counts(period.previous(), placement)
    now_total, before_total = _summed(now_days.values()), _summed(before_days.values())
    figures = {}
    for metric in metrics_of(placement):
        now = _estimate(metric, now_total, list(now_days.values()))
        before = _estimate(metric, before_total, list(before_days.values()))
        figures[metric.code] = Figure(
            code=metric.code,
            label=metric.label,
            unit=metric.unit,
            now=now,
            before=before,
            change=intervals.relative_change(now, before),
            higher_is_better=metric.higher_is_better,
            base=_base(now_total),
        )
    return figures | catalogue_figures(period=period, placement=placement, base=_base(now_total))


def placements_with_data(*, period: Period) -> list[str]:
    """Codes of the placements that have rollups in the period."""
    rows = DailyMetric.objects.filter(day__range=(period.first, period.last)).exclude(placement="")
    return sorted(rows.values_list("placement", flat=True).distinct())


def metric_by_placement(*, period: Period, code: str) -> dict[str, Estimate]:
    """One metric of each placement that has rollups in the period."""
    metric = METRICS[code]
    counts = {one: _daily_counts(period, one) for one in placements_with_data(period=period)}
    return {
        one: _estimate(metric, _summed(days.values()), list(days.values())) for one, days in counts.items()
    }


@dataclass(frozen=True, slots=True)
class CatalogueUse:
    """How a period's slates used the catalogue.

    coverage: products seen at all / products on sale. gini: of the times each was seen, unseen products
    included (0 all equal, 1 one takes all; Gini 1912 by sorted ranks). novelty: mean of -log2 p(i) over items
    seen, p(i) the product's share of the period's events, one added to each (Vargas & Castells 2011).
    long_tail: share of items seen that are outside the fifth of products with most events (Anderson 2006).
    """

    seen: int
    on_sale: int
    impressions: int
    coverage: float | None
    gini: float | None
    novelty: float | None
    long_tail: float | None


def catalogue_use(*, period: Period, placement: str = "") -> CatalogueUse:
    """Coverage, Gini, novelty and long tail over slates seen (served where seen is unknown)."""
    rows = DailyItems.objects.filter(day__range=(period.first, period.last))
    slates = rows.filter(placement=placement) if placement else rows.exclude(placement="")
    seen = _by_product(slates.values_list("product_ids", "seen"))
    events = _by_product(rows.filter(placement="").values_list("product_ids", "events"))
    now = clock.now()
    on_sale = Q(available_from=None) | Q(available_from__lte=now)
    on_sale &= Q(available_until=None) | Q(available_until__gt=now)
    ids = set(Product.objects.filter(on_sale, placeholder=False).values_list("pk", flat=True))
    impressions = sum(seen.values())
    if not impressions or not ids:
        return CatalogueUse(len(seen), len(ids), impressions, None, None, None, None)
    everything = sorted(ids | set(seen))
    shown = np.array([seen.get(pk, 0) for pk in everything], dtype=np.float64)
    popular = np.array([events.get(pk, 0) for pk in everything], dtype=np.float64)
    share = (popular + 1) / (popular + 1).sum()
    head = np.zeros(len(everything), dtype=bool)
    head[np.argsort(-popular, kind="stable")[: max(1, len(everything) // 5)]] = True
    return CatalogueUse(
        seen=len(seen),
        on_sale=len(ids),
        impressions=impressions,
        coverage=len(ids & set(seen)) / len(ids),
        gini=gini(shown),
        novelty=float((shown * -np.log2(share)).sum() / impressions),
        long_tail=float(shown[~head].sum() / impressions),
    )


def _by_product(rows: Iterable[tuple[list[int], list[int]]]) -> dict[int, int]:
    """Sum of the counts of each product over the days."""
    total: dict[int, int] = defaultdict(int)
    for product_ids, counts in rows:
        for pk, count in zip(product_ids, counts, strict=True):
            total[pk] += count
    return total


def gini(amounts: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    """Gini coefficient: sum((2i - n - 1) x_i) / (n sum(x)) over ascending x, i from 1."""
    ordered = np.sort(amounts)
    n = len(ordered)
    return float(((2 * np.arange(1, n + 1) - n - 1) * ordered).sum() / (n * ordered.sum()))


CATALOGUE_METRICS: tuple[tuple[str, str | Promise, Unit, bool], ...] = (
    ("coverage", _("Catalogue coverage"), "rate", True),
    ("gini", _("Concentration (Gini)"), "number", False),
    ("novelty", _("Novelty"), "bits", True),
    ("long_tail", _("Long tail"), "rate", True),
)


def catalogue_figures(*, period: Period, placement: str = "", base: Base = "none") -> dict[str, Figure]:
    """`catalogue_use` of the period and the one before as figures: descriptions, without intervals."""
    now = catalogue_use(period=period, placement=placement)
    before = catalogue_use(period=period.previous(), placement=placement)
    figures = {}
    for code, label, unit, higher in CATALOGUE_METRICS:
        pair = [Estimate(value=getattr(use, code), n=use.impressions) for use in (now, before)]
        figures[code] = Figure(
            code=code,
            label=label,
            unit=unit,
            now=pair[0],
            before=pair[1],
            change=intervals.relative_change(*pair),
            higher_is_better=higher,
            base=base,
        )
    return figures


def rollup_state() -> RollupState | None:
    """When and how long the last build ran; None before the first."""
    return RollupState.objects.filter(pk=1).first()
