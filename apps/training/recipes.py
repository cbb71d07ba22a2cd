"""Recipes: the built-in ones, editing them, and which are due."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from apps.accounts.models import User
from apps.accounts.services import audit_record
from apps.core import clock
from apps.core.errors import InvalidInput
from apps.ml.configs import PRESETS
from apps.ml.errors import InvalidValue
from apps.ml.registry import FAMILIES, family_get
from apps.training.models import Recipe, Schedule

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
                "color": color % 8,
            },
        )
    return list(Recipe.objects.all())


def config_check(*, family: str, preset: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting of a model of this family: the preset's with `config` over it; InvalidInput if wrong."""
    if preset not in PRESETS:
        raise InvalidInput(field="preset", value=preset, remedy=f"Choose one of {', '.join(PRESETS)}.")
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
    before = {name: getattr(recipe, name) for name in changes}
    for name, value in changes.items():
        setattr(recipe, name, value)
    config_check(family=recipe.family, preset=recipe.preset, config=recipe.config)
    if recipe.schedule not in Schedule.values:
        raise InvalidInput(
            field="schedule", value=recipe.schedule, remedy=f"Choose one of {', '.join(Schedule.values)}."
        )
    if recipe.window_days is not None and recipe.window_days < 2:
        raise InvalidInput(
            field="window_days", value=recipe.window_days, remedy="Use 2 days or more, or none."
        )
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
