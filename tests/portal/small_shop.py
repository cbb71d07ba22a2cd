"""A shop small enough to reason about: 40 products, 6 shoppers, lists of every built-in source."""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

import numpy as np

from apps.catalog.models import Product
from apps.core import clock
from apps.events.models import Shopper
from apps.merchandising.blends import BUILT_IN_SOURCES
from apps.merchandising.models import Placement
from apps.merchandising.services import placements_ensure
from apps.ml.topn import Ids, TopN
from apps.serving.lists import lists_write
from apps.serving.memory import memory_forget
from apps.serving.models import ListBuild, ListScope
from apps.training.models import ModelVersion, Recipe, VersionStatus
from apps.training.recipes import recipes_ensure
from tests.factories.shop import event, events_record, products_make, shoppers_make

PRODUCTS = 40
LISTED = 30
NOUNS = ("Mug", "Lamp", "Scarf", "Kettle", "Notebook")
COLOURS = ("Blue", "Red", "Green", "Sand", "Black", "White", "Olive", "Coral")
TONES = ("#7aa5d8", "#d87a7a", "#7ac29a", "#d8c79a", "#555b66", "#e8e4dc", "#9aa05c", "#e8917a")


@dataclass(frozen=True)
class SmallShop:
    """The rows tests name."""

    products: dict[str, Product]
    shoppers: dict[str, Shopper]
    home: Placement

    def title(self, sku: str) -> str:
        """The product's title."""
        return self.products[sku].title


def picture(number: int) -> str:
    """A flat drawing, so that a card has a picture without any file."""
    tone = TONES[number % len(TONES)]
    shape = ("<circle cx='50' cy='50' r='28'/>", "<rect x='25' y='25' width='50' height='50' rx='8'/>",
             "<path d='M50 20 80 78H20z'/>")[number % 3]  # fmt: skip
    paper = "<rect width='100' height='100' fill='ivory'/>"
    drawn = f"<g fill='{tone}'>{shape}</g></svg>"
    drawn = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 100 100'>" + paper + drawn
    return "data:image/svg+xml," + quote(drawn, safe="<>/='() ")


def small_shop_make() -> SmallShop:
    """Make it in the present database; everything is committed by the caller's transaction, if any."""
    memory_forget()
    skus = [f"P{number:02d}" for number in range(1, PRODUCTS + 1)]
    numbers = range(PRODUCTS)
    products = products_make(
        *skus,
        title=[f"{COLOURS[n % len(COLOURS)]} {NOUNS[n % len(NOUNS)]} {n + 1}" for n in numbers],
        category=[f"Home > {NOUNS[n % len(NOUNS)]}s" for n in numbers],
        brand=[("Acme", "Nordlys", "Hearth")[n % 3] for n in numbers],
        price=[9.5 + n for n in numbers],
        stock=[3 if n == 4 else 50 for n in numbers],
    )
    for n, sku in enumerate(skus):  # a drawn picture is no address a feed may name
        Product.objects.filter(sku=sku).update(image_url=picture(n))
    shoppers = shoppers_make(*(f"shopper-{n}" for n in range(1, 7)), consent=[True] * 6, region=["North"] * 6)
    _happenings(skus)
    recipes_ensure()
    placements_ensure()
    _lists(products, shoppers)
    memory_forget()
    return SmallShop(products, shoppers, Placement.objects.get(code="home"))


def _happenings(skus: list[str]) -> None:
    now = clock.now()
    rows = []
    for n in range(1, 7):
        who = {"shopper": f"shopper-{n}", "channel": "web"}
        did = [("view", skus[n]), ("view", skus[n + 1]), ("add_to_cart", skus[n + 1]), ("view", skus[n + 7])]
        for step, (kind, sku) in enumerate(did):
            at = (now - timedelta(hours=3, minutes=20 - step)).isoformat()
            rows.append(event(kind, sku=sku, session=f"v{n}", occurred_at=at, **who))
        at = (now - timedelta(days=2)).isoformat()
        rows.append(event("search", sku="", query="blue mug", session=f"w{n}", occurred_at=at, **who))
    refused = events_record(*rows).rejected
    assert not refused, refused[:3]


def _lists(products: dict[str, Product], shoppers: dict[str, Shopper]) -> None:
    """Every source ranks the products in an order of its own, the same for every shopper but shifted."""
    ids = np.array([products[sku].pk for sku in sorted(products)], dtype=np.int64)
    people = np.array([one.pk for one in shoppers.values()], dtype=np.int64)
    for seed, recipe in enumerate(Recipe.objects.filter(code__in=BUILT_IN_SOURCES)):
        _version_lists(recipe.pk, seed, ids, people)


def _version_lists(recipe_id: int, seed: int, ids: Ids, people: Ids) -> None:
    version = ModelVersion.objects.create(
        recipe_id=recipe_id, number=1, status=VersionStatus.LIVE, artifact_path="none", snapshot_hash="none"
    )
    random = np.random.default_rng(seed)
    order = np.stack([np.roll(random.permutation(ids), row)[:LISTED] for row in range(len(people))])
    scores = np.tile(np.linspace(3, -1, LISTED, dtype=np.float32), (len(people), 1))
    top = TopN(order, scores)
    for scope in (ListScope.SHOPPER_NEW, ListScope.SHOPPER_ALL):
        lists_write(version_id=version.pk, scope=scope, keys=people, top=top)
    per_item = np.stack([np.roll(random.permutation(ids), row)[:LISTED] for row in range(len(ids))])
    item_scores = np.tile(np.linspace(3, -1, LISTED, dtype=np.float32), (len(ids), 1))
    lists_write(version_id=version.pk, scope=ListScope.ITEM, keys=ids, top=TopN(per_item, item_scores))
    everyone = TopN(order[:1], scores[:1])
    lists_write(
        version_id=version.pk, scope=ListScope.EVERYONE, keys=np.zeros(1, dtype=np.int64), top=everyone
    )
    ListBuild.objects.create(version_id=version.pk, shards_done=1, lists=len(ids), completed_at=clock.now())
