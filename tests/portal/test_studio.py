"""Weights, Rules, History: what they show, what they change, and for whom."""

import json
from collections.abc import Callable

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.merchandising.models import Draft, Publication
from tests.portal.small_shop import SmallShop, small_shop_make

ClientOf = Callable[[User], Client]
pytestmark = pytest.mark.django_db
HOME = "?placement=home&shopper=shopper-1"


@pytest.fixture
def shop(db: None) -> SmallShop:
    return small_shop_make()


def revision() -> int:
    return Draft.objects.get(placement__code="home").revision


def weights_form(**weights: float) -> dict[str, str]:
    return {"placement": "home", "revision": str(revision())} | {f"w.{k}": str(v) for k, v in weights.items()}


def pin_form(sku: str, position: int = 1, **fields: str) -> dict[str, str]:
    return {"placement": "home", "revision": str(revision()), "kind": "pin", "target": "product", "skus": sku,
            "position": str(position)} | fields  # fmt: skip


def test_weights_page_has_a_slider_for_each_source(client_of: ClientOf, maya: User, shop: SmallShop) -> None:
    body = client_of(maya).get(f"/weights/{HOME}").content.decode()
    assert body.count("data-slider ") == 8
    assert "Taste match" in body
    assert "standard deviations" in body


def test_first_visit_picks_somebody_to_look_at(client_of: ClientOf, maya: User, shop: SmallShop) -> None:
    answer = client_of(maya).get("/weights/")
    assert answer.status_code == 302
    assert "placement=home&shopper=shopper-" in answer["Location"]


def test_slate_changes_with_the_weights_and_says_how(
    client_of: ClientOf, maya: User, shop: SmallShop
) -> None:
    query = {"placement": "home", "shopper": "shopper-1", "w.popular": "1", "w.ease": "0"}
    body = client_of(maya).get("/weights/slate/", query).content.decode()
    assert "data-announce=" in body
    assert "rp-move" in body
    assert Draft.objects.get(placement__code="home").weights["ease"] != 0


def test_saving_weights_changes_the_draft_only(client_of: ClientOf, maya: User, shop: SmallShop) -> None:
    client = client_of(maya)
    answer = client.post("/weights/save/", weights_form(popular=1.0, ease=0.25))
    assert answer.status_code == 200
    assert "unpublished change" in answer.content.decode()
    assert Draft.objects.get(placement__code="home").weights == {"popular": 1.0, "ease": 0.25}
    assert Publication.objects.filter(placement=shop.home).count() == 1


def test_late_save_is_refused_and_loses_nothing(client_of: ClientOf, maya: User, shop: SmallShop) -> None:
    client = client_of(maya)
    late = weights_form(popular=0.5)
    client.post("/weights/save/", weights_form(popular=1.0))
    answer = client.post("/weights/save/", late, headers={"HX-Request": "true"})
    assert answer.status_code == 409
    assert Draft.objects.get(placement__code="home").weights == {"popular": 1.0}


def test_publish_dialog_says_what_changes(client_of: ClientOf, maya: User, shop: SmallShop) -> None:
    client = client_of(maya)
    client.post("/weights/save/", weights_form(popular=1.0))
    body = client.get(f"/draft/publish/{HOME}").content.decode()
    assert "Popularity: weight from 0.10 to 1.00" in body
    assert "6 of 6 sampled slates change." in body


def test_publish_makes_a_numbered_publication_live(client_of: ClientOf, maya: User, shop: SmallShop) -> None:
    client = client_of(maya)
    client.post("/weights/save/", weights_form(popular=1.0))
    answer = client.post(
        "/draft/publish/now/", {"placement": "home", "revision": revision(), "note": "autumn"}
    )
    assert "Publication 2 of Home page is live." in json.loads(answer["HX-Trigger"])["portal:toast"]["text"]
    shop.home.refresh_from_db()
    assert shop.home.live_publication is not None
    assert shop.home.live_publication.number == 2
    assert shop.home.live_publication.published_by == maya


def test_history_tells_changes_and_returns(client_of: ClientOf, maya: User, shop: SmallShop) -> None:
    client = client_of(maya)
    client.post("/weights/save/", weights_form(popular=1.0))
    client.post("/draft/publish/now/", {"placement": "home", "revision": revision()})
    body = client.get(f"/history/{HOME}").content.decode()
    assert "Popularity: weight from 0.10 to 1.00" in body
    client.post(f"/history/home/1/return/{HOME}")
    shop.home.refresh_from_db()
    assert shop.home.live_publication is not None
    assert shop.home.live_publication.number == 3
    assert "a return to publication 1" in client.get("/history/").content.decode()


def test_rule_is_previewed_before_it_is_kept(client_of: ClientOf, maya: User, shop: SmallShop) -> None:
    query = pin_form("P20", 3, shopper="shopper-1", view="draft")
    body = client_of(maya).get("/rules/slate/", query).content.decode()
    assert "Pinned" in body
    assert shop.title("P20") in body
    assert Draft.objects.get(placement__code="home").rules == []


