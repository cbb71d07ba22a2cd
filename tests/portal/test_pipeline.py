"""Pipeline: six stages as one picture, and the health of what they stand on."""

import pytest

from apps.accounts.models import User
from apps.events.models import ImportReport
from apps.portal.pages.pipeline import ICONS, explained
from tests.factories.shop import event, events_record, products_make
from tests.portal.test_settings import logged_in

pytestmark = pytest.mark.django_db
STAGES = ("collect", "clean", "features", "train", "deploy", "evaluate")


def test_an_empty_shop_shows_every_stage_as_not_run(ana: User) -> None:
    page = logged_in(ana).get("/pipeline/").content.decode()
    for code in STAGES:
        assert f'id="stage-{code}"' in page
    assert page.count("not run yet") == 6
    assert "Database" in page


def test_the_picture_alone_is_asked_for_again(ana: User) -> None:
    products_make("p1")
    events_record(event("view", sku="p1"))
    ImportReport.objects.create(
        name="history", path="/x", counts={"rows": 1200}, skipped={"no sku": 34}, seconds=2.5
    )
    page = logged_in(ana).get("/pipeline/picture/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in page
    clean = page[page.index('id="stage-clean"') : page.index('id="stage-features"')]
    for text in ("1,166", "1,200", "34", "2.5 s"):
        assert text in clean, text


def test_every_stage_has_its_icon_and_words() -> None:
    assert tuple(ICONS) == STAGES
    assert all(explained(code) for code in STAGES)
