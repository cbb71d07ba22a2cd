"""The automatic choice: ask for one, read it, take its settings into recipes. The work is in choice_work.

A choice is a job; its result (plain JSON of `ml.choice`) is what pages show. Nothing that it finds is used
before somebody says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.core.errors import Conflict, InvalidInput
from apps.jobs.models import Job, JobStatus
from apps.jobs.services import job_create
from apps.ml.errors import InvalidValue
from apps.ml.evaluate import VARIANTS
from apps.ml.objectives import PARTS, Objective
from apps.ml.registry import FAMILIES
from apps.training.hybrid import live_versions
from apps.training.models import Recipe
from apps.training.recipes import recipe_update, recipes_ensure
from apps.training.studies import config_overrides

KIND = "training.choice"
MIN_BUDGET, MAX_BUDGET = 5, 24 * 3600


@dataclass(frozen=True, slots=True)
class Found:
    """A finished choice as pages read it. weights, by_model: by family, or by recipe where only weights were
    asked for (`configs` is empty then). pareto: points of the front, whose keys are the objective's parts
    and "weights". words, warnings: (message, parameters), in English.
    """

    job: Job
    kind: str
    variant: str
    weights: dict[str, float]
    configs: dict[str, dict[str, Any]]
    by_model: dict[str, dict[str, float]]
    pareto: list[dict[str, Any]]
    words: list[tuple[str, dict[str, Any]]]
    warnings: list[tuple[str, dict[str, Any]]]
    objective: dict[str, float]
    seconds: float


def sources_offered(*, live_only: bool) -> list[str]:
    """What to choose among: all families, or the recipes that have a live version (for weights alone)."""
    if live_only:
        return list(live_versions())
    return [name for name, family in FAMILIES.items() if not family.composite]


@transaction.atomic
def choice_job_create(
    *,
    objective: Mapping[str, float],
    budget_seconds: int,
    variant: str = "new",
    live_only: bool = False,
    placement: str = "",
    requested_by: User | None = None,
) -> Job:
    """Queue a choice; the caller enqueues it. Conflict while one is under way, or with nothing to choose.

    objective: how much each of PARTS counts. live_only: weights for the live versions as they are. placement:
    the code of the placement it was asked for, kept for the page.
    """
    if variant not in VARIANTS:
        raise InvalidInput(
            field="variant",
            value=variant,
            remedy=_("Choose one of %(known)s.") % {"known": ", ".join(VARIANTS)},
        )
    if not MIN_BUDGET <= budget_seconds <= MAX_BUDGET:
        raise InvalidInput(
            field="budget_seconds",
            value=budget_seconds,
            remedy=_("Give a number from %(low)s to %(high)s.") % {"low": MIN_BUDGET, "high": MAX_BUDGET},
        )
    checked = objective_check(objective)
    sources = sources_offered(live_only=live_only)
    if len(sources) < 2:
        raise Conflict(_("Two live models or more are needed; train and promote them first."))
    if Job.objects.filter(kind=KIND, status__in=[JobStatus.QUEUED, JobStatus.RUNNING]).exists():
        raise Conflict(_("A choice is under way already. Wait for it or cancel it."))
    return job_create(
        kind=KIND,
        title="Choose models and weights",
        params={
            "objective": checked.to_dict(),
            "budget_seconds": budget_seconds,
            "variant": variant,
            "sources": sources,
            "live_only": live_only,
            "placement": placement,
        },
        requested_by=requested_by,
    )


def objective_check(objective: Mapping[str, float]) -> Objective:
    """The mix as the library takes it; InvalidInput when it is none."""
    try:
        return Objective(**{name: float(objective.get(name, 0.0)) for name in PARTS})
    except (InvalidValue, TypeError, ValueError) as error:
        raise InvalidInput(
            field="objective",
            value=dict(objective),
            remedy=_("Let at least one of them count more than 0."),
        ) from error


def choice_found(job: Job) -> Found | None:
    """What a choice found; None before it has ended well."""
    if job.kind != KIND or job.status != JobStatus.DONE or "weights" not in job.result:
        return None
    result = job.result
    return Found(
        job=job,
        kind=result["chosen"],
        variant=result["variant"],
        weights=result["weights"],
        configs=result["configs"],
        by_model=result["by_model"],
        pareto=result["pareto"],
        words=[(message, params) for message, params in result["sentences"]],
        warnings=[(message, params) for message, params in result["warnings"]],
        objective=result["objective"],
        seconds=result["seconds"],
    )


@transaction.atomic
def choice_apply(*, found: Found, by: User | None) -> list[Recipe]:
    """Write the chosen settings into the recipes of the chosen families and take those into use; audited as
    changes of the recipes. Their next runs use them; what is live stays.
    """
    recipes = {recipe.code: recipe for recipe in recipes_ensure()}
    changed = []
    for family, settings in found.configs.items():
        recipe = recipes.get(family)
        if recipe is None or recipe.archived_at is not None:
            continue
        config = config_overrides(family=family, preset=recipe.preset, settings=settings)
        changed.append(recipe_update(recipe=recipe, changes={"config": config, "active": True}, by=by))
    if not changed:
        raise Conflict(_("All recipes of the chosen families are archived; bring them back first."))
    return changed
