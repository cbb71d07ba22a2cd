"""Metrics of an experiment: what is added up for each unit, and how the units' values are compared.

The words (session, order, seen, bot, net of returns, attributed, day) are those of
`apps.metrics.definitions`; `apps.metrics.unit_steps` lays them out unit by unit, and a test holds that the
sum over the units of a whole-shop experiment is the rollups' figure of the same days.

A unit is a shopper after identity merges, or without one the storefront's session. Only what a unit does from
its first exposure on counts, within `window_hours` of it where a metric has a window.

Kinds
  proportion  the share of units with at least one event
  mean        the mean over units
  revenue     the mean over units, each value cut at a percentile of the pooled positive values (winsorised)
  ratio       sum of numerators / sum of denominators, the unit being the cluster (delta method)
  quantile    a quantile of the values of the units that have one above 0
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, cast, get_args

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.core.errors import InvalidInput, NotFound
from apps.metrics.definitions import Unit
from apps.metrics.models import MetricDefinition

MetricKind = Literal["proportion", "mean", "revenue", "ratio", "quantile"]
Word = Literal[
    "event", "session", "session_bought", "order", "slate", "slate_clicked", "item_seen", "item_clicked"
]
Value = Literal["count", "quantity", "amount", "margin", "value"]
KINDS: tuple[MetricKind, ...] = get_args(MetricKind)
WORDS: tuple[Word, ...] = get_args(Word)
VALUES: tuple[Value, ...] = get_args(Value)
# Slates and their items come from exposures, not from events.
SLATE_WORDS: frozenset[Word] = frozenset({"slate", "slate_clicked", "item_seen", "item_clicked"})
SESSION_WORDS: frozenset[Word] = frozenset({"session", "session_bought", "order"})
WINSORISE_DEFAULT = 0.99


@dataclass(frozen=True, slots=True)
class Measure:
    """What is added up for a unit.

    of: the thing counted; all but "event" are counted as `definitions` has them and take no other field.
    role, kind: which events (a kind is narrower); value: what each of them adds.
      amount    price times quantity, of purchases net of returns (without the filters on other roles: gross)
      margin    amount less cost, where the cost is known; of purchases net of returns
      value     the number the event carries (a rating, a score)
    category (its path; all below it too), brand: only events on such products.
    attributed: only purchases that belong to a click on a slate of the experiment's placements.
    """

    of: Word = "event"
    role: str = ""
    kind: str = ""
    value: Value = "count"
    category: str = ""
    brand: str = ""
    attributed: bool = False

    @property
    def net(self) -> bool:
        """Whether returns are taken off."""
        return self.of == "event" and self.role == "purchase" and self.value in {"amount", "margin"}

    def as_json(self) -> dict[str, Any]:
        """Only what differs from the defaults."""
        defaults = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in asdict(self).items() if value != defaults[name]}


@dataclass(frozen=True, slots=True)
class UnitMetric:
    """A metric over units. winsorise: percentile (0 to 1) of the pooled positive values, None: not cut.

    quantile: which (0 to 1), of kind quantile only. window_hours: None, to the end of the experiment.
    """

    code: str
    label: str | Promise
    kind: MetricKind
    numerator: Measure
    denominator: Measure | None = None
    window_hours: int | None = None
    winsorise: float | None = None
    quantile: float | None = None
    higher_is_better: bool = True
    unit: Unit = "number"
    built_in: bool = True

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The one or two measures it is made of."""
        return (self.numerator,) if self.denominator is None else (self.numerator, self.denominator)

    @property
    def signed(self) -> bool:
        """Whether a unit's value can be below 0: margins, amounts net of returns, numbers events carry."""
        able = self.numerator.net or self.numerator.value in {"margin", "value"}
        return able and self.kind in {"mean", "revenue", "ratio"}


BOUGHT = Measure(role="purchase")
REVENUE = Measure(role="purchase", value="amount")
ORDERS = Measure(of="order")
SESSIONS = Measure(of="session")

