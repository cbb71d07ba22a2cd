"""A switch of versions and a rebuild under a reader who never stops; a build whose process is killed."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from django.db import connection

from apps.merchandising.services import placement_create
from apps.ml.base import Exclude
from apps.ml.registry import FAMILIES
from apps.ml.topn import TopN
from apps.serving import batch
from apps.serving.models import CandidateList, ListBuild
from apps.serving.pipeline import recommend
from apps.serving.slate import Rung, Slate, SlateRequest
from apps.training.models import ModelVersion
from tests.processes import RealProcess, process_start
from tests.serving.memory import serving_memory_fresh
from tests.serving.test_batch import planted, several_shards, version_train

__all__ = ["serving_memory_fresh", "several_shards"]
BUILD = "from apps.serving import batch; batch.lists_build(version_id={version})"


class Reader:
    """Asks for one shopper's slate again and again in a thread, and keeps every answer."""

    def __init__(self) -> None:
        self.slates: list[Slate] = []
        self.failures: list[Exception] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self.slates.append(recommend(SlateRequest(placement="home", shopper="c01", n=3)))
            except Exception as error:
                self.failures.append(error)
        connection.close()

    def __enter__(self) -> "Reader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@pytest.mark.usefixtures("committed_db", "several_shards", "serving_memory_fresh")
def test_readers_see_one_version_or_the_next_and_never_half(tmp_path: Path) -> None:
    frame = planted()
    first, _ = version_train("item_knn", frame, tmp_path)
    batch.lists_build(version_id=first.pk)
    placement_create(code="home", name="Home", kind="shopper", weights={"item_knn": 1.0})
    with Reader() as reader:
        # another model of the same recipe, whose lists are in another order
        turned = frame.assign(user_id=np.roll(frame["user_id"].to_numpy(), 6))
        second, _ = version_train("item_knn", turned, tmp_path)
        batch.lists_build(version_id=second.pk)
        while reader.slates[-1].model_versions != {"item_knn": second.pk} and not reader.failures:
            pass
        batch.lists_build(version_id=second.pk, rebuild=True)
    assert not reader.failures
    assert {slate.rung for slate in reader.slates} == {Rung.SHOPPER}
    versions = [slate.model_versions["item_knn"] for slate in reader.slates]
    assert versions == sorted(versions), "once switched, nobody goes back"
    seen = {
        version: {
            tuple(item.product_id for item in slate.items)
            for slate in reader.slates
            if slate.model_versions["item_knn"] == version
        }
        for version in (first.pk, second.pk)
    }
    assert [len(slates) for slates in seen.values()] == [1, 1]
    assert seen[first.pk] != seen[second.pk], "the two can be told apart"


@pytest.mark.usefixtures("committed_db")
def test_a_killed_build_goes_on_with_the_shards_it_has_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, _ = version_train("item_knn", planted(), tmp_path)
    monkeypatch.setattr(batch, "KEYS_PER_SHARD", 3)
    batch.build_start(version_id=version.pk)  # as many shards as there are; the child takes them up
    child = build_in_a_process(version, tmp_path / "build.log")
    child.wait_until("the first shards", lambda: ListBuild.objects.get().shards_done >= 2)
    child.kill()
    build = ListBuild.objects.get()
    assert 0 < build.shards_done < build.shards
    assert build.completed_at is None
    done = {row.pk for row in CandidateList.objects.all()}
    worked: list[int] = []
    write: Callable[..., int] = batch._shard_write

    def counted(*args: object) -> int:
        worked.append(int(str(args[2])))
        return write(*args)

    monkeypatch.setattr(batch, "_shard_write", counted)
    assert batch.lists_build(version_id=version.pk).complete
    assert sorted([*worked, *build.finished]) == list(range(build.shards))
    assert done < {row.pk for row in CandidateList.objects.all()}


def build_in_a_process(version: ModelVersion, log: Path) -> RealProcess:
    setup = "import django; django.setup(); "
    slowly = "import time; from apps.serving import batch; write = batch._shard_write; "
    slowly += "batch._shard_write = lambda *a: (time.sleep(0.1), write(*a))[1]; "
    return process_start(["-c", setup + slowly + BUILD.format(version=version.pk)], log)


@pytest.mark.django_db
@pytest.mark.parametrize("margin", [0, 4, 60])
def test_both_lists_of_a_shopper_come_from_one_ranking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, margin: int
) -> None:
    monkeypatch.setattr(batch, "BOUGHT_MARGIN", margin)
    frame = planted()
    strange = np.asarray([10**9])
    shoppers = np.append(np.unique(frame["user_id"].to_numpy()), strange)
    for family in ("als", "item_knn", "personal"):
        assert not FAMILIES[family].shared
        _, model = version_train(family, frame, tmp_path)
        for k in (5, 100):
            fresh, every = batch.shopper_lists(model, shoppers, k)
            pairs: list[tuple[TopN, Exclude]] = [(fresh, "bought"), (every, "none")]
            for found, exclude in pairs:
                wanted = model.recommend(shoppers, k, exclude)
                np.testing.assert_array_equal(found.ids, wanted.ids)
                pd.testing.assert_frame_equal(pd.DataFrame(found.scores), pd.DataFrame(wanted.scores))
