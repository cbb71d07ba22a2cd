"""Reports on a model and on the data it learns from: ask for one, read it. The work is in report_work.

A report is a job whose result is the report; nothing live changes by one.

- robustness: what noisy, missing and fake interactions cost a recipe.
- updates: a recipe lived through past days by warm start, fold-in and full retraining: quality, seconds, and
  what is forgotten.
- shilling: crowds of shoppers that came to push a product.
"""

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.core.errors import Conflict, InvalidInput
from apps.jobs.models import Job, JobStatus
from apps.jobs.services import job_create
from apps.ml.evaluate import VARIANTS
from apps.training.models import Recipe

ROBUSTNESS, UPDATES, SHILLING = "training.robustness", "training.updates", "training.shilling"
OF_RECIPE = (ROBUSTNESS, UPDATES)
TITLES = {
    ROBUSTNESS: "Test how {name} stands bad data",
    UPDATES: "Test updates of {name}",
    SHILLING: "Look for shoppers who push products",
}
DAYS_DEFAULT, DAYS_LEAST, DAYS_MOST = 14, 2, 60
ACTIVE = (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class Report:
    """A finished report. `facts` as `ml.robustness`, `ml.incremental` or `ml.shilling` tell them, and
    "snapshot_hash".
    """

    job: Job
    facts: dict[str, Any]


@transaction.atomic
def report_job_create(
    *,
    kind: str,
    recipe: Recipe | None = None,
    variant: str = "all",
    days: int = DAYS_DEFAULT,
    requested_by: User | None = None,
) -> Job:
    """Queue a report; the caller enqueues it. Conflict while the same one is under way.

    variant: the purchases that judge, for reports on a recipe. days: past days lived through (updates).
    """
    if (recipe is not None) != (kind in OF_RECIPE) or kind not in TITLES:
        raise InvalidInput(field="kind", value=kind, remedy=_("Choose a report there is."))
    if variant not in VARIANTS:
        raise InvalidInput(
            field="variant",
            value=variant,
            remedy=_("Choose one of %(known)s.") % {"known": ", ".join(VARIANTS)},
        )
    if not DAYS_LEAST <= days <= DAYS_MOST:
        raise InvalidInput(
            field="days",
            value=days,
            remedy=_("Give a number from %(low)s to %(high)s.") % {"low": DAYS_LEAST, "high": DAYS_MOST},
        )
    params: dict[str, Any] = {}
    if recipe is not None:
        Recipe.objects.select_for_update().get(pk=recipe.pk)
        params = {"recipe": recipe.code, "variant": variant}
        params |= {"days": days} if kind == UPDATES else {}
    if _jobs(kind, recipe).filter(status__in=ACTIVE).exists():
        raise Conflict(_("This report is being made already. Wait for it or cancel it."))
    title = TITLES[kind].format(name=recipe.name if recipe else "")
    return job_create(kind=kind, title=title, params=params, requested_by=requested_by)


def _jobs(kind: str, recipe: Recipe | None) -> Any:
    jobs = Job.objects.filter(kind=kind).select_related("requested_by")
    return jobs.filter(params__recipe=recipe.code) if recipe is not None else jobs


def report_of(job: Job) -> Report | None:
    """What a job found; None before it has ended well."""
    if job.kind not in TITLES or job.status != JobStatus.DONE or "snapshot_hash" not in job.result:
        return None
    return Report(job, job.result)


def report_last(*, kind: str, recipe: Recipe | None = None) -> Report | None:
    """The newest finished report of this kind."""
    job = _jobs(kind, recipe).filter(status=JobStatus.DONE).order_by("-created_at", "-id").first()
    return report_of(job) if job is not None else None


def report_running(*, kind: str, recipe: Recipe | None = None) -> Job | None:
    """The job that is making one, if any."""
    found: Job | None = _jobs(kind, recipe).filter(status__in=ACTIVE).order_by("-id").first()
    return found


def reports_recent(*, kind: str, recipe: Recipe | None = None, limit: int = 8) -> list[Job]:
    """The newest jobs of this kind, however they ended."""
    return list(_jobs(kind, recipe).order_by("-created_at", "-id")[:limit])
