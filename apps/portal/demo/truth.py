"""Hidden truths on their way into DemoTruth and back; the one module that touches that table.

Kinds: `world` (one row, key "shop"), `item` by sku, `taste` by shopper, `review`, `coupon`, `sponsored`.
"""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from apps.core.errors import NotFound
from apps.portal.demo.behaviour import Minds, minds_build
from apps.portal.demo.catalogue import Floats, Ints, Traits
from apps.portal.demo.shoppers import Tastes
from apps.portal.demo.world import World
from apps.portal.models import DemoTruth

WORLD_KEY = "shop"
_BATCH = 2_000


@dataclass(frozen=True)
class Stage:
    """All that the simulator knows: minds, who is who, and what the shop sold before.

    `popular` are items by units sold, best first; `activity` and `app` [m] how often shoppers come and where.
    """

    minds: Minds
    skus: list[str]
    shoppers: list[str]
    start: datetime
    popular: Ints
    activity: Floats
    app: Floats

    def day_of(self, moment: datetime) -> float:
        """A moment in days since the start of history."""
        return (moment - self.start) / timedelta(days=1)

    @property
    def item_of(self) -> dict[str, int]:
        """Item index by sku."""
        return {sku: i for i, sku in enumerate(self.skus)}

    @property
    def user_of(self) -> dict[str, int]:
        """Shopper index by external id."""
        return {shopper: i for i, shopper in enumerate(self.shoppers)}


def truth_rows(world: World) -> list[tuple[str, str, dict[str, Any]]]:
    """Everything hidden about `world` as (kind, key, data)."""
    skus = world.products["sku"].tolist()
    shoppers = world.shoppers["external_id"].tolist()
    head = {
        "seed": world.seed,
        "products": len(skus),
        "shoppers": len(shoppers),
        "days": int(world.horizon),
        "start": world.start.isoformat(),
        "end": world.end.isoformat(),
        "popular": [skus[item] for item in np.argsort(-world.history.sales, kind="stable")],
    }
    rows: list[tuple[str, str, dict[str, Any]]] = [("world", WORLD_KEY, head)]
    rows += [("item", sku, _row(world.minds.traits, i)) for i, sku in enumerate(skus)]
    population = world.population
    for i, shopper in enumerate(shoppers):
        data = _row(population.tastes, i)
        data["owned"] = np.flatnonzero(world.minds.owned[i]).tolist()
        data["activity"] = round(float(population.activity[i]), 4)
        data["app"] = round(float(population.app[i]), 3)
        rows.append(("taste", shopper, data))
    rows += [("review", key, {"aspects": aspects}) for key, aspects in world.reviews.truths.items()]
    rows += [("coupon", key, data) for key, data in world.history.coupons.truths().items()]
    rows += [("sponsored", key, data) for key, data in world.history.sponsors.truths(skus).items()]
    return rows


def _row(table: Traits | Tastes, place: int) -> dict[str, Any]:
    columns = {field.name: getattr(table, field.name)[place] for field in fields(table)}
    return {name: np.round(values.astype(float), 4).tolist() for name, values in columns.items()}


@transaction.atomic
def truth_save(*, world: World) -> int:
    """Replace what is stored by the truths of `world`; returns the number of rows."""
    DemoTruth.objects.all().delete()
    rows = [DemoTruth(kind=kind, key=key, data=data) for kind, key, data in truth_rows(world)]
    DemoTruth.objects.bulk_create(rows, batch_size=_BATCH)
    return len(rows)


@transaction.atomic
def head_save(head: dict[str, Any]) -> int:
    """Replace what is stored by the head of a world without hidden truths."""
    DemoTruth.objects.all().delete()
    DemoTruth.objects.create(kind="world", key=WORLD_KEY, data=head)
    return 1


def world_head() -> dict[str, Any] | None:
    """What the stored world was generated from, None when there is none."""
    row = DemoTruth.objects.filter(kind="world", key=WORLD_KEY).first()
    return None if row is None else dict(row.data)


def truth_of(kind: str) -> dict[str, dict[str, Any]]:
    """All truths of one kind by key, for scoring later work against them."""
    return dict(DemoTruth.objects.filter(kind=kind).values_list("key", "data"))


def stage_load(*, shoppers: int | None = None) -> Stage:
    """Rebuild minds from the stored truths; only the first `shoppers` of them when given."""
    head = world_head()
    if head is None:
        raise NotFound("There is no demo shop in this database. Run `manage.py seed_demo` first.")
    found = DemoTruth.objects.order_by("pk")
    items = list(found.filter(kind="item").values_list("key", "data"))
    people = list(found.filter(kind="taste").values_list("key", "data")[:shoppers])
    return stage_build(head, items, people)


def stage_build(
    head: dict[str, Any], items: list[tuple[str, dict[str, Any]]], people: list[tuple[str, dict[str, Any]]]
) -> Stage:
    """Minds from rows (key, data) in the order in which they were saved."""
    start = datetime.fromisoformat(head["start"])
    skus = [key for key, _ in items]
    traits = Traits(**_columns(Traits, [data for _, data in items]))
    tastes = Tastes(**_columns(Tastes, [data for _, data in people]))
    minds = minds_build(traits, tastes, start.timetuple().tm_yday)
    for i, (_, data) in enumerate(people):
        minds.owned[i, data["owned"]] = True
    place = {sku: i for i, sku in enumerate(skus)}
    return Stage(
        minds=minds,
        skus=skus,
        shoppers=[key for key, _ in people],
        start=start,
        popular=np.array([place[sku] for sku in head["popular"]], dtype=np.int64),
        activity=np.array([data["activity"] for _, data in people], dtype=np.float32),
        app=np.array([data["app"] for _, data in people], dtype=np.float32),
    )


def _columns(kind: type[Traits] | type[Tastes], rows: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    whole = {"leaf", "style", "family", "brand", "group", "need", "staple"}
    return {
        field.name: np.array(
            [row[field.name] for row in rows], dtype=np.int64 if field.name in whole else np.float32
        )
        for field in fields(kind)
    }
