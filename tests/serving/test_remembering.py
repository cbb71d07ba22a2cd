"""Exposures: none is lost because another one is bad, or because the database refuses for a moment."""

import os
import re
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import replace

import orjson
import pytest
from django.conf import settings as settings_of_django
from django.db import DatabaseError, OperationalError, connection
from pytest_django.fixtures import Settings

from apps.accounts.services import api_client_create
from apps.events.consuming import Consumer
from apps.events.exposures import ExposureRow
from apps.events.models import Exposure
from apps.serving import memory, remembering
from apps.serving.models import ListScope
from apps.serving.pipeline import exposure_of, recommend
from apps.serving.remembering import BUFFER, ExposureBuffer, exposure_remember, exposures_flush
from apps.serving.slate import Slate, SlateRequest
from recoportal.databases import database_url_with_name
from tests.gates import Gate
from tests.processes import RealProcess, free_port
from tests.serving.shop import SKUS, catalogue_make, home_make, version_make


def slate_make() -> Slate:
    return recommend(SlateRequest(placement="home", n=3))


@pytest.fixture
def home() -> None:
    catalogue_make()
    version_make("popular", {(ListScope.EVERYONE, 0): SKUS})
    home_make({"popular": 1.0})


def bad(slate: Slate) -> ExposureRow:
    return replace(exposure_of(slate), rung="longer than twenty characters")


@pytest.mark.django_db
@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("place", [0, 2, 5])
def test_a_row_that_can_not_be_stored_is_lost_alone(place: int) -> None:
    slates = [slate_make() for _ in range(6)]
    for number, slate in enumerate(slates):
        BUFFER.add(bad(slate) if number == place else exposure_of(slate))
    assert exposures_flush() == 5
    kept = {one.request_id for one in slates} - {slates[place].request_id}
    assert set(Exposure.objects.values_list("request_id", flat=True)) == kept
    assert (len(BUFFER), BUFFER.dropped) == (0, 1)


@pytest.mark.django_db
@pytest.mark.usefixtures("home")
def test_rows_wait_in_order_while_the_database_refuses_them_all() -> None:
    slates = [slate_make() for _ in range(4)]
    exposure_remember(slates[0])
    assert exposures_flush() == 1
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE events_exposure RENAME TO elsewhere")
        for slate in slates[1:3]:
            exposure_remember(slate)
            with pytest.raises(DatabaseError):
                exposures_flush()
        cursor.execute("ALTER TABLE elsewhere RENAME TO events_exposure")
    assert [row.request_id for row in BUFFER.waiting()] == [one.request_id for one in slates[1:3]]
    exposure_remember(slates[3])
    assert exposures_flush() == 3
    assert Exposure.objects.count() == 4
    assert BUFFER.dropped == 0


@pytest.mark.django_db
@pytest.mark.usefixtures("home")
def test_a_full_buffer_drops_the_oldest_and_counts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembering, "WAITING_MAX", 3)
    slates = [slate_make() for _ in range(5)]
    for slate in slates:
        exposure_remember(slate)
    assert BUFFER.dropped == 2
    assert [row.request_id for row in BUFFER.waiting()] == [one.request_id for one in slates[2:]]
    taken = BUFFER._take()
    exposure_remember(slates[0])
    BUFFER._return(taken)
    assert BUFFER.dropped == 3
    assert [row.request_id for row in BUFFER.waiting()] == [
        one.request_id for one in [*slates[3:], slates[0]]
    ]


def test_the_writer_stores_by_itself_and_once(committed_db: None, home: None) -> None:
    buffer = ExposureBuffer()
    rows = [exposure_of(slate_make()) for _ in range(20)]
    threads = [threading.Thread(target=buffer.add, args=(row,)) for row in rows]
    for thread in threads:
        thread.start()
    for _ in range(400):
        if Exposure.objects.count() == 20:
            break
        threading.Event().wait(0.02)
    assert sorted(Exposure.objects.values_list("request_id", flat=True)) == sorted(
        row.request_id for row in rows
    )
    assert sum(thread.name == "exposure-writer" for thread in threading.enumerate()) == 1
    buffer.in_background = False


def stream_drain() -> None:
    stopping = iter([False, True])
    Consumer(should_stop=lambda: next(stopping)).run()


def test_while_both_are_away_rows_wait_and_are_stored_once(
    database_gate: Gate, home: None, settings: Settings
) -> None:
    slate = slate_make()
    database_gate.shut()
    memory.memory_forget()  # a process that knows nothing any more does not raise either
    exposure_remember(slate)
    there, settings.REDIS_URL = settings.REDIS_URL, f"redis://127.0.0.1:{free_port()}"
    with pytest.raises(OperationalError):
        exposures_flush()
    assert len(BUFFER) == 1
    settings.REDIS_URL = there
    assert exposures_flush() == 1
    assert len(BUFFER) == 0
    database_gate.open()
    connection.close()
    memory.memory_forget()
    stream_drain()
    assert [row.request_id for row in Exposure.objects.all()] == [slate.request_id]


def test_a_row_whose_answer_was_lost_is_not_stored_again(
    database_gate: Gate, home: None, settings: Settings
) -> None:
    slates = [slate_make() for _ in range(2)]
    exposure_remember(slates[0])
    assert exposures_flush() == 1
    for slate in slates:  # as if the connection had broken after the first was stored
        exposure_remember(slate)
    there, settings.REDIS_URL = settings.REDIS_URL, f"redis://127.0.0.1:{free_port()}"
    connection.close()
    database_gate.shut()
    with pytest.raises(OperationalError):
        exposures_flush()
    database_gate.open()
    exposures_flush()
    settings.REDIS_URL = there
    assert {row.request_id for row in Exposure.objects.all()} == {slate.request_id for slate in slates}
    assert Exposure.objects.count() == 2


def test_what_waits_at_the_end_of_a_process_goes_to_the_stream(
    database_gate: Gate, home: None, live_site_start: Callable[..., RealProcess]
) -> None:
    """Postgres is away when the web server is told to stop."""
    _, key = api_client_create(name="shop", scopes=["recommend"])
    name = database_url_with_name(os.environ["DATABASE_URL"], settings_of_django.SHOP_NAME)
    port = connection.settings_dict["PORT"]
    site = live_site_start(DATABASE_URL=re.sub(r":[0-9]+/", f":{port}/", name))
    request_ids = set()
    for number in range(12):
        if number == 6:
            database_gate.shut()
        headers = {"Authorization": f"Api-Key {key}"}
        url = f"{site.url}/api/v1/recommendations/home?shopper=s{number}&n=2"
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
            body = orjson.loads(answer.read())
        request_ids.add(body["request_id"])
    assert body["rung"] == "memory"
    site.stop()
    database_gate.open()
    connection.close()
    stream_drain()
    stored = [str(row.request_id) for row in Exposure.objects.all()]
    assert sorted(stored) == sorted(request_ids)
