"""Puts the generated shop into the database and its pictures into the media folder. Repeating it adds
nothing.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.accounts.models import User
from apps.accounts.selectors import shop_settings_get
from apps.accounts.services import shop_settings_update
from apps.catalog.services import category_names_set, product_upsert_many
from apps.core import clock
from apps.core.errors import Conflict, RowError
from apps.events.kinds import kinds_by_code
from apps.events.services import (
    event_kind_save,
    event_record_many,
    import_report_add,
    review_upsert_many,
    shopper_upsert_many,
)
from apps.portal.demo.catalogue import IMAGE_FOLDER, catalogue_build
from apps.portal.demo.leaves import vocabulary
from apps.portal.demo.pictures import pictures_write
from apps.portal.demo.truth import truth_save, world_head
from apps.portal.demo.wording import Look
from apps.portal.demo.world import World, streams, world_build
from apps.portal.staff import DEMO_LOGINS

SOURCE = "demo"
SHOP_NAME = "Juniper & Finch"
OWN_KINDS = {"coupon": "Coupon", "sponsored_impression": "Sponsored impression"}
Say = Callable[[str], None]


@dataclass
class Seeded:
    """What seeding did; `seconds` by step. `fresh` is False when the shop was there already."""

    fresh: bool = True
    products: int = 0
    shoppers: int = 0
    events: int = 0
    reviews: int = 0
    truths: int = 0
    pictures: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For the command's last line."""
        return asdict(self) | {"seconds": {name: round(spent, 1) for name, spent in self.seconds.items()}}


def demo_seed(
    *, seed: int, products: int, shoppers: int, days: int, end: datetime | None = None, say: Say | None = None
) -> Seeded:
    """Generate the shop and store it, unless one is stored; then only missing pictures are drawn.

    The truths are written last, in one transaction: while they are missing the shop counts as unfinished and
    the next call starts over, which is safe because every step before is idempotent for the same `end`.
    """
    done = Seeded()
    timer = _Timer(done.seconds, say or (lambda text: None))
    if head := world_head():
        done.fresh = False
        with timer("pictures"):
            done.pictures = _pictures_of(head)
        return done
    _foreign_refuse()
    with timer("generating the shop"):
        world = world_build(
            end=end or clock.now(), seed=seed, products=products, shoppers=shoppers, days=days,
            image_base=settings.MEDIA_URL,
        )  # fmt: skip
    _store(world, done, timer)
    with timer("pictures"):
        done.pictures = _draw(world.products["sku"].tolist(), world.catalogue.looks)
    with timer("hidden truths"):
        done.truths = truth_save(world=world)
    _introduce(done)
    return done


def _introduce(done: Seeded) -> None:
    """Give the shop its name, and the pipeline's picture the import it came from."""
    shop_settings_update(name=SHOP_NAME, currency="EUR", languages=["en", "zh-hans"], set_up_at=clock.now())
    counts = {"products": done.products, "shoppers": done.shoppers, "interactions": done.events}
    import_report_add(
        name=SHOP_NAME,
        counts={"rows": sum(counts.values()) + done.reviews} | counts,
        skipped={},
        seconds=round(sum(done.seconds.values()), 1),
    )


def _foreign_refuse() -> None:
    """A shop that somebody runs gets no invented goods, and no logins whose passwords everybody knows."""
    own = {login.username for login in DEMO_LOGINS}
    shop = shop_settings_get()
    foreign = shop.set_up_at is not None and shop.name != SHOP_NAME
    if foreign or User.objects.exclude(username__in=own).exists():
        raise Conflict(
            f"The database {settings.SHOP_NAME!r} holds a shop that is not the demo. Name an empty one in"
            " DATABASE_URL, or leave that unset: the demo then has a server of its own."
        )


def _store(world: World, done: Seeded, timer: "_Timer") -> None:
    known = kinds_by_code()
    for code, name in OWN_KINDS.items():
        if code not in known:
            event_kind_save(code=code, name=name, role="other", weight=0.0)
    with timer("products"):
        result = product_upsert_many(frame=world.products, source=SOURCE)
        _none_refused("product", result.errors)
        category_names_set(names={path: {"zh-hans": name} for path, name in vocabulary().categories.items()})
        done.products = result.inserted + result.updated + result.unchanged
    with timer("shoppers"):
        _none_refused("shopper", shopper_upsert_many(frame=world.shoppers).errors)
        done.shoppers = len(world.shoppers)
    with timer("events"):
        recorded = event_record_many(
            frame=world.events, source=SOURCE, on_progress=lambda part, text: timer.say(f"events {text}")
        )
        _none_refused("event", recorded.rejected)
        done.events = recorded.accepted + recorded.duplicates
    with timer("reviews"):
        _none_refused("review", review_upsert_many(frame=world.reviews.frame).errors)
        done.reviews = len(world.reviews.frame)


def _none_refused(what: str, errors: list[RowError]) -> None:
    """The generator and the rule books disagree only by a mistake of ours: stop rather than seed a part."""
    if errors:
        raise RuntimeError(f"{len(errors)} generated {what} rows were refused, the first: {errors[0]}")


def _pictures_of(head: dict[str, Any]) -> int:
    """Draw the pictures of a stored shop again where files are missing."""
    folder = picture_folder()
    if folder.is_dir() and sum(1 for _ in folder.glob("*.svg")) >= head["products"]:
        return 0
    catalogue = catalogue_build(
        count=head["products"],
        start=datetime.fromisoformat(head["start"]),
        days=head["days"],
        rng=streams(head["seed"])[0],
    )
    return _draw(catalogue.products["sku"].tolist(), catalogue.looks)


def _draw(skus: list[str], looks: list[Look]) -> int:
    return pictures_write(skus=skus, looks=looks, folder=picture_folder())


def picture_folder() -> Path:
    """Where the demo's pictures lie, served below MEDIA_URL."""
    return Path(settings.MEDIA_ROOT) / IMAGE_FOLDER


class _Timer:
    """Says what begins and keeps how long it took."""

    def __init__(self, seconds: dict[str, float], say: Say) -> None:
        self.seconds, self.say = seconds, say

    def __call__(self, name: str) -> "_Timer":
        self.name = name
        self.say(f"{name} …")
        return self

    def __enter__(self) -> None:
        self.began = time.monotonic()

    def __exit__(self, *error: object) -> None:
        self.seconds[self.name] = time.monotonic() - self.began
