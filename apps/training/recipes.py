"""Recipes: the built-in ones, editing them, and which are due."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.accounts.services import audit_record
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput
from apps.ml.configs import PRESETS
from apps.ml.errors import InvalidValue
from apps.ml.registry import FAMILIES, family_get
from apps.training.models import Recipe, Schedule

CODE = re.compile(r"[a-z][a-z0-9_]{1,39}")
RESERVED = frozenset({"new", "promotion", "again", "sponsored", "given", "hybrid", "rule", "catalogue"})
"""Names that stand for something else where sources are named."""
INTERVALS: dict[str, timedelta] = {
    Schedule.HOURLY: timedelta(hours=1),
    Schedule.DAILY: timedelta(days=1),
    Schedule.WEEKLY: timedelta(weeks=1),
}


@transaction.atomic
def recipes_ensure() -> list[Recipe]:
    """Create the built-in recipes that are missing, one per family; ones that exist keep what staff have set.

    Only those of standard families start active.
    """
    for color, family in enumerate(FAMILIES.values()):
        Recipe.objects.get_or_create(
            code=family.name,
            defaults={
                "name": family.title,
                "family": family.name,
                "schedule": Schedule.DAILY if family.standard else Schedule.MANUAL,
                "active": family.standard,
                "color": color,
            },
        )
    return list(Recipe.objects.all())


def config_check(*, family: str, preset: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting of a model of this family: the preset's with `config` over it; InvalidInput if wrong."""
    if preset not in PRESETS:
        raise InvalidInput(
            field="preset",
            value=preset,
            remedy=_("Choose one of %(known)s.") % {"known": ", ".join(PRESETS)},
        )
    try:
        return family_get(family).config({**config, "preset": preset}).to_dict()
    except InvalidValue as error:
        raise InvalidInput(field=error.field, value=error.value, remedy=error.remedy) from error


_EDITABLE = ("name", "config", "preset", "window_days", "schedule", "seed", "active")


@transaction.atomic
def recipe_update(*, recipe: Recipe, changes: Mapping[str, Any], by: User | None) -> Recipe:
    """Change a recipe's settings (name, config, preset, window_days, schedule, seed, active); audited."""
    unknown = sorted(set(changes) - set(_EDITABLE))
    if unknown:
        raise InvalidInput(
            field=unknown[0], value=changes[unknown[0]], remedy=f"Change {', '.join(_EDITABLE)}."
        )
    recipe = Recipe.objects.select_for_update().get(pk=recipe.pk)
    if recipe.archived_at is not None:
        raise Conflict(_("%(recipe)s is archived; bring it back first.") % {"recipe": recipe.name})
    before = {name: getattr(recipe, name) for name in changes}
    for name, value in changes.items():
        setattr(recipe, name, value)
    _recipe_check(recipe)
    recipe.next_run_at = next_run(recipe, after=clock.now())
    recipe.save()
    audit_record(
        actor=by,
        verb="recipe.update",
        object_type="recipe",
        object_id=recipe.pk,
        object_label=recipe.name,
        before=before,
        after=dict(changes),
    )
    return recipe


def _recipe_check(recipe: Recipe) -> None:
    config_check(family=recipe.family, preset=recipe.preset, config=recipe.config)
    if recipe.schedule not in Schedule.values:
        raise InvalidInput(
            field="schedule",
            value=recipe.schedule,
            remedy=_("Choose one of %(known)s.") % {"known": ", ".join(Schedule.values)},
        )
    if recipe.window_days is not None and recipe.window_days < 2:
        raise InvalidInput(
            field="window_days", value=recipe.window_days, remedy=_("Use 2 days or more, or none.")
        )


@transaction.atomic
def recipe_create(
    *,
    code: str,
    name: str,
    family: str,
    by: User | None,
    config: Mapping[str, Any] | None = None,
    preset: str = "small",
    window_days: int | None = None,
    schedule: str = Schedule.MANUAL,
    seed: int = 0,
    active: bool = True,
) -> Recipe:
    """A recipe of the shop's own, audited. Its code names its source in blends and never changes."""
    if not CODE.fullmatch(code):
        raise InvalidInput(
            field="code",
            value=code,
            remedy=_("Use 2 to 40 small letters, digits and underscores, starting with a letter."),
        )
    if code in RESERVED or code in FAMILIES or Recipe.objects.filter(code=code).exists():
        raise InvalidInput(field="code", value=code, remedy=_("This code is taken. Choose another one."))
    if not name.strip():
        raise InvalidInput(field="name", value=name, remedy=_("Give the recipe a name."))
    last = Recipe.objects.aggregate(last=Max("color"))["last"]
    recipe = Recipe(
        code=code,
        name=name.strip(),
        family=family,
        config=dict(config or {}),
        preset=preset,
        window_days=window_days,
        schedule=schedule,
        seed=seed,
        active=active,
        # Built-in families that come with a later release get the places after this one.
        color=max(last + 1 if last is not None else 0, len(FAMILIES)),
    )
    _recipe_check(recipe)
    recipe.next_run_at = next_run(recipe, after=clock.now())
    recipe.save()
    audit_record(
        actor=by,
        verb="recipe.create",
        object_type="recipe",
        object_id=recipe.pk,
        object_label=recipe.name,
        before={},
        after={"code": code, "family": family, "preset": preset, "config": recipe.config},
    )
    return recipe


@transaction.atomic
def recipe_archive(*, recipe: Recipe, by: User | None) -> Recipe:
    """Put a recipe away: it trains no more and is offered nowhere. Its versions and figures stay, and what a
    live blend takes from it goes on being served.
    """
    return _archived_set(recipe=recipe, moment=clock.now(), by=by, verb="recipe.archive")


@transaction.atomic
def recipe_restore(*, recipe: Recipe, by: User | None) -> Recipe:
    """Bring an archived recipe back, switched off."""
    return _archived_set(recipe=recipe, moment=None, by=by, verb="recipe.restore")


def _archived_set(*, recipe: Recipe, moment: datetime | None, by: User | None, verb: str) -> Recipe:
    recipe = Recipe.objects.select_for_update().get(pk=recipe.pk)
    if (recipe.archived_at is None) == (moment is None):
        return recipe
    before = {"active": recipe.active, "archived_at": str(recipe.archived_at or "")}
    recipe.archived_at, recipe.active, recipe.next_run_at = moment, False, None
    recipe.save(update_fields=["archived_at", "active", "next_run_at", "updated_at"])
    audit_record(
        actor=by,
        verb=verb,
        object_type="recipe",
        object_id=recipe.pk,
        object_label=recipe.name,
        before=before,
        after={"active": False, "archived_at": str(moment or "")},
    )
    return recipe


def next_run(recipe: Recipe, *, after: datetime) -> datetime | None:
    """When the recipe's schedule asks for the next run; None when it is trained by hand or not at all."""
    interval = INTERVALS.get(recipe.schedule)
    return after + interval if interval and recipe.active else None


@transaction.atomic
def recipes_take_due() -> list[Recipe]:
    """The recipes whose time has come, their next time set: each is handed out once, whoever asks.

    A recipe that was never scheduled before starts its rhythm now, without a run.
    """
    now = clock.now()
    due = []
    scheduled = Recipe.objects.filter(active=True).exclude(schedule=Schedule.MANUAL)
    for recipe in scheduled.select_for_update(skip_locked=True):
        if recipe.next_run_at is None or recipe.next_run_at <= now:
            if recipe.next_run_at is not None:
                due.append(recipe)
            Recipe.objects.filter(pk=recipe.pk).update(next_run_at=next_run(recipe, after=now))
    return due