def test_incomplete_rule_says_what_is_missing(client_of: ClientOf, maya: User, shop: SmallShop) -> None:
    client = client_of(maya)
    assert (
        "Pick a product." in client.get("/rules/slate/", pin_form("", shopper="shopper-1")).content.decode()
    )
    answer = client.post("/rules/save/", pin_form(""))
    assert answer.status_code == 400
    assert "Pick a product." in answer.content.decode()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "pin", "target": "product", "skus": "P20", "position": "3"},
         "Pin “Sand Notebook 20” to position 3"),
        ({"kind": "boost", "target": "brand", "brand": "Acme", "strength": "90"},
         "Boost everything by Acme strongly"),
        ({"kind": "bury", "target": "category", "path": "Home > Mugs", "strength": "10"},
         "Bury everything in Home &gt; Mugs a little"),
        ({"kind": "hide", "target": "tag", "tag": "winter"}, "Hide everything tagged winter"),
        ({"kind": "filter", "field": "price", "op": "lte", "value": "30"}, "the price is at most 30"),
        ({"kind": "limit", "max": "2", "by": "brand"}, "Show at most 2 per brand"),
    ],
)  # fmt: skip
def test_each_kind_is_kept_and_told_in_words(
    client_of: ClientOf, maya: User, shop: SmallShop, fields: dict[str, str], words: str
) -> None:
    client = client_of(maya)
    answer = client.post("/rules/save/", {"placement": "home", "revision": revision()} | fields)
    assert words in answer.content.decode()
    rule = Draft.objects.get(placement__code="home").rules[0]
    form = client.get(f"/rules/form/?placement=home&rule={rule['id']}").content.decode()
    assert "Edit rule" in form


def test_conflicts_are_told_beside_the_rule(client_of: ClientOf, maya: User, shop: SmallShop) -> None:
    client = client_of(maya)
    client.post("/rules/save/", pin_form("P20", 3))
    body = client.post("/rules/save/", pin_form("P21", 3)).content.decode()
    assert "Position 3 is taken already by ‘Pin “Sand Notebook 20” to position 3’" in body


def test_rule_is_switched_off_removed_and_brought_back(
    client_of: ClientOf, maya: User, shop: SmallShop
) -> None:
    client = client_of(maya)
    client.post("/rules/save/", pin_form("P20"))
    rule = Draft.objects.get(placement__code="home").rules[0]
    client.post("/rules/toggle/", {"placement": "home", "revision": revision(), "rule": rule["id"]})
    assert Draft.objects.get(placement__code="home").rules[0]["enabled"] is False
    client.post("/rules/remove/", {"placement": "home", "revision": revision(), "rule": rule["id"]})
    assert Draft.objects.get(placement__code="home").rules == []
    client.post("/rules/restore/", {"placement": "home", "revision": revision(), "undo": json.dumps(rule)})
    assert Draft.objects.get(placement__code="home").rules == [rule]


CHANGES = [
    ("/weights/save/", {"w.popular": "1"}),
    ("/rules/save/", {"kind": "pin", "target": "product", "skus": "P20", "position": "1"}),
    ("/rules/toggle/", {"rule": "x"}),
    ("/rules/remove/", {"rule": "x"}),
    ("/rules/restore/", {"undo": "{}"}),
    ("/draft/publish/now/", {}),
    ("/draft/discard/", {}),
    ("/history/home/1/return/", {}),
]


@pytest.mark.parametrize(("url", "data"), CHANGES)
@pytest.mark.parametrize("who", ["ana", "mel", "otto"])
def test_others_change_nothing(
    client_of: ClientOf,
    request: pytest.FixtureRequest,
    shop: SmallShop,
    who: str,
    url: str,
    data: dict[str, str],
) -> None:
    before = Draft.objects.get(placement__code="home").updated_at, Publication.objects.count()
    answer = client_of(request.getfixturevalue(who)).post(url, {"placement": "home", "revision": "0"} | data)
    assert answer.status_code == 403
    assert (Draft.objects.get(placement__code="home").updated_at, Publication.objects.count()) == before


@pytest.mark.parametrize("url", ["/weights/", "/rules/", "/history/"])
def test_analyst_looks_with_controls_off_and_reason_given(
    client_of: ClientOf, ana: User, shop: SmallShop, url: str
) -> None:
    body = client_of(ana).get(url + HOME).content.decode()
    assert "that needs the merchandiser role" in body
    assert "publish-button" not in body


def test_get_never_changes(client_of: ClientOf, maya: User, shop: SmallShop) -> None:
    for url, _data in CHANGES:
        assert client_of(maya).get(url).status_code == 405


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/weights/save/", {"revision": "two"}),
        ("/weights/save/", {"revision": "9" * 40}),
        ("/rules/toggle/", {"revision": "-", "rule": "r"}),
        ("/draft/publish/now/", {"revision": "1.5"}),
        ("/draft/discard/", {}),
        ("/rules/restore/", {"revision": "0", "undo": "{"}),
        ("/rules/restore/", {"revision": "0", "undo": "[1]"}),
        ("/rules/restore/", {"revision": "0", "undo": '{"id": 7}'}),
        ("/rules/restore/", {"revision": "0", "undo": '{"id": "x"}'}),
        ("/rules/restore/", {"revision": "0", "undo": "[" * 20_000}),
    ],
)
def test_mangled_form_is_told_what_to_mend(
    client_of: ClientOf, maya: User, shop: SmallShop, path: str, fields: dict[str, str]
) -> None:
    before = revision()
    answer = client_of(maya).post(path, {"placement": "home"} | fields)
    assert answer.status_code == 400
    assert revision() == before
