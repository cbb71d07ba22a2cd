"""A tiny shop with hand-made lists, so that every slate can be foretold."""

from collections.abc import Mapping, Sequence

import numpy as np

from apps.catalog.models import Product
from apps.core import clock
from apps.merchandising.models import Placement
from apps.merchandising.services import draft_save, placement_create, publication_publish
from apps.ml.topn import TopN
from apps.serving.lists import lists_write
from apps.serving.models import ListBuild, ListScope
from apps.training.models import ModelVersion, Recipe, VersionStatus
from tests.factories.shop import products_make

SKUS = [f"p{n:02}" for n in range(30)]

Lists = Mapping[tuple[ListScope, int], Sequence[str]]


def catalogue_make(skus: Sequence[str] = SKUS) -> dict[str, int]:
    """Products with three categories and two brands; id by sku."""
    n = len(skus)
    products = products_make(
        *skus,
        category=[f"Home > Kind {number % 3}" for number in range(n)],
        brand=[("Acme", "Orbit")[number % 2] for number in range(n)],
        stock=[50] * n,
    )
    return {sku: product.pk for sku, product in products.items()}


def recipe_of(source: str) -> Recipe:
    return Recipe.objects.get_or_create(code=source, defaults={"name": source, "family": source})[0]


def version_make(source: str, lists: Lists, *, live: bool = True, complete: bool = True) -> ModelVersion:
    """A version with these lists: skus, best first, scored n..1."""
    recipe = recipe_of(source)
    if live:
        ModelVersion.objects.filter(recipe=recipe, status=VersionStatus.LIVE).update(
            status=VersionStatus.RETIRED
        )
    version = ModelVersion.objects.create(
        recipe=recipe,
        number=recipe.versions.count() + 1,
        status=VersionStatus.LIVE if live else VersionStatus.CANDIDATE,
        artifact_path="/nowhere",
        snapshot_hash="test",
    )
    ids = dict(Product.objects.values_list("sku", "pk"))
    for (scope, key), skus in lists.items():
        top = TopN.from_lists(
            [([ids[sku] for sku in skus], np.arange(len(skus), 0, -1, dtype=np.float32))], 100
        )
        lists_write(version_id=version.pk, scope=scope, keys=np.asarray([key]), top=top)
    ListBuild.objects.create(
        version_id=version.pk, shards_done=1, finished=[0], completed_at=clock.now() if complete else None
    )
    return version


def home_make(weights: Mapping[str, float]) -> Placement:
    """The home placement with these weights."""
    return placement_create(code="home", name="Home", kind="shopper", weights=weights)


def rules_publish(placement: Placement, *rules: Mapping[str, object]) -> None:
    """Publish these rules on the placement's live weights."""
    placement.refresh_from_db()
    draft = draft_save(placement=placement, revision=placement.draft.revision, rules=rules)
    publication_publish(placement=placement, revision=draft.revision)
