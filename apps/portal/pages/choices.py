"""The automatic choice: ask for one, watch it, read why, take its settings or its weights."""

import json
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext, override
from django.utils.translation import gettext as _

from apps.core.errors import NotFound, RecoPortalError
from apps.jobs.models import Job
from apps.jobs.queue import job_enqueue
from apps.jobs.selectors import job_eta_seconds, job_get, job_seconds, jobs_recent
from apps.merchandising.models import Placement, PlacementKind
from apps.merchandising.selectors import placement_get, placement_list
from apps.merchandising.services import draft_save
from apps.portal.access import can_change, locked_reason, person
from apps.portal.charts.chart import Chart
from apps.portal.charts.choice import pareto_chart
from apps.portal.drafts import draft_of
from apps.portal.forms.choice import PART_WORDS, ChoiceForm
from apps.portal.pages.shell import action, csv_answer, done, page, show
from apps.portal.words.model_settings import setting_words, value_text
from apps.portal.words.ranker_facts import fact_words
from apps.portal.words.sources import family_name, sources_live, sources_named
from apps.training.choices import KIND, Found, choice_apply, choice_found, choice_job_create
from apps.training.config_fields import families_facts
from apps.training.runs import runs_create


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A family, or the mixture, as the choice judged it."""

    name: str
    weight: float | None
    figures: list[float | None]
    live: bool
    chosen: bool


FIGURES = ("ndcg10", "recall20", "hit10", "coverage10")


@page
def choice_new(request: HttpRequest) -> HttpResponse:
    """What it is to be good at; `placement` asks for weights of one placement only."""
    code = request.GET.get("placement", "")
    placement = Placement.objects.filter(code=code).first() if code else None
    initial = {
        "placement": code,
        "live_only": placement is not None,
        "variant": "all" if placement and placement.repeat_purchases else "new",
    }
    return _new_page(request, ChoiceForm(initial=initial), placement)


def _new_page(request: HttpRequest, form: ChoiceForm, placement: Placement | None) -> HttpResponse:
    area = "merchandising" if placement else "models"
    locked = "" if can_change(request.user, area) else locked_reason(area)
    if locked:
        form.lock()
    jobs = [(job, choice_found(job)) for job in jobs_recent(kind=KIND, limit=8)]
    return show(
        request, "portal/models/choice_new.html", form=form, placement=placement, locked=locked, jobs=jobs,
        title=_("Find weights") if placement else _("Automatic choice"),
    )  # fmt: skip


@action("models")
def choice_start(request: HttpRequest) -> HttpResponse:
    """Queue a choice among all families and go to it."""
    return _start(request, None)


@action("merchandising")
def weights_find(request: HttpRequest) -> HttpResponse:
    """Queue a search for weights of the live families and go to it."""
    return _start(request, placement_get(code=request.POST.get("placement", "")))


def _start(request: HttpRequest, placement: Placement | None) -> HttpResponse:
    form = ChoiceForm(request.POST)
    if not form.is_valid():
        return _new_page(request, form, placement)
    try:
        values = form.values() | {"live_only": placement is not None}
        job = choice_job_create(requested_by=person(request), **values)
    except RecoPortalError as error:
        form.take(error)
        return _new_page(request, form, placement)
    job_enqueue(job)
    return redirect("portal:choice", job.pk)


def _job(job_id: int) -> Job:
    job = job_get(job_id=job_id)
    if job is None or job.kind != KIND:
        raise NotFound(_("There is no choice %(id)s.") % {"id": job_id})
    return job


@page
def choice(request: HttpRequest, job_id: int) -> HttpResponse:
    """The page: the bar while it works, then what was found and why."""
    return _shown(request, "portal/models/choice.html", _job(job_id), title=_("Automatic choice"))


@page
def choice_state(request: HttpRequest, job_id: int) -> HttpResponse:
    """The same without the frame; asks for itself again until it is over."""
    job = _job(job_id)
    answer = _shown(request, "portal/models/choice_state.html", job)
    if job.is_final:
        answer["HX-Trigger"] = json.dumps({"jobs:changed": ""})
    return answer


def _shown(request: HttpRequest, template: str, job: Job, title: str = "") -> HttpResponse:
    found = choice_found(job)
    facts: dict[str, Any] = {}
    if found is not None:
        facts = {
            "rows": model_rows(found), "sentences": said(found.words), "warnings": said(found.warnings),
            "chart": front(found), "settings": settings_told(found),
            "placements": [
                one for one in placement_list() if one.kind in (PlacementKind.SHOPPER, PlacementKind.CART)
            ],
            "missing": [source_told(code) for code in found.weights if code not in sources_live()],
        }  # fmt: skip
    objective = job.params.get("objective", {})
    parts = [(words[0], objective.get(name, 0.0)) for name, words in PART_WORDS.items()]
    return show(
        request, template, title=title, job=job, found=found, percent=round(100 * job.progress),
        seconds=job_seconds(job), left=job_eta_seconds(job),
        parts=[(words, round(100 * share)) for words, share in parts if share],
        may_models=can_change(request.user, "models"), may_weights=can_change(request.user, "merchandising"),
        **facts,
    )  # fmt: skip


def source_told(code: str) -> str:
    """A family by its name, or a recipe of the shop's own by the one it was given."""
    named = sources_named()
    return named[code].name if code in named else family_name(code)


