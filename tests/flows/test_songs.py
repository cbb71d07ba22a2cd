"""A music service through the whole loop, by configuration alone: the core knows no shop."""

from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from apps.accounts.selectors import shop_settings_forget
from apps.accounts.services import shop_settings_update
from apps.catalog.models import Product
from apps.core.errors import Conflict
from apps.datasets.snapshots import snapshot_create
from apps.events.models import EventKind, Interaction, Shopper
from apps.events.services import event_record_rows
from apps.jobs.models import Job
from apps.merchandising.models import Placement
from apps.merchandising.services import placements_ensure
from apps.metrics.rollups import rollups_build
from apps.metrics.selectors import metric_summary, period_last
from apps.portal.demo.packs import PACKS
from apps.portal.demo.packs.pack import Size
from apps.portal.demo.seeding import demo_seed
from apps.portal.vocabulary import rewording, vocabulary_apply
from apps.serving.batch import lists_missing_build
from apps.serving.groups import groups_recommend, playlist_recommend
from apps.serving.pipeline import recommend
from apps.serving.remembering import exposure_remember, exposures_flush
from apps.serving.slate import Rung, SlateRequest
from apps.training import runs
from apps.training.models import Recipe, TrainingRun
from apps.training.recipes import recipe_update, recipes_ensure
from apps.training.registry import version_promote
from tests.people import person
from tests.serving.memory import serving_memory_fresh

__all__ = ["serving_memory_fresh"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("serving_memory_fresh")]
SONGS = PACKS["songs"]
SIZE = Size(products=144, shoppers=90, days=40, seed=7)
END = datetime(2026, 3, 31, 12, tzinfo=UTC)
SOURCES = ("popular", "item_knn")


def learn() -> None:
    """Train these sources on a snapshot, put them live, build their lists."""
    snapshot = snapshot_create(window_end=END)
    for recipe in recipes_ensure():
        if recipe.code in SOURCES:
            recipe_update(recipe=recipe, changes={"preset": "tiny"}, by=None)
    for recipe in Recipe.objects.filter(code__in=SOURCES):
        run = runs.run_create(recipe=recipe)
        TrainingRun.objects.filter(pk=run.pk).update(snapshot=snapshot)
        runs.run_execute(job_id=run.job_id)
        assert Job.objects.get(pk=run.job_id).status == "done", Job.objects.get(pk=run.job_id).error
        version = recipe.versions.latest("number")
        if version.status != "live":
            version_promote(version=version, reason="a test wants every source")
    assert all(build.complete for build in lists_missing_build())


def test_songs_are_learned_served_and_counted(settings: Any, tmp_path: Any) -> None:
    settings.SHOP_DIR = tmp_path
    done = demo_seed(pack=SONGS, size=SIZE, end=END)
    assert done.fresh
    assert (done.products, done.shoppers) == (SIZE.products, SIZE.shoppers)
    assert not demo_seed(pack=SONGS, size=SIZE, end=END).fresh
    with pytest.raises(Conflict, match="songs"):
        demo_seed(pack=PACKS["shop"], end=END)
    assert not Product.objects.exclude(price=None, stock=None).exists(), "nothing is sold here"
    active = EventKind.objects.filter(active=True)
    assert not active.filter(role="purchase").exists()
    assert {"play", "finish", "like", "skip"} <= set(active.values_list("code", flat=True))
    placements_ensure()
    assert set(Placement.objects.filter(archived_at=None).values_list("code", flat=True)) == {
        "home", "product", "trending", "new",
    }  # fmt: skip

    learn()
    kept, wanted = 0, 0
    for name in Shopper.objects.order_by("external_id").values_list("external_id", flat=True)[:20]:
        finished = Interaction.objects.filter(
            shopper_id=Shopper.objects.get(external_id=name).pk,
            kind_id=EventKind.objects.get(code="finish").pk,
        ).values_list("product_id", flat=True)
        genres = Counter(Product.objects.in_bulk(set(finished))[pk].attributes["genre"] for pk in finished)
        own = {genre for genre, _ in genres.most_common(2)}
        slate = recommend(SlateRequest(placement="home", shopper=name, n=10))
        assert slate.rung == Rung.SHOPPER
        kept += sum(item.category.rpartition(" > ")[2] in own for item in slate.items)
        wanted += len(slate.items)
        assert {item.price for item in slate.items} == {None}
    assert kept / wanted > 0.6, "by chance a quarter would be of a listener's two genres"

    song = slate.items[0].sku
    beside = recommend(SlateRequest(placement="product", items=(song,), n=5))
    assert beside.rung == Rung.ITEMS
    _slate, groups = groups_recommend(SlateRequest(placement="home", shopper=name, n=3), "artist")
    assert len(groups) == 3
    played = playlist_recommend(SlateRequest(placement="home", shopper=name, n=8), "artist").items
    assert all(one.brand != other.brand for one, other in pairwise(played))

    exposure_remember(slate)
    exposures_flush()
    report = {"shopper": name, "request_id": str(slate.request_id)}
    rows = [
        {**report, "kind": "seen", "client_event_id": "s1"},
        {**report, "kind": "click", "sku": song, "client_event_id": "s2"},
        {**report, "kind": "finish", "sku": song, "client_event_id": "s3"},
    ]
    assert event_record_rows(rows=rows, source="test").accepted == 3
    rollups_build()
    figures = metric_summary(period=period_last(days=2), placement="home")
    assert figures["ctr"].now.value == 1.0


def test_the_studio_speaks_of_songs(client: Client, settings: Any, tmp_path: Any) -> None:
    settings.SHOP_DIR = tmp_path
    demo_seed(pack=SONGS, size=Size(48, 20, 10, 3), end=END)
    shop_settings_forget()
    client.force_login(person("maya", "merchandiser"))
    page = client.get("/settings/placements/").content.decode()
    assert "Songs" in page
    assert "Products" not in page
    with translation.override("zh-hans"):
        assert "歌曲" in translation.gettext("Product page")
    shop_settings_update(words={})
    shop_settings_forget()
    vocabulary_apply()
    with translation.override("en"):
        assert translation.gettext("Products") == "Products", "the words of a shop that sells come back"


def test_words_are_put_into_texts_and_not_into_what_is_code() -> None:
    put = rewording({"product": "song", "products": "songs", "a brand": "an artist"}, boundaries=True)
    assert put("Products: a brand, %(product)s") == "Songs: an artist, %(product)s"
    assert put("<code>product</code> byproduct {product}") == "<code>product</code> byproduct {product}"
