"""Overview: figures beside the period before, honest about chance and missing data."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.selectors import shop_settings_forget
from apps.accounts.services import shop_settings_update
from apps.core.clock import now
from apps.merchandising.services import placement_create
from apps.metrics.intervals import Estimate
from apps.metrics.models import DailyMetric
from apps.portal.measures import interval_text, spark_path, trend_of
from tests.portal.test_settings import logged_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> None:
    """A shop with two placements and 56 days of counts; clicks doubled in the last 28."""
    shop_settings_forget()
    shop_settings_update(name="Teapot", currency="GBP", time_zone="UTC", languages=["en"], set_up_at=now())
    placement_create(code="home", name="Home page", kind="shopper")
    placement_create(code="cart", name="Cart", kind="cart")
    today = timezone.now().date()
    rows: list[DailyMetric] = []
    for back in range(56):
        slates: dict[str, Any] = {
            "slates_served": 100, "slates_seen": 100, "slates_base": 100,
            "slates_clicked": 10 if back < 28 else 5, "sessions": 50, "sessions_bought": 2,
        }  # fmt: skip
        money = {
            "revenue": 90.0, "orders": 2, "order_revenue": 90.0, "order_revenue_sq": 4100.0,
            "session_revenue": 90.0, "session_revenue_sq": 4100.0,
        }  # fmt: skip
        day = today - timedelta(days=back)
        rows.append(DailyMetric(day=day, placement="", counts=slates | money))
        rows.append(DailyMetric(day=day, placement="home", counts=slates))
    DailyMetric.objects.bulk_create(rows)


def test_cards_show_change_sample_and_interval(ana: User, shop: None) -> None:
    page = logged_in(ana).get("/").content.decode()
    for text in ("10.0%", "+100.0%", "before: 5.00%", "n = 2,800", "over slates seen", "£45.00", "£1.80"):
        assert text in page, text
    assert page.count('id="measure-') == 6


def test_no_data_is_a_dash_and_never_zero(ana: User, shop: None) -> None:
    page = logged_in(ana).get("/?placement=cart").content.decode()
    card = page[page.index('id="measure-ctr"') :]
    assert 'rp-measure-value rp-num">–<' in card[: card.index("</article>")]
    assert "No data in this period yet." in page


def test_period_and_placement_are_chosen_in_the_address(ana: User, shop: None) -> None:
    client = logged_in(ana)
    week = client.get("/?days=7&placement=home&measure=sessions").content.decode()
    assert "n = 700" in week
    assert 'value="7" checked' in week
    assert 'data-chart="figure-sessions-by-day"' in week
    assert client.get("/?days=1000&placement=none&measure=bits").status_code == 200


def test_a_publication_is_a_mark_in_the_chart(ana: User, shop: None) -> None:
    page = logged_in(ana).get("/?placement=home").content.decode()
    assert "home #1" in page


def test_charts_come_as_csv(ana: User, shop: None) -> None:
    client = logged_in(ana)
    by_day = client.get("/overview/ctr-by-day.csv?days=7&measure=ctr")
    assert by_day["Content-Disposition"] == 'attachment; filename="ctr-by-day.csv"'
    lines = by_day.content.decode("utf-8-sig").splitlines()
    assert len(lines) == 8
    assert lines[-1].split(",")[1] == "0.1"
    placements = client.get("/overview/ctr-by-placement.csv").content.decode("utf-8-sig")
    assert placements.splitlines()[1].startswith("Home page,0.1,")
    assert client.get("/overview/nothing.csv").status_code == 404


def test_state_names_models_jobs_and_services(ana: User, shop: None) -> None:
    page = logged_in(ana).get("/overview/state/", headers={"HX-Request": "true"}).content.decode()
    for text in ("Models", "Jobs", "Services", "Database", "in order"):
        assert text in page


def test_outsider_gets_no_figures(otto: User, shop: None) -> None:
    client = logged_in(otto)
    for path in ("/", "/overview/state/", "/overview/ctr-by-day.csv"):
        assert client.get(path).status_code == 403


def test_a_change_counts_only_when_its_interval_excludes_none() -> None:
    assert trend_of(Estimate(0.1, 10, 0.02, 0.2), higher_is_better=True) == "good"
    assert trend_of(Estimate(0.1, 10, 0.02, 0.2), higher_is_better=False) == "bad"
    assert trend_of(Estimate(0.1, 10, -0.02, 0.2), higher_is_better=True) == "unclear"
    assert trend_of(Estimate(0.1, 10), higher_is_better=True) == "plain"
    assert trend_of(Estimate(None, 0), higher_is_better=True) == "none"


def test_interval_and_spark_line() -> None:
    assert interval_text(Estimate(0.05, 9, 0.04, 0.06), "rate", "EUR") == "4.00% – 6.00%"
    assert interval_text(Estimate(5, 9), "count", "EUR") == ""
    assert spark_path([1.0, None, 3.0, 2.0], width=30, height=10) == "M0.0 8.0M20.0 2.0L30.0 5.0"
    assert spark_path([1.0]) == ""
