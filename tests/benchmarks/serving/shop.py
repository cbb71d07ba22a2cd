"""A shop to measure, made by SQL: products, shoppers, events, lists of ten sources, placements with rules.

`main(products=…, shoppers=…)` runs in a process of its own (`servers.shop_ensure`), prints the API key as its
last line, and uses again a shop that is there already.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from apps.accounts.models import ApiClient
from apps.accounts.services import api_client_create
from apps.core import clock
from apps.events.partitions import month_of, months_between, partitions_make
from apps.merchandising.models import Placement
from apps.merchandising.services import draft_save, placement_create, publication_publish
from apps.ml.topn import TopN
from apps.serving.lists import lists_write
from apps.serving.models import ListBuild, ListScope
from apps.training.models import ModelVersion, Recipe, VersionStatus
from tests.benchmarks.serving.shop_sizes import RULES_GROWTH, SOURCES_GROWTH

# The first five are those of the home placement.
SOURCES = ("als", "ease", "item_knn", "user_knn", "content", "personal", "own_a", "own_b", "own_c", "own_d")
EVERYONE = ("popular", "trend")
LIST_LENGTH = 100
LISTED_ITEMS_MAX = 5_000
CATEGORIES, BRANDS = 24, 60
EVENTS_EACH = 20
KEY_FILE = "api-key"

PRODUCTS = """
INSERT INTO catalog_product (created_at, updated_at, sku, title, description, language, category_id, brand,
    price, currency, stock, image_url, attributes, group_key, first_seen_at, source, placeholder)
SELECT now(), now(), 'P' || n, 'Product number ' || n || ' in a colour', '', 'en',
    %(first)s + n %% %(categories)s, 'Brand ' || n %% %(brands)s, 1 + n %% 400, 'EUR',
    CASE WHEN n %% 33 = 0 THEN 0 ELSE 50 END,
    'https://shop.example/images/' || n || '.jpg',
    jsonb_build_object('colour', (ARRAY['red','blue','green','white'])[1 + n %% 4], 'tags',
        CASE WHEN n %% 20 = 0 THEN jsonb_build_array('promotion') ELSE '[]'::jsonb END),
    CASE WHEN n %% 12 < 2 THEN 'group ' || n / 12 ELSE '' END,
    now() - n %% 900 * interval '1 day', 'bench', false
FROM generate_series(1, %(n)s) n
"""
SHOPPERS = """
INSERT INTO events_shopper (external_id, consent, age_band, gender, income_band, region, language)
SELECT 's' || n, true, '', '', '', 'Region ' || n %% 8, '' FROM generate_series(1, %s) n
"""
EVENTS = """
INSERT INTO events_interaction (occurred_at, received_at, kind_id, shopper_id, product_id, quantity, session,
    channel, query, bot, client_event_id)
SELECT now() - (1 + (s.id * 7 + n * 13) %% 40) * interval '1 day', now(), k.id, s.id,
    (SELECT min(id) FROM catalog_product) + (s.id * 31 + n * 17) %% %(products)s, 1, '', '', '', false,
    'bench' || s.id || '-' || n
