"""First run of an empty shop: steps that tick themselves."""

import pytest

from apps.accounts.models import User
from apps.accounts.selectors import shop_settings_forget, shop_settings_get
from apps.merchandising.models import Placement
from apps.training.models import Recipe
from tests.factories.shop import products_make
from tests.portal.test_settings import logged_in

pytestmark = pytest.mark.django_db
SHOP = {"name": "Teapot", "currency": "GBP", "time_zone": "Europe/London", "languages": ["en", "zh-hans"]}


@pytest.fixture(autouse=True)
def fresh_settings() -> None:
    """The settings are cached for two seconds; a test starts with an empty shop."""
    shop_settings_forget()


def test_an_empty_shop_starts_with_its_steps(adam: User) -> None:
    client = logged_in(adam)
    assert client.get("/")["Location"] == "/start/"
    page = client.get("/start/").content.decode()
    assert "0 of 5 steps done." in page
    assert "Set up the shop" in page


def test_setting_up_makes_placements_and_recipes(adam: User) -> None:
    client = logged_in(adam)
    assert client.post("/start/save/", SHOP)["Location"] == "/start/"
    facts = shop_settings_get()
    assert (facts.name, facts.currency, facts.languages) == ("Teapot", "GBP", ("en", "zh-hans"))
    assert facts.set_up_at is not None
    assert set(Placement.objects.values_list("code", flat=True)) == {
        "home",
        "product",
        "cart",
        "trending",
        "new",
        "together",
        "viewed",
        "again",
        "promotion",
        "sponsored",
        "category",
        "search",
    }
    assert Recipe.objects.filter(active=True).count() == 8
    assert client.get("/").status_code == 200
    assert "1 of 5 steps done." in client.get("/start/").content.decode()


def test_a_step_ticks_itself_when_its_result_is_there(adam: User) -> None:
    client = logged_in(adam)
    client.post("/start/save/", SHOP)
    products_make("a", "b")
    assert "2 of 5 steps done." in client.get("/start/").content.decode()
    assert "3 steps are left" in client.get("/").content.decode()


def test_a_wrong_zone_leaves_the_shop_as_it_was(adam: User) -> None:
    page = logged_in(adam).post("/start/save/", {**SHOP, "time_zone": "London"}).content.decode()
    assert "There is no such time zone" in page
    assert shop_settings_get().set_up_at is None


def test_others_see_the_steps_but_cannot_take_them(maya: User) -> None:
    client = logged_in(maya)
    page = client.get("/start/").content.decode()
    assert "waits for a colleague with the right role" in page
    assert "Set up the shop" not in page
    assert client.post("/start/save/", SHOP).status_code == 403
    assert not Placement.objects.exists()
