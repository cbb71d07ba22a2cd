"""What a visitor did a moment ago goes through the live model's network at once."""

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from apps.catalog.models import Product
from apps.core import clock
from apps.events.models import Shopper
from apps.ml.base import Model
from apps.ml.session_network import NETWORK
from apps.serving import batch, online
from apps.serving.online import list_after, network_folder
from apps.serving.pipeline import recommend
from apps.serving.slate import Rung, Slate, SlateRequest
from apps.training.models import ModelVersion, VersionStatus
from tests.factories.shop import event, events_record
from tests.serving.shop import home_make
from tests.serving.test_batch import planted, version_train

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def networks_forgotten() -> None:
    online._networks.clear()


@pytest.fixture
def live(tmp_path: Path) -> tuple[ModelVersion, Model[Any]]:
    """A shop whose home page is gru4rec alone, lists and network made by the worker's code."""
    version, model = version_train("gru4rec", planted(), tmp_path)
    batch.lists_build(version_id=version.pk)
    home_make({"gru4rec": 1.0})
    return version, model


def ask(**fields: Any) -> Slate:
    return recommend(SlateRequest(placement="home", n=5, explain=True, **fields))


def ids_of(slate: Slate) -> list[int]:
    return [item.product_id for item in slate.items]


def wanted(model: Model[Any], *skus: str) -> list[int]:
    """The model's own list after these products, oldest first."""
    ids = dict(Product.objects.values_list("sku", "pk"))
    return model.recommend_sessions([[ids[sku] for sku in skus]], 5).ids[0].tolist()


def test_an_anonymous_session_gets_the_models_own_list_and_each_view_changes_it(
    live: tuple[ModelVersion, Model[Any]],
) -> None:
    _, model = live
    seen: list[str] = []
    slates = []
    for sku in ("q01", "q14", "q20"):
        events_record(event("view", shopper="", session="v7", sku=sku))
        seen.append(sku)
        slate = ask(session="v7")
        assert slate.rung == Rung.SESSION
        assert ids_of(slate) == wanted(model, *seen)
        slates.append(ids_of(slate))
    assert len({tuple(ids) for ids in slates}) == 3


def test_a_known_shopper_who_looks_around_is_answered_by_it_and_an_idle_one_by_their_own_list(
    live: tuple[ModelVersion, Model[Any]],
) -> None:
    version, model = live
    shopper = Shopper.objects.get(external_id="c03")
    nightly = [pk for pk in model.recommend([shopper.pk], 5, "bought").ids[0].tolist() if pk >= 0]
    assert ids_of(ask(shopper="c03"))[: len(nightly)] == nightly
    # the other taste's products, and none of the own ones
    events_record(event("view", shopper="c03", session="v1", sku="q02"))
    slate = ask(shopper="c03", session="v1")
    assert slate.rung == Rung.SHOPPER
    assert slate.trace is not None
    assert [source["scope"] for source in slate.trace["sources"]] == ["session"]
    fresh = list_after(version.pk, (Product.objects.get(sku="q02").pk,))
    assert fresh is not None
    assert ids_of(slate) == fresh.ids.tolist()[:5]
    assert ids_of(slate) != nightly
    # what is bought leaves the list, and is told to the network like a view
    bought = slate.items[1]
    events_record(event("purchase", shopper="c03", session="v1", sku=bought.sku))
    assert ids_of(ask(shopper="c03", session="v1")) == wanted(model, "q02", bought.sku)


def test_what_was_seen_long_ago_is_no_session(live: tuple[ModelVersion, Model[Any]]) -> None:
    before = ids_of(ask(shopper="c03"))
    long_ago = (clock.now() - timedelta(hours=5)).isoformat()
    events_record(event("view", shopper="c03", session="v1", sku="q02", occurred_at=long_ago))
    assert ids_of(ask(shopper="c03")) == before


def test_without_a_network_the_item_lists_stand_in(
    live: tuple[ModelVersion, Model[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    version, model = live
    events_record(event("view", shopper="", session="v7", sku="q01"))
    truncated = network_folder(version.pk) / NETWORK
    truncated.write_bytes(truncated.read_bytes()[:1000])
    with caplog.at_level(logging.ERROR, "apps.serving.online"):
        slate = ask(session="v7")
    assert "item lists stand in" in caplog.text
    assert slate.rung == Rung.SESSION
    similar = model.similar([Product.objects.get(sku="q01").pk], 5).ids[0].tolist()
    assert ids_of(slate) == similar


def test_other_families_get_no_network(tmp_path: Path) -> None:
    version, _ = version_train("item_knn", planted(), tmp_path)
    batch.lists_build(version_id=version.pk)
    assert not network_folder(version.pk).exists()
    assert list_after(version.pk, (1,)) is None


def test_the_networks_of_pruned_versions_go(tmp_path: Path) -> None:
    frame = planted()
    folders = []
    for _ in range(3):
        version, _ = version_train("gru4rec", frame, tmp_path)
        batch.lists_build(version_id=version.pk)
        folders.append(network_folder(version.pk))
    assert ModelVersion.objects.filter(status=VersionStatus.RETIRED).count() == 2
    assert [folder.exists() for folder in folders] == [False, True, True]
