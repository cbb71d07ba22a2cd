"""Inspect: timeline, slate, why here, why not here."""

import html
import re
from collections.abc import Callable

import pytest
from django.test import Client, RequestFactory

from apps.accounts.models import AuditEntry, User
from apps.events.models import Shopper
from apps.merchandising.models import Placement
from apps.merchandising.services import draft_save, publication_publish
from apps.portal.context_bar import PageContext
from apps.portal.drafts import draft_of
from apps.portal.slates import slate_live
from tests.portal.small_shop import SmallShop, small_shop_make

ClientOf = Callable[[User], Client]
pytestmark = pytest.mark.django_db
HOME = "?placement=home&shopper=shopper-1"


@pytest.fixture
def shop(db: None) -> SmallShop:
    return small_shop_make()


def shown() -> list[str]:
    view = slate_live(PageContext.of(RequestFactory().get(f"/{HOME}")))
    return [card.item.sku for card in view.cards]


def test_timeline_stands_beside_the_slate(client_of: ClientOf, ana: User, shop: SmallShop) -> None:
    body = client_of(ana).get(f"/inspect/{HOME}").content.decode()
    assert "put in the cart" in body
    assert "“blue mug”" in body
    assert body.count("data-slate-card") == 12
    assert "own lists" in body


def test_timeline_stops_at_the_moment_looked_at(client_of: ClientOf, ana: User, shop: SmallShop) -> None:
    body = client_of(ana).get(f"/inspect/{HOME}&at=2020-01-01T00:00").content.decode()
    assert "done nothing up to this moment" in body


def test_why_here_says_words_then_figures(client_of: ClientOf, ana: User, shop: SmallShop) -> None:
    body = client_of(ana).get(f"/slate/why/{HOME}&sku={shown()[0]}").content.decode()
    assert "Why position 1?" in body
    assert "before any rule" in body
    assert "× weight" in body


def test_why_here_names_the_rule(client_of: ClientOf, ana: User, shop: SmallShop) -> None:
    absent = next(sku for sku in shop.products if sku not in shown())
    rule = {"id": "r1", "kind": "pin", "position": 2, "target": {"type": "product", "skus": [absent]}}
    draft_save(placement=shop.home, revision=0, rules=[rule])
    body = client_of(ana).get(f"/slate/why/{HOME}&view=draft&sku={absent}").content.decode()
    assert f"‘Pin “{shop.title(absent)}” to position 2’ brought it here" in body


def test_why_not_names_the_first_gate(client_of: ClientOf, ana: User, shop: SmallShop) -> None:
    client = client_of(ana)
    first = shown()[0]
    assert "It is here, at position 1." in client.get(f"/slate/why-not/{HOME}&sku={first}").content.decode()
    rule = {"id": "r1", "kind": "hide", "target": {"type": "product", "skus": [first]}}
    draft_save(placement=shop.home, revision=0, rules=[rule])
    body = client.get(f"/slate/why-not/{HOME}&view=draft&sku={first}").content.decode()
    assert "It is hidden by ‘Hide “" in body


def test_why_not_counts_places_behind_the_page(client_of: ClientOf, ana: User, shop: SmallShop) -> None:
    client = client_of(ana)
    answers = [
        client.get(f"/slate/why-not/{HOME}&sku={sku}").content.decode()
        for sku in shop.products
        if sku not in shown()
    ]
    assert any("It ranks 13, behind the last place shown (12)." in body for body in answers)


def test_item_and_cart_placements_show_what_they_start_from(
    client_of: ClientOf, ana: User, shop: SmallShop
) -> None:
    client = client_of(ana)
    assert "The product" in client.get("/inspect/?placement=product&items=P01").content.decode()
    assert "The cart" in client.get("/inspect/?placement=cart&items=P01,P02").content.decode()


def test_unknown_shopper_and_nobody_are_explained(client_of: ClientOf, ana: User, shop: SmallShop) -> None:
    client = client_of(ana)
    assert (
        "The shop has never seen x-9" in client.get("/inspect/?placement=home&shopper=x-9").content.decode()
    )
    assert "No shopper is chosen" in client.get("/inspect/?placement=home").content.decode()


def test_search_as_you_type(client_of: ClientOf, ana: User, shop: SmallShop) -> None:
    client = client_of(ana)
    assert 'data-value="shopper-3"' in client.get("/find/shoppers/?q=er-3").content.decode()
    assert 'data-value="P07"' in client.get("/find/products/?q=P07").content.decode()


