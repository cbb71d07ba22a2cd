"""Exposures, partitions, shoppers, reviews, kinds, sessions and what is read of them."""

import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from django.core.management import call_command
from django.db import connection, transaction

from apps.catalog.models import Product
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput
from apps.events import selectors
from apps.events.exposures import ExposureRow
from apps.events.models import EventKind, Exposure, Interaction, Review, Shopper
from apps.events.partitions import months_between, partition_name, partitions_ensure, partitions_make
from apps.events.services import (
    event_kind_save,
    event_record_many,
    exposure_record_many,
    review_upsert_many,
    shopper_upsert_many,
)
from apps.events.sessionize import sessions_number
from tests.factories.shop import day, event, events_record, products_make, shoppers_make

pytestmark = pytest.mark.django_db


def exposure(**fields: Any) -> ExposureRow:
    """A slate of two items."""
    base: dict[str, Any] = {
        "request_id": uuid.uuid4(), "served_at": clock.now(), "placement": "home", "product_ids": [1, 2],
        "sources": ["als", "trend"], "propensities": [1.0, 0.5], "rung": "shopper",
    }  # fmt: skip
    return ExposureRow(**(base | fields))


def test_exposures_keep_everything_in_order() -> None:
    row = exposure(
        shopper_id=7, session="v", publication_id=3, variant="b", model_version_ids=(4, 5), query="mug",
        context={"page": 1}, product_ids=(9, 8),
    )  # fmt: skip
    assert exposure_record_many(exposures=[row, exposure(product_ids=[], sources=[], propensities=[])]) == 2
    stored = Exposure.objects.get(request_id=row.request_id)
    assert (stored.product_ids, stored.sources, stored.propensities) == ([9, 8], ["als", "trend"], [1.0, 0.5])
    assert (stored.shopper_id, stored.publication_id, stored.variant) == (7, 3, "b")
    assert (stored.model_version_ids, stored.context, stored.rung) == ([4, 5], {"page": 1}, "shopper")
    assert exposure_record_many(exposures=[], durable=False) == 0


def test_many_exposures_of_many_months() -> None:
    start = day("2025-11-15")
    rows = [exposure(served_at=start + timedelta(days=n)) for n in range(90)]
    assert exposure_record_many(exposures=rows, durable=False) == 90
    assert Exposure.objects.count() == 90


def test_an_exposure_of_unlike_lengths_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="one length"):
        exposure(sources=["als"])


