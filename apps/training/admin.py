"""Raw records of training. All of it is changed on the Models page, where configs and gates are checked."""

from django.contrib import admin

from apps.accounts.records import ReadOnlyRecordAdmin
from apps.training.models import ModelVersion, Recipe, TrainingRun


@admin.register(Recipe)
class RecipeAdmin(ReadOnlyRecordAdmin):
    """Recipes."""

    list_display = ("code", "name", "family", "preset", "window_days", "schedule", "next_run_at", "active")
    list_filter = ("family", "schedule", "active")
    search_fields = ("code", "name")


@admin.register(TrainingRun)
class TrainingRunAdmin(ReadOnlyRecordAdmin):
    """Training runs."""

    list_display = ("id", "recipe", "job", "snapshot", "auto_promote", "created_at")
    list_filter = ("recipe",)
    list_select_related = ("recipe", "job", "snapshot")


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyRecordAdmin):
    """The registry of model versions."""

    list_display = (
        "recipe",
        "number",
        "status",
        "snapshot_hash",
        "code_version",
        "created_at",
        "promoted_at",
    )
    list_filter = ("status", "recipe")
    list_select_related = ("recipe",)
    search_fields = ("recipe__code", "snapshot_hash")
