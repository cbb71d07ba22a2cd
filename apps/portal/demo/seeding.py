"""Puts the generated shop into the database and its pictures into the media folder. Repeating it adds
nothing.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings

from apps.accounts.models import User
from apps.accounts.selectors import shop_settings_get
from apps.accounts.services import shop_settings_update
from apps.catalog.services import category_names_set, product_upsert_many
from apps.core import clock
from apps.core.errors import Conflict, RowError
from apps.events.kinds import kinds_forget
from apps.events.models import EventKind
from apps.events.services import (
    event_kind_save,
    event_record_many,
    import_report_add,
    review_upsert_many,
    shopper_upsert_many,
)
from apps.merchandising.models import Placement
from apps.merchandising.services import placement_archive, placement_update, placements_ensure
from apps.portal.demo.packs import DEFAULT_PACK, PACKS
from apps.portal.demo.packs.pack import Content, Pack, Size
from apps.portal.demo.truth import world_head
from apps.portal.staff import DEMO_LOGINS

SOURCE = "demo"
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
    *, size: Size | None = None, pack: Pack | None = None, end: datetime | None = None, say: Say | None = None
) -> Seeded:
    """Generate the pack's world and store it, unless one is stored; then only missing pictures are drawn.

    The truths are written last, in one transaction: while they are missing the shop counts as unfinished and
    the next call starts over, which is safe because every step before is idempotent for the same `end`.
    Raises Conflict where the database holds another shop.
    """
    chosen = pack or PACKS[DEFAULT_PACK]
    done = Seeded()
    timer = _Timer(done.seconds, say or (lambda text: None))
    if head := world_head():
        if head.get("pack", DEFAULT_PACK) != chosen.code:
            raise Conflict(
                f"The database {settings.SHOP_NAME!r} holds the pack {head.get('pack', DEFAULT_PACK)!r}. Name"
                " another database for this one."
            )
        done.fresh = False
        with timer("pictures"):
            done.pictures = chosen.pictures_mend(head)
        return done
    _foreign_refuse()
    with timer("generating the shop"):
        content = chosen.generate(size=size or chosen.size, end=end or clock.now())
    _configure(chosen)
    _store(content, done, timer)
    with timer("pictures"):
        done.pictures = chosen.pictures_draw(content)
    with timer("hidden truths"):
        done.truths = chosen.truths_save(content)
    _introduce(chosen, done)
    return done


def pack_stored() -> Pack:
    """The pack of the stored world; the default one where there is none."""
    head = world_head() or {}
    return PACKS[head.get("pack", DEFAULT_PACK)]


def _introduce(pack: Pack, done: Seeded) -> None:
    """Give the shop its name, and the pipeline's picture the import it came from."""
    shop_settings_update(
        name=pack.shop_name,
        currency=pack.currency,
        languages=list(pack.languages),
        words={language: dict(words) for language, words in pack.words.items()},
        set_up_at=clock.now(),
    )
    counts = {"products": done.products, "shoppers": done.shoppers, "interactions": done.events}
    import_report_add(
        name=pack.shop_name,
        counts={"rows": sum(counts.values()) + done.reviews} | counts,
        skipped={},
        seconds=round(sum(done.seconds.values()), 1),
    )


def _foreign_refuse() -> None:
    """A shop that somebody runs gets no invented goods, and no logins whose passwords everybody knows."""
    own = {login.username for login in DEMO_LOGINS}
    shop = shop_settings_get()
    foreign = shop.set_up_at is not None and shop.name not in {pack.shop_name for pack in PACKS.values()}
    if foreign or User.objects.exclude(username__in=own).exists():
        raise Conflict(
            f"The database {settings.SHOP_NAME!r} holds a shop that is not the demo. Name an empty one in"
            " DATABASE_URL, or leave that unset: the demo then has a server of its own."
        )


def _configure(pack: Pack) -> None:
    """Event kinds and placements as the pack declares them."""
    known = {kind.code: kind for kind in EventKind.objects.all()}
    for spec in pack.kinds:
        kind = known.get(spec.code)
        role = kind.role if kind and kind.built_in else spec.role
        if kind is None or (kind.role, kind.weight, kind.active) != (role, spec.weight, True):
            kind_id = kind.pk if kind else None
            event_kind_save(code=spec.code, name=spec.name, role=role, weight=spec.weight, kind_id=kind_id)
    for code in pack.retired:
        kind = known[code]
        if kind.active:
            event_kind_save(
                code=code,
                name=kind.name,
                role=kind.role,
                weight=kind.weight,
                active=False,
                kind_id=kind.pk,
            )
    kinds_forget()
    if pack.placements:
        _placements_set(pack)


def _placements_set(pack: Pack) -> None:
    placements_ensure()
    wanted = {spec.code: spec for spec in pack.placements}
    for placement in Placement.objects.filter(archived_at=None):
        spec = wanted.get(placement.code)
        if spec is None:
            placement_archive(placement=placement)
        else:
            placement_update(placement=placement, name=spec.name, repeat_purchases=spec.repeats)


def _store(content: Content, done: Seeded, timer: "_Timer") -> None:
    with timer("products"):
        result = product_upsert_many(frame=content.products, source=SOURCE)
        _none_refused("product", result.errors)
        category_names_set(names=content.category_names)
        done.products = result.inserted + result.updated + result.unchanged
    with timer("shoppers"):
        _none_refused("shopper", shopper_upsert_many(frame=content.shoppers).errors)
        done.shoppers = len(content.shoppers)
    with timer("events"):
        recorded = event_record_many(
            frame=content.events, source=SOURCE, on_progress=lambda part, text: timer.say(f"events {text}")
        )
        _none_refused("event", recorded.rejected)
        done.events = recorded.accepted + recorded.duplicates
    if content.reviews is not None:
        with timer("reviews"):
            _none_refused("review", review_upsert_many(frame=content.reviews).errors)
            done.reviews = len(content.reviews)


def _none_refused(what: str, errors: list[RowError]) -> None:
    """The generator and the rule books disagree only by a mistake of ours: stop rather than seed a part."""
    if errors:
        raise RuntimeError(f"{len(errors)} generated {what} rows were refused, the first: {errors[0]}")


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