def tables() -> set[str]:
    """Names of all partitions."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relkind = 'r'"
        )
        return {row[0] for row in cursor.fetchall()}


def test_partitions_are_made_ahead_and_only_once() -> None:
    with clock.pinned(datetime(2031, 11, 30, 23, tzinfo=UTC)):
        assert partitions_ensure(months_ahead=2) == 6
        assert partitions_ensure(months_ahead=2) == 0
    assert {f"events_{table}_2032_01" for table in ("interaction", "exposure")} <= tables()
    assert months_between((2025, 11), (2026, 2)) == [(2025, 11), (2025, 12), (2026, 1), (2026, 2)]
    call_command("ensure_partitions", "--months-ahead", "1")


def test_a_rolled_back_partition_is_not_believed_in() -> None:
    month = (2040, 5)
    with transaction.atomic():
        partitions_make(months=[month])
        transaction.set_rollback(True)
    assert partition_name("events_interaction", month) not in tables()
    assert partitions_make(months=[month]) == 2


def test_month_borders_are_utc() -> None:
    events_record(
        event(occurred_at="2026-03-01T00:30:00+02:00"), event(occurred_at="2026-02-28T23:30:00-02:00")
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM events_interaction ORDER BY occurred_at")
        assert [row[0] for row in cursor.fetchall()] == [
            "events_interaction_2026_02",
            "events_interaction_2026_03",
        ]


def test_attributes_need_consent_and_go_with_it() -> None:
    frame = pd.DataFrame(
        {
            "external_id": ["a", "b"],
            "consent": [True, False],
            "region": ["Bern", "Bern"],
            "gender": ["f", "m"],
        }
    )
    result = shopper_upsert_many(frame=frame)
    assert (result.inserted, result.unchanged) == (2, 0)
    assert Shopper.objects.get(external_id="a").region == "Bern"
    assert Shopper.objects.get(external_id="b").region == ""
    assert shopper_upsert_many(frame=frame).unchanged == 2
    shopper_upsert_many(frame=frame.assign(consent=[False, False]))
    assert Shopper.objects.get(external_id="a").gender == ""


def test_bad_shoppers_are_named() -> None:
    frame = pd.DataFrame(
        {
            "external_id": ["a", "", "a", "x" * 81],
            "consent": [True] * 4,
            "first_seen": ["2020-01-01", "", "", "?"],
        }
    )
    result = shopper_upsert_many(frame=frame)
    assert [(error.line, error.field) for error in result.errors] == [
        (2, "external_id"),
        (3, "external_id"),
        (4, "external_id"),
    ]
    assert Shopper.objects.get().first_seen_at.year == 2020


def test_reviews_land_once_and_bad_ones_are_named() -> None:
    products_make("p1")
    shoppers_make("s1")
    frame = pd.DataFrame(
        {
            "external_id": ["r1", "r2", "r3", "r4", "r5"], "shopper": ["s1", "", "s1", "s1", "s1"],
            "sku": ["p1", "new", "", "p1", "p1"], "rating": [5, 1, 3, 9, 4],
            "text": ["Great", "差", "", "", ""],
            "language": ["en", "zh-hans", "en", "en", "en"],
            "written_at": ["2026-01-01"] * 4 + ["2199-01-01"],
        }
    )  # fmt: skip
    result = review_upsert_many(frame=frame)
    assert (result.inserted, len(result.errors)) == (2, 3)
    assert [(error.line, error.field) for error in result.errors] == [
        (3, "sku"),
        (4, "rating"),
        (5, "written_at"),
    ]
    assert review_upsert_many(frame=frame).unchanged == 2
    assert review_upsert_many(frame=frame.assign(text="Changed")).updated == 2
    assert Review.objects.get(external_id="r1").shopper_id == Shopper.objects.get().pk
    assert Product.objects.get(sku="new").placeholder


def test_staff_add_kinds_that_work_at_once(adam: Any) -> None:
    assert events_record(event("wave")).rejected
    kind = event_kind_save(code="wave", name="Wave", role="like", weight=1.5, actor=adam)
    assert events_record(event("wave")).accepted == 1
    event_kind_save(kind_id=kind.pk, code="wave", name="Wave", role="like", weight=0.5, active=False)
    assert events_record(event("wave")).rejected
    with pytest.raises(Conflict):
        event_kind_save(code="wave", name="Again", role="like", weight=1)
    view = EventKind.objects.get(code="view")
    with pytest.raises(Conflict):
        event_kind_save(kind_id=view.pk, code="view", name="View", role="like", weight=1)
    assert event_kind_save(kind_id=view.pk, code="view", name="Look", role="view", weight=0.5).weight == 0.5
    for change in ({"role": "dance"}, {"code": "not a slug"}, {"weight": float("nan")}, {"name": ""}):
        fields: dict[str, Any] = {"code": "k", "name": "K", "role": "like", "weight": 1.0}
        with pytest.raises(InvalidInput):
            event_kind_save(**(fields | change))


def test_reads_of_a_shopper() -> None:
    products_make("a", "b", "c", title_zh_hans=["红", "", ""])
    start = clock.now() - timedelta(hours=2)
    rows = [("view", "a"), ("purchase", "b"), ("view", "c"), ("view", "a"), ("dislike", "c")]
    for number, (kind, sku) in enumerate(rows):
        events_record(event(kind, sku=sku, occurred_at=(start + timedelta(minutes=number)).isoformat()))
    events_record(event(shopper="", session="anon", sku="b"))
    shopper = selectors.shopper_find("s1")
    assert shopper is not None
    timeline = selectors.shopper_timeline(shopper.pk, 3, language="zh-hans")
    assert [(item.kind, item.product.sku if item.product else "") for item in timeline] == [
        ("dislike", "c"), ("view", "a"), ("view", "c"),
    ]  # fmt: skip
    assert timeline[1].product
    assert timeline[1].product.title == "红"
    assert [found.external_id for found in selectors.shopper_search("S")] == ["s1"]
    assert selectors.shopper_search("") == [shopper]
    assert selectors.shopper_surprise() == shopper
    assert selectors.shopper_find("nobody") is None


def test_sessions_end_after_thirty_silent_minutes() -> None:
    who = pd.Series(["b", "a", "a", "a", "b"])
    at = pd.Series([0.0, 5000.0, 0.0, 1799.0, 1800.0])
    assert sessions_number(who=who, at=at).tolist() == [2, 1, 0, 0, 3]
    moments = pd.to_datetime(at, unit="s", utc=True)
    assert sessions_number(who=who, at=moments).tolist() == [2, 1, 0, 0, 3]
    assert sessions_number(who=who[:0], at=at[:0]).tolist() == []


def test_the_same_events_from_many_sides_at_once_are_stored_once(committed_db: None) -> None:
    events_record(event(client_event_id="first"))
    rows = [
        event(
            kind="dislike" if n % 3 else "like", shopper=f"s{n % 4}", sku=f"p{n % 5}", client_event_id=f"c{n}"
        )
        for n in range(60)
    ]
    accepted: list[int] = []
    problems: list[BaseException] = []

    def send(part: list[dict[str, Any]], bulk: bool) -> None:
        try:
            if bulk:
                frame = pd.DataFrame(part)
                frame["occurred_at"] = pd.to_datetime(frame["occurred_at"], utc=True)
                accepted.append(event_record_many(frame=frame, source="test").accepted)
            else:
                accepted.append(events_record(*part).accepted)
        except BaseException as error:
            problems.append(error)
        finally:
            connection.close()

    threads = [
        threading.Thread(target=send, args=(rows[::-1] if n % 2 else rows, n % 3 == 0)) for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert sum(accepted) == 60
    assert Interaction.objects.count() == 61
