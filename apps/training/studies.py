"""Studies: searches for better settings of a recipe. Create, stop, go on, keep the best. Loads no Optuna."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.accounts.services import audit_record
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput
from apps.jobs.models import Job, JobStatus
from apps.jobs.services import job_cancel, job_create
from apps.ml.registry import family_get
from apps.training.gate import rule_of
from apps.training.models import Goal, Recipe, Sampler, Study, StudyTrial, TrialState
from apps.training.recipes import config_check, recipe_update
from apps.training.spaces import Range, grid_size, space_check

KIND = "training.study"
MAX_TRIALS = 500
MAX_WORKERS = 8
MAX_BUDGET_SECONDS = 7 * 24 * 3600
ACTIVE = (JobStatus.QUEUED, JobStatus.RUNNING)


def goal_default(family: str) -> str:
    """The purchases that count for the family at the gate."""
    return Goal.ALL if "new" not in rule_of(family).protocols else Goal.MIX


@transaction.atomic
def study_create(
    *,
    recipe: Recipe,
    space: Mapping[str, Mapping[str, Any]],
    sampler: str = Sampler.TPE,
    goal: str = "",
    pruning: bool = True,
    max_trials: int = 20,
    budget_seconds: int = 600,
    workers: int = 1,
    seed: int = 0,
    requested_by: User | None = None,
) -> Study:
    """Store a study with its jobs queued; the caller enqueues `study.jobs`. Conflict while another study of
    the recipe is under way. The first trial is of the recipe's present settings.
    """
    recipe = Recipe.objects.select_for_update().get(pk=recipe.pk)
    base = config_check(family=recipe.family, preset=recipe.preset, config=recipe.config)
    asked = space_check(family=recipe.family, preset=recipe.preset, given=space)
    ranges = [one.widened(base[one.name]) for one in asked]
    goal = goal or goal_default(recipe.family)
    _one_of("sampler", sampler, Sampler.values)
    _one_of("goal", goal, Goal.values)
    _between("max_trials", max_trials, 2, MAX_TRIALS)
    _between("budget_seconds", budget_seconds, 5, MAX_BUDGET_SECONDS)
    _between("workers", workers, 1, MAX_WORKERS)
    busy = Study.objects.filter(recipe=recipe, jobs__status__in=ACTIVE).first()
    if busy is not None:
        raise Conflict(
            _("%(recipe)s is being tuned already (study %(id)s). Wait for it or stop it.")
            % {"recipe": recipe.name, "id": busy.pk}
        )
    study = Study.objects.create(
        recipe=recipe,
        sampler=sampler,
        goal=goal,
        pruning=pruning,
        space={one.name: one.to_dict() for one in ranges},
        base=base,
        max_trials=_trials(sampler, ranges, max_trials),
        budget_seconds=budget_seconds,
        workers=workers,
        seed=seed,
        requested_by=requested_by,
    )
    _jobs_add(study, requested_by)
    audit_record(
        actor=requested_by,
        verb="study.create",
        object_type="recipe",
        object_id=recipe.pk,
        object_label=recipe.name,
        before={},
        after={"study": study.pk, "sampler": sampler, "settings": sorted(study.space)},
    )
    return study


def _trials(sampler: str, space: Sequence[Range], asked: int) -> int:
    """A grid has an end of its own; the present settings come on top."""
    return min(asked, grid_size(space) + 1) if sampler == Sampler.GRID else asked


def _one_of(field: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise InvalidInput(
            field=field, value=value, remedy=_("Choose one of %(known)s.") % {"known": ", ".join(known)}
        )


def _between(field: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InvalidInput(
            field=field,
            value=value,
            remedy=_("Give a number from %(low)s to %(high)s.") % {"low": low, "high": high},
        )


def _jobs_add(study: Study, requested_by: User | None) -> list[Job]:
    jobs = [
        job_create(
            kind=KIND,
            title=f"Tune {study.recipe.name}",
            params={"study": study.pk, "recipe": study.recipe.code},
            requested_by=requested_by,
        )
        for _worker in range(study.workers)
    ]
    study.jobs.add(*jobs)
    return jobs


def study_jobs(study: Study, *, active_only: bool = False) -> list[Job]:
    """The jobs that work or worked on the study, the newest first."""
    jobs = study.jobs.order_by("-created_at", "-pk")
    return list(jobs.filter(status__in=ACTIVE) if active_only else jobs)


def study_cancel(*, study: Study) -> None:
    """Ask the study's workers to stop; its trials stay, and it can go on later."""
    for job in study_jobs(study, active_only=True):
        job_cancel(job_id=job.pk)


@transaction.atomic
def study_resume(
    *, study: Study, more_trials: int = 0, more_seconds: int = 0, by: User | None = None
) -> list[Job]:
    """Go on where the study stopped, with more trials or time if asked; the caller enqueues the jobs."""
    study = Study.objects.select_for_update().select_related("recipe").get(pk=study.pk)
    if study.jobs.filter(status__in=ACTIVE).exists():
        raise Conflict(_("This study is under way already."))
    study.max_trials = min(MAX_TRIALS, study.max_trials + more_trials)
    study.budget_seconds = min(MAX_BUDGET_SECONDS, study.budget_seconds + more_seconds)
    study.finished_at = None
    study.save(update_fields=["max_trials", "budget_seconds", "finished_at", "updated_at"])
    return _jobs_add(study, by)


def best_trial(trials: Sequence[StudyTrial]) -> StudyTrial | None:
    """The finished trial of the highest value; the earlier one of equals."""
    done = [one for one in trials if one.state == TrialState.COMPLETE and one.value is not None]
    return max(done, key=lambda one: (one.value or 0.0, -one.number), default=None)


def settings_of(study: Study, trial: StudyTrial) -> dict[str, Any]:
    """Every setting of the trial's model."""
    return {**study.base, **trial.params}


def config_overrides(*, family: str, preset: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What of these settings differs from the preset: a recipe's `config`."""
    preset_values = family_get(family).presets[preset].to_dict()
    return {name: value for name, value in settings.items() if value != preset_values.get(name)}


@transaction.atomic
def study_apply(*, study: Study, trial: StudyTrial | None = None, by: User | None = None) -> Recipe:
    """Make a finished trial's settings (default: the best one's) the recipe's own; audited as its change.

    What is live stays; the next run uses them and has to pass the gate.
    """
    study = Study.objects.select_for_update().select_related("recipe").get(pk=study.pk)
    chosen = trial or best_trial(list(study.trials.all()))
    if chosen is None or chosen.study_id != study.pk or chosen.state != TrialState.COMPLETE:
        raise Conflict(_("No trial of this study has finished yet; let it run longer."))
    recipe = study.recipe
    config = config_overrides(family=recipe.family, preset=recipe.preset, settings=settings_of(study, chosen))
    recipe = recipe_update(recipe=recipe, changes={"config": config}, by=by)
    moment: datetime = clock.now()
    Study.objects.filter(pk=study.pk).update(applied_at=moment)
    return recipe
