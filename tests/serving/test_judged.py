"""What is judged is what is served: the slate a shopper gets is the blend that weights were tuned on."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from apps.catalog.models import Product
from apps.events.models import Shopper
from apps.merchandising.models import Placement
from apps.merchandising.services import draft_save, placement_create, publication_publish
from apps.ml.base import Model
from apps.ml.blend import blend_many
from apps.ml.comparison import EXCLUDE
from apps.ml.dataset import Dataset
from apps.ml.evaluate import VARIANTS, Variant, evaluate_lists
from apps.serving import batch, offline
from apps.serving.models import CandidateList, ListScope
from apps.serving.offline import blend_evaluate
from apps.serving.pipeline import recommend
from apps.serving.slate import Rung, Slate, SlateRequest
from apps.training import evaluations
from apps.training.evaluations import judge_model
from tests.factories.shop import event, events_record, products_make, shoppers_make
from tests.serving.test_batch import version_train

pytestmark = pytest.mark.django_db
SHOPPERS, PRODUCTS = 50, 260
WEIGHTS = {"item_knn": 0.6, "popular": 0.4}


@pytest.fixture
def frame() -> pd.DataFrame:
    """More products than a shopper's own list is long, some bought far more than others."""
    products = [row.pk for row in products_make(*[f"q{n:03}" for n in range(PRODUCTS)]).values()]
    shoppers = shoppers_make(*[f"c{n:02}" for n in range(SHOPPERS)])
    rng = np.random.default_rng(1)
    chance = 1.0 / np.arange(1, PRODUCTS + 1) ** 0.6
    rows = []
    for shopper in shoppers.values():
        for item in rng.choice(products, size=25, replace=False, p=chance / chance.sum()):
            at = 1_770_000_000 + float(rng.uniform(0, 60 * 86_400))
            rows.append((shopper.pk, int(item), at, "purchase", 1.0))
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "kind", "weight"])


@pytest.fixture
def models(frame: pd.DataFrame, tmp_path: Path) -> dict[str, Model]:
    """Live versions with their lists built."""
    models = {source: version_train(source, frame, tmp_path)[1] for source in WEIGHTS}
    batch.lists_missing_build()
    return models


@pytest.fixture
def home(models: dict[str, Model]) -> Placement:
    return placement_create(code="home", name="Home", kind="shopper", weights=WEIGHTS)


def shopper_known(frame: pd.DataFrame, name: str) -> Shopper:
    """A shopper whose purchases serving knows as well as the models do."""
    shopper = Shopper.objects.get(external_id=name)
    bought = frame.loc[frame["user_id"] == shopper.pk, "item_id"]
    skus = Product.objects.filter(pk__in=bought.tolist()).values_list("sku", flat=True)
    events_record(*[event("purchase", shopper=name, sku=sku) for sku in skus])
    return shopper


def ask(name: str) -> Slate:
    return recommend(SlateRequest(placement="home", shopper=name, n=20))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_shoppers_slate_is_the_blend_of_the_judged_lists(
    home: Placement, models: dict[str, Model], frame: pd.DataFrame, variant: Variant
) -> None:
    Placement.objects.filter(pk=home.pk).update(repeat_purchases=variant == "all")
    for name in ("c03", "c31"):
        shopper = shopper_known(frame, name)
        lists = [models[source].served_lists([shopper.pk], EXCLUDE[variant]) for source in WEIGHTS]
        ids, scores = blend_many(lists, list(WEIGHTS.values()), 20).row(0)
        slate = ask(name)
        assert slate.rung == Rung.SHOPPER
        assert [item.product_id for item in slate.items] == ids.tolist()
        assert [item.score for item in slate.items] == pytest.approx(scores.tolist(), abs=1e-5)


def test_a_shared_family_has_one_long_list_and_shoppers_have_none_of_it(models: dict[str, Model]) -> None:
    popular = CandidateList.objects.filter(
        version_id__in=batch.ListBuild.objects.values("version_id"), scope=ListScope.EVERYONE
    )
    shared = popular.get(item_ids__len__gt=100)
    assert shared.item_ids == models["popular"].shared_list().row(0)[0].tolist()
    assert len(shared.item_ids) > 200
    own = CandidateList.objects.filter(scope__in=[ListScope.SHOPPER_NEW, ListScope.SHOPPER_ALL])
    assert not own.filter(version_id=shared.version_id).exists()
    assert own.count() == 2 * SHOPPERS


def test_weights_of_shared_sources_alone_still_leave_out_what_was_bought(
    home: Placement, frame: pd.DataFrame, models: dict[str, Model]
) -> None:
    draft = draft_save(placement=home, revision=0, weights={"popular": 1.0})
    publication_publish(placement=home, revision=draft.revision)
    shopper = shopper_known(frame, "c03")
    slate = ask("c03")
    assert slate.rung == Rung.SHOPPER
    expected = models["popular"].served_lists([shopper.pk]).row(0)[0][:20]
    assert [item.product_id for item in slate.items] == expected.tolist()
    assert ask("c04").rung == Rung.POPULAR, "serving knows nothing of this one"


@pytest.mark.parametrize("variant", VARIANTS)
def test_offline_figures_judge_lists_of_full_length(
    models: dict[str, Model], frame: pd.DataFrame, variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline, "LAID_AT_ONCE", 7)
    split = evaluations.test_split(Dataset.from_frames(frame))
    judged = []
    for source, model in models.items():
        fitted = type(model).fit(split.train, model.config, evaluations.TrainOptions())
        judged.append(judge_model(fitted, split)[variant])
        assert source != "popular" or judged[-1].top.lengths.min() > 100
    blended = blend_many([one.top for one in judged], list(WEIGHTS.values()), 20)
    expected = evaluate_lists(blended, judged[0].truth, judged[0].catalogue_size)
    found = blend_evaluate(weights=WEIGHTS, protocol=variant)
    assert found is not None
    for name, values in expected.per_user.items():
        np.testing.assert_allclose(found.per_user[name], values)
    assert found.metrics["coverage10"] == pytest.approx(expected.coverage10, abs=1e-6)
