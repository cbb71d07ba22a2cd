"""Studies: start one, watch it, look at what it found, keep the best settings."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from apps.core.errors import NotFound, RecoPortalError
from apps.jobs.queue import job_enqueue
from apps.portal.access import can_change, locked_reason, person
from apps.portal.charts.chart import Chart
from apps.portal.charts.study import shown, state_title, study_history, study_importance, study_parallel
from apps.portal.forms.study import StudyForm
from apps.portal.pages.models import recipe_get
from apps.portal.pages.shell import action, csv_answer, done, page, show, toast
from apps.portal.words.model_settings import setting_words
from apps.portal.words.sources import sources_named
from apps.training.models import Recipe, Study
from apps.training.runs import run_create
from apps.training.spaces import space_of
from apps.training.studies import study_apply, study_cancel, study_create, study_resume
from apps.training.study_figures import StudyState, gains_of, study_get, study_state

MORE_TRIALS = 10
MORE_SECONDS = 600


def _study(study_id: int) -> Study:
    found = study_get(study_id=study_id)
    if found is None:
        raise NotFound(_("There is no study %(id)s.") % {"id": study_id})
    return found


@page
def study_new(request: HttpRequest, code: str) -> HttpResponse:
    """What to search, how, and how long."""
    found = recipe_get(code)
    return _new_page(request, found, StudyForm(recipe=found))


def _new_page(request: HttpRequest, found: Recipe, form: StudyForm) -> HttpResponse:
    locked = "" if can_change(request.user, "models") else locked_reason("models")
    if locked:
        form.lock()
    source = sources_named()[found.code]
    return show(
        request, "portal/models/study_new.html", title=_("Tune %(name)s") % {"name": source.name}, form=form,
        recipe=found, source=source, locked=locked,
    )  # fmt: skip


@action("models")
def study_start(request: HttpRequest, code: str) -> HttpResponse:
    """Queue the study and go to it."""
    found = recipe_get(code)
    form = StudyForm(request.POST, recipe=found)
    if not form.is_valid():
        return _new_page(request, found, form)
    try:
        study = study_create(recipe=found, requested_by=person(request), **form.values())
    except RecoPortalError as error:
        form.take(error)
        return _new_page(request, found, form)
    for job in study.jobs.all():
        job_enqueue(job)
    return redirect("portal:study", study.pk)


def charts_of(state: StudyState) -> dict[str, Chart]:
    """The study's charts by key."""
    space = space_of(state.study.space)
    found = [
        study_history(trials=state.trials, space=space),
        study_importance(importances=state.study.importances),
        study_parallel(trials=state.trials, space=space),
    ]
    return {chart.key: chart for chart in found}


def _shown(request: HttpRequest, template: str, study: Study, title: str = "", **more: Any) -> HttpResponse:
    state = study_state(study)
    space, best = space_of(study.space), state.best
    settings = [
        (
            setting_words(one.name)[0],
            shown(study.base[one.name]),
            shown(best.params[one.name]) if best else "–",
        )
        for one in space
    ]
    percent = 100 if study.finished_at else round(100 * state.ended / max(1, study.max_trials))
    return show(
        request, template, title=title, study=study, state=state, settings=settings, percent=percent,
        source=sources_named()[study.recipe.code], may=can_change(request.user, "models"), **more,
    )  # fmt: skip


@page
def study(request: HttpRequest, study_id: int) -> HttpResponse:
    """The page."""
    found = _study(study_id)
    source = sources_named()[found.recipe.code]
    title = _("Tuning %(name)s, study %(id)s") % {"name": source.name, "id": found.pk}
    return _shown(request, "portal/models/study.html", found, title, **_found(found))


def _found(study: Study) -> dict[str, Any]:
    """What changes only when a trial ends: charts, table and gain."""
    state = study_state(study)
    rows = [
        (one, state_title(one.state), [shown(one.params.get(name)) for name in study.space])
        for one in reversed(state.trials)
    ]
    heads = [setting_words(name)[0] for name in study.space]
    return {"charts": list(charts_of(state).values()), "gains": gains_of(state), "rows": rows, "heads": heads}


@page
def study_progress(request: HttpRequest, study_id: int) -> HttpResponse:
    """Bar and counts; asks for itself again each second until no worker is at it."""
    found = _study(study_id)
    answer = _shown(request, "portal/models/study_state.html", found)
    if not study_state(found).active:
        answer["HX-Trigger"] = json.dumps({"study:over": "", "jobs:changed": ""})
    return answer


@page
def study_charts(request: HttpRequest, study_id: int) -> HttpResponse:
    """Charts and trials; asked for less often."""
    found = _study(study_id)
    return _shown(request, "portal/models/study_found.html", found, **_found(found))


@page
def study_csv(request: HttpRequest, study_id: int, key: str) -> HttpResponse:
    """The table behind one of the charts; that of the history holds every trial."""
    charts = charts_of(study_state(_study(study_id)))
    if key not in charts:
        raise NotFound(_("There is no such chart."))
    return csv_answer(charts[key])


@action("models")
def study_stop(request: HttpRequest, study_id: int) -> HttpResponse:
    """Ask the study's workers to stop; what it found stays."""
    found = _study(study_id)
    study_cancel(study=found)
    answer = _shown(request, "portal/models/study_state.html", found)
    return toast(answer, _("The study is being stopped. It can go on later."), kind="info")


@action("models")
def study_go_on(request: HttpRequest, study_id: int) -> HttpResponse:
    """Go on where it stopped; a finished one gets more trials and time."""
    found = _study(study_id)
    more = found.finished_at is not None
    jobs = study_resume(
        study=found,
        more_trials=MORE_TRIALS if more else 0,
        more_seconds=MORE_SECONDS if more else 0,
        by=person(request),
    )
    for job in jobs:
        job_enqueue(job)
    return redirect("portal:study", study_id)


@action("models")
def study_keep(request: HttpRequest, study_id: int) -> HttpResponse:
    """Make the best settings the recipe's, and train with them if asked."""
    found = _study(study_id)
    recipe = study_apply(study=found, by=person(request))
    name = sources_named()[recipe.code].name
    if request.POST.get("train") == "1":
        run = run_create(recipe=recipe, requested_by=person(request))
        job_enqueue(run.job)
        text = _("The best settings are kept; %(name)s is being trained with them.") % {"name": name}
        return done(request, "portal:run", text, run.pk)
    return done(
        request,
        "portal:recipe",
        _("The next run of %(name)s uses the best settings.") % {"name": name},
        recipe.code,
    )
