"""Metrics over units as staff define them: what is refused, and what feeds a metric."""

from __future__ import annotations

from typing import Any

import pytest

from apps.accounts.models import AuditEntry
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput, NotFound
from apps.metrics.feeds import metric_fed, metrics_fed
from apps.metrics.services import metric_archive, metric_define
from apps.metrics.units import BUILT_IN, Measure, unit_metric_get, unit_metrics
from tests.metrics.conftest import NOW, Shop

pytestmark = pytest.mark.django_db

LIKES: dict[str, Any] = {"code": "likes", "name": "Likes", "kind": "mean", "numerator": {"role": "like"}}


@pytest.fixture
def fed(shop: Shop) -> Shop:
    """A shop with one event of some kinds: a like, a purchase, a rating; no clicks and no slates."""
    shop.product("a", price=10, cost=4, category="Shoes")
    shop.product("b", category="Hats")
    shop.event("like", "ann", "10 09:00", "a")
    shop.event("purchase", "ann", "10 09:01", "a")
    shop.event("view", "ann", "10 09:01", "a", bot=True)
    return shop


def define(**changes: Any) -> Any:
    with clock.pinned(NOW):
        return metric_define(actor=None, **{**LIKES, **changes})


def refused(field: str, **changes: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        define(**changes)
    assert caught.value.field == field
    return caught.value.remedy


def test_defined_metric_is_one_of_the_metrics_and_is_audited(fed: Shop) -> None:
    define(window_hours=72)
    metric = unit_metrics()["likes"]
    assert (metric.kind, metric.numerator, metric.window_hours) == ("mean", Measure(role="like"), 72)
    assert not metric.built_in
    assert set(BUILT_IN) < set(unit_metrics())
    after = AuditEntry.objects.get(verb="metric.define").after
    assert after is not None
    assert after["numerator"] == {"role": "like"}


def test_archived_metric_is_offered_no_more_but_still_read(fed: Shop) -> None:
    define()
    metric_archive(actor=None, code="likes")
    metric_archive(actor=None, code="likes")
    assert "likes" not in unit_metrics()
    assert "likes" in unit_metrics(archived=True)
    assert unit_metric_get("likes").numerator.role == "like"
    assert "archived" in refused("code")
    assert AuditEntry.objects.filter(verb="metric.archive").count() == 1


def test_built_in_and_unknown_metrics_are_not_archived(fed: Shop) -> None:
    with pytest.raises(Conflict):
        metric_archive(actor=None, code="conversion")
    with pytest.raises(NotFound):
        metric_archive(actor=None, code="nothing")


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("code", {"code": "conversion"}),
        ("code", {"code": "not a slug"}),
        ("code", {"code": ""}),
        ("name", {"name": " "}),
        ("kind", {"kind": "median"}),
        ("unit", {"unit": "apples"}),
        ("denominator", {"kind": "ratio"}),
        ("denominator", {"denominator": {"role": "view"}}),
        ("denominator", {"kind": "ratio", "denominator": {"role": "nothing"}}),
        ("denominator", {"kind": "ratio", "denominator": {"role": "search"}}),
        ("numerator", {"kind": "proportion", "numerator": {"role": "like", "value": "quantity"}}),
        ("numerator", {"numerator": {}}),
        ("numerator", {"numerator": {"role": "like", "colour": "red"}}),
        ("numerator", {"numerator": {"role": "nothing"}}),
        ("numerator", {"numerator": {"role": "like", "kind": "purchase"}}),
        ("numerator", {"numerator": {"role": "like", "value": "amount"}}),
        ("numerator", {"numerator": {"role": "like", "value": "size"}}),
        ("numerator", {"numerator": {"role": "like", "attributed": True}}),
        ("numerator", {"numerator": {"role": "like", "category": "Socks"}}),
        ("numerator", {"numerator": {"role": "like", "brand": "Nobody"}}),
        ("numerator", {"numerator": {"of": "session", "role": "like"}}),
        ("numerator", {"numerator": {"of": "week"}}),
        ("quantile", {"kind": "quantile"}),
        ("quantile", {"kind": "quantile", "quantile": 1.0}),
        ("quantile", {"kind": "quantile", "quantile": 0.0}),
        ("quantile", {"quantile": 0.5}),
        ("winsorise", {"winsorise": 0.99}),
        ("winsorise", {"kind": "revenue", "winsorise": 0.2}),
        ("window_hours", {"window_hours": 0}),
        ("window_hours", {"window_hours": 90 * 24 + 1}),
    ],
)
def test_bad_definition_is_refused_at_its_field(fed: Shop, field: str, changes: dict[str, Any]) -> None:
    refused(field, **changes)


def test_metric_that_no_event_feeds_is_refused(fed: Shop) -> None:
    assert "28 days" in refused("numerator", numerator={"role": "dislike"})
    assert "28 days" in refused("numerator", numerator={"role": "like", "category": "Hats"})
    assert "28 days" in refused("numerator", numerator={"role": "like", "value": "value"})
    assert "28 days" in refused("numerator", numerator={"role": "view"})  # a bot's only
    assert "28 days" in refused("numerator", numerator={"of": "slate_clicked"})
    define(numerator={"role": "like", "category": "Shoes"})


def test_feed_counts_what_the_measures_would(fed: Shop) -> None:
    with clock.pinned(NOW):
        feed = metric_fed("return_rate")
        assert (feed.numerator, feed.denominator, feed.fed) == (0, 1, False)
        assert metric_fed("conversion").fed
        assert not metric_fed("conversion", days=2).fed
        assert metric_fed("sessions_per_shopper").numerator == 2
        assert metric_fed("aov").fed
        feeds = metrics_fed(unit_metrics().values())
    assert set(feeds) == set(unit_metrics())
    assert not feeds["ctr"].fed
