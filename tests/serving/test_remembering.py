"""Exposures: none is lost because another one is bad, or because the database refuses for a moment."""

from dataclasses import replace

import pytest
from django.db import connection

from apps.events.exposures import ExposureRow
from apps.events.models import Exposure
from apps.serving import memory, remembering
from apps.serving.models import ListScope
from apps.serving.pipeline import exposure_of, recommend
from apps.serving.remembering import exposure_remember
from apps.serving.slate import Slate, SlateRequest
from tests.gates import Gate
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
    remembering._waiting.extend(exposure_of(slate) for slate in slates)
    remembering._waiting[place] = bad(slates[place])
    exposure_remember(slate := slate_make())
    kept = {one.request_id for one in [*slates, slate]} - {slates[place].request_id}
    assert set(Exposure.objects.values_list("request_id", flat=True)) == kept
    assert not remembering._waiting


@pytest.mark.django_db
@pytest.mark.usefixtures("home")
def test_rows_wait_while_the_database_refuses_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    slates = [slate_make() for _ in range(4)]
    exposure_remember(slates[0])
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE events_exposure RENAME TO elsewhere")
        exposure_remember(slates[1])
        exposure_remember(slates[2])
        cursor.execute("ALTER TABLE elsewhere RENAME TO events_exposure")
    assert [row.request_id for row in remembering._waiting] == [one.request_id for one in slates[1:3]]
    monkeypatch.setattr(remembering, "_retry_at", 0.0)
    exposure_remember(slates[3])
    assert Exposure.objects.count() == 4
    assert not remembering._waiting


def test_a_process_that_knows_nothing_any_more_still_does_not_raise(database_gate: Gate, home: None) -> None:
    slate = slate_make()
    database_gate.shut()
    memory.memory_forget()
    exposure_remember(slate)
    assert len(remembering._waiting) == 1
    database_gate.open()
    connection.close()
    memory.memory_forget()
    remembering._retry_at = 0.0
    exposure_remember(slate_make())
    assert Exposure.objects.count() == 2
