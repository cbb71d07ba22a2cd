"""Settings pages: the shop, its keys, its placements; who may, and that a refusal changes nothing."""

import re

import pytest
from django.test import Client

from apps.accounts.models import ApiClient, AuditEntry, ShopSettings, User
from apps.accounts.services import api_client_create
from apps.merchandising.models import Placement
from apps.merchandising.services import placement_create, placement_update

pytestmark = pytest.mark.django_db


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


SHOP = {
    "name": "Teapot",
    "currency": "GBP",
    "time_zone": "Europe/London",
    "languages": ["en"],
    "attribution_hours": 48,
}


def test_admin_changes_the_shop(adam: User) -> None:
    client = logged_in(adam)
    assert client.get("/settings/").status_code == 200
    assert client.post("/settings/save/", SHOP).status_code == 302
    row = ShopSettings.objects.get(pk=1)
    assert (row.name, row.currency, row.time_zone, row.attribution_hours) == (
        "Teapot",
        "GBP",
        "Europe/London",
        48,
    )
    assert AuditEntry.objects.get().actor == adam


def test_a_wrong_time_zone_is_refused_in_words(adam: User) -> None:
    answer = logged_in(adam).post("/settings/save/", {**SHOP, "time_zone": "Mars/Olympus"})
    assert b"There is no such time zone" in answer.content
    assert not ShopSettings.objects.filter(name="Teapot").exists()


def test_merchandiser_sees_the_shop_but_changes_nothing(maya: User) -> None:
    client = logged_in(maya)
    page = client.get("/settings/").content.decode()
    assert "disabled" in page
    assert "that needs the admin role" in page
    assert client.post("/settings/save/", SHOP).status_code == 403
    assert not ShopSettings.objects.filter(name="Teapot").exists()


@pytest.mark.parametrize("name", ["maya", "ana", "mel", "otto"])
def test_only_admins_reach_keys_and_team(name: str, request: pytest.FixtureRequest) -> None:
    client = logged_in(request.getfixturevalue(name))
    for path in ("/settings/keys/", "/settings/team/"):
        assert client.get(path).status_code == 403
    assert client.post("/settings/keys/new/", {"name": "x", "scopes": ["events"]}).status_code == 403
    assert client.post("/settings/team/invite/", {"email": "a@b.example", "role": "admin"}).status_code == 403
    assert not ApiClient.objects.exists()
    assert not AuditEntry.objects.exists()


def test_a_key_is_shown_once(adam: User) -> None:
    client = logged_in(adam)
    facts = {"name": "Storefront", "scopes": ["recommend"], "requests_per_minute": 600}
    page = client.post("/settings/keys/new/", facts).content.decode()
    key = re.search(r'id="api-key">(rp_[\w-]+)<', page)
    assert key
    stored = ApiClient.objects.get()
    assert key[1].startswith(stored.prefix)
    assert key[1] not in client.get("/settings/keys/").content.decode()


def test_a_key_is_renewed_and_revoked_by_its_name(adam: User) -> None:
    stored, old = api_client_create(name="Storefront", scopes=["recommend"])
    client = logged_in(adam)
    page = client.post(f"/settings/keys/{stored.pk}/rotate/").content.decode()
    assert "The old key stops working" in page
    assert old not in page
    wrong = client.post(
        f"/settings/keys/{stored.pk}/revoke/", {"typed": "Store"}, headers={"HX-Request": "true"}
    )
    assert b"That is not the name" in wrong.content
    assert ApiClient.objects.get().revoked_at is None
    done = client.post(
        f"/settings/keys/{stored.pk}/revoke/", {"typed": "Storefront"}, headers={"HX-Request": "true"}
    )
    assert done["HX-Redirect"] == "/settings/keys/"
    assert ApiClient.objects.get().revoked_at is not None


NEW = {"name": "Footer", "code": "footer", "kind": "shopper", "page_size": 8}