BUILT_IN: dict[str, UnitMetric] = {
    metric.code: metric
    for metric in (
        UnitMetric("conversion", _("Conversion of shoppers"), "proportion", BOUGHT, unit="rate"),
        UnitMetric(
            "revenue_per_shopper", _("Revenue per shopper"), "revenue", REVENUE,
            winsorise=WINSORISE_DEFAULT, unit="money",
        ),
        UnitMetric("orders_per_shopper", _("Orders per shopper"), "mean", ORDERS),
        UnitMetric(
            "items_per_shopper", _("Items bought per shopper"), "mean",
            Measure(role="purchase", value="quantity"),
        ),
        UnitMetric(
            "margin_per_shopper", _("Margin per shopper"), "revenue",
            Measure(role="purchase", value="margin"), winsorise=WINSORISE_DEFAULT, unit="money",
        ),
        UnitMetric(
            "cart_rate", _("Shoppers who fill a cart"), "proportion", Measure(role="cart"), unit="rate"
        ),
        UnitMetric(
            "click_rate", _("Shoppers who click a slate"), "proportion", Measure(of="slate_clicked"),
            unit="rate",
        ),
        UnitMetric(
            "ctr", _("Click-through rate"), "ratio", Measure(of="slate_clicked"), Measure(of="slate"),
            unit="rate",
        ),
        UnitMetric(
            "item_ctr", _("Click-through rate per item"), "ratio", Measure(of="item_clicked"),
            Measure(of="item_seen"), unit="rate",
        ),
        UnitMetric("aov", _("Average order"), "ratio", REVENUE, ORDERS, unit="money"),
        UnitMetric(
            "return_rate", _("Items returned of items bought"), "ratio",
            Measure(role="return", value="quantity"), Measure(role="purchase", value="quantity"),
            higher_is_better=False, unit="rate",
        ),
        UnitMetric("sessions_per_shopper", _("Sessions per shopper"), "mean", SESSIONS),
        UnitMetric(
            "session_conversion", _("Conversion of sessions"), "ratio", Measure(of="session_bought"),
            SESSIONS, unit="rate",
        ),
        UnitMetric("revenue_per_session", _("Revenue per session"), "ratio", REVENUE, SESSIONS, unit="money"),
        UnitMetric(
            "revenue_median", _("Median revenue of buyers"), "quantile", REVENUE, quantile=0.5, unit="money"
        ),
        UnitMetric(
            "attributed_per_shopper", _("Attributed revenue per shopper"), "revenue",
            Measure(role="purchase", value="amount", attributed=True), winsorise=WINSORISE_DEFAULT,
            unit="money",
        ),
    )
}  # fmt: skip


def unit_metrics(*, archived: bool = False) -> dict[str, UnitMetric]:
    """The built-in metrics and those defined in the browser, by code; with the archived ones on demand."""
    rows = MetricDefinition.objects.order_by("name")
    if not archived:
        rows = rows.filter(active=True)
    return BUILT_IN | {row.code: metric_of(row) for row in rows}


def unit_metric_get(code: str) -> UnitMetric:
    """The metric of this code, archived or not; NotFound when there is none."""
    if code in BUILT_IN:
        return BUILT_IN[code]
    row = MetricDefinition.objects.filter(code=code).first()
    if row is None:
        raise NotFound(f"There is no metric {code!r}.")
    return metric_of(row)


def metric_of(row: MetricDefinition) -> UnitMetric:
    """A stored definition as a metric."""
    return UnitMetric(
        code=row.code,
        label=row.name,
        kind=cast(MetricKind, row.kind),
        numerator=measure_read(row.numerator),
        denominator=None if row.denominator is None else measure_read(row.denominator, "denominator"),
        window_hours=row.window_hours,
        winsorise=row.winsorise,
        quantile=row.quantile,
        higher_is_better=row.higher_is_better,
        unit=cast(Unit, row.unit),
        built_in=False,
    )


def measure_read(data: Mapping[str, Any], field: str = "numerator") -> Measure:
    """A measure from its JSON; InvalidInput names `field` and what is wrong with its form.

    Whether such events exist is another matter: `apps.metrics.feeds.metric_fed`.
    """
    known = {one.name for one in fields(Measure)}
    for name in data:
        if name not in known:
            raise InvalidInput(field=field, value=name, remedy=f"Use only: {', '.join(sorted(known))}.")
    measure = Measure(**data)
    for remedy in _objections(measure):
        raise InvalidInput(field=field, value=dict(data), remedy=remedy)
    return measure


def _objections(measure: Measure) -> Iterator[str]:
    texts = (measure.role, measure.kind, measure.category, measure.brand)
    if measure.of not in WORDS:
        yield f"Count one of: {', '.join(WORDS)}."
    if measure.value not in VALUES:
        yield f"Add up one of: {', '.join(VALUES)}."
    if not all(isinstance(text, str) for text in texts) or not isinstance(measure.attributed, bool):
        yield "Role, kind, category and brand are text; attributed is true or false."
    if measure.of != "event" and (any(texts) or measure.value != "count" or measure.attributed):
        yield "Sessions, orders, slates and items are counted as they are: leave the filters empty."
    if measure.of == "event" and not measure.role and not measure.kind:
        yield "Choose a role or a kind of event."
    if measure.attributed and measure.role != "purchase":
        yield "Only purchases are attributed to slates: choose the role purchase."
    if measure.value in {"amount", "margin"} and measure.role not in {"purchase", "return", "cart"}:
        yield "Only purchases, returns and carts have amounts: choose one of these roles."
