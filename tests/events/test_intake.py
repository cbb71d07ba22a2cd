"""What happens to an event before it is stored: identities, robots, clocks, a full inbox, files."""

import time
import uuid
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest
from django.conf import settings
from django.core.management import call_command
from pytest_django import Settings

from apps.core import clock
from apps.events.bots import PaceWatch, agent_is_bot
from apps.events.consuming import Consumer, exposures_store, exposures_take, taken_store
from apps.events.exposures import ExposureRow
from apps.events.inbox import Batch, ValkeyInbox
from apps.events.kinds import kinds_by_code
from apps.events.lines import lines_of
from apps.events.models import Dislike, Exposure, Interaction, Shopper
from apps.events.services import event_accept_rows, exposures_add_to_stream
from apps.events.stream import InboxAway, stream
from apps.events.validation import EventRules, event_check
from apps.monitoring import health
from tests.factories.shop import event, events_record, products_make, shoppers_make
from tests.processes import broker_clear

pytestmark = pytest.mark.django_db


def test_what_an_anonymous_visitor_did_is_the_shoppers_after_login() -> None:
    products_make("p1", "p2")
    early = (clock.now() - timedelta(hours=1)).isoformat()
    events_record(event(shopper="anon", occurred_at=early), event("dislike", shopper="anon", sku="p2"))
    Shopper.objects.filter(external_id="anon").update(opted_out=True)
    events_record(event("add_to_cart", shopper="known", anonymous="anon"))
    known = Shopper.objects.get(external_id="known")
    assert set(Interaction.objects.values_list("shopper_id", flat=True)) == {known.pk}
    assert Dislike.objects.get().shopper_id == known.pk
    assert known.first_seen_at.isoformat() == early
    assert known.opted_out, "what a person does not want goes with them"
    events_record(event(shopper="anon"))  # late, still under the old id
    assert Interaction.objects.filter(shopper_id=known.pk).count() == 4


def test_links_make_no_circle_and_the_first_holds() -> None:
    events_record(event(shopper="b", anonymous="a"))
    events_record(event(shopper="a", anonymous="b"), event(shopper="c", anonymous="a"))
    targets = dict(Shopper.objects.values_list("external_id", "merged_into__external_id"))
    assert targets == {"a": "b", "b": None, "c": None}
    events_record(event(shopper="c", anonymous="b"))  # b is c's: so is a
    targets = dict(Shopper.objects.values_list("external_id", "merged_into__external_id"))
    assert targets == {"a": "c", "b": "c", "c": None}


def test_a_shopper_known_from_events_only_is_flagged_until_described() -> None:
    events_record(event(shopper="s9"))
    assert Shopper.objects.get(external_id="s9").placeholder
    assert not shoppers_make("s9")["s9"].placeholder
    events_record(event(shopper="s9"))
    assert not Shopper.objects.get(external_id="s9").placeholder


@pytest.mark.parametrize(
    ("agent", "robot"),
    [
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", True),
        ("Mozilla/5.0 AppleWebKit/537.36 HeadlessChrome/120.0", True),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", False),
        ("python-requests/2.31", False),
        ("", False),
    ],
)
def test_crawlers_are_known_by_name(agent: str, robot: bool) -> None:
    assert agent_is_bot(agent) is robot
    event_accept_rows(rows=[event(), event(user_agent=agent)], source="test", agent="")
    assert Interaction.objects.filter(bot=True).count() == robot


def test_too_fast_a_sender_is_a_robot_and_the_others_are_not() -> None:
    watch = PaceWatch(events_per_minute=5)
    rows = [event(shopper="fast") for _ in range(6)] + [event(shopper="slow"), event(shopper="", session="")]
    batch = lines_of([_checked(row) for row in rows], received_at=clock.now(), source="test")
    assert [line[-1:] for line in watch.marked(batch)] == [b"t"] * 6 + [b"f"] * 2


def _checked(row: dict[str, Any]) -> dict[str, Any]:
    return event_check(row, EventRules(kinds=kinds_by_code(), now=clock.now()))