def test_merchandiser_makes_clones_and_archives_a_placement(maya: User) -> None:
    client = logged_in(maya)
    assert client.post("/settings/placements/new/", NEW).status_code == 302
    made = Placement.objects.get(code="footer")
    assert made.live_publication is not None
    copy = {"name": "Footer 2", "code": "footer-2"}
    assert client.post(f"/settings/placements/{made.pk}/do/clone/", copy).status_code == 302
    assert Placement.objects.filter(code="footer-2", page_size=8).exists()
    assert client.get(f"/settings/placements/{made.pk}/ask/archive/").status_code == 200
    client.post(f"/settings/placements/{made.pk}/do/archive/", {"typed": "Footer"})
    assert Placement.objects.get(code="footer").archived_at is not None
    client.post(f"/settings/placements/{made.pk}/back/")
    assert Placement.objects.get(code="footer").archived_at is None


def test_a_taken_code_is_refused_in_the_dialog(maya: User) -> None:
    placement_create(code="footer", name="Footer", kind="shopper")
    answer = logged_in(maya).post("/settings/placements/new/", NEW)
    assert b"already" in answer.content
    assert b"data-open-now" in answer.content
    assert Placement.objects.count() == 1


def test_what_few_placements_need_folds_until_it_is_set(maya: User) -> None:
    client = logged_in(maya)
    placement = placement_create(code="footer", name="Footer", kind="shopper")
    ask = f"/settings/placements/{placement.pk}/ask/edit/"
    folds = client.get(ask).content.decode().split("<details")[1:]
    assert len(folds) == 2
    assert not any(" open>" in fold.split("<summary")[0] for fold in folds)
    placement_update(placement=placement, bought_days=30)
    opened = [
        " open>" in fold.split("<summary")[0]
        for fold in client.get(ask).content.decode().split("<details")[1:]
    ]
    assert opened == [True, False]
    wrong = client.post(
        f"/settings/placements/{placement.pk}/do/edit/", {"name": "Footer", "page_size": 4, "trace_share": 7}
    )
    assert " open>" in wrong.content.decode().split("<details")[2].split("<summary")[0]


@pytest.mark.parametrize("name", ["ana", "mel"])
def test_others_see_placements_but_change_none(name: str, request: pytest.FixtureRequest) -> None:
    placement = placement_create(code="footer", name="Footer", kind="shopper")
    client = logged_in(request.getfixturevalue(name))
    page = client.get("/settings/placements/").content.decode()
    assert "Footer" in page
    assert "New placement" not in page
    before = AuditEntry.objects.count()
    for path in ("new/", f"{placement.pk}/do/edit/", f"{placement.pk}/do/archive/", f"{placement.pk}/back/"):
        assert client.post(f"/settings/placements/{path}", {**NEW, "typed": "Footer"}).status_code == 403
    assert Placement.objects.filter(archived_at=None, code="footer").count() == 1
    assert AuditEntry.objects.count() == before


def test_outsider_sees_nothing(otto: User) -> None:
    client = logged_in(otto)
    for path in ("/", "/settings/", "/settings/placements/", "/profile/"):
        answer = client.get(path)
        assert answer.status_code == 403
        assert b"no role has been given to you" in answer.content


def test_visitor_is_sent_to_the_login() -> None:
    assert Client().get("/settings/")["Location"] == "/admin/login/?next=/settings/"


def test_a_key_for_web_pages_is_made_and_its_sites_changed(adam: User) -> None:
    client = logged_in(adam)
    facts = {"name": "Pages", "origins": "https://shop.example\nshop", "requests_per_minute": 600}
    assert b"scheme and host" in client.post("/settings/keys/pages/new/", facts).content
    assert not ApiClient.objects.exists()
    page = client.post(
        "/settings/keys/pages/new/", facts | {"origins": "https://shop.example"}
    ).content.decode()
    stored = ApiClient.objects.get()
    assert stored.scopes == ["events", "recommend"]
    assert f"data-key=&quot;{stored.public_key}&quot;" in page or f'data-key="{stored.public_key}"' in page
    assert stored.public_key in client.get("/settings/keys/").content.decode(), "it is no secret"
    assert b"https://shop.example" in client.get(f"/settings/keys/{stored.pk}/ask/origins/").content
    wrong = client.post(
        f"/settings/keys/{stored.pk}/origins/", {"origins": "*"}, headers={"HX-Request": "true"}
    )
    assert b"scheme and host" in wrong.content
    client.post(f"/settings/keys/{stored.pk}/origins/", {"origins": "https://a.example https://b.example"})
    stored.refresh_from_db()
    assert stored.origins == ["https://a.example", "https://b.example"]
