"""Raw records of experiments; they are designed, launched and decided on their own pages."""

from django.contrib import admin

from apps.accounts.records import ReadOnlyRecordAdmin
from apps.experiments.models import Experiment, ExperimentEvent, Layer, Readout, Variant, VariantPublication


@admin.register(Layer)
class LayerAdmin(ReadOnlyRecordAdmin):
    """Layers of mutually exclusive experiments."""

    list_display = ("code", "name", "salt")


@admin.register(Experiment)
class ExperimentAdmin(ReadOnlyRecordAdmin):
    """Experiments."""

    list_display = (
        "code",
        "name",
        "kind",
        "status",
        "decision",
        "layer",
        "traffic",
        "started_at",
        "ended_at",
    )
    list_filter = ("status", "kind", "decision")
    list_select_related = ("layer",)
    search_fields = ("code", "name")


@admin.register(Variant)
class VariantAdmin(ReadOnlyRecordAdmin):
    """Variants."""

    list_display = ("experiment", "code", "name", "is_control", "share")
    list_select_related = ("experiment",)


@admin.register(VariantPublication)
class VariantPublicationAdmin(ReadOnlyRecordAdmin):
    """What a variant shows on each placement."""

    list_display = ("variant", "placement", "publication", "page_size")
    list_select_related = ("variant", "placement", "publication__placement")


@admin.register(ExperimentEvent)
class ExperimentEventAdmin(ReadOnlyRecordAdmin):
    """What happened to experiments."""

    list_display = ("at", "experiment", "kind", "actor")
    list_filter = ("kind",)
    list_select_related = ("experiment", "actor")
    date_hierarchy = "at"


@admin.register(Readout)
class ReadoutAdmin(ReadOnlyRecordAdmin):
    """The last analysis of each."""

    list_display = ("experiment", "computed_at", "through", "seconds", "units", "error")
    list_select_related = ("experiment",)
