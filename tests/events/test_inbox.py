"""Acknowledged is kept: the web server, the consumer, Valkey and Postgres as real processes that go away."""

import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis
from django.conf import settings
from django.db import connection, connections, transaction

from apps.accounts.services import api_client_create
from apps.events.models import Interaction, SetAside
from apps.events.stream import Stream
from recoportal.databases import database_url_with_name
from tests.factories.shop import event
from tests.gates import Gate
from tests.processes import RealProcess, process_start

Started = Callable[..., RealProcess]


class Shop:
    """A storefront that reports events and remembers which were acknowledged."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key
        self.acknowledged: set[str] = set()

    def post(self, *rows: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Post a batch; returns status and body."""
        request = urllib.request.Request(
            f"{self.url}/api/v1/events",
            data=orjson.dumps({"events": rows}),
            headers={"Authorization": f"Api-Key {self.key}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                body: dict[str, Any] = orjson.loads(answer.read())
                refused = {error["index"] for error in body["rejected"]}
                self.acknowledged |= {
                    row["client_event_id"] for place, row in enumerate(rows) if place not in refused
                }
                return answer.status, body
        except urllib.error.HTTPError as error:
            return error.code, orjson.loads(error.read())


@pytest.fixture
def consumer_start(committed_db: None, tmp_path: Path) -> Iterator[Started]:
    """Give `start()`: a real consumer, ready when the call returns."""
    started: list[RealProcess] = []

    def start(**extra: str) -> RealProcess:
        process = process_start(
            ["manage.py", "consume_events"], tmp_path / f"inbox{len(started)}.log", **extra
        )
        started.append(process)
        process.wait_until("the consumer", lambda: " ready." in process.log)
        return process

    yield start
    for process in started:
        process.stop()


@pytest.fixture
def gated(committed_db: None) -> Iterator[tuple[Gate, Gate, dict[str, str]]]:
    """Gates before Postgres and Valkey, and the environment of children that go through them."""
    database = connections["default"].settings_dict
    host, port = settings.REDIS_URL.rpartition("@")[2].split("/")[0].split(":")
    with (
        Gate(database["HOST"] or "127.0.0.1", int(database["PORT"])) as postgres,
        Gate(host, int(port)) as valkey,
    ):
        url = os.environ["DATABASE_URL"].replace(f":{database['PORT']}/", f":{postgres.port}/")
        yield (
            postgres,
            valkey,
            {
                "DATABASE_URL": database_url_with_name(url, settings.SHOP_NAME),
                "REDIS_URL": settings.REDIS_URL.replace(f":{port}/", f":{valkey.port}/"),
                "RECOPORTAL_INBOX": "valkey",
                "RECOPORTAL_DB_POOL_TIMEOUT": "1",
            },
        )


def stored() -> list[str]:
    """Client event ids of all stored events, as often as they are stored."""
    return sorted(Interaction.objects.values_list("client_event_id", flat=True))


def more_stored(number: int) -> bool:
    """Whether more than this many events are stored."""
    return len(stored()) > number


def wait_for(what: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def all_found(shop: Shop) -> None:
    """Every acknowledged event is stored, once."""
    wait_for(lambda: set(stored()) >= shop.acknowledged)
    assert stored() == sorted(shop.acknowledged)


@pytest.fixture
def shop_start(live_site_start: Started) -> Callable[..., Shop]:
    """Give `start(**environment)`: a shop that reports to a site of its own."""

    def start(**extra: str) -> Shop:
        _client, key = api_client_create(name="shop", scopes=["events"], requests_per_minute=1_000_000)
        shop = Shop(live_site_start(**extra).url, key)
        assert shop.post(event())[0] == 200  # keys and kinds are known now
        return shop

    return start


def test_events_wait_for_postgres_and_are_stored_once(
    shop_start: Callable[..., Shop], consumer_start: Started, gated: tuple[Gate, Gate, dict[str, str]]
) -> None:
    postgres, valkey, environment = gated
    shop = shop_start(**environment)
    consumer = consumer_start(**environment)
    all_found(shop)

    postgres.shut()
    repeated = event()
    for number in range(20):
        status, body = shop.post(event(), repeated, event("dance"))
        assert status == 200
        assert (body["accepted"], body["duplicates"]) == ((2, 0) if number == 0 else (1, 1))
        assert [error["field"] for error in body["rejected"]] == ["kind"]
    assert len(stored()) == 1
    postgres.open()
    all_found(shop)

    valkey.shut()  # Postgres takes them now
    status, body = shop.post(event(), event())
    assert (status, body["accepted"]) == (200, 2)
    assert set(stored()) >= shop.acknowledged

    postgres.shut()
    status, body = shop.post(event())
    assert status == 503
    assert body["error"]["code"] == "unavailable"
    assert "Nothing of this request was accepted" in body["error"]["message"]
    postgres.open()
    valkey.open()
    assert consumer.popen.poll() is None
    wait_for(lambda: shop.post(event())[0] == 200)
    all_found(shop)


def test_a_killed_consumer_costs_nothing_and_doubles_nothing(
    shop_start: Callable[..., Shop], consumer_start: Started
) -> None:
    shop = shop_start(RECOPORTAL_INBOX="valkey")
    stop = threading.Event()

    def report() -> None:
        while not stop.is_set():
            shop.post(*(event() for _ in range(20)))
            time.sleep(0.05)  # enough to keep the consumer busy, few enough to wait for

    reporter = threading.Thread(target=report)
    reporter.start()
    try:
        for _ in range(2):
            consumer = consumer_start()
            before = len(stored())
            wait_for(partial(more_stored, before + 100))
            consumer.kill()
    finally:
        stop.set()
        reporter.join()
    assert len(shop.acknowledged) > 200
    consumer_start()
    all_found(shop)
    inbox = Stream(settings.REDIS_URL, settings.SHOP_NAME)
    wait_for(lambda: inbox.client.xlen(inbox.events) == 0)
    assert int(inbox.client.get(inbox.bytes)) == 0


def test_an_event_stays_in_the_stream_until_it_is_stored(consumer_start: Started) -> None:
    """The consumer dies between taking and storing: a lock holds it there."""
    inbox = Stream(settings.REDIS_URL, settings.SHOP_NAME)
    waiting = event()
    inbox.client.xadd(inbox.events, {"event": orjson.dumps(waiting)})
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE events_eventkey, events_interaction IN ACCESS EXCLUSIVE MODE")
        consumer = consumer_start()
        cursor.execute("SELECT pg_backend_pid()")
        (own,) = cursor.fetchone()

        def is_held() -> bool:
            cursor.execute(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid)))", [own]
            )
            return bool(cursor.fetchone()[0])

        wait_for(is_held)
        consumer.kill()
    assert stored() == []
    assert inbox.client.xlen(inbox.events) == 1
    consumer_start()
    wait_for(lambda: inbox.client.xlen(inbox.events) == 0)
    assert stored() == [waiting["client_event_id"]]


