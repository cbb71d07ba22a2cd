"""Reads of recipes, runs and versions."""

from datetime import timedelta
from typing import Any

from django.db.models import Prefetch, QuerySet

from apps.core import clock
from apps.training.models import ModelVersion, Recipe, TrainingRun, VersionStatus
from apps.training.recipes import INTERVALS


def recipes_list(*, active_only: bool = False) -> QuerySet[Recipe]:
    """Recipes in the order of their colours, each with its live version as `live_versions` (0 or 1)."""
    live = ModelVersion.objects.filter(status=VersionStatus.LIVE)
    recipes = Recipe.objects.prefetch_related(Prefetch("versions", queryset=live, to_attr="live_versions"))
    return recipes.filter(active=True, archived_at=None) if active_only else recipes


def versions_live() -> dict[str, ModelVersion]:
    """Live versions by recipe code."""
    versions = ModelVersion.objects.filter(status=VersionStatus.LIVE).select_related("recipe")
    return {version.recipe.code: version for version in versions.order_by("recipe__color")}


def versions_of(*, recipe: Recipe, limit: int = 50) -> QuerySet[ModelVersion]:
    """A recipe's versions, newest first."""
    return (
        ModelVersion.objects.filter(recipe=recipe)
        .select_related("recipe", "run__job", "promoted_by")
        .order_by("-number")[:limit]
    )


def runs_recent(*, recipe: Recipe | None = None, limit: int = 20) -> QuerySet[TrainingRun]:
    """The newest runs with their jobs."""
    runs = TrainingRun.objects.select_related("recipe", "job", "snapshot", "version").order_by("-created_at")
    return (runs.filter(recipe=recipe) if recipe else runs)[:limit]


def run_get(*, run_id: int) -> TrainingRun | None:
    """One run with everything a page shows; None when there is none."""
    return (
        TrainingRun.objects.select_related("recipe", "job", "snapshot", "version").filter(pk=run_id).first()
    )


def version_is_stale(version: ModelVersion) -> bool:
    """Whether a live version is older than twice its recipe's rhythm (by hand: never)."""
    interval = INTERVALS.get(version.recipe.schedule)
    return interval is not None and clock.now() - version.created_at > 2 * interval + timedelta(hours=1)


def versions_compare(*, versions: list[ModelVersion]) -> list[dict[str, Any]]:
    """Figures of versions side by side: one row a version, with protocol figures as stored."""
    return [
        {"version": version, "new": version.metrics.get("new", {}), "all": version.metrics.get("all", {})}
        for version in versions
    ]
