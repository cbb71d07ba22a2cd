"""Every behavioural definition on a case small enough to work out by hand."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import ShopSettings
from apps.datasets.netting import returns_net
from apps.events.models import Interaction
from apps.metrics.models import DailyItems
from tests.metrics.conftest import Counts, Shop

pytestmark = pytest.mark.django_db


def test_gap_of_thirty_minutes_starts_a_new_session(shop: Shop, counts: Counts) -> None:
    shop.product("a")
    for at in ("10 09:00", "10 09:29", "10 09:58", "10 10:28"):  # gaps 29, 29, 30
        shop.event("view", "ann", at, "a")
    assert counts(10)["sessions"] == 2


def test_sessions_of_two_shoppers_and_of_anonymous_sessions_are_apart(shop: Shop, counts: Counts) -> None:
    shop.product("a")
    shop.event("view", "ann", "10 09:00", "a")
    shop.event("view", "bob", "10 09:01", "a")
    shop.event("view", "", "10 09:02", "a", session="x")
    shop.event("view", "", "10 09:03", "a", session="y")
    shop.event("view", "", "10 09:04", "a")  # nobody's: belongs to no session
    assert counts(10)["sessions"] == 4


def test_session_belongs_to_the_day_it_starts_on(shop: Shop, counts: Counts) -> None:
    shop.product("a", price=7)
    shop.event("view", "ann", "10 23:50", "a")
    shop.event("purchase", "ann", "11 00:10", "a")
    tenth, eleventh = counts(10), counts(11)
    assert (tenth["sessions"], tenth["sessions_bought"], tenth["session_revenue"]) == (1, 1, 7)
    assert "sessions" not in eleventh
    assert (eleventh["revenue"], tenth.get("revenue")) == (7, None)  # money is booked when it comes in


def test_session_that_began_the_day_before_is_found_without_its_first_event(
    shop: Shop, counts: Counts
) -> None:
    shop.product("a")
    for at in ("10 22:50", "10 23:15", "10 23:40", "11 00:05", "11 00:30"):
        shop.event("view", "ann", at, "a")
    assert counts(11).get("sessions") is None
    assert counts(10)["sessions"] == 1


def test_day_is_that_of_the_shop(shop: Shop, counts: Counts) -> None:
    ShopSettings.objects.update(time_zone="Asia/Shanghai")  # UTC+8
    shop.product("a")
    shop.event("view", "ann", "10 15:59", "a")
    shop.event("view", "bob", "10 16:00", "a")
    assert counts(10)["sessions"] == 1
    assert counts(11)["sessions"] == 1


def test_bots_and_returns_make_no_session(shop: Shop, counts: Counts) -> None:
    shop.product("a")
    shop.event("view", "ann", "10 09:00", "a", bot=True)
    shop.event("return", "bob", "10 09:00", "a")
    assert counts(10).get("sessions") is None


def test_ctr_counts_slates_with_a_click_over_slates_seen(shop: Shop, counts: Counts) -> None:
    for sku in "abc":
        shop.product(sku)
    first, second = shop.slate("ann", "10 09:00", "a b c"), shop.slate("ann", "10 09:05", "a b")
    shop.slate("ann", "10 09:06", "c")  # served, never seen
    fourth = shop.slate("ann", "10 09:07", "a")  # clicked: so it was seen
    for request in (first, second):
        shop.event("seen", "ann", "10 09:10", request=request)
    shop.event("click", "ann", "10 09:11", "a", request=first)
    shop.event("click", "ann", "10 09:12", "a", request=first)  # the same item twice is one click
    shop.event("click", "ann", "10 09:13", "b", request=first)
    shop.event("click", "ann", "10 09:14", "a", request=fourth)
    for scope in ("", "home"):
        got = counts(10, scope)
        assert [got[k] for k in ("slates_served", "slates_seen", "slates_base", "slates_clicked")] == [
            4,
            3,
            3,
            2,
        ]
        assert (got["items_seen"], got["items_clicked"]) == (6, 3)
        assert "slates_base_served" not in got


def test_served_stands_in_where_seen_is_unknown(shop: Shop, counts: Counts) -> None:
    shop.product("a")
    shop.product("b")
    shop.slate("ann", "10 09:00", "a", placement="mail")
    request = shop.slate("ann", "10 09:01", "a b", placement="mail")
    shop.event("click", "ann", "10 09:02", "b", request=request)
    got = counts(10, "mail")
    assert (got["slates_base"], got["slates_base_served"], got["slates_clicked"]) == (2, 2, 1)
    assert (got["items_seen"], got["items_clicked"]) == (3, 1)


def test_report_of_items_counts_just_those_and_those_clicked(shop: Shop, counts: Counts) -> None:
    for sku in "abcd":
        shop.product(sku)
    request = shop.slate("ann", "10 09:00", "a b c d")
    shop.event("seen", "ann", "10 09:01", "a", request=request)
    shop.event("seen", "ann", "10 09:01", "b", request=request)
    shop.event("click", "ann", "10 09:02", "d", request=request)
    got = counts(10)
    assert (got["items_seen"], got["items_clicked"]) == (3, 1)
    items = DailyItems.objects.get(day=date(2026, 3, 10), placement="home")
    assert set(zip(items.product_ids, items.seen, items.clicked, strict=True)) == {
        (shop.products["a"].pk, 1, 0),
        (shop.products["b"].pk, 1, 0),
        (shop.products["d"].pk, 1, 1),
    }


def test_click_belongs_to_the_day_its_slate_was_served(shop: Shop, counts: Counts) -> None:
    shop.product("a")
    request = shop.slate("ann", "10 23:58", "a")
    shop.event("click", "ann", "11 00:02", "a", request=request)
    assert counts(10)["slates_clicked"] == 1
    assert counts(11).get("slates_clicked") is None


def test_slate_asked_for_by_a_bot_is_left_out(shop: Shop, counts: Counts) -> None:
    shop.product("a")
    request = shop.slate("ann", "10 09:00", "a")
    shop.event("seen", "ann", "10 09:01", request=request, bot=True)
    assert counts(10).get("slates_served") is None


def test_conversion_and_revenue_per_session_net_of_returns(shop: Shop, counts: Counts) -> None:
    shop.product("a", price=10, cost=4)
    shop.product("b", price=5)
    shop.event("view", "ann", "10 09:00", "a")
    shop.event("purchase", "ann", "10 09:05", "a", quantity=3)  # 30, list price
    shop.event("purchase", "ann", "10 09:06", "b", price=4.5, quantity=2)  # 9, own price
    shop.event("view", "bob", "10 11:00", "b")
    shop.event("return", "ann", "10 18:00", "a", quantity=1)  # 10 back
    got = counts(10)
    assert (got["sessions"], got["sessions_bought"]) == (2, 1)
    assert (got["gross"], got["returned"], got["revenue"], got["units"]) == (39, 10, 29, 5)
    assert (got["margin_revenue"], got["margin"]) == (20, 12)  # b has no cost: outside the margin
    assert (got["session_revenue"], got["session_revenue_sq"]) == (39, 39**2)


def test_return_without_a_price_is_worth_what_was_paid(shop: Shop, counts: Counts) -> None:
    shop.product("a", price=10)
    shop.event("purchase", "ann", "01 09:00", "a", price=6)
    shop.event("purchase", "ann", "02 09:00", "a", price=7)
    shop.event("return", "ann", "10 09:00", "a", quantity=-1)
    assert counts(10)["returned"] == 7


def test_orders_are_apart_by_session_and_by_order_number(shop: Shop, counts: Counts) -> None:
    shop.product("a", price=10)
    for at, order in (
        ("10 09:00", ""),
        ("10 09:01", ""),
        ("10 12:00", "n1"),
        ("10 12:01", "n1"),
        ("10 12:02", "n2"),
    ):
        shop.event("purchase", "ann", at, "a", order=order)
    got = counts(10)
    assert (got["orders"], got["order_revenue"], got["order_revenue_sq"]) == (3, 50, 20**2 + 20**2 + 10**2)


def test_order_over_midnight_counts_once_however_the_days_are_built(shop: Shop, counts: Counts) -> None:
    shop.product("a", price=10)
    shop.event("purchase", "ann", "10 23:20", "a")
    shop.event("view", "ann", "10 23:45", "a")
    shop.event("purchase", "ann", "11 00:05", "a")
    for first in (None, 10):  # the days apart, then as one window
        tenth, eleventh = counts(10), counts(11, first=first)
        assert (tenth["orders"], tenth["order_revenue"]) == (1, 20)
        assert eleventh.get("orders") is None


def test_purchase_goes_to_the_last_click_only(shop: Shop, counts: Counts) -> None:
    shop.product("a", price=10)
    shop.product("b", price=20)
    home = shop.slate("ann", "10 09:00", "a b")
    cart = shop.slate("ann", "10 09:10", "b", placement="cart")
    shop.event("click", "ann", "10 09:01", "a", request=home)
    shop.event("click", "ann", "10 09:11", "b", request=cart)
    shop.event("purchase", "ann", "10 09:20", "a")
    shop.event("purchase", "ann", "10 09:21", "b")
    whole, by_cart, by_home = counts(10), counts(10, "cart"), counts(10, "home")
    assert (whole["attributed"], whole["attributed_revenue"], whole["attributed_direct"]) == (2, 30, 1)
    assert (by_cart["attributed"], by_cart["attributed_revenue"]) == (2, 30)
    assert by_home.get("attributed") is None
    assert whole.get("assisted") is None


def test_window_ends_after_its_hours_and_a_click_after_the_purchase_earns_nothing(
    shop: Shop, counts: Counts
) -> None:
    shop.product("a")
    request = shop.slate("ann", "09 08:00", "a")
    shop.event("click", "ann", "09 09:00", "a", request=request)
    shop.event("purchase", "ann", "10 09:00", "a")  # exactly 24 h
    shop.event("purchase", "ann", "10 09:01", "a")  # too late
    shop.event("purchase", "bob", "10 09:00", "a")
    late = shop.slate("bob", "10 10:00", "a")
    shop.event("click", "bob", "10 10:00", "a", request=late)
    assert counts(10)["attributed"] == 1


def test_attribution_window_is_the_shops_setting(shop: Shop, counts: Counts) -> None:
    ShopSettings.objects.update(attribution_hours=72)
    shop.product("a")
    request = shop.slate("ann", "07 10:00", "a")
    shop.event("click", "ann", "07 10:00", "a", request=request)
    shop.event("purchase", "ann", "10 09:00", "a")
    assert counts(10, "home")["attributed"] == 1


def test_click_without_a_request_id_earns_nothing(shop: Shop, counts: Counts) -> None:
    shop.product("a")
    shop.event("click", "ann", "10 09:00", "a")
    shop.event("purchase", "ann", "10 09:01", "a")
    assert counts(10).get("attributed") is None


def test_returned_purchase_loses_its_attribution_up_to_its_quantity(shop: Shop, counts: Counts) -> None:
    shop.product("a", price=10)
    request = shop.slate("ann", "05 09:00", "a")
    shop.event("click", "ann", "05 09:00", "a", request=request)
    shop.event("purchase", "ann", "05 09:10", "a", quantity=2)
    shop.event("return", "ann", "10 09:00", "a", quantity=1)
    shop.event("return", "ann", "10 10:00", "a", quantity=5)  # only one is left to undo
    assert counts(5, "home")["attributed_revenue"] == 20
    assert counts(10, "home")["attributed_revenue"] == -20
    assert counts(10)["attributed_revenue"] == -20


def test_purchase_is_undone_once_however_many_days_its_returns_are_spread_over(
    shop: Shop, counts: Counts
) -> None:
    shop.product("a", price=10)
    request = shop.slate("ann", "05 09:00", "a")
    shop.event("click", "ann", "05 09:00", "a", request=request)
    shop.event("purchase", "ann", "05 09:10", "a", quantity=1)
    shop.event("return", "ann", "10 09:00", "a", quantity=1)
    shop.event("return", "ann", "11 09:00", "a", quantity=1)
    apart = counts(10, "home"), counts(11, "home")
    whole = counts(11, "home", first=10)
    assert apart[0]["attributed_revenue"] == -10
    assert apart[1].get("attributed_revenue") is None
    assert whole.get("attributed_revenue") is None


def test_return_goes_down_the_purchases_latest_first(shop: Shop, counts: Counts) -> None:
    shop.product("a", price=10)
    for day, price, placement in (("02", 5, "home"), ("03", 6, "cart")):
        request = shop.slate("ann", f"{day} 09:00", "a", placement=placement)
        shop.event("click", "ann", f"{day} 09:00", "a", request=request)
        shop.event("purchase", "ann", f"{day} 09:10", "a", quantity=2, price=price)
    shop.event("return", "ann", "10 09:00", "a", quantity=3)
    got, home, cart = counts(10), counts(10, "home"), counts(10, "cart")
    assert (home["attributed_revenue"], cart["attributed_revenue"]) == (-5, -12)
    assert got["returned"] == 17  # without a price it is worth what it undoes


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trades=st.lists(st.tuples(st.sampled_from([1.0, 2.0, 3.0, 0.5]), st.booleans()), max_size=12))
def test_undone_is_what_the_snapshots_law_takes(
    shop: Shop, counts: Counts, trades: list[tuple[float, bool]]
) -> None:
    Interaction.objects.all().delete()
    if not shop.products:
        shop.product("a", price=1)
    request = shop.slate("ann", "02 00:00", "a")
    shop.event("click", "ann", "02 00:00", "a", request=request)
    for hour, (quantity, is_return) in enumerate(trades):
        kind = "return" if is_return else "purchase"
        shop.event(kind, "ann", f"02 {hour:02}:30", "a", quantity=quantity)
    netted = returns_net(
        shopper=np.ones(len(trades), dtype=np.int64),
        product=np.ones(len(trades), dtype=np.int64),
        quantity=np.array([quantity for quantity, _ in trades], dtype=np.float64),
        is_return=np.array([is_return for _, is_return in trades], dtype=bool),
        timestamp=np.arange(len(trades), dtype=np.float64),
    )
    assert counts(2, "home").get("attributed_revenue", 0) == pytest.approx(netted.left.sum(), abs=1e-4)


def test_assisted_is_kept_apart(shop: Shop, counts: Counts) -> None:
    shop.product("a", price=10)
    shop.product("b", price=20)
    home = shop.slate("ann", "10 09:00", "a b")
    mail = shop.slate("ann", "10 09:10", "a", placement="mail")
    for request in (home, mail):
        shop.event("seen", "ann", "10 09:12", request=request)
    shop.event("purchase", "ann", "10 09:20", "a")  # seen in both, clicked in none: the latest slate's
    shop.product("c")
    shop.event("purchase", "ann", "10 09:21", "c")  # in no slate
    whole = counts(10)
    assert (whole["assisted"], whole["assisted_revenue"]) == (1, 10)
    assert counts(10, "mail")["assisted"] == 1
    assert counts(10, "home").get("assisted") is None
    assert whole.get("attributed") is None


def test_sessions_of_a_placement_are_those_that_saw_it(shop: Shop, counts: Counts) -> None:
    shop.product("a")
    shop.slate("ann", "10 08:55", "a")  # before her first event, within the gap
    shop.event("view", "ann", "10 09:00", "a")
    shop.slate("ann", "10 09:05", "a")
    shop.event("purchase", "ann", "10 09:10", "a")
    shop.event("view", "bob", "10 09:00", "a")
    got = counts(10, "home")
    assert (got["sessions"], got["sessions_bought"]) == (1, 1)
    assert counts(10)["sessions"] == 2


def test_diversity_is_the_share_of_pairs_of_unlike_category(shop: Shop, counts: Counts) -> None:
    for sku, category in (("a", "A"), ("b", "A"), ("c", "B"), ("d", "C")):
        shop.product(sku, category=category)
    shop.slate("ann", "10 09:00", "a b c d")  # one of six pairs is alike
    shop.slate("ann", "10 09:00", "a b")  # none unlike
    shop.slate("ann", "10 09:00", "a")  # no pair
    got = counts(10)
    assert got["diverse_slates"] == 2
    assert got["diversity"] == pytest.approx(5 / 6)
