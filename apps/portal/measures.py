"""Which measures the overview shows, in words, and how a figure becomes a card."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.metrics.intervals import Estimate
from apps.metrics.selectors import Base, Figure, Point
from apps.portal import formats

SHOP_CODES = ("sessions", "ctr", "conversion", "revenue_per_session", "aov", "coverage")
PLACEMENT_CODES = ("sessions", "ctr", "conversion", "attributed_per_session", "attributed", "coverage")
# Measures that exist by day; coverage is a figure of a whole period.
DRAWABLE = frozenset({*SHOP_CODES, *PLACEMENT_CODES} - {"coverage"})
KINDS = {"rate": "percent", "money": "money", "count": "number", "number": "decimal", "bits": "decimal"}

EXPLAINED: dict[str, str | Promise] = {
    "sessions": gettext_lazy("A shopper's events with gaps under 30 minutes; here, how many there were."),
    "ctr": gettext_lazy("Slates with at least one click, out of all slates shown."),
    "conversion": gettext_lazy("Sessions with a purchase, out of all sessions."),
    "revenue_per_session": gettext_lazy("What shoppers paid, less what they returned, per session."),
    "aov": gettext_lazy("What shoppers paid, less what they returned, per order."),
    "coverage": gettext_lazy("Products that were shown in a slate at all, out of those on sale."),
    "attributed": gettext_lazy("Purchases that followed a click here within the attribution window."),
    "attributed_per_session": gettext_lazy("Revenue of purchases that followed a click here, per session."),
}


@dataclass(frozen=True, slots=True)
class Card:
    """One measure of the period as the reader sees it. `trend`: good, bad, unclear (may be chance),
    plain (a count, which has no interval) or none."""

    code: str
    label: str
    explained: str
    value: str
    before: str
    change: str
    arrow: str
    trend: str
    interval: str
    sample: str
    note: str
    spark: str
    chosen: bool
    link: str


def amount(value: float | None, unit: str, currency: str) -> str:
    """A figure of this unit in the reader's language."""
    match unit:
        case "rate":
            return formats.percent(value, 2 if value is not None and value < 0.1 else 1)
        case "money":
            return formats.money(value, currency)
        case "count":
            return formats.number(value)
    return formats.number(value, 3)


def trend_of(change: Estimate, *, higher_is_better: bool) -> str:
    """good or bad only where the change's interval leaves no room for the opposite."""
    if change.value is None:
        return "none"
    if change.low is None or change.high is None:
        return "plain"
    if change.low <= 0 <= change.high:
        return "unclear"
    return "good" if (change.value > 0) == higher_is_better else "bad"


def base_note(base: Base) -> str:
    """What slates a rate was counted over."""
    match base:
        case "seen":
            return _("over slates seen")
        case "served":
            return _("over slates served: the storefront does not report what was seen")
        case "mixed":
            return _("over slates seen where reported, else served")
    return ""


def card(figure: Figure, points: Sequence[Point], *, currency: str, chosen: str, link: str) -> Card:
    """The card of one figure; `points` are its days, drawn as a small line; `link` draws it large."""
    now, change = figure.now, figure.change
    up = change.value is not None and change.value > 0
    return Card(
        code=figure.code,
        label=str(figure.label),
        explained=str(EXPLAINED.get(figure.code, "")),
        value=amount(now.value, figure.unit, currency),
        before=amount(figure.before.value, figure.unit, currency),
        change=formats.change(change.value),
        arrow="trending_flat" if not change.value else "trending_up" if up else "trending_down",
        trend=trend_of(change, higher_is_better=figure.higher_is_better),
        interval=interval_text(now, figure.unit, currency),
        sample=formats.size(round(now.n)) if now.n and figure.unit != "count" else "",
        note=base_note(figure.base) if figure.code in ("ctr", "coverage") else "",
        spark=spark_path([point.estimate.value for point in points]),
        chosen=figure.code == chosen,
        link=link if figure.code in DRAWABLE else "",
    )


def interval_text(estimate: Estimate, unit: str, currency: str) -> str:
    """The 95 % interval in the figure's own unit; empty where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{amount(estimate.low, unit, currency)} – {amount(estimate.high, unit, currency)}"


def spark_path(values: Sequence[float | None], *, width: int = 120, height: int = 28) -> str:
    """An SVG path of the values in a box of `width` by `height`; gaps where there is no data."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    spread = (high - low) or 1.0
    parts, pen_down = [], False
    for place, value in enumerate(values):
        if value is None:
            pen_down = False
            continue
        x = place * width / max(1, len(values) - 1)
        y = height - 2 - (value - low) / spread * (height - 4)
        parts.append(f"{'L' if pen_down else 'M'}{x:.1f} {y:.1f}")
        pen_down = True
    return "".join(parts)