def said(words: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """The library's sentences in the reader's language, families by the names they have here."""
    titles = {facts.title: family_name(facts.name) for facts in families_facts()}
    titles |= {english: family_name(name) for name, english in _english_titles().items()}

    by_code = {facts.name: family_name(facts.name) for facts in families_facts()}

    def told(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return _(", ").join(titles.get(part) or fact_words(part, by_code) for part in value.split(", "))

    return [
        gettext(message) % {name: told(value) for name, value in params.items()} for message, params in words
    ]


def _english_titles() -> dict[str, str]:
    with override("en"):
        return {facts.name: facts.title for facts in families_facts()}


def model_rows(found: Found) -> list[ModelRow]:
    """The mixture first, then the families by what they are worth alone."""
    live = sources_live()
    rows = []
    for name, figures in sorted(found.by_model.items(), key=lambda pair: -pair[1].get("ndcg10", 0.0)):
        mixed = {"hybrid": _("Weighted mixture"), "stacked": _("Learned ranker")}.get(name)
        rows.append(
            ModelRow(
                name=mixed or source_told(name),
                weight=None if mixed else found.weights.get(name),
                figures=[figures.get(one) for one in FIGURES],
                live=bool(mixed) or name in live,
                chosen=name == found.kind,
            )
        )
    return rows


def settings_told(found: Found) -> list[tuple[str, list[tuple[str, str]]]]:
    """The chosen settings by family."""
    return [
        (
            family_name(name),
            [(setting_words(key, name)[0], value_text(value, key)) for key, value in settings.items()],
        )
        for name, settings in sorted(found.configs.items(), key=lambda pair: -found.weights.get(pair[0], 0.0))
    ]


def front(found: Found) -> Chart:
    """The trade-off along the front."""
    names = {code: source_told(code) for code in found.by_model if code not in ("hybrid", "stacked")}
    chosen = {code: weight for code, weight in found.weights.items() if weight > 0}
    points = [
        {**point, "chosen": {c: w for c, w in point.get("weights", {}).items() if w > 0} == chosen}
        for point in found.pareto
    ]
    return pareto_chart(pareto=points, names=names)


def _found(job_id: int) -> Found:
    found = choice_found(_job(job_id))
    if found is None:
        raise NotFound(_("This choice has found nothing (yet)."))
    return found


@page
def choice_csv(request: HttpRequest, job_id: int, key: str) -> HttpResponse:
    """The table behind the front."""
    chart = front(_found(job_id))
    if key != chart.key:
        raise NotFound(_("There is no such chart."))
    return csv_answer(chart)


@action("models")
def choice_settings(request: HttpRequest, job_id: int) -> HttpResponse:
    """Write the chosen settings into the recipes, and train those if asked."""
    changed = choice_apply(found=_found(job_id), by=person(request))
    names = sources_named()
    told = _(", ").join(names[recipe.code].name for recipe in changed)
    if request.POST.get("train") != "1":
        return done(
            request, "portal:models", _("The settings are in these recipes: %(names)s.") % {"names": told}
        )
    for run in runs_create(recipes=changed, requested_by=person(request)):
        job_enqueue(run.job)
    return done(
        request, "portal:models", _("Being trained with the chosen settings: %(names)s.") % {"names": told}
    )


@action("merchandising")
def weights_take(request: HttpRequest, job_id: int) -> HttpResponse:
    """Put the chosen weights into the draft of a placement; nothing is published."""
    found = _found(job_id)
    placement = placement_get(code=request.POST.get("placement", ""))
    draft = draft_of(placement)
    top = max(found.weights.values())
    weights = {code: round(weight / top, 2) for code, weight in found.weights.items() if weight > 0}
    draft_save(placement=placement, revision=draft.revision, weights=weights, actor=person(request))
    answer = done(
        request,
        "portal:weights",
        _("The weights are in the draft of %(placement)s. Look at the slate, then publish.")
        % {"placement": placement.name},
    )
    where = reverse("portal:weights") + f"?placement={placement.code}"
    answer["HX-Redirect" if "HX-Redirect" in answer else "Location"] = where
    return answer
