"""Each good event is stored exactly once, whatever comes with it."""

import uuid
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.catalog.models import Product
from apps.core import clock
from apps.events.models import Dislike, EventKey, EventKind, Interaction, Shopper
from apps.events.services import event_keys_prune, event_record_many, event_record_rows
from tests.factories.shop import day, event, events_record, products_make

pytestmark = pytest.mark.django_db


def frame_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Events as the bulk path takes them."""
    frame = pd.DataFrame(rows)
    if "occurred_at" in frame.columns:
        frame["occurred_at"] = pd.to_datetime(
            frame["occurred_at"], utc=True, format="ISO8601", errors="coerce"
        )
    return frame


def test_an_event_lands_with_all_its_fields() -> None:
    products_make("p1")
    request_id = uuid.uuid4()
    result = events_record(
        event("purchase", quantity=2, price=9.99, value=3, channel="app", request_id=str(request_id),
              context={"coupon": "X1", "n": [1, 2]}, query=" mug ", bot=False)
    )  # fmt: skip
    assert (result.accepted, result.duplicates, result.rejected) == (1, 0, [])
    stored = Interaction.objects.get()
    shopper = Shopper.objects.get(external_id="s1")
    assert stored.shopper_id == shopper.pk
    assert stored.product_id == Product.objects.get(sku="p1").pk
    assert (stored.quantity, str(stored.price), stored.value, stored.channel) == (2.0, "9.99", 3.0, "app")
    assert (stored.request_id, stored.query) == (request_id, "mug")
    assert stored.context == {"coupon": "X1", "n": [1, 2]}
    assert stored.kind_id == EventKind.objects.get(code="purchase").pk
    assert shopper.last_seen_at == stored.occurred_at
    assert EventKey.objects.count() == 1


@pytest.mark.parametrize("bulk", [False, True])
def test_repeats_in_one_batch_and_across_batches_are_counted_not_stored(bulk: bool) -> None:
    first, second = event(), event()

    def record(*rows: dict[str, Any]) -> tuple[int, int]:
        if bulk:
            result = event_record_many(frame=frame_of(list(rows)), source="test")
        else:
            result = events_record(*rows)
        return result.accepted, result.duplicates

    assert record(first, first, second) == (2, 1)
    assert record(second, first) == (0, 2)
    assert Interaction.objects.count() == 2


@pytest.mark.parametrize("bulk", [False, True])
def test_events_older_than_the_key_horizon_are_stored_once_too(bulk: bool) -> None:
    old = [event("purchase", occurred_at=day("2010-12-01").isoformat()) for _ in range(3)]
    for expected in ((3, 0), (0, 3)):
        result = event_record_many(frame=frame_of(old), source="test") if bulk else events_record(*old)
        assert (result.accepted, result.duplicates) == expected
    assert not EventKey.objects.exists()
    assert Interaction.objects.count() == 3


def test_an_event_stays_once_when_its_key_is_pruned() -> None:
    row = event(occurred_at=clock.now().isoformat())
    events_record(row)
    with clock.pinned(clock.now() + timedelta(days=400)):
        assert event_keys_prune() == 1
        assert events_record(row).duplicates == 1
    assert Interaction.objects.count() == 1


def test_the_live_path_refuses_events_past_the_horizon() -> None:
    result = events_record(event(occurred_at="2015-01-01T00:00:00Z"), historic=False)
    assert result.rejected[0].field == "occurred_at"
    assert "bulk import" in result.rejected[0].remedy


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "dance"}, "kind"),
        ({"kind": None}, "kind"),
        ({"kind": ["view"]}, "kind"),
        ({"client_event_id": ""}, "client_event_id"),
        ({"client_event_id": "x" * 81}, "client_event_id"),
        ({"client_event_id": "a\0b"}, "client_event_id"),
        ({"sku": ""}, "sku"),
        ({"sku": {"a": 1}}, "sku"),
        ({"shopper": "x" * 81}, "shopper"),
        ({"shopper": "\ud800"}, "shopper"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"occurred_at": "2026-01-01T10:00:00"}, "occurred_at"),
        ({"occurred_at": 12345}, "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at"),
        ({"occurred_at": "2199-01-01T00:00:00Z"}, "occurred_at"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": -1}, "quantity"),
        ({"quantity": True}, "quantity"),
        ({"quantity": float("nan")}, "quantity"),
        ({"quantity": 10**400}, "quantity"),
        ({"price": -0.01}, "price"),
        ({"price": "9.99"}, "price"),
        ({"value": "five"}, "value"),
        ({"kind": "rating", "value": None}, "value"),
        ({"kind": "seen"}, "request_id"),
        ({"request_id": "nope"}, "request_id"),
        ({"request_id": 7}, "request_id"),
        ({"session": "x" * 65}, "session"),
        ({"channel": "x" * 21}, "channel"),
        ({"query": ["a"]}, "query"),
        ({"context": [1]}, "context"),
        ({"context": {"a": "x" * 5000}}, "context"),
        ({"context": {"a": "\0"}}, "context"),
        ({"bot": "yes"}, "bot"),
    ],
)
def test_a_bad_event_is_named_and_leaves_the_others_alone(change: dict[str, Any], field: str) -> None:
    good = event()
    result = events_record(good, event(**change), event())
    assert result.accepted == 2
    (error,) = result.rejected
    assert (error.line, error.field) == (1, field)
    assert error.remedy
    assert len(error.value) <= 80


def test_something_that_is_no_object_is_refused() -> None:
    result = event_record_rows(rows=[1, None, "x", [], event()], source="test")
    assert [error.field for error in result.rejected] == ["event"] * 4
    assert result.accepted == 1


def test_an_inactive_kind_is_refused() -> None:
    EventKind.objects.create(code="wave", name="Wave", role="other", active=False)
    assert events_record(event("wave")).rejected[0].field == "kind"


def test_an_unknown_sku_becomes_a_flagged_placeholder() -> None:
    events_record(event(sku="mystery"), event(sku="mystery"))
    product = Product.objects.get(sku="mystery", placeholder=True)
    products_make("mystery")
    assert Product.objects.filter(pk=product.pk, placeholder=False).exists()
    assert Interaction.objects.filter(product_id=product.pk).count() == 2


def test_an_anonymous_event_has_no_shopper() -> None:
    events_record(event(shopper=""), event(shopper=None))
    assert not Shopper.objects.exists()
    assert Interaction.objects.filter(shopper_id=None).count() == 2


def test_a_merged_shoppers_events_go_to_the_other() -> None:
    events_record(event(shopper="old"), event(shopper="new"))
    new = Shopper.objects.get(external_id="new")
    Shopper.objects.filter(external_id="old").update(merged_into=new)
    events_record(event(shopper="old"))
    assert Interaction.objects.filter(shopper_id=new.pk).count() == 2


def test_a_dislike_holds_until_a_later_like_or_purchase_in_any_order_of_arrival() -> None:
    start = clock.now() - timedelta(hours=5)

    def at(hours: int) -> str:
        return (start + timedelta(hours=hours)).isoformat()

    dislike = event("not_interested", occurred_at=at(1))
    earlier = event("purchase", occurred_at=at(0))
    later = event("like", occurred_at=at(2))
    again = event("dislike", occurred_at=at(3))
    events_record(dislike)
    assert Dislike.objects.count() == 1
    events_record(earlier)
    assert Dislike.objects.count() == 1
    events_record(later)
    assert Dislike.objects.count() == 0
    events_record(event("not_interested", occurred_at=at(1)))  # arrives late: the like was after it
    assert Dislike.objects.count() == 0
    events_record(again)
    assert Dislike.objects.get().at == start + timedelta(hours=3)


@pytest.mark.parametrize("bulk", [False, True])
def test_dislikes_within_one_batch(bulk: bool) -> None:
    start = clock.now() - timedelta(hours=5)
    rows = [
        event("dislike", sku="a", occurred_at=start.isoformat()),
        event("purchase", sku="a", occurred_at=(start + timedelta(hours=1)).isoformat()),
        event("purchase", sku="b", occurred_at=start.isoformat()),
        event("dislike", sku="b", occurred_at=(start + timedelta(hours=1)).isoformat()),
    ]
    if bulk:
        event_record_many(frame=frame_of(rows), source="test")
    else:
        events_record(*rows)
    assert [row.product_id for row in Dislike.objects.all()] == [Product.objects.get(sku="b").pk]


def test_the_bulk_path_reports_lines_and_keeps_good_rows() -> None:
    frame = frame_of([event(), event("dance"), event(quantity=-1), event()])
    result = event_record_many(frame=frame.assign(line=[10, 11, 12, 13]), source="test")
    assert result.accepted == 2
    assert [(error.line, error.field) for error in result.rejected] == [(11, "kind"), (12, "quantity")]


def test_a_frame_with_few_columns_is_enough() -> None:
    frame = pd.DataFrame({"kind": ["view"], "client_event_id": ["x"], "sku": ["p1"]})
    assert event_record_many(frame=frame, source="test").accepted == 1


STRANGE = st.sampled_from(
    [
        {}, {"kind": "nope"}, {"kind": "rating"}, {"kind": "rating", "value": 4}, {"sku": ""}, {"sku": None},
        {"kind": "search", "sku": "", "query": "mug"}, {"quantity": -2}, {"quantity": None}, {"quantity": 3},
        {"price": 1e12}, {"price": None}, {"shopper": None}, {"shopper": "  s2 "}, {"session": "x" * 65},
        {"context": {"a": [1, "ü"]}}, {"context": {}}, {"request_id": "x"},
        {"request_id": str(uuid.UUID(int=7))},
        {"request_id": "00000000000000000000000000000007"}, {"occurred_at": "2199-01-01T00:00:00+00:00"},
        {"bot": True}, {"bot": None}, {"kind": "seen"}, {"query": "x" * 400}, {"channel": "a\0"},
    ]
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(STRANGE, min_size=1, max_size=12), data=st.data())
def test_any_order_any_repetition_any_mixture_gives_each_good_event_once(
    changes: list[dict[str, Any]], data: st.DataObject
) -> None:
    tag = uuid.uuid4().hex[:8]
    rows = [event(client_event_id=f"{tag}-{number}", **change) for number, change in enumerate(changes)]
    good_ids = set()
    for row in rows:  # what the rule book says of each alone
        probe = row | {"client_event_id": row["client_event_id"] + "-probe"}
        if events_record(probe).accepted:
            good_ids.add(row["client_event_id"])
    arrivals = data.draw(st.lists(st.sampled_from(rows), max_size=12)) + data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(arrivals)))
    accepted = duplicates = rejected = 0
    for batch, bulk in (
        (arrivals[:cut], data.draw(st.booleans())),
        (arrivals[cut:], data.draw(st.booleans())),
    ):
        if bulk and batch:
            result = event_record_many(frame=frame_of(batch), source="test")
        else:
            result = events_record(*batch)
        accepted += result.accepted
        duplicates += result.duplicates
        rejected += len(result.rejected)
    stored = Interaction.objects.filter(client_event_id__startswith=tag).exclude(
        client_event_id__endswith="-probe"
    )
    assert sorted(stored.values_list("client_event_id", flat=True)) == sorted(good_ids)
    assert accepted == len(good_ids)
    assert accepted + duplicates + rejected == len(arrivals)
