"""The id under which a person was first known: what experiments divide, kept through every link."""

from datetime import timedelta

import pytest

from apps.core import clock
from apps.events.models import Shopper
from tests.factories.shop import event, events_record, shoppers_make

pytestmark = pytest.mark.django_db


def ago(**span: float) -> str:
    return (clock.now() - timedelta(**span)).isoformat()


def unit_of(external_id: str) -> str:
    found = Shopper.objects.select_related("merged_into").get(external_id=external_id)
    return (found.merged_into or found).unit


def test_who_never_had_another_id_is_known_by_their_own() -> None:
    events_record(event(shopper="c1"))
    assert Shopper.objects.get().first_known_as == ""
    assert unit_of("c1") == "c1"


def test_a_visitor_who_registers_stays_known_by_the_first_id() -> None:
    events_record(event(shopper="anon", occurred_at=ago(hours=1)))
    events_record(event(shopper="c1", anonymous="anon"))
    assert unit_of("c1") == unit_of("anon") == "anon"


def test_so_does_one_of_whom_only_the_log_in_is_known() -> None:
    events_record(event(shopper="c1", anonymous="anon"))
    assert unit_of("c1") == "anon"


def test_a_customer_on_a_new_device_stays_known_by_the_id_of_before() -> None:
    events_record(event(shopper="c1", occurred_at=ago(days=9)))
    events_record(event(shopper="phone", occurred_at=ago(hours=1)))
    events_record(event(shopper="c1", anonymous="phone"))
    assert unit_of("phone") == "c1"


def test_of_several_devices_the_oldest_counts_in_whatever_order_they_are_linked() -> None:
    moments = {"a": ago(days=3), "b": ago(days=5), "c": ago(days=1)}
    events_record(*(event(shopper=name, occurred_at=at) for name, at in moments.items()))
    for name, known_as in (("a", "a"), ("b", "b"), ("c", "b")):
        events_record(event(shopper="c1", anonymous=name))
        assert unit_of("c1") == known_as
    assert {unit_of(name) for name in moments} == {"b"}


def test_a_link_of_linked_people_hands_the_oldest_on() -> None:
    events_record(event(shopper="anon", occurred_at=ago(days=2)))
    events_record(event(shopper="middle", anonymous="anon", occurred_at=ago(days=1)))
    events_record(event(shopper="last", anonymous="middle"))
    assert unit_of("anon") == unit_of("middle") == unit_of("last") == "anon"


def test_a_date_the_shop_tells_later_moves_nobody() -> None:
    events_record(event(shopper="anon", occurred_at=ago(hours=1)))
    events_record(event(shopper="c1", anonymous="anon"))
    shoppers_make("c1", first_seen=[clock.now() - timedelta(days=900)])
    assert unit_of("c1") == "anon"
