"""Every address of the staff site and of the raw records, found by walking the URLs: who sees, who changes.

A new page is tested the moment it has an address; one that is open on purpose is named here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver

from apps.accounts.models import User
from apps.accounts.roles import roles_sync
from apps.portal.urls import urlpatterns
from apps.training.recipes import recipes_ensure
from tests.portal.small_shop import SmallShop, small_shop_make

ClientOf = Callable[[User], Client]
pytestmark = pytest.mark.django_db
# Opened without a login: what lets people in, and the texts of the admin's scripts.
OPEN = {"welcome", "login", "logout", "jsi18n"}
# What everybody with a role may change: their own profile, and (checked by itself) their own jobs.
OWN = {"profile_language", "profile_password", "password_change", "password_change_done"}
FILLED = {"slug": "als", "str": "x", "path": "1", "int": "1", "": "1"}
WRITES = re.compile(r"^\s*(INSERT INTO|UPDATE|DELETE FROM|TRUNCATE|COPY)\s+\"?(?!django_session)", re.I)


@dataclass(frozen=True)
class Route:
    """An address with its arguments filled in."""

    name: str
    path: str

    def __str__(self) -> str:
        return self.path


def walked(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[Route]:
    """Every pattern below `patterns`, resolvers opened."""
    for entry in patterns:
        text = prefix + re.sub(r"<(?:(\w+):)?\w+>", lambda found: FILLED[found[1] or ""], str(entry.pattern))
        if isinstance(entry, URLResolver):
            yield from walked(entry.url_patterns, text)
        elif "(?P" not in text:  # the admin's last pattern catches every address that is none
            yield Route(entry.name or "", text)


PORTAL = list(walked(list(urlpatterns), "/"))
RAW = list(walked(list(admin.site.urls[0]), "/admin/"))


@pytest.fixture
def shop(db: None) -> SmallShop:
    roles_sync()
    recipes_ensure()
    return small_shop_make()


def actions(adam: Client) -> list[Route]:
    """The portal's addresses that take nothing but a POST."""
    return [route for route in PORTAL if adam.get(route.path).status_code == 405]


def test_walk_finds_the_site() -> None:
    assert {"overview", "publish", "promote", "settings_team"} <= {route.name for route in PORTAL}
    assert {"catalog_product_change", "accounts_user_delete"} <= {route.name for route in RAW}


@pytest.mark.parametrize("method", ["get", "post"])
def test_visitor_is_sent_to_the_login_everywhere(client: Client, shop: SmallShop, method: str) -> None:
    let_in = {}
    for route in PORTAL + RAW:
        answer = getattr(client, method)(route.path)
        if answer.status_code != 302 or not answer["Location"].startswith("/admin/login/"):
            let_in[str(route)] = (route.name, answer.status_code)
    assert {path for path, (name, _) in let_in.items() if name not in OPEN} == set()


def test_outsider_gets_in_nowhere(client_of: ClientOf, otto: User, shop: SmallShop) -> None:
    client = client_of(otto)
    let_in = []
    for route in PORTAL + RAW:
        for answer in (client.get(route.path), client.post(route.path)):
            to_login = answer.status_code == 302 and answer["Location"].startswith("/admin/login/")
            if answer.status_code != 403 and not to_login and route.name not in OPEN:
                let_in.append((str(route), answer.status_code))
    assert let_in == []


def test_analyst_is_refused_by_every_action_and_writes_nothing(
    client_of: ClientOf, ana: User, adam: User, shop: SmallShop
) -> None:
    client, found = client_of(ana), actions(client_of(adam))
    assert len(found) > 20
    assert [
        (str(route), code) for route in found if (code := client.post(route.path).status_code) != 403
    ] == []
    written = {}
    for route in PORTAL + RAW:
        if route.name in OWN | OPEN:
            continue
        with CaptureQueriesContext(
            connection,
        ) as asked:
            client.post(route.path, {"action": "download_csv", "_selected_action": ["1"], "post": "yes"})
        if queries := [one["sql"][:80] for one in asked if WRITES.match(one["sql"])]:
            written[str(route)] = queries
    assert written == {}


def test_raw_records_let_nobody_change_but_by_role(
    client_of: ClientOf, ana: User, maya: User, shop: SmallShop
) -> None:
    analyst, merchandiser = client_of(ana), client_of(maya)
    theirs = re.compile(r"^/admin/(training|serving|datasets|jobs|events|metrics|accounts|auth|axes|portal)/")
    wrong = []
    for route in RAW:
        if not route.name.endswith(("_add", "_change", "_delete")) or route.name == "password_change":
            continue
        if (code := analyst.post(route.path, {"post": "yes"}).status_code) != 403:
            wrong.append(("ana", str(route), code))
        if theirs.match(route.path) and (code := merchandiser.post(route.path).status_code) != 403:
            wrong.append(("maya", str(route), code))
    assert wrong == []


def test_merchandiser_is_refused_by_every_action_on_models(
    client_of: ClientOf, maya: User, adam: User, shop: SmallShop
) -> None:
    client = client_of(maya)
    found = [route for route in actions(client_of(adam)) if route.path.startswith("/models/")]
    assert len(found) >= 6
    assert [str(route) for route in found if client.post(route.path).status_code != 403] == []
