"""Pipeline: collect → clean → features → train → deploy → evaluate as one picture, and what it stands on."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.jobs.selectors import jobs_recent
from apps.monitoring.health import health_report
from apps.monitoring.pipeline import Stage, pipeline_stages
from apps.portal.pages.shell import page, show

ICONS = {
    "collect": "cloud_download",
    "clean": "cleaning_services",
    "features": "dataset",
    "train": "model_training",
    "deploy": "rocket_launch",
    "evaluate": "monitoring",
}


@page
def pipeline(request: HttpRequest) -> HttpResponse:
    """The page."""
    return show(
        request, "portal/pipeline/page.html", title=_("Pipeline"), stages=stage_lines(),
        health=health_report(), jobs=jobs_recent(limit=8),
    )  # fmt: skip


@page
def pipeline_picture(request: HttpRequest) -> HttpResponse:
    """The picture alone; it asks for itself again, often while something runs."""
    return show(request, "portal/pipeline/picture.html", stages=stage_lines())


def stage_lines() -> list[tuple[Stage, str, str, str]]:
    """Each stage with its icon, where a click leads, and what it does in words."""
    return [
        (stage, ICONS[stage.code], reverse(f"portal:{stage.page}"), explained(stage.code))
        for stage in pipeline_stages()
    ]


def explained(code: str) -> str:
    """What a stage does, in one sentence."""
    return {
        "collect": _("Events and products come in by API and import."),
        "clean": _("Rows are checked; bad ones are named and left out."),
        "features": _("What is known is frozen as a snapshot to learn from."),
        "train": _("Each recipe learns from the snapshot and is judged."),
        "deploy": _("Lists are built for every shopper and product."),
        "evaluate": _("What shoppers did with the slates is counted."),
    }[code]