def test_what_others_add_is_checked_and_the_bad_is_set_aside(consumer_start: Started) -> None:
    inbox = Stream(settings.REDIS_URL, settings.SHOP_NAME)
    good, other = event(), event()
    inbox.client.xadd(inbox.events, {"event": orjson.dumps(good), "source": "till"})
    inbox.client.xadd(inbox.events, {"events": orjson.dumps([event("dance"), other])})
    inbox.client.xadd(inbox.events, {"event": b"{"})
    inbox.client.xadd(inbox.events, {"lines1": b"broken\tline\n"})
    inbox.client.xadd(inbox.events, {"something": b"else"})
    consumer_start()
    wait_for(lambda: inbox.client.xlen(inbox.events) == 0)
    assert stored() == sorted([good["client_event_id"], other["client_event_id"]])
    assert SetAside.objects.count() == 4
    assert set(SetAside.objects.values_list("field", flat=True)) == {"kind", "event", "lines1"}


def test_a_strict_inbox_waits_for_the_disk(shop_start: Callable[..., Shop]) -> None:
    """The file never reaches the disk: the stream does not acknowledge, and Postgres takes the event."""
    broker = redis.Redis.from_url(settings.REDIS_URL)
    assert broker.config_get("appendfsync")["appendfsync"] == "no"
    shop = shop_start(RECOPORTAL_INBOX="valkey", RECOPORTAL_INBOX_STRICT="1")
    assert stored() == sorted(shop.acknowledged)
    broker.config_set("appendfsync", "always")
    try:
        wait_for(lambda: shop.post(event())[0] == 200 and set(stored()) < shop.acknowledged)
    finally:
        broker.config_set("appendfsync", "no")
