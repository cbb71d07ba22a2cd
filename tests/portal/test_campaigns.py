"""Campaigns in the browser: who may make one, what is refused, what the page says."""

from collections.abc import Callable

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.accounts.roles import roles_sync
from apps.merchandising.models import Campaign
from tests.factories.shop import products_make

pytestmark = pytest.mark.django_db
FACTS = {
    "name": "Spring lamps",
    "sponsor": "Lumen",
    "skus": "LAMP-1,\n LAMP-2",
    "bid": "0.40",
    "daily_budget": "25",
    "starts_at": "2026-01-01T08:00",
    "active": "on",
}


@pytest.fixture(autouse=True)
def shop() -> None:
    roles_sync()
    products_make("LAMP-1", "LAMP-2")


def test_a_merchandiser_makes_and_changes_a_campaign(maya: User, client_of: Callable[[User], Client]) -> None:
    browser = client_of(maya)
    assert "No sponsor pays" in browser.get("/campaigns/").content.decode()
    assert "Bid per click" in browser.get("/campaigns/new/").content.decode()
    assert browser.post("/campaigns/add/", FACTS).status_code == 302
    made = Campaign.objects.get()
    assert (made.name, made.skus) == ("Spring lamps", ["LAMP-1", "LAMP-2"])
    text = browser.get("/campaigns/").content.decode()
    assert "Spring lamps" in text
    assert "Running" in text
    dialog = browser.get(f"/campaigns/{made.pk}/").content.decode()
    assert "LAMP-1, LAMP-2" in dialog
    changed = {**FACTS, "bid": "0.60"}
    del changed["active"]
    browser.post(f"/campaigns/{made.pk}/save/", changed)
    made.refresh_from_db()
    assert (str(made.bid), made.active) == ("0.60", False)
    assert "Switched off" in browser.get("/campaigns/").content.decode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"skus": "NOWHERE"}, "Name products of the catalogue"),
        ({"daily_budget": "0.10"}, "at least the bid"),
        ({"ends_at": "2025-01-01T08:00"}, "after the start"),
        ({"bid": ""}, "required"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    maya: User, client_of: Callable[[User], Client], change: dict[str, str], words: str
) -> None:
    answer = client_of(maya).post("/campaigns/add/", FACTS | change)
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not Campaign.objects.exists()


def test_others_look_only(ana: User, client_of: Callable[[User], Client]) -> None:
    browser = client_of(ana)
    assert "New campaign" not in browser.get("/campaigns/").content.decode()
    assert browser.post("/campaigns/add/", FACTS).status_code == 403
    assert not Campaign.objects.exists()
