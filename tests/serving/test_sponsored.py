"""Sponsored placements: who stands where, what a click costs, and that a budget lasts its day."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import ANY

import pytest
from django.test import Client

from apps.accounts.services import api_client_create
from apps.core import clock
from apps.core.errors import InvalidInput
from apps.events.models import Exposure
from apps.merchandising.campaigns import campaign_lines, campaign_save, campaigns_count
from apps.merchandising.models import Campaign, CampaignDay
from apps.merchandising.services import placement_create
from apps.serving.auction import PRIOR_RATE, Offer, click_prices, offers_ranked, rate_smoothed
from apps.serving.memory import memory_forget
from apps.serving.models import ListScope
from apps.serving.pipeline import recommend
from apps.serving.remembering import exposures_flush
from apps.serving.slate import Rung, Slate, SlateRequest
from tests.factories.shop import event, events_record
from tests.serving.shop import SKUS, catalogue_make, version_make

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAWN = NOON.timestamp() - 12 * 3600
OFFER = Offer(1, 10, 0.5, 0.02, 0.0, 10.0, DAWN, None, DAWN, DAWN + 86_400)


def campaign(name: str, *skus: str, **facts: Any) -> Campaign:
    known: dict[str, Any] = {
        "bid": Decimal("0.50"),
        "daily_budget": Decimal("100"),
        "starts_at": clock.now() - timedelta(days=3),
    }
    return campaign_save(name=name, skus=list(skus), **{**known, **facts})


def test_the_order_is_click_rate_times_bid_and_each_product_stands_once() -> None:
    cheap = replace(OFFER, product_id=11, rate=0.05, bid=0.3)
    rich = replace(OFFER, product_id=12, rate=0.01, bid=1.0)
    again = replace(OFFER, campaign_id=2, product_id=11, bid=0.1, rate=0.05)
    ranked = offers_ranked([OFFER, rich, again, cheap], NOON)
    assert [(offer.product_id, offer.campaign_id) for offer in ranked] == [(11, 1), (10, 1), (12, 1)]


@pytest.mark.parametrize(
    ("spent", "hour", "runs"),
    [
        (0.0, 0.0, True),  # the head start
        (0.1, 0.0, True),
        (0.3, 0.0, False),
        (5.0, 12.0, True),
        (5.3, 12.0, False),  # ahead of the clock
        (9.4, 23.9, True),
        (9.6, 23.9, False),  # the next click would be more than is left
        (9.6, 24.1, True),  # the next day has a budget of its own
    ],
)
def test_a_campaign_waits_when_it_is_ahead_of_its_day(spent: float, hour: float, runs: bool) -> None:
    assert replace(OFFER, spent=spent).runs(DAWN + hour * 3600) is runs


def test_a_day_that_a_campaign_runs_only_in_part_is_paced_over_that_part() -> None:
    late = replace(OFFER, starts_at=DAWN + 12 * 3600, spent=3.0)
    assert not late.runs(DAWN + 11 * 3600)
    assert not late.runs(DAWN + 13 * 3600)
    assert late.runs(DAWN + 16 * 3600)
    assert not replace(late, ends_at=DAWN + 15 * 3600).runs(DAWN + 15 * 3600)


def test_a_rate_starts_at_the_prior_and_goes_where_the_clicks_are() -> None:
    assert rate_smoothed(0, 0, PRIOR_RATE) == PRIOR_RATE
    assert PRIOR_RATE < rate_smoothed(10, 100, PRIOR_RATE) < 0.1
    assert rate_smoothed(10_000, 100_000, PRIOR_RATE) == pytest.approx(0.1, rel=0.01)


def test_second_price_is_what_it_takes_to_stand_there_and_never_above_the_bid() -> None:
    below = replace(OFFER, product_id=11, bid=0.4, rate=0.01)
    assert click_prices([OFFER, below], second_price=False) == [0.5, 0.4]
    assert click_prices([OFFER, below], second_price=True) == [0.2, 0.01]
    same = replace(OFFER, product_id=11)
    assert click_prices([OFFER, same], second_price=True) == [0.5, 0.01]


@pytest.fixture
def ids() -> dict[str, int]:
    found = catalogue_make()
    version_make("popular", {(ListScope.EVERYONE, 0): SKUS[20:]})
    placement_create(code="ads", name="Ads", kind="sponsored")
    return found


def ask(n: int = 4) -> Slate:
    return recommend(SlateRequest(placement="ads", n=n))


@pytest.mark.django_db
def test_sponsored_products_are_marked_and_nothing_else_fills_up(ids: dict[str, int]) -> None:
    assert ask().rung == Rung.POPULAR, "without sponsors the placement is not empty, and claims nothing"
    assert not any("sponsored" in item.badges for item in ask().items)
    campaign("Lamps", "p01", "p02")
    campaign("Mugs", "p03", bid=Decimal("0.90"))
    campaign("Over", "p04", ends_at=clock.now() - timedelta(days=1))
    campaign("Later", "p05", starts_at=clock.now() + timedelta(days=1))
    campaign("Off", "p06", active=False)
    memory_forget()
    slate = ask()
    assert slate.rung == Rung.SPONSORED
    assert [item.sku for item in slate.items] == ["p03", "p01", "p02"]
    assert {item.reason for item in slate.items} == {"sponsored"}
    assert all("sponsored" in item.badges for item in slate.items)


@pytest.mark.django_db
def test_clicks_are_charged_once_and_stop_a_campaign_whose_budget_is_gone(ids: dict[str, int]) -> None:
    made = campaign("Lamps", "p01", daily_budget=Decimal("1.20"))
    campaign("Mugs", "p02", bid=Decimal("0.20"))
    _, key = api_client_create(name="shop", scopes=["recommend"])
    shop = Client(headers={"Authorization": f"Api-Key {key}"})
    answers = [shop.get("/api/v1/recommendations/ads?n=2").json() for _ in range(4)]
    assert all(item["sponsored"] and item["reason"] == "Sponsored" for item in answers[0]["items"])
    exposures_flush()
    context = Exposure.objects.get(request_id=answers[0]["request_id"]).context
    assert context == {"sponsored": {str(ids["p01"]): [ANY, 0.5], str(ids["p02"]): [ANY, 0.2]}}
    for answer in answers[:2]:
        for _ in range(2):
            events_record(event("click", shopper="", sku="p01", request_id=answer["request_id"]))
    events_record(event("click", shopper="", sku="p01", request_id=answers[2]["request_id"], bot=True))
    assert campaigns_count() == 2
    assert campaigns_count() == 0, "counted again, nothing changes"
    day = CampaignDay.objects.get(campaign=made)
    assert (day.shown, day.clicks, day.spend) == (4, 2, Decimal("1.0000"))
    lines = {line.campaign.name: line for line in campaign_lines(day=day.day)}
    assert (lines["Mugs"].shown, lines["Mugs"].clicks, lines["Mugs"].spend) == (4, 0, 0)
    assert lines["Lamps"].spent_today == lines["Lamps"].spend == Decimal("1.0000")
    memory_forget()
    assert [item.sku for item in ask().items] == ["p02"], "0.20 is less than another click"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"name": " "}, "name"),
        ({"bid": Decimal("0")}, "bid"),
        ({"bid": Decimal("NaN")}, "bid"),
        ({"daily_budget": Decimal("0.10")}, "daily_budget"),
        ({"ends_at": clock.now() - timedelta(days=9)}, "ends_at"),
        ({"skus": []}, "skus"),
        ({"skus": ["nowhere"]}, "skus"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_campaign_that_makes_no_sense_is_refused(
    ids: dict[str, int], facts: dict[str, Any], field: str
) -> None:
    made = campaign("Lamps", "p01")
    with pytest.raises(InvalidInput) as caught:
        campaign_save(campaign=made, **facts)
    assert caught.value.field == field
