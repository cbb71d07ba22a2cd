"""Raw records by role: merchandisers can't touch models, analysts change nothing, outsiders see nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client

from apps.accounts.models import AuditEntry, User
from apps.accounts.roles import roles_sync
from apps.accounts.services import api_client_create
from apps.catalog.models import Product
from apps.events.models import Exposure, Interaction
from apps.training.models import Recipe
from apps.training.recipes import recipes_ensure
from tests.factories.shop import event, events_record, products_make

pytestmark = pytest.mark.django_db
LISTS = [
    (model._meta.app_label, model._meta.model_name)
    for model in admin.site._registry
    if model._meta.app_label not in ("axes",)
]


@pytest.fixture
def client_with_rights(client_of: Callable[[User], Client]) -> Callable[[User], Client]:
    """A logged-in client whose role has the permissions `sync_roles` gives it."""
    roles_sync()
    return client_of


def path_of(model: str, tail: str = "") -> str:
    app, name = model.split(".")
    return f"/admin/{app}/{name}/{tail}"


@pytest.mark.parametrize(("app", "model"), LISTS)
def test_every_list_opens_for_an_admin(
    app: str, model: str, adam: User, client_with_rights: Callable[[User], Client]
) -> None:
    products_make("p1")
    events_record(event("view", sku="p1"))
    recipes_ensure()
    assert client_with_rights(adam).get(f"/admin/{app}/{model}/").status_code == 200


def test_candidate_lists_and_hidden_truths_have_no_page() -> None:
    names = {model._meta.label for model in admin.site._registry}
    assert not names & {"serving.CandidateList", "portal.DemoTruth", "events.EventKey"}


def test_merchandiser_reads_models_but_cannot_touch_them(
    maya: User, client_with_rights: Callable[[User], Client]
) -> None:
    recipe = recipes_ensure()[0]
    client = client_with_rights(maya)
    assert client.get(path_of("training.recipe")).status_code == 200
    page = client.get(path_of("training.recipe", f"{recipe.pk}/change/")).content.decode()
    assert 'name="_save"' not in page
    for tail in (f"{recipe.pk}/change/", f"{recipe.pk}/delete/", "add/"):
        assert client.post(path_of("training.recipe", tail), {"name": "x", "post": "yes"}).status_code == 403
    assert Recipe.objects.get(pk=recipe.pk).name != "x"
    assert client.get(path_of("accounts.user")).status_code == 403
    assert client.get(path_of("accounts.auditentry")).status_code == 403


def test_analyst_sees_everything_of_the_shop_and_changes_nothing(
    ana: User, client_with_rights: Callable[[User], Client]
) -> None:
    product = products_make("p1")["p1"]
    client = client_with_rights(ana)
    assert client.get(path_of("catalog.product")).status_code == 200
    form = {"sku": "p1", "title": "Changed", "language": "en", "attributes": "{}"}
    for tail in (f"{product.pk}/change/", f"{product.pk}/delete/"):
        assert client.post(path_of("catalog.product", tail), {**form, "post": "yes"}).status_code == 403
    assert Product.objects.get(pk=product.pk).title == "Product p1"
    assert not AuditEntry.objects.exists()


def test_outsider_and_visitor_see_nothing(otto: User, client_with_rights: Callable[[User], Client]) -> None:
    for client in (client_with_rights(otto), Client()):
        for path in ("/admin/", path_of("catalog.product"), path_of("events.interaction")):
            answer = client.get(path)
            assert answer.status_code in (302, 403)
            assert b"Product p1" not in answer.content


def product_form(product: Product, **changes: Any) -> dict[str, Any]:
    empty = {"texts-TOTAL_FORMS": "0", "texts-INITIAL_FORMS": "0"}
    facts = {"sku": product.sku, "title": product.title, "language": "en", "attributes": "{}", "price": "10"}
    return facts | empty | changes


def test_a_product_mended_by_hand_is_audited(
    maya: User, client_with_rights: Callable[[User], Client]
) -> None:
    product = products_make("p1")["p1"]
    answer = client_with_rights(maya).post(
        path_of("catalog.product", f"{product.pk}/change/"), product_form(product, title="Blue mug")
    )
    assert answer.status_code == 302
    entry = AuditEntry.objects.get(verb="product.change")
    assert entry.actor == maya
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["title"], entry.after["title"]) == ("Product p1", "Blue mug")


def test_registries_and_partitions_are_read_only_even_for_admins(
    adam: User, client_with_rights: Callable[[User], Client]
) -> None:
    products_make("p1")
    events_record(event("view", sku="p1"))
    client, row = client_with_rights(adam), Interaction.objects.get()
    for model in (
        "events.interaction",
        "events.exposure",
        "training.modelversion",
        "jobs.job",
        "accounts.auditentry",
    ):
        assert client.get(path_of(model, "add/")).status_code == 403
    assert client.post(path_of("events.interaction", f"{row.pk}/delete/"), {"post": "yes"}).status_code == 403
    assert Interaction.objects.count() == 1
    assert not Exposure.objects.exists()


def test_secrets_are_shown_to_nobody(adam: User, client_with_rights: Callable[[User], Client]) -> None:
    stored, key = api_client_create(name="Storefront", scopes=["recommend"])
    client = client_with_rights(adam)
    page = client.get(path_of("accounts.apiclient", f"{stored.pk}/change/")).content.decode()
    export = client.post(
        path_of("accounts.apiclient"), {"action": "download_csv", "_selected_action": [stored.pk]}
    ).content.decode()
    for text in (page, export):
        assert stored.prefix in text
        assert stored.key_hash not in text
        assert key not in text


def test_selected_rows_come_as_csv(ana: User, client_with_rights: Callable[[User], Client]) -> None:
    product = products_make("p1")["p1"]
    answer = client_with_rights(ana).post(
        path_of("catalog.product"), {"action": "download_csv", "_selected_action": [product.pk]}
    )
    lines = answer.content.decode().splitlines()
    assert "sku" in lines[0].split(",")
    assert "p1" in lines[1].split(",")
