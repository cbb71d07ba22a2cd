"""Candidate lists of live model versions: planned in shards, built idempotently, switched atomically.

A build is a row (`ListBuild`) and a number of shards by key range. A shard writes its lists and its mark in
one transaction, so that it can be repeated, resumed or delivered twice. Readers use a version only once all
its shards are there (`serving.live`), and until then the version before it. Torch may be loaded here, so
call it from workers and commands only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

import numpy as np
from django.db import connection, transaction
from django.db.models import F, Q

from apps.catalog.models import Product
from apps.core import clock
from apps.core.errors import NotFound
from apps.events.models import Shopper
from apps.ml.artifacts import load_model
from apps.ml.base import Model
from apps.ml.dataset import ANONYMOUS, Ints
from apps.ml.registry import FAMILIES
from apps.ml.topn import PADDING_ID, SERVED_LIST_LENGTH, TopN
from apps.serving.lists import lists_delete, lists_delete_versions, lists_write
from apps.serving.models import ListBuild, ListScope
from apps.serving.online import network_write, networks_prune
from apps.serving.pinned import versions_pinned
from apps.serving.segments import category_lists, segment_lists
from apps.training.models import ModelVersion, VersionStatus

KEYS_PER_SHARD = 2_500
SHARDS_MAX = 64
# Shards given out this long ago and not finished are given out again; a shard at work elsewhere is skipped.
RESEND_AFTER = timedelta(minutes=2)
# Products beyond a list's length that are ranked to make up for the bought ones; most shoppers bought fewer.
BOUGHT_MARGIN = 60
# The live version's lists and those of the one before it, so that a roll-back is served at once.
BUILDS_KEPT = 2
Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class BuildResult:
    """A version's lists after building: how many there are, over how many shards."""

    version_id: int
    lists: int
    shards: int
    complete: bool


def lists_missing() -> list[int]:
    """Live versions, and those that experiments pin, with shards to do that are not just being worked on."""
    waiting = ListBuild.objects.filter(
        Q(completed_at__isnull=False, shards_done__gte=F("shards"))
        | Q(sent_at__gt=clock.now() - RESEND_AFTER)
    ).values("version_id")
    wanted = ModelVersion.objects.filter(Q(status=VersionStatus.LIVE) | Q(pk__in=versions_pinned()))
    return list(wanted.exclude(pk__in=waiting).order_by("pk").values_list("pk", flat=True))


@transaction.atomic
def build_start(*, version_id: int, rebuild: bool = False) -> list[int]:
    """Make or take up the version's build; returns the numbers of the shards still to do.

    rebuild: do every shard again. Readers go on with the lists there are; each is replaced as a whole.
    """
    if not ModelVersion.objects.filter(pk=version_id).exists():
        raise NotFound(f"There is no model version {version_id}.")
    ListBuild.objects.get_or_create(version_id=version_id, defaults={"shards": _shards_wanted()})
    build = ListBuild.objects.select_for_update().get(version_id=version_id)
    if rebuild:
        build.shards, build.shards_done, build.finished, build.lists = _shards_wanted(), 0, [], 0
    build.sent_at = clock.now()
    build.save()
    return [shard for shard in range(build.shards) if shard not in build.finished]


