"""On the real file, by the published protocol: the tuned hybrid is better than each source alone."""

from pathlib import Path
from typing import Any

import pytest

from apps.datasets.services import dataset_import
from apps.datasets.snapshots import snapshot_create
from apps.training.comparison import comparison_run
from apps.training.recipes import recipe_update, recipes_ensure
from tests.factories.datasets import shared_file


@pytest.mark.django_db
@pytest.mark.real_data
@pytest.mark.slow
def test_the_tuned_hybrid_beats_every_source_on_online_retail(tmp_path: Path, settings: Any) -> None:
    settings.SHOP_DIR = tmp_path
    dataset_import(name="online-retail", path=shared_file("online-retail", "transactions.csv.gz"))
    for recipe in recipes_ensure():
        recipe_update(recipe=recipe, changes={"preset": "full"}, by=None)

    found = comparison_run(snapshot=snapshot_create()).to_dict()

    assert len(found["models"]) == 8
    for protocol in ("new", "all"):
        differences = found["hybrid"]["paired_ndcg10"][protocol]
        assert set(differences) == set(found["models"])
        assert {source: gap for source, gap in differences.items() if gap[1] <= 0} == {}
