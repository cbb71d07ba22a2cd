"""The demo storefront: closed until an admin opens it, its pages, its language, its content policy."""

import json
import re

import pytest
from django.test import Client

from apps.accounts.models import ApiClient, User
from apps.accounts.services import api_client_revoke
from apps.catalog.models import Category
from apps.portal.storefront import storefront_key, storefront_open
from tests.portal.small_shop import SmallShop, small_shop_make

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> SmallShop:
    return small_shop_make()


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_it_is_closed_until_an_admin_opens_it(shop: SmallShop, adam: User, maya: User) -> None:
    assert Client().get("/storefront/").status_code == 302, "visitors see nothing of it"
    assert b"An admin can open it" in logged_in(maya).get("/storefront/").content
    assert logged_in(maya).post("/storefront/open/").status_code == 403
    assert storefront_key() == ""
    assert logged_in(adam).post("/storefront/open/").status_code == 302
    key = storefront_key()
    assert f'data-key="{key}"' in Client().get("/storefront/").content.decode()
    client = ApiClient.objects.get()
    assert (client.origins, client.scopes) == ([], ["events", "recommend"])
    api_client_revoke(client_id=client.pk)
    assert Client().get("/storefront/").status_code == 302
    assert storefront_open() not in ("", key), "a revoked key stays worthless"


def test_every_page_of_the_shop(shop: SmallShop, maya: User) -> None:
    storefront_open()
    visitor = Client()
    path = Category.objects.get(path="Home > Mugs").path
    pages = {
        "/storefront/": 'data-shelf="shopper"',
        f"/storefront/category/?path={path}": 'data-path="Home &gt; Mugs"',
        "/storefront/product/P05/": "Only a few left",
        "/storefront/cart/": "data-order",
        "/storefront/search/?q=lamp": "Found for “lamp”",
        "/storefront/search/?q=zzzzqqq": "Nothing was found",
    }
    for address, sign in pages.items():
        answer = visitor.get(address)
        assert answer.status_code == 200, address
        assert sign in answer.content.decode(), address
        policy = answer["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert not re.search(
            r"<script(?![^>]*(src=|application/json))|\son\w+=|style=", answer.content.decode()
        )
    found = re.search(r'id="found"[^>]*>(.*?)<', visitor.get("/storefront/search/?q=lamp").content.decode())
    assert found
    assert {shop.title(sku).split()[1] for sku in json.loads(found[1])} == {"Lamp"}
    for address in ("/storefront/product/none/", "/storefront/category/?path=none"):
        assert visitor.get(address).status_code == 404


def test_shoppers_are_shown_to_staff_only(shop: SmallShop, maya: User) -> None:
    storefront_open()
    assert "shopper-1" not in Client().get("/storefront/").content.decode()
    page = logged_in(maya).get("/storefront/").content.decode()
    assert "shopper-1" in page
    assert 'data-inspect-url="/inspect/"' in page
    assert 'href="/storefront/"' in logged_in(maya).get("/history/").content.decode(), "a link in the menu"


def test_it_speaks_the_visitors_language_and_remembers_it(shop: SmallShop) -> None:
    storefront_open()
    visitor = Client()
    assert "为您推荐" in visitor.get("/storefront/?lang=zh-hans").content.decode()
    page = visitor.get("/storefront/cart/").content.decode()
    assert '<html lang="zh-hans">' in page
    assert "您的购物车" in page
    assert "Your cart" in visitor.get("/storefront/cart/?lang=en").content.decode()