def _shards_wanted() -> int:
    keys = Shopper.objects.count() + Product.objects.count()
    return min(max(-(-keys // KEYS_PER_SHARD), 1), SHARDS_MAX)


@lru_cache(maxsize=1)
def _model(path: str, version_id: int) -> Model[Any]:
    return load_model(path)


def _shard_of(keys: Ints, shard: int, shards: int) -> Ints:
    """The shard's contiguous part of the ascending keys."""
    return np.array_split(keys, shards)[shard]


@transaction.atomic
def shard_build(*, version_id: int, shard: int) -> bool:
    """Build one shard's lists; False when it is done already, or another process is at it. The last one
    prunes what nobody reads any more.

    Raises NotFound when the version or its build is gone, ArtifactInvalid when its folder is damaged.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [version_id % 2**31, shard])
        if not cursor.fetchone()[0]:
            return False
    build = ListBuild.objects.filter(version_id=version_id).first()
    version = ModelVersion.objects.select_related("recipe", "run__snapshot").filter(pk=version_id).first()
    if build is None or version is None:
        raise NotFound(f"There is no build of lists for model version {version_id}.")
    if shard in build.finished or shard >= build.shards:
        return False
    model = _model(version.artifact_path, version_id)
    written = _shard_write(version, model, shard, build.shards)
    if _shard_mark(build, shard, written):
        lists_prune()
    return True


def _shard_write(version: ModelVersion, model: Model[Any], shard: int, shards: int) -> int:
    """One list for everyone where the family has it, else one per shopper; and one per product."""
    history = model.history
    shared = FAMILIES[model.family].shared
    shoppers = _shard_of(history.users.ids[history.active], shard, shards)
    products = _shard_of(history.items.ids, shard, shards)
    k = SERVED_LIST_LENGTH
    parts = [(ListScope.ITEM, products, model.similar(products, k))]
    if not shared:
        fresh, every = shopper_lists(model, shoppers, k)
        parts.append((ListScope.SHOPPER_NEW, shoppers, fresh))
        parts.append((ListScope.SHOPPER_ALL, shoppers, every))
    if shard == 0:
        top = model.shared_list() if shared else model.recommend([ANONYMOUS], k, "none")
        parts.append((ListScope.EVERYONE, np.zeros(1, dtype=np.int64), top))
        parts.append((ListScope.SEGMENT, *segment_lists(version)))
        parts.append((ListScope.CATEGORY, *category_lists(model)))
        network_write(version_id=version.pk, model=model)
    written = 0
    for scope, keys, top in parts:
        lists_delete(version_id=version.pk, scope=scope, keys=keys)
        written += lists_write(version_id=version.pk, scope=scope, keys=keys, top=top)
    return written


def shopper_lists(model: Model[Any], shoppers: Ints, k: int) -> tuple[TopN, TopN]:
    """Lists of these shoppers without what they bought, and with it: [n, k] each, from one ranking.

    The list without is what remains of a longer list with; a shopper whose longer list was nearly all bought
    is asked again. Equal to `recommend(…, "bought")` and `recommend(…, "none")`.
    """
    wide = model.recommend(shoppers, k + BOUGHT_MARGIN, "none")
    rows = model.history.users.rows(shoppers)
    columns = model.history.items.rows(wide.ids.ravel()).reshape(wide.ids.shape)
    bought = model.history.bought[rows]
    # One number for a shopper and an item, so that "who bought what" is one sorted search.
    span = np.int64(len(model.history.items))
    owners = np.repeat(np.arange(len(rows), dtype=np.int64), np.diff(bought.indptr))
    pairs = np.sort(owners * span + bought.indices)
    asked = np.arange(len(rows), dtype=np.int64)[:, None] * span + columns
    gone = (wide.ids >= 0) & np.isin(asked, pairs)
    order = np.argsort(gone, axis=1, kind="stable")[:, :k]
    gone = np.take_along_axis(gone, order, axis=1)
    fresh = TopN(
        np.where(gone, PADDING_ID, np.take_along_axis(wide.ids, order, axis=1)),
        np.where(gone, np.float32(-np.inf), np.take_along_axis(wide.scores, order, axis=1)),
    )
    again = np.flatnonzero((fresh.lengths < k) & (wide.lengths == wide.k))
    if len(again):
        exact = model.recommend(shoppers[again], k, "bought")
        fresh.ids[again], fresh.scores[again] = exact.ids, exact.scores
    return fresh, wide.head(k)


def _shard_mark(build: ListBuild, shard: int, written: int) -> bool:
    """Whether this was the build's last shard."""
    locked = ListBuild.objects.select_for_update().get(pk=build.pk)
    locked.finished = sorted({*locked.finished, shard})
    locked.shards_done = len(locked.finished)
    locked.lists = F("lists") + written
    if locked.shards_done >= locked.shards:
        locked.completed_at = clock.now()
    locked.save()
    return locked.completed_at is not None


def lists_build(
    *, version_id: int, rebuild: bool = False, on_progress: Progress | None = None
) -> BuildResult:
    """Build all unfinished shards of a version here and now.

    rebuild: forget what was built, once the model is known to load: readers keep the lists of one that does
    not. Raises ArtifactInvalid then.
    """
    if rebuild and (version := ModelVersion.objects.filter(pk=version_id).first()) is not None:
        _model.cache_clear()
        _model(version.artifact_path, version_id)
    todo = build_start(version_id=version_id, rebuild=rebuild)
    for number, shard in enumerate(todo, 1):
        shard_build(version_id=version_id, shard=shard)
        if on_progress is not None:
            on_progress(number / len(todo), f"{number} / {len(todo)}")
    _model.cache_clear()
    build = ListBuild.objects.get(version_id=version_id)
    return BuildResult(version_id, build.lists, build.shards, build.completed_at is not None)


def lists_missing_build(*, on_progress: Progress | None = None) -> list[BuildResult]:
    """Build the lists of every version of `lists_missing`, here and now."""
    return [lists_build(version_id=pk, on_progress=on_progress) for pk in lists_missing()]


@transaction.atomic
def lists_prune() -> int:
    """Delete the lists of versions nobody reads: all but the live ones, those that experiments pin and, per
    recipe, the newest complete builds of others. Returns how many lists went.
    """
    builds = ListBuild.objects.in_bulk(field_name="version_id")
    versions = ModelVersion.objects.filter(pk__in=builds).values_list("pk", "recipe_id", "status")
    pinned = versions_pinned()
    keep: set[int] = {pk for pk, _, status in versions if status == VersionStatus.LIVE or pk in pinned}
    by_recipe: dict[int, list[int]] = {}
    for pk, recipe_id, _ in versions:
        if builds[pk].completed_at is not None and pk not in pinned:
            by_recipe.setdefault(recipe_id, []).append(pk)
    for pks in by_recipe.values():
        newest = sorted(pks, key=lambda pk: (pk in keep, builds[pk].completed_at), reverse=True)
        keep.update(newest[:BUILDS_KEPT])
    stale = [pk for pk in builds if pk not in keep]
    if not stale:
        return 0
    ListBuild.objects.filter(version_id__in=stale).delete()
    networks_prune(keep=keep)
    return lists_delete_versions(version_ids=stale)
