"""Building candidate lists: every list equals what the model says, whatever is repeated or interrupted."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.db import connection

from apps.catalog.models import Category, Product
from apps.core.errors import InvalidInput, NotFound
from apps.datasets.models import Snapshot
from apps.events.models import Shopper
from apps.jobs.models import Job
from apps.merchandising.services import placement_create
from apps.ml.artifacts import load_model, parts_read, parts_write
from apps.ml.base import Model
from apps.ml.dataset import Dataset
from apps.ml.errors import ArtifactInvalid
from apps.ml.topn import TopN
from apps.ml.train import train
from apps.serving import batch
from apps.serving.lists import category_key, lists_read, lists_write, segment_key
from apps.serving.models import CandidateList, ListBuild, ListScope
from apps.serving.offline import blend_evaluate
from apps.serving.pipeline import recommend
from apps.serving.slate import Rung, SlateRequest
from apps.serving.tasks import lists_missing_build
from apps.training import evaluations
from apps.training.evaluations import judge_model, judged_write
from apps.training.models import ModelVersion, TrainingRun, VersionStatus
from tests.factories.shop import products_make, shoppers_make
from tests.processes import RealProcess
from tests.serving.shop import recipe_of

pytestmark = pytest.mark.django_db
SHOPPERS, PRODUCTS = 60, 24


def planted() -> pd.DataFrame:
    """Purchases of two tastes, by real shopper and product ids."""
    products = [row.pk for row in products_make(*[f"q{n:02}" for n in range(PRODUCTS)]).values()]
    regions = ["north" if n % 2 else "south" for n in range(SHOPPERS)]
    names = [f"c{n:02}" for n in range(SHOPPERS)]
    shoppers = shoppers_make(*names, region=regions, consent=[True] * SHOPPERS)
    rng = np.random.default_rng(1)
    rows = []
    for n, name in enumerate(names):
        half = products[: PRODUCTS // 2] if n % 2 else products[PRODUCTS // 2 :]
        for item in rng.choice(half, size=6, replace=False):
            at = 1_770_000_000 + float(rng.uniform(0, 60 * 86_400))
            rows.append((shoppers[name].pk, int(item), at, "purchase", 1.0))
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "kind", "weight"])


def version_train(source: str, frame: pd.DataFrame, folder: Path) -> tuple[ModelVersion, Model]:
    """A live version with a real artifact, judged on its own test window."""
    dataset = Dataset.from_frames(frame)
    model = train(source, {"preset": "tiny"}, dataset)
    path = folder / f"{source}-{ModelVersion.objects.count()}"
    model.save(path)
    split = evaluations.test_split(dataset)
    judged_write(path / "eval", judge_model(train(source, {"preset": "tiny"}, split.train), split))
    recipe = recipe_of(source)
    ModelVersion.objects.filter(recipe=recipe, status=VersionStatus.LIVE).update(status=VersionStatus.RETIRED)
    version = ModelVersion.objects.create(
        recipe=recipe,
        number=recipe.versions.count() + 1,
        status=VersionStatus.LIVE,
        artifact_path=str(path),
        config={"preset": "tiny"},
        snapshot_hash="s1",
    )
    return version, load_model(path)


@pytest.fixture
def several_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "KEYS_PER_SHARD", 20)


def rows_of(top: TopN) -> list[tuple[list[int], list[float]]]:
    return [(ids.tolist(), scores.tolist()) for ids, scores in map(top.row, range(len(top)))]


@pytest.mark.usefixtures("several_shards")
def test_stored_lists_are_the_models_lists(tmp_path: Path) -> None:
    frame = planted()
    version, model = version_train("item_knn", frame, tmp_path)
    result = batch.lists_build(version_id=version.pk)
    assert result.complete
    assert result.shards > 2
    assert result.lists == CandidateList.objects.filter(version_id=version.pk).count()
    shoppers = np.unique(frame["user_id"].to_numpy())
    items = model.history.items.ids
    for scope, keys, top in (
        (ListScope.SHOPPER_NEW, shoppers, model.recommend(shoppers, 100, "bought")),
        (ListScope.SHOPPER_ALL, shoppers, model.recommend(shoppers, 100, "none")),
        (ListScope.ITEM, items, model.similar(items, 100)),
    ):
        stored = lists_read([(version.pk, int(scope), int(key)) for key in keys])
        for key, (ids, scores) in zip(keys.tolist(), rows_of(top), strict=True):
            if ids:
                found = stored[(version.pk, int(scope), key)]
                assert (found.ids.tolist(), found.scores.tolist()) == (ids, scores)
            else:
                assert (version.pk, int(scope), key) not in stored
    assert len(stored) > 0


def test_lists_of_any_length_survive_the_binary_copy() -> None:
    rng = np.random.default_rng(0)
    keys = np.arange(300)
    lists = []
    for length in rng.integers(0, 101, len(keys)).tolist():
        ids = rng.choice(2**62, size=length, replace=False)
        lists.append((ids, np.sort(rng.normal(size=length).astype(np.float32))[::-1]))
    top = TopN.from_lists(lists, 100)
    assert lists_write(version_id=9, scope=ListScope.ITEM, keys=keys, top=top) == sum(
        len(ids) > 0 for ids, _ in lists
    )
    stored = lists_read([(9, int(ListScope.ITEM), int(key)) for key in keys])
    for key, (ids, scores) in enumerate(lists):
        if len(ids):
            found = stored[(9, int(ListScope.ITEM), key)]
            np.testing.assert_array_equal(found.ids, ids)
            np.testing.assert_array_equal(found.scores, scores)
    row = CandidateList.objects.get(version_id=9, scope=ListScope.ITEM, key=min(stored)[2])
    assert row.item_ids == stored[min(stored)].ids.tolist()


@pytest.mark.usefixtures("several_shards")
def test_shards_can_be_repeated_and_resumed_and_readers_wait_for_the_last(tmp_path: Path) -> None:
    frame = planted()
    version, _ = version_train("item_knn", frame, tmp_path)
    placement_create(code="home", name="Home", kind="shopper", weights={"item_knn": 1.0})
    ask = SlateRequest(placement="home", shopper="c01", n=3)
    shards = batch.build_start(version_id=version.pk)
    assert batch.lists_missing() == [], "just given out"
    for shard in shards[:-1]:
        assert batch.shard_build(version_id=version.pk, shard=shard)
        assert not batch.shard_build(version_id=version.pk, shard=shard), "a repeat changes nothing"
    assert recommend(ask).rung == Rung.CATALOGUE
    build = ListBuild.objects.get(version_id=version.pk)
    assert (build.shards_done, build.completed_at) == (len(shards) - 1, None)
    ListBuild.objects.update(sent_at="2020-01-01T00:00:00Z")
    assert batch.lists_missing() == [version.pk], "what was given out long ago is given out again"
    assert batch.build_start(version_id=version.pk) == shards[-1:]
    [result] = [batch.lists_build(version_id=version.pk)]
    assert result.complete
    assert recommend(ask).rung == Rung.SHOPPER
    before = {row.pk: row.item_ids for row in CandidateList.objects.all()}
    batch.lists_build(version_id=version.pk, rebuild=True)
    assert {row.pk: row.item_ids for row in CandidateList.objects.all()} == before
    with pytest.raises(NotFound):
        batch.build_start(version_id=10**9)


def test_lists_nobody_reads_are_pruned_and_a_roll_back_is_served_at_once(tmp_path: Path) -> None:
    frame = planted()
    versions = []
    for _ in range(3):
        version, _model = version_train("popular", frame, tmp_path)
        for shard in batch.build_start(version_id=version.pk):  # as workers do it
            batch.shard_build(version_id=version.pk, shard=shard)
        versions.append(version.pk)
    assert set(ListBuild.objects.values_list("version_id", flat=True)) == set(versions[1:])
    assert set(CandidateList.objects.values_list("version_id", flat=True)) == set(versions[1:])
    placement_create(code="home", name="Home", kind="shopper", weights={"popular": 1.0})
    ask = SlateRequest(placement="home", shopper="c01", n=3)
    assert recommend(ask).model_versions == {"popular": versions[2]}
    ModelVersion.objects.filter(pk=versions[2]).update(status=VersionStatus.RETIRED)
    ModelVersion.objects.filter(pk=versions[1]).update(status=VersionStatus.LIVE)
    assert recommend(ask).model_versions == {"popular": versions[1]}


def test_regions_have_lists_when_the_snapshot_knows_them(tmp_path: Path) -> None:
    frame = planted()
    version, _ = version_train("popular", frame, tmp_path)
    folder = tmp_path / "snapshot"
    (folder / "interactions").mkdir(parents=True)
    frame.to_parquet(folder / "interactions" / "month=2026-02.parquet")
    Shopper.objects.filter(external_id="c00").update(region="tiny")
    rows = Shopper.objects.values_list("pk", "region")
    pd.DataFrame(rows, columns=["user_id", "region"]).to_parquet(folder / "shoppers.parquet")
    snapshot = Snapshot.objects.create(content_hash="s1", path=str(folder), window_end="2026-03-31T00:00:00Z")
    job = Job.objects.create(kind="training.run", title="Train")
    version.run = TrainingRun.objects.create(recipe=version.recipe, job=job, snapshot=snapshot)
    version.save()
    batch.lists_build(version_id=version.pk)
    north, south = (
        lists_read([(version.pk, int(ListScope.SEGMENT), segment_key(region))]).popitem()[1].ids.tolist()
        for region in ("north", "South")
    )
    assert not set(north[:6]) & set(south[:6]), "the regions buy different things"
    assert not lists_read([(version.pk, int(ListScope.SEGMENT), segment_key("tiny"))]), "that would name c00"
    placement_create(code="home", name="Home", kind="shopper", weights={"item_knn": 1.0})
    shoppers_make("fresh", region=["north"], consent=[True])
    slate = recommend(SlateRequest(placement="home", shopper="fresh", n=3))
    assert slate.rung == Rung.SEGMENT
    assert [item.product_id for item in slate.items] == north[:3]


def test_categories_have_lists_in_the_order_of_the_whole_shop(tmp_path: Path) -> None:
    version, model = version_train("popular", planted(), tmp_path)
    category = Category.objects.create(path="Garden > Pots", name="Pots")
    mugs = list(Product.objects.order_by("pk").values_list("pk", flat=True)[::3])
    Product.objects.filter(pk__in=mugs).update(category=category)
    batch.lists_build(version_id=version.pk)
    best = [pk for pk in model.shared_list().ids[0].tolist() if pk in mugs]
    for path in ("garden", "Garden > Pots"):
        stored = lists_read([(version.pk, int(ListScope.CATEGORY), category_key(path))])
        assert stored.popitem()[1].ids.tolist() == best
    placement_create(code="trending", name="Trending", kind="trending", weights={"popular": 1.0})
    slate = recommend(SlateRequest(placement="trending", category="Garden > Pots", n=3))
    assert (slate.rung, [item.product_id for item in slate.items]) == (Rung.CATEGORY, best[:3])


def test_a_damaged_artifact_builds_nothing(tmp_path: Path) -> None:
    version, _ = version_train("item_knn", planted(), tmp_path)
    tensors = Path(version.artifact_path) / "model.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-1])
    with pytest.raises(Exception, match=r"altered|sha256|differs|damaged|manifest"):
        batch.lists_build(version_id=version.pk)
    assert not CandidateList.objects.exists()


def test_an_artifact_of_older_code_stops_a_rebuild_and_no_slate(tmp_path: Path) -> None:
    version, _ = version_train("item_knn", planted(), tmp_path)
    batch.lists_build(version_id=version.pk)
    placement_create(code="home", name="Home", kind="shopper", weights={"item_knn": 1.0})
    before = recommend(SlateRequest(placement="home", shopper="c00", n=3))
    assert before.rung == Rung.SHOPPER
    parts = parts_read(version.artifact_path)
    kept = {name: array for name, array in parts.arrays.items() if not name.startswith("companions")}
    parts_write(version.artifact_path, replace(parts, arrays=kept))
    with pytest.raises(ArtifactInvalid, match="retrain this recipe"):
        batch.lists_build(version_id=version.pk, rebuild=True)
    after = recommend(SlateRequest(placement="home", shopper="c00", n=3))
    assert [item.product_id for item in after.items] == [item.product_id for item in before.items]
    assert after.rung == Rung.SHOPPER


def test_offline_figures_are_those_of_the_served_blend(tmp_path: Path) -> None:
    frame = planted()
    for source in ("item_knn", "popular"):
        version_train(source, frame, tmp_path)
    batch.lists_missing_build()
    alone = blend_evaluate(weights={"item_knn": 0.7})
    assert alone is not None
    live = ModelVersion.objects.get(recipe__code="item_knn")
    split = evaluations.test_split(Dataset.from_frames(frame))
    model = train("item_knn", {"preset": "tiny"}, split.train)
    judged = judge_model(model, split)["new"]
    assert alone.metrics["ndcg10"] == pytest.approx(judged.evaluation.mean("ndcg10"), abs=1e-6)
    assert alone.metrics["coverage10"] == pytest.approx(judged.evaluation.coverage10, abs=1e-6)
    assert alone.users == len(judged.truth)
    assert live.pk in batch.ListBuild.objects.values_list("version_id", flat=True)
    both = blend_evaluate(weights={"item_knn": 0.5, "popular": 0.5, "als": 1.0}, protocol="all")
    assert both is not None
    assert both.left_out == ("als",)
    assert set(both.sources) == {"item_knn", "popular"}
    low, high = both.intervals["ndcg10"]
    assert low <= both.metrics["ndcg10"] <= high
    assert blend_evaluate(weights={"als": 1.0}) is None
    unheard_of: Any = "some"
    with pytest.raises(InvalidInput):
        blend_evaluate(weights={"als": 1.0}, protocol=unheard_of)


def test_real_workers_build_what_is_missing(
    committed_db: None, celery_worker_process: Callable[..., RealProcess], tmp_path: Path
) -> None:
    version, _ = version_train("item_knn", planted(), tmp_path)
    celery_worker_process("default", "score", concurrency=2)
    lists_missing_build.apply_async()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        build = ListBuild.objects.filter(version_id=version.pk, completed_at__isnull=False).first()
        if build is not None:
            break
        time.sleep(0.1)
    assert build is not None
    assert CandidateList.objects.filter(version_id=version.pk).count() == build.lists
    connection.close()
