"""Writes: metrics over units that staff define."""

from collections.abc import Mapping
from typing import Any, get_args

from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.db import transaction

from apps.accounts.models import User
from apps.accounts.services import audit_record
from apps.catalog.models import Category, Product
from apps.core.errors import Conflict, InvalidInput, NotFound
from apps.core.models import row_check
from apps.events.models import EventKind, EventRole
from apps.metrics.definitions import Unit
from apps.metrics.feeds import FEED_DAYS, metrics_fed
from apps.metrics.models import MetricDefinition
from apps.metrics.units import (
    BUILT_IN,
    KINDS,
    WINSORISE_DEFAULT,
    Measure,
    UnitMetric,
    measure_read,
    metric_of,
)

UNITS: tuple[Unit, ...] = get_args(Unit)
WINDOW_HOURS_MAX = 90 * 24
# Cutting below the median would turn a mean into something else.
WINSORISE_MIN = 0.5


@transaction.atomic
def metric_define(
    *,
    actor: User | None,
    code: str,
    name: str,
    kind: str,
    numerator: Mapping[str, Any],
    denominator: Mapping[str, Any] | None = None,
    window_hours: int | None = None,
    winsorise: float | None = None,
    quantile: float | None = None,
    higher_is_better: bool = True,
    unit: str = "number",
) -> MetricDefinition:
    """Define a metric over units. What it measures can't be changed later: archive it and define another.

    numerator, denominator: the fields of `units.Measure`. winsorise: revenue only, its default .99.
    Raises InvalidInput at the field: among others for a metric that no event of the last 28 days feeds.
    """
    row = MetricDefinition(
        code=code.strip(),
        name=name.strip(),
        kind=kind,
        numerator=measure_read(numerator).as_json(),
        denominator=None if denominator is None else measure_read(denominator, "denominator").as_json(),
        window_hours=window_hours,
        winsorise=WINSORISE_DEFAULT if winsorise is None and kind == "revenue" else winsorise,
        quantile=quantile,
        higher_is_better=higher_is_better,
        unit=unit,
        created_by=actor,
    )
    _code_check(row.code)
    _form_check(row)
    row_check(row)
    metric = metric_of(row)
    for field, measure in zip(("numerator", "denominator"), metric.measures, strict=False):
        _names_check(field, measure)
    _feed_check(metric)
    row.save()
    _audit(actor, "metric.define", row, None, _facts(row))
    return row


@transaction.atomic
def metric_archive(*, actor: User | None, code: str) -> MetricDefinition:
    """Offer the metric to no new experiment; those that use it go on. Archiving it again changes nothing."""
    if code in BUILT_IN:
        raise Conflict(f"{code!r} is built in and stays.")
    row = MetricDefinition.objects.select_for_update().filter(code=code).first()
    if row is None:
        raise NotFound(f"There is no metric {code!r}.")
    if row.active:
        before = _facts(row)
        row.active = False
        row.save(update_fields=["active", "updated_at"])
        _audit(actor, "metric.archive", row, before, _facts(row))
    return row


def _code_check(code: str) -> None:
    try:
        validate_slug(code)
    except ValidationError as error:
        raise InvalidInput(
            field="code", value=code, remedy="Use letters, digits, hyphens and underscores."
        ) from error
    if code in BUILT_IN or MetricDefinition.objects.filter(code=code).exists():
        raise InvalidInput(
            field="code", value=code, remedy="There is a metric of this code already, perhaps archived."
        )


def _form_check(row: MetricDefinition) -> None:
    if row.kind not in KINDS:
        raise InvalidInput(field="kind", value=row.kind, remedy=f"Choose one of: {', '.join(KINDS)}.")
    kind = row.kind
    if row.unit not in UNITS:
        raise InvalidInput(field="unit", value=row.unit, remedy=f"Choose one of: {', '.join(UNITS)}.")
    if (kind == "ratio") != (row.denominator is not None):
        raise InvalidInput(
            field="denominator",
            value=row.denominator,
            remedy="A ratio needs a denominator; the other kinds have none.",
        )
    if kind == "proportion" and row.numerator.get("value", "count") != "count":
        raise InvalidInput(
            field="numerator",
            value=row.numerator,
            remedy="A proportion counts events: take the value count.",
        )
    if kind == "quantile" and not (row.quantile is not None and 0 < row.quantile < 1):
        raise InvalidInput(
            field="quantile",
            value=row.quantile,
            remedy="Give a number above 0 and below 1 (median: .5).",
        )
    if kind != "quantile" and row.quantile is not None:
        raise InvalidInput(field="quantile", value=row.quantile, remedy="Only the kind quantile has one.")
    if row.winsorise is not None and kind != "revenue":
        raise InvalidInput(field="winsorise", value=row.winsorise, remedy="Only the kind revenue is cut.")
    if row.winsorise is not None and not WINSORISE_MIN <= row.winsorise <= 1:
        raise InvalidInput(
            field="winsorise",
            value=row.winsorise,
            remedy=f"Give a percentile from {WINSORISE_MIN} to 1 (1: nothing is cut).",
        )
    if row.window_hours is not None and not 1 <= row.window_hours <= WINDOW_HOURS_MAX:
        raise InvalidInput(
            field="window_hours",
            value=row.window_hours,
            remedy=f"Give 1 to {WINDOW_HOURS_MAX} hours, or leave it empty.",
        )


def _names_check(field: str, measure: Measure) -> None:
    """Whether the shop has such a role, kind, category and brand."""
    if measure.role and measure.role not in EventRole.values:
        raise InvalidInput(
            field=field, value=measure.role, remedy=f"Choose one of the roles: {', '.join(EventRole.values)}."
        )
    if measure.kind:
        found = EventKind.objects.filter(code=measure.kind).first()
        if found is None or (measure.role and found.role != measure.role):
            raise InvalidInput(field=field, value=measure.kind, remedy="There is no such kind of that role.")
    if measure.category and not Category.objects.filter(path=measure.category).exists():
        raise InvalidInput(
            field=field, value=measure.category, remedy="Give the path of a category, from the root."
        )
    if measure.brand and not Product.objects.filter(brand__iexact=measure.brand).exists():
        raise InvalidInput(field=field, value=measure.brand, remedy="No product is of this brand.")


def _feed_check(metric: UnitMetric) -> None:
    feed = metrics_fed([metric])[metric.code]
    for field, count, measure in zip(
        ("numerator", "denominator"), (feed.numerator, feed.denominator), metric.measures, strict=False
    ):
        if not count:
            raise InvalidInput(
                field=field,
                value=measure.as_json(),
                remedy=f"No event of the last {FEED_DAYS} days feeds it. Send such events first,"
                " or choose another role, kind or filter.",
            )


def _facts(row: MetricDefinition) -> dict[str, Any]:
    names = (
        "name", "kind", "numerator", "denominator", "window_hours", "winsorise", "quantile",
        "higher_is_better", "unit", "active",
    )  # fmt: skip
    return {name: getattr(row, name) for name in names}


def _audit(
    actor: User | None,
    verb: str,
    row: MetricDefinition,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    audit_record(
        actor=actor,
        verb=verb,
        object_type="metric",
        object_id=row.pk,
        object_label=row.code,
        before=before,
        after=after,
    )