def test_surprise_keeps_the_context(client_of: ClientOf, ana: User, shop: SmallShop) -> None:
    answer = client_of(ana).get("/find/surprise/?placement=home&next=/weights/")
    assert answer["Location"].startswith("/weights/?placement=home&shopper=shopper-")


@pytest.mark.parametrize("onward", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_surprise_never_leaves_the_site(client_of: ClientOf, ana: User, shop: SmallShop, onward: str) -> None:
    answer = client_of(ana).get("/find/surprise/", {"next": onward})
    assert answer["Location"].startswith("/inspect/")


def test_empty_shop_is_no_error(client_of: ClientOf, adam: User, db: None) -> None:
    from apps.merchandising.models import Placement

    Placement.objects.all().delete()
    assert "No placement yet" in client_of(adam).get("/inspect/").content.decode()


def test_a_second_slate_stands_beside_the_first(client_of: ClientOf, ana: User, shop: SmallShop) -> None:
    client = client_of(ana)
    alone = client.get(f"/inspect/{HOME}").content.decode()
    assert "Compare with" in alone
    assert "Beside it" not in alone
    body = client.get(f"/inspect/{HOME}&versus=source:popular").content.decode()
    assert "Beside it: Popularity alone" in body
    assert body.count("data-slate-card") == 24
    assert "versus=source%3Apopular" in body, "links carry the comparison on"
    asked = re.search(r'hx-get="(/slate/why/[^"]*view=versus&sku=\w+)"', body)
    assert asked is not None
    why = client.get(html.unescape(asked[1])).content.decode()
    assert "Popularity" in why
    assert "Product links" not in why
    # An old link to what is gone shows the slate alone.
    for gone in ("publication:99", "source:gone", "publication:x"):
        assert "Beside it" not in client.get(f"/inspect/{HOME}&versus={gone}").content.decode()


def test_two_publications_stand_side_by_side(client_of: ClientOf, maya: User, shop: SmallShop) -> None:
    for weights in ({"popular": 1.0}, {"ease": 1.0}):
        revision = draft_of(Placement.objects.get(code="home")).revision
        draft_save(placement=shop.home, weights=weights, revision=revision, actor=maya)
        publication_publish(placement=shop.home, actor=maya)
    client = client_of(maya)
    live = Placement.objects.select_related("live_publication").get(code="home").live_publication
    assert live is not None
    body = client.get(f"/inspect/{HOME}").content.decode()
    assert f'<option value="publication:{live.number - 1}"' in body
    assert f'<option value="publication:{live.number}"' not in body, "live is not compared with itself"
    body = client.get(f"/inspect/{HOME}&versus=publication:{live.number - 1}").content.decode()
    assert f"Beside it: Publication {live.number - 1}" in body
    assert body.count("data-slate-card") == 24


def test_a_merchandiser_notes_that_a_shopper_wants_nothing_personal(
    client_of: ClientOf, maya: User, ana: User, shop: SmallShop
) -> None:
    old = Shopper.objects.create(external_id="shopper-1-app", merged_into=shop.shoppers["shopper-1"])
    client, before = client_of(maya), shown()
    dialog = client.get(f"/inspect/wish/{HOME}").content.decode()
    assert 'name="opted_out" value="1"' in dialog
    assert client_of(ana).post(f"/inspect/wish/save/{HOME}", {"opted_out": "1"}).status_code == 403
    assert "/inspect/wish/" not in client_of(ana).get(f"/inspect/{HOME}").content.decode()

    client.post(f"/inspect/wish/save/{HOME}", {"opted_out": "1"})

    assert set(Shopper.objects.filter(opted_out=True).values_list("external_id", flat=True)) == {
        "shopper-1", old.external_id,
    }  # fmt: skip
    assert shown() != before
    body = client.get(f"/inspect/{HOME}").content.decode()
    assert "Nothing personal" in body
    assert "Made from this shopper's own lists" not in html.unescape(body)
    entry = AuditEntry.objects.get(verb="shopper.opt_out")
    assert (entry.actor, entry.object_label, entry.after) == (maya, "shopper-1", {"opted_out": True})

    assert 'name="opted_out" value="0"' in client.get(f"/inspect/wish/{HOME}").content.decode()
    client.post(f"/inspect/wish/save/{HOME}", {"opted_out": "0"})
    assert not Shopper.objects.filter(opted_out=True).exists()
    assert shown() == before
    assert AuditEntry.objects.filter(verb="shopper.opt_in").count() == 1
