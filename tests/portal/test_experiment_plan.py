"""How long a design takes, from the shop's own history, and what is rehearsed before a launch."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils.translation import override

from apps.accounts.models import User
from apps.core import clock
from apps.events.exposures import ExposureRow
from apps.events.services import exposure_record_many
from apps.portal.words.remedies import PATTERNS, remedy_words
from tests.factories.shop import event, events_record, shoppers_make
from tests.portal.experiment_forms import draft_make, metrics_form
from tests.portal.small_shop import SmallShop, small_shop_make

ClientOf = Callable[[User], Client]
pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(db: None) -> SmallShop:
    cache.clear()
    return small_shop_make()


@pytest.fixture
def browser(client_of: ClientOf, maya: User, shop: SmallShop) -> Client:
    return client_of(maya)


@pytest.fixture
def past(shop: SmallShop) -> SmallShop:
    """Fifteen shoppers a day come to the home page for four weeks; every third fills a cart."""
    now, number = clock.now(), 0
    people = [f"past-{one}" for one in range(420)]
    rows = list(shoppers_make(*people).values())
    slates, events = [], []
    for day in range(1, 29):
        for one in rows[15 * (day - 1) : 15 * day]:
            at, number = now - timedelta(days=day), number + 1
            slates.append(
                ExposureRow(
                    request_id=uuid4(),
                    served_at=at,
                    placement="home",
                    shopper_id=one.pk,
                    session=f"h{number}",
                    product_ids=[shop.products["P01"].pk],
                    sources=["als"],
                    propensities=[1.0],
                    rung="shopper",
                )
            )
            if number % 3 == 0:
                when = (at + timedelta(minutes=5)).isoformat()
                events.append(
                    event(
                        "add_to_cart",
                        sku="P01",
                        shopper=one.external_id,
                        session=f"h{number}",
                        occurred_at=when,
                    )
                )
    exposure_record_many(exposures=slates)
    assert not events_record(*events).rejected
    return shop


def test_days_shoppers_and_the_smallest_change_come_from_history(browser: Client, past: SmallShop) -> None:
    draft_make()
    plan = "/experiments/taste/design/metrics/plan/"
    body = browser.post(plan, metrics_form(mde="50")).content.decode()
    assert "to see a change of 50% in “Shoppers who fill a cart”" in body
    assert "33.33%" in body
    assert 'id="chart-days-and-change"' in body
    assert "Smallest change that 14 days show" in body
    assert "Sessions per shopper" in body  # a guardrail is reckoned, too
    # A smaller change takes longer, a single look at the end less long.
    assert days_told(browser, plan, mde="50") < days_told(browser, plan, mde="30")
    assert days_told(browser, plan, mde="50", view="fixed") < days_told(browser, plan, mde="50")
    assert "longer than a test should run" in browser.post(plan, metrics_form(mde="1")).content.decode()
    answer = browser.get("/experiments/taste/design/metrics/plan.csv")
    assert answer.content.decode().startswith("\ufeffDays,Shoppers,Smallest change seen\n1,")


def days_told(browser: Client, plan: str, **changes: str) -> int:
    body = browser.post(plan, metrics_form(**changes)).content.decode()
    said = body.partition('rp-plan-days">')[2].partition(" day")[0]
    return int(said.replace(",", ""))


def test_a_form_that_is_half_filled_in_is_planned_all_the_same(browser: Client, past: SmallShop) -> None:
    draft_make()
    body = browser.post("/experiments/taste/design/metrics/plan/", metrics_form(mde="", planned_days="x"))
    assert "to see a change of 5% in" in body.content.decode()


def test_without_history_the_page_says_why(browser: Client) -> None:
    draft_make()
    body = browser.post("/experiments/taste/design/metrics/plan/", metrics_form()).content.decode()
    assert "Only 0 shoppers were given a slate here" in body
    assert "Too little history" in browser.get("/experiments/taste/design/check/aa/").content.decode()
    assert browser.get("/experiments/taste/design/metrics/plan.csv").status_code == 404


def test_the_rehearsal_says_power_and_splits_history(browser: Client, past: SmallShop) -> None:
    draft_make(mde=0.05)
    body = browser.get("/experiments/taste/design/check/aa/").content.decode()
    assert "A change of 5% takes" in body
    assert "Split at random 200 times" in body
    draft_make("empty", weight=None)
    assert "Split at random" not in browser.get("/experiments/empty/design/check/aa/").content.decode()
    draft_make("bold", mde=1.0, planned_days=28)
    assert (
        "A change of 100% is seen after" in browser.get("/experiments/bold/design/check/aa/").content.decode()
    )


def test_services_remedies_are_told_in_chinese() -> None:
    assert len(set(PATTERNS)) == len(PATTERNS)
    remedy = "It shows the same as 口味. Change its weights, rules, page size or versions."
    assert remedy_words(remedy) == remedy
    with override("zh-hans"):
        assert remedy_words(remedy).startswith("它展示的内容与“口味”相同。")
        assert remedy_words("Give a whole number from 1 to 100.") == "请填写 1 到 100 的整数。"
        taken = (
            "Other holds 0% to 60% of this layer. Free in Main: 60% to 100%. Take a free slice or another "
            "layer, or end that experiment."
        )
        assert "Main的空闲：60% 到 100%" in remedy_words(taken)
        assert remedy_words("Something nobody translated.") == "Something nobody translated."