def test_a_wrong_clock_is_corrected_by_what_it_said_when_sending() -> None:
    now = clock.now()
    ahead = timedelta(days=3)
    wrong = event(occurred_at=(now + ahead - timedelta(minutes=10)).isoformat())
    with clock.pinned(now):
        refused = event_accept_rows(rows=[wrong], source="test")
        taken = event_accept_rows(rows=[wrong], source="test", sent_at=now + ahead)
    assert refused.rejected[0].field == "occurred_at"
    assert taken.accepted == 1
    assert Interaction.objects.get().occurred_at == now - timedelta(minutes=10)


def test_repeats_are_named_by_place() -> None:
    first = event()
    event_accept_rows(rows=[first], source="test")
    result = event_accept_rows(rows=[event(), first, event("dance"), event()], source="test")
    assert (result.accepted, result.repeated, [error.line for error in result.rejected]) == (2, [1], [2])


@pytest.fixture
def empty_stream() -> None:
    """A broker without entries, before and after."""
    broker_clear()


@pytest.mark.usefixtures("empty_stream")
def test_a_full_stream_refuses_and_postgres_takes_the_batch(settings: Settings) -> None:
    settings.INBOX, settings.INBOX_MB = "valkey", 1
    note = {"note": "x" * 3_900}
    sent = 0
    while not Interaction.objects.exists():
        result = event_accept_rows(rows=[event(context=note) for _ in range(50)], source="test")
        assert result.accepted == 50
        sent += 50
        assert sent < 1_000, "the stream never became full"
    inbox = stream()
    assert 0 < int(inbox.client.get(inbox.bytes)) <= 1_000_000
    with pytest.raises(InboxAway, match="INBOXFULL"):
        ValkeyInbox().append(Batch(["x"], [b"y" * 900_000]))
    Consumer(should_stop=lambda: True).step()
    assert Interaction.objects.count() == sent
    assert int(inbox.client.get(inbox.bytes)) == 0
    broker_clear()


@pytest.mark.usefixtures("empty_stream")
def test_exposures_of_an_outage_are_drained_once() -> None:
    row = ExposureRow(
        request_id=uuid.uuid4(), served_at=clock.now(), placement="home", product_ids=[1, 2],
        sources=["als", "als"], propensities=[1.0, 1.0], rung="memory",
    )  # fmt: skip
    exposures_add_to_stream(exposures=[row])
    inbox = stream()
    entries = inbox.client.xrange(inbox.exposures)
    assert Consumer(should_stop=lambda: True).step() == 1
    assert Exposure.objects.get().request_id == row.request_id
    taken_store(exposures_take(entries), exposures_store)  # as after a death before the entry was let go
    assert Exposure.objects.count() == 1
    assert inbox.client.xlen(inbox.exposures) == 0


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_file_of_events_is_stored_once(tmp_path: Path, suffix: str) -> None:
    rows = [event("purchase", quantity=2, price=9.9), event("search", sku="", query="1"), event("dance")]
    path = tmp_path / f"events.{suffix}"
    if suffix == "jsonl":
        path.write_bytes(b"\n".join(orjson.dumps(row) for row in rows))
    elif suffix == "csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    else:
        pd.DataFrame(rows).to_parquet(path)
    for expected in ("2 stored, 0 were there", "0 stored, 2 were there"):
        out, complaints = StringIO(), StringIO()
        call_command("import_events", path, stdout=out, stderr=complaints)
        assert expected in out.getvalue()
        assert f"line {4 if suffix == 'csv' else 3}: kind: 'dance'" in complaints.getvalue()
    assert set(Interaction.objects.values_list("query", "quantity")) == {("", 2.0), ("1", 1.0)}
    assert settings.INBOX == "postgres"


@pytest.mark.usefixtures("empty_stream")
def test_health_tells_when_nobody_drains_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    assert health.inbox_check().state == "ok"
    ValkeyInbox().append(Batch(["x"], [b"y"]))
    monkeypatch.setattr(health, "INBOX_SLOW_SECONDS", 0.0)
    time.sleep(0.01)
    assert health.inbox_check().state == "down"
    Consumer(should_stop=lambda: True).step()
    check = health.inbox_check()
    assert (check.state, check.message[:2]) == ("warn", "1 ")  # the line was none
    broker_clear()