FROM events_shopper s CROSS JOIN generate_series(1, %(each)s) n
JOIN events_eventkind k ON k.code = CASE WHEN n %% 4 = 0 THEN 'purchase' ELSE 'view' END
"""


def rules(count: int) -> Iterator[dict[str, Any]]:
    """Live rules of every kind: of fifty 4 pins, 20 boosts, 12 buries, 6 hides, 5 filters, 3 limits."""
    for n in range(count):
        rule: dict[str, Any] = {"id": f"r{n}"}
        match n % 25:
            case 0:
                rule |= {"kind": "pin", "position": 2 + n // 25 % 18, "target": product(7 + n)}
            case 1:
                rule |= {"kind": "pin", "position": 5 + n // 25 % 15, "target": category(n)}
            case 2 | 3 | 4:
                rule |= {"kind": "hide", "target": product(*range(300 + 5 * n, 305 + 5 * n))}
            case 5 | 6:
                rule |= {
                    "kind": "filter",
                    "condition": {"field": "price", "op": "lte", "value": 395 + n / 500},
                }
            case 7 if n < 25:
                rule |= {"kind": "limit", "max": 4, "by": "category"}
            case 7 if n < 50:
                rule |= {"kind": "limit", "max": 3, "by": "brand"}
            case 8 | 9 | 10 | 11 | 12 | 13:
                rule |= {"kind": "bury", "strength": 0.05, "target": brand(n)}
            case 14 | 15 | 16:
                rule |= {"kind": "boost", "strength": 0.1, "target": category(n)}
            case 17:
                rule |= {"kind": "boost", "strength": 0.2, "target": {"type": "tag", "tag": "promotion"}}
            case 18:
                colour = {"type": "attribute", "name": "colour", "value": "red"}
                rule |= {"kind": "boost", "strength": 0.05, "target": colour}
            case _:
                rule |= {"kind": "boost", "strength": 0.1, "target": product(*range(11 * n, 11 * n + 8))}
        yield rule


def product(*numbers: int) -> dict[str, Any]:
    """These products."""
    return {"type": "product", "skus": [f"P{number}" for number in numbers]}


def category(n: int) -> dict[str, Any]:
    """One of the categories."""
    return {"type": "category", "path": f"Shop > Kind {n % CATEGORIES}"}


def brand(n: int) -> dict[str, Any]:
    """One of the brands."""
    return {"type": "brand", "brand": f"Brand {n % BRANDS}"}


@transaction.atomic
def shop_make(*, products: int, shoppers: int) -> str:
    """All of it; returns the API key."""
    now = clock.now()
    partitions_make(months=months_between(month_of(now - timedelta(days=70)), month_of(now)))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO catalog_category (name, path, names, depth) SELECT 'Kind ' || n, "
            "'Shop > Kind ' || n, '{}', 1 FROM generate_series(0, %s) n RETURNING id",
            [CATEGORIES - 1],
        )
        first = min(pk for (pk,) in cursor.fetchall())
        cursor.execute(PRODUCTS, {"n": products, "first": first, "categories": CATEGORIES, "brands": BRANDS})
        cursor.execute(SHOPPERS, [shoppers])
        cursor.execute(EVENTS, {"products": products, "each": EVENTS_EACH})
        cursor.execute("SELECT min(id) FROM catalog_product")
        first_product = cursor.fetchone()[0]
        cursor.execute("SELECT id FROM events_shopper ORDER BY id")
        shopper_ids = np.array([pk for (pk,) in cursor.fetchall()])
    generator = np.random.default_rng(7)
    for place, source in enumerate((*SOURCES, *EVERYONE)):
        recipe = Recipe.objects.get_or_create(code=source, defaults={"name": source, "family": source})[0]
        version = ModelVersion.objects.create(
            recipe=recipe,
            number=1,
            status=VersionStatus.LIVE,
            artifact_path="/nowhere",
            snapshot_hash="bench",
        )
        if source in EVERYONE:
            scopes = {ListScope.EVERYONE: np.array([0])}
        else:
            # The further five sources are there for a tenth of the shoppers: they only show how cost grows.
            keys = shopper_ids if place < 5 else shopper_ids[: len(shopper_ids) // 10]
            items = first_product + np.arange(min(products, LISTED_ITEMS_MAX))
            scopes = {ListScope.SHOPPER_NEW: keys, ListScope.ITEM: items}
        for scope, keys in scopes.items():
            for start in range(0, len(keys), 5_000):
                block = keys[start : start + 5_000]
                top = lists_random(generator, len(block), products, first_product)
                lists_write(version_id=version.pk, scope=scope, keys=block, top=top)
        ListBuild.objects.create(version_id=version.pk, shards_done=1, finished=[0], completed_at=now)
    placements_make()
    ApiClient.objects.filter(name="bench").delete()
    return api_client_create(name="bench", scopes=["recommend", "events"], requests_per_minute=100_000_000)[1]


def lists_random(generator: np.random.Generator, rows: int, products: int, first: int) -> TopN:
    """Lists that overlap as real ones do: a third of each from the 500 best known products."""
    length = min(LIST_LENGTH, products // 3)
    known = generator.integers(0, min(500, products), (rows, length))
    other = generator.integers(0, products, (rows, length))
    ids = np.where(generator.random((rows, length)) < 0.35, known, other)
    # Each once: steps on from a repeated product are new with near certainty; what repeats still is cut.
    ids = np.sort(ids, axis=1)
    ids += np.cumsum(np.diff(ids, axis=1, prepend=-1) == 0, axis=1)
    ids = generator.permuted(ids % products, axis=1)
    scores = np.sort(generator.gamma(2.0, 1.0, (rows, length)).astype(np.float32), axis=1)[:, ::-1]
    repeated = np.array([len(set(row)) < length for row in ids.tolist()])
    ids[repeated] = np.arange(length)
    return TopN(first + ids.astype(np.int64), np.ascontiguousarray(scores))


def placements_make() -> None:
    """home and product; and what shows growth: sources-N with fifty rules, rules-N with five sources."""
    five = dict.fromkeys(SOURCES[:5], 0.5)
    placement_publish("home", "shopper", five, 50)
    placement_publish("product", "item", five, 50)
    for count in SOURCES_GROWTH:
        placement_publish(f"sources-{count}", "shopper", dict.fromkeys(SOURCES[:count], 0.5), 50)
    for count in RULES_GROWTH:
        placement_publish(f"rules-{count}", "shopper", five, count)


def placement_publish(code: str, kind: str, weights: dict[str, float], rule_count: int) -> None:
    """A placement with this blend and so many rules, live."""
    placement: Placement = placement_create(code=code, name=code, kind=kind, weights=weights)
    if not rule_count:
        return  # live as it was made
    draft = draft_save(placement=placement, revision=placement.draft.revision, rules=list(rules(rule_count)))
    publication_publish(placement=placement, revision=draft.revision)


def main(*, products: int, shoppers: int) -> None:
    """Make the shop unless it is there; print the key."""
    key_file = Path(settings.SHOP_DIR) / KEY_FILE
    call_command("migrate", verbosity=0)
    if not key_file.exists():
        key = shop_make(products=products, shoppers=shoppers)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
        key_file.parent.mkdir(parents=True, exist_ok=True)
        key_file.write_text(key, encoding="ascii")
    print(key_file.read_text(encoding="ascii"), flush=True)
